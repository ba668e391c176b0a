"""Brings a hub's database up to date when it starts; a SQLite file is backed up first."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from hub.backup import Kept, backup
from hub.errors import BackupFailed, MigrationFailed
from hub.store import Store, sqlite_path
from hub.store.migrate import HEAD, migrate, revision

FOLDER = "backups"
MOST = 3
"""Backups that are kept: the newest of each of so many revisions."""

log = structlog.get_logger()


async def upgrade(store: Store, url: str, data_dir: Path, clock: Callable[[], float] = time.time) -> None:
    """Run the missing migrations on the store of this URL; raises MigrationFailed, BackupFailed: nothing was changed.

    The backup is the database alone, in the form of any other, and made while nobody can write: it is exactly what is
    migrated, by whichever of several processes that start at once.
    """
    path = sqlite_path(url)
    made: list[Path] = []

    def keep(at: str) -> None:
        log.info("the database will be migrated", at=at, to=HEAD)
        if path is not None:
            made.append(_keep(path, data_dir / FOLDER, at, clock))

    try:
        await migrate(store, keep)
    except MigrationFailed as error:
        where = f" A backup of it is {made[0]}." if made else ""
        raise MigrationFailed(f"{error}\nThe database is as it was before.{where}") from error
    if made:
        log.info("database migrated", to=await store.read(revision), backup=str(made[0]))


def _keep(database: Path, folder: Path, at: str, clock: Callable[[], float]) -> Path:
    target = folder / f"before-migration-from-{at}.zip"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        backup(Kept(database=database), target, overwrite=True, clock=clock)
    except (BackupFailed, OSError) as error:
        raise BackupFailed(f"The database was not migrated, because it cannot be backed up first. {error}") from error
    for old in sorted(folder.glob("before-migration-from-*.zip"))[:-MOST]:
        old.unlink(missing_ok=True)
    log.info("database backed up", backup=str(target))
    return target
