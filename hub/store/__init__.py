"""The one place that opens a database.

Every read and write is a *unit*: a plain function of a synchronous SQLAlchemy `Connection`, run in one transaction.
A unit cannot await, so no transaction is ever held across a network call.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from hub.errors import ConfigError, StoreUnavailable

__all__ = ["Connection", "Store", "open_store", "sqlite_path"]

T = TypeVar("T")
SQLITE = "sqlite:///"


class Store(Protocol):
    """A database; its units commit whole or not at all."""

    async def write(self, unit: Callable[[Connection], T]) -> T:
        """Run a unit in a write transaction; an exception in it rolls everything back and is raised here.

        Raises StoreUnavailable when the database does not answer. A cancelled caller's unit may still commit.
        """
        ...

    async def read(self, unit: Callable[[Connection], T]) -> T:
        """Run a unit that only reads; it does not wait for writers."""
        ...

    async def close(self) -> None:
        """Finish what runs and let go of the connections."""
        ...


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite database; None for another one."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


async def open_store(url: str) -> Store:
    """Open `sqlite:///PATH` or `postgresql+asyncpg://...`; raises ConfigError for another URL, StoreUnavailable."""
    if (path := sqlite_path(url)) is not None:
        from hub.store.sqlite import SqliteStore

        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # conversations are in it
        except OSError as error:
            raise StoreUnavailable(f"Cannot open the database {path}: {error.strerror}: {error.filename}") from error
        return await SqliteStore.open(path)
    if url.startswith("postgresql+asyncpg://"):
        from hub.store.postgres import PostgresStore

        return await PostgresStore.open(url)
    scheme = url.partition(":")[0]
    raise ConfigError([f"store.url: '{scheme}' is not supported; use sqlite:///PATH or postgresql+asyncpg://..."])
