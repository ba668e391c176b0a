"""Brings a database to the newest revision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, inspect, select, text

from hub.errors import HubError, MigrationFailed
from hub.store import Store

HEAD = "0022"
"""The newest revision; a test compares it with the migrations folder."""
LOCK = 0x626F7468
"""PostgreSQL's number of the lock that processes which migrate at once wait for."""


def revision(connection: Connection) -> str | None:
    """A unit: the database's revision, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


def revisions() -> list[str]:
    """Every revision there is, the oldest first."""
    from alembic.script import ScriptDirectory

    return [one.revision for one in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


async def migrate(store: Store, keep: Callable[[str], object] = lambda _: None) -> None:
    """Run the missing migrations, in one transaction; processes that do so at once wait for each other.

    `keep` is called with the revision of a database that has one, when nobody else can write and before anything is
    changed. Raises MigrationFailed, and what `keep` raises; the database is then as it was.
    """
    if await store.read(revision) == HEAD:
        return
    # Alembic takes 0.2 s to import; a database that is up to date does not pay for it.
    from alembic import command

    def upgrade(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        if not connection.in_transaction():
            connection.begin()  # else Alembic would begin and commit one for each revision, and let others in between
        at = revision(connection)
        if at == HEAD:
            return  # another process was first
        if at is not None:
            if at not in revisions():
                raise MigrationFailed(behind(at))
            keep(at)
        try:
            command.upgrade(alembic_config(connection), "head")
        except HubError:
            raise
        except Exception as error:
            raise MigrationFailed(f"The migration from revision {at} to {HEAD} failed: {error}") from error

    await store.write(upgrade)


def behind(at: str) -> str:
    """Why this version does not work with a database of another revision, and what to do about it."""
    if at in revisions():
        return (
            f"The database is at revision {at}, this version of bothub works with {HEAD}: "
            "start it once with `bothub serve` to bring the database up to date."
        )
    return (
        f"The database is at revision {at}, which this version of bothub does not know: it works with {HEAD}. "
        "Use the newer version that the database was used with, or restore a backup that was made before."
    )


def alembic_config(connection: Connection | None = None) -> Any:
    """Alembic's settings: where the revisions are, and the connection that they are run on."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    if connection is not None:
        config.attributes["connection"] = connection
    return config
