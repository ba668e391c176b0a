"""Does the jobs, one after the other: a singleton, as a lane of the inbox `run`.

A job changes something, and notes how far it came, in one transaction that is fenced by the lease. So after a crash,
and in whatever process takes over, it goes on where it was; one that was cancelled stops at its next note.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from hub.bus import Bus, Hold, Lease
from hub.errors import HubError, LeaseLost, StoreUnavailable
from hub.records import jobs
from hub.records.jobs import Job
from hub.signals import POLL
from hub.store import Connection, Store

log = structlog.get_logger()
T = TypeVar("T")
LANE = "jobs"
TRIES = 5
"""So often a job is taken up without coming any further."""
KEEP = 30 * 86_400.0
"""How long a job is known when it is over, in seconds."""
FILE_KEEP = 24 * 3600.0
"""How long a job's file can be fetched, in seconds."""
CHORES = 60.0
"""Seconds between two looks at what is due and what has expired."""


class Cancelled(Exception):
    """Somebody cancelled the job."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job: what to tell, and the name of its file."""

    result: Mapping[str, Any]
    file: str | None = None


class Run:
    """A job that is being done."""

    def __init__(self, job: Job, bus: Bus, lease: Lease, folder: Path) -> None:
        self.job = job
        self.folder = folder
        """Where its file goes; its name begins with the job's id and a dot."""
        self._bus = bus
        self._lease = lease

    @property
    def fence(self) -> int:
        """Another number each time that a job may have changed hands."""
        return self._lease.token

    @property
    def store(self) -> Store:
        """To read from; what is written goes through `save`."""
        return self._bus.store

    async def save(
        self,
        step: str,
        done: int,
        of: int | None = None,
        *,
        mark: Any = None,
        unit: Callable[[Connection], T] = lambda _: None,
    ) -> T:
        """Do a unit and note in the same transaction how far the job is; returns what the unit does.

        Raises Cancelled, LeaseLost; nothing of it is stored then.
        """

        def both(connection: Connection) -> T:
            returned = unit(connection)
            if not jobs.save(connection, self.job.id, step, done, of, mark):
                raise Cancelled
            return returned

        return await fenced(self._bus, self._lease, both)


Do = Callable[[Run], Awaitable[Outcome]]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of job; what the hub does by itself is done `every` so many seconds, where it is `wanted`."""

    do: Do
    every: float | None = None
    wanted: Callable[[], bool] = lambda: True


class Runner:
    """Does what is asked for, and what is due."""

    def __init__(self, bus: Bus, kinds: Mapping[str, Kind], folder: Path) -> None:
        self._bus = bus
        self._kinds = kinds
        self._folder = folder
        self._chores_at = float("-inf")

    async def run(self, lease: Lease) -> None:
        """Do what there is to do until cancelled; raises LeaseLost when another process has taken over."""
        while True:
            if not await self.once(lease):
                await asyncio.sleep(POLL)

    async def once(self, lease: Lease) -> bool:
        """Do the next job; False when there is none."""
        await self._chores(lease)
        job = await self._bus.store.read(jobs.following)
        if job is None:
            return False
        await self._do(lease, job)
        return True

    async def _do(self, lease: Lease, job: Job) -> None:
        now = self._bus.clock()
        begun = await fenced(self._bus, lease, lambda connection: jobs.begin(connection, job.id, now))
        if begun is None:
            return
        job = begun
        try:
            outcome = await self._try(Run(job, self._bus, lease, self._folder))
        except Cancelled:
            log.info("job cancelled", id=job.id, kind=job.kind)
            return
        except (LeaseLost, StoreUnavailable):
            raise  # it goes on later, here or elsewhere
        except Exception as error:
            if not isinstance(error, HubError):
                log.exception("job crashed", id=job.id, kind=job.kind)
            told = str(error) if isinstance(error, HubError) else f"{type(error).__name__}: the log says more."
            await self._finish(lease, job, "failed", error=told)
            return
        expires_at = None if outcome.file is None else self._bus.clock() + FILE_KEEP
        await self._finish(lease, job, "done", result=outcome.result, file=outcome.file, expires_at=expires_at)

    async def _try(self, run: Run) -> Outcome:
        job = run.job
        if (kind := self._kinds.get(job.kind)) is None:
            raise HubError(f"This version of bothub knows no job '{job.kind}'.")
        if job.tries > TRIES:
            raise HubError(f"It was cut off {TRIES} times without coming any further.")
        log.info("job", id=job.id, kind=job.kind, again=job.mark is not None or job.tries > 1)
        return await kind.do(run)

    async def _finish(self, lease: Lease, job: Job, state: jobs.State, **more: Any) -> None:
        now = self._bus.clock()
        await fenced(self._bus, lease, lambda connection: jobs.finish(connection, job.id, state, now, **more))
        why = {"error": more["error"]} if "error" in more else {}
        log.info("job over", id=job.id, kind=job.kind, state=state, **why)

    async def _chores(self, lease: Lease) -> None:
        """Ask for what is due, and forget what is old."""
        now = self._bus.clock()
        if now - self._chores_at < CHORES:
            return

        def unit(connection: Connection) -> set[int]:
            for name, kind in self._kinds.items():
                if kind.every is not None and kind.wanted():
                    last = jobs.newest(connection, name)
                    if last is None or (last.over and last.created_at <= now - kind.every):
                        jobs.create(connection, name, {}, None, now)
            return jobs.forget(connection, now - KEEP, now)

        having = await fenced(self._bus, lease, unit)
        await asyncio.to_thread(_clear, self._folder, having)
        self._chores_at = now


async def fenced(bus: Bus, lease: Lease, unit: Callable[[Connection], T]) -> T:
    """Do a unit while the lease holds; raises LeaseLost, and nothing of it is stored then."""
    returned: list[T] = []

    def keep(connection: Connection) -> None:
        returned[:] = [unit(connection)]

    await bus.commit(Hold(lease=lease), also=keep)
    return returned[0]


def _clear(folder: Path, having: set[int]) -> None:
    """Remove the files of jobs that have none any more, because they expired, failed or were cancelled; drafts too."""
    for path in folder.glob("*"):
        number = path.name.removeprefix(".").partition(".")[0]
        if number.isdecimal() and int(number) not in having:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
