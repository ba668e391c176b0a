"""Databases as earlier versions left them."""

from __future__ import annotations

from alembic import command
from sqlalchemy import Connection, text

from hub.store import Store, migrate

BEFORE = migrate.revisions()[-2]
"""The revision before the newest."""


async def bring(store: Store, revision: str) -> None:
    """Bring a store to a revision that is not the newest."""

    def unit(connection: Connection) -> None:
        command.upgrade(migrate.alembic_config(connection), revision)

    await store.write(unit)


def say(connection: Connection) -> None:
    """A unit: put something into a database of any revision."""
    connection.execute(text("INSERT INTO settings VALUES ('said', 'before')"))


def said(connection: Connection) -> str | None:
    """A unit: what was put there."""
    return connection.execute(text("SELECT value FROM settings WHERE name = 'said'")).scalar()
