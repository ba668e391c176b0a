"""PostgreSQL over asyncpg: one transaction a unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hub.errors import ConfigError, StoreUnavailable

T = TypeVar("T")
POOL = 10


class PostgresStore:
    """A PostgreSQL database; several processes may share it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    async def open(cls, url: str) -> PostgresStore:
        """Connect once to see that the server answers; raises ConfigError for a malformed URL, StoreUnavailable."""
        try:
            store = cls(create_async_engine(url, pool_size=POOL, max_overflow=0, pool_pre_ping=False))
        except (ArgumentError, ValueError):
            raise ConfigError(
                ["store.url: is not a URL such as postgresql+asyncpg://USER:PASSWORD@HOST/NAME"]
            ) from None
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
