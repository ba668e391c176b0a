"""Brings a database to the newest revision."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text

from hub.store import Store

HEAD = "0010"
"""The newest revision; a test compares it with the migrations folder."""
LOCK = 0x626F7468
"""PostgreSQL's number of the lock that processes which migrate at once wait for."""


def revision(connection: Connection) -> str | None:
    """A unit: the database's revision, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


async def migrate(store: Store) -> None:
    """Run the missing migrations, in one transaction; processes that do so at once wait for each other."""
    if await store.read(revision) == HEAD:
        return
    # Alembic takes 0.2 s to import; a database that is up to date does not pay for it.
    from alembic import command
    from alembic.config import Config

    def upgrade(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        if not connection.in_transaction():
            connection.begin()  # else Alembic would begin and commit one for each revision, and let others in between
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    await store.write(upgrade)
