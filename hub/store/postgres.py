"""PostgreSQL over asyncpg: one transaction a unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hub.errors import ConfigError, StoreUnavailable

T = TypeVar("T")
Row = tuple[Any, ...]
POOL = 10


class PostgresStore:
    """A PostgreSQL database; several processes may share it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    async def open(cls, url: str) -> PostgresStore:
        """Connect once to see that the server answers; raises ConfigError for a malformed URL, StoreUnavailable."""
        try:
            engine = create_async_engine(url, pool_size=POOL, max_overflow=0, pool_pre_ping=False, hide_parameters=True)
        except (ArgumentError, ValueError):
            raise ConfigError(
                ["store.url: is not a URL such as postgresql+asyncpg://USER:PASSWORD@HOST/NAME"]
            ) from None
        event.listen(engine.sync_engine, "before_cursor_execute", _replace_nul, retval=True)
        store = cls(engine)
        try:
            await store.read(lambda connection: connection.exec_driver_sql("select 1"))
        except DBAPIError as error:
            raise StoreUnavailable(f"Cannot open the database: {error.orig}") from error
        return store

    async def write(self, unit: Callable[[Connection], T]) -> T:
        try:
            async with self._engine.begin() as connection:
                return await connection.run_sync(unit)
        except OSError as error:
            raise StoreUnavailable(f"The database does not answer: {error}") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise StoreUnavailable(f"The database does not answer: {error.orig}") from error
            raise

    async def read(self, unit: Callable[[Connection], T]) -> T:
        return await self.write(unit)

    async def close(self) -> None:
        await self._engine.dispose()


def for_tools(url: str) -> str:
    """The URL as PostgreSQL's own tools take it, without the password: they ask for it, or find it in ~/.pgpass."""
    known = make_url(url)
    asked = {"sslmode" if name == "ssl" else name: value for name, value in known.query.items()}
    kept = {name: value for name, value in asked.items() if name in ("host", "port", "sslmode")}
    return URL.create(
        "postgresql", known.username, host=known.host, port=known.port, database=known.database, query=kept
    ).render_as_string()


def _replace_nul(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """Put the replacement character for NUL, which PostgreSQL has no place for in a text."""
    if isinstance(parameters, list):  # one row for each time the statement is executed
        return statement, [_without_nul(row) for row in cast(list[Row], parameters)]
    return statement, _without_nul(parameters)


def _without_nul(row: Row) -> Row:
    if not any(isinstance(value, str) and "\0" in value for value in row):
        return row
    return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row)
