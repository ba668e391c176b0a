"""A backup as a job: the file that `bothub backup` writes, among what jobs write.

It is made in a thread, whose progress is noted now and then. The file is there when it is whole; one that was cut off
is begun again.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hub.backup import Kept, Manifest, backup
from hub.errors import BackupFailed
from hub.records.jobs.runner import TRIES, Outcome, Run
from hub.store import sqlite_path

LOOK = 0.5
"""Seconds between two notes of how far it is."""


class Backups:
    """Does the job; `url` is that of the store."""

    def __init__(self, url: str, data_dir: Path, clock: Callable[[], float] = time.time, look: float = LOOK) -> None:
        self._database = sqlite_path(url)
        self._data_dir = data_dir
        self._clock = clock
        self._look = look

    async def __call__(self, run: Run) -> Outcome:
        """Write a backup; raises BackupFailed."""
        if self._database is None:
            raise BackupFailed("This hub is on PostgreSQL: `bothub backup` says how its own tools do it.")
        # Each note is a step forward for the runner, and yet a kill has it begin anew.
        begun: int = (run.job.mark or 0) + 1
        if begun > TRIES:
            raise BackupFailed(f"It was cut off {TRIES} times before it was whole.")
        at = Progress()
        await run.save(*at.now, mark=begun)
        path = run.folder / f"{run.job.id}.{run.fence}.backup.zip"
        kept = Kept(database=self._database, data_dir=self._data_dir, progress=at)
        making = asyncio.create_task(asyncio.to_thread(partial(_make, kept, path, clock=self._clock)))
        making.add_done_callback(lambda task: task.cancelled() or task.exception())  # also if nobody waits any more
        try:
            while not (await asyncio.wait({making}, timeout=self._look))[0]:
                await run.save(*at.now, mark=begun)
        finally:
            at.stopped = True
        manifest, size = making.result()
        return Outcome(result={"bytes": size, "files": manifest.files}, file=path.name)


class Progress:
    """Is told in the thread how far it is, and ends what tells it once it is `stopped`."""

    def __init__(self) -> None:
        self.now: tuple[str, int, int | None] = ("copying the database", 0, None)
        self.stopped = False

    def __call__(self, what: str, done: int, total: int) -> None:
        if self.stopped:
            raise BackupFailed("Nobody waits for this backup any more.")
        self.now = (what, done, total)


def _make(kept: Kept, path: Path, clock: Callable[[], float]) -> tuple[Manifest, int]:
    """Write it anew, without what was left of it when it was cut off; returns its size in bytes too."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # conversations are in it
    number = path.name.partition(".")[0]
    for draft in path.parent.glob(f".{number}.*"):
        shutil.rmtree(draft, ignore_errors=True)
    manifest = backup(kept, path, overwrite=True, clock=clock)
    return manifest, path.stat().st_size
