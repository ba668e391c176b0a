"""SQLite on aiosqlite's own thread: one hop a unit, one connection to write and one to read."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from hub.errors import StoreUnavailable

T = TypeVar("T")
BUSY_SECONDS = 30
PRAGMAS = (
    "synchronous=NORMAL",  # with WAL: a killed process loses nothing, a lost machine the last moments
    f"busy_timeout={BUSY_SECONDS * 1000}",
    "cache_size=-16384",
    "foreign_keys=ON",
)


class _Thread(aiosqlite.Connection):
    """An aiosqlite connection whose thread runs units through SQLAlchemy Core.

    It begins and ends transactions itself, below SQLAlchemy: that is a fifth of what a small unit costs.
    """

    def bind(self, begin: str) -> None:
        """Make the SQLAlchemy connection; called on the thread."""
        engine = create_engine(
            "sqlite://",
            creator=lambda: self._conn,
            poolclass=StaticPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,  # errors are logged, and what people say is not
        )
        self._begin = begin
        self._core = engine.connect()

    async def unit(self, unit: Callable[[Connection], T]) -> T:
        # aiosqlite's untyped runner hands back what the unit returns.
        return cast(T, await cast(Any, self)._execute(self._run, unit))

    def _run(self, unit: Callable[[Connection], T]) -> T:
        connection = self._conn
        connection.execute(self._begin)
        try:
            result = unit(self._core)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return result

    async def close(self) -> None:
        if self._connection is not None:
            await cast(Any, self)._execute(self._core.close)
        await super().close()


class SqliteStore:
    """One SQLite file in WAL mode."""

    def __init__(self, writer: _Thread, reader: _Thread) -> None:
        self._writer = writer
        self._reader = reader

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Open or create the file; raises StoreUnavailable when that cannot be done."""
        return cls(await _open(path, "BEGIN IMMEDIATE"), await _open(path, "BEGIN"))

    async def write(self, unit: Callable[[Connection], T]) -> T:
        return await _run(self._writer, unit)

    async def read(self, unit: Callable[[Connection], T]) -> T:
        return await _run(self._reader, unit)

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()


async def _run(thread: _Thread, unit: Callable[[Connection], T]) -> T:
    try:
        return await thread.unit(unit)
    except (OperationalError, sqlite3.OperationalError) as error:
        raise StoreUnavailable(f"The database does not answer: {getattr(error, 'orig', error)}") from error


async def _open(path: Path, begin: str) -> _Thread:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
        _use_wal(connection)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    thread = _Thread(connect, 64)
    try:
        await thread
    except sqlite3.Error as error:
        # aiosqlite tells the thread to end but does not wait for it.
        await asyncio.to_thread(cast(Any, thread)._thread.join)
        raise StoreUnavailable(f"Cannot open the database {path}: {error}") from error
    await cast(Any, thread)._execute(thread.bind, begin)
    return thread


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn a fresh file to WAL mode; SQLite does not wait by itself when another process does so too."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
