"""Does jobs on a store that may break at any write, as if the process had been killed there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from hub.bus import Lease, Publish
from hub.records import jobs
from hub.records.jobs import Job
from hub.records.jobs.runner import LANE, Kind, Runner
from hub.store import Connection
from hub.supervise import RUN
from tests.hub.engine import Engine

T = TypeVar("T")


class Killed(BaseException):
    """Stands for a `kill -9`: nothing runs after it."""


async def lease_of(engine: Engine) -> Lease:
    """The right to do jobs, taken from whoever had it."""
    await engine.bus.commit(Publish(inbox=RUN, lane=LANE, id=LANE, body=b""))
    engine.clock.forward(8.1)
    [lease] = await engine.bus.claim(RUN, 1, 8.0)
    return lease


async def asked(engine: Engine, kind: str, **arguments: Any) -> int:
    job, _ = await engine.store.write(lambda c: jobs.create(c, kind, arguments, None, engine.clock()))
    return job.id


async def job_of(engine: Engine, id: int) -> Job:
    return await engine.store.read(lambda c: jobs.get(c, id))


async def do(engine: Engine, kinds: Mapping[str, Kind], folder: Path) -> None:
    """Do all there is, as a new process."""
    runner, lease = Runner(engine.bus, kinds, folder), await lease_of(engine)
    while await runner.once(lease):
        await engine.bus.extend([lease], 8.0)


@asynccontextmanager
async def killed_at(engine: Engine, write: int, *, stored: bool) -> AsyncGenerator[None]:
    """The process dies at one of its writes, which is `stored` or not; 0 is the first one in the block."""
    before, count = engine.store.write, 0

    async def breaking(unit: Callable[[Connection], T]) -> T:
        nonlocal count
        count += 1
        if count <= write:
            return await before(unit)
        if stored and count == write + 1:
            await before(unit)
        raise Killed

    engine.store.write = breaking
    try:
        yield
    except Killed:
        pass
    finally:
        engine.store.write = before


async def do_with_kills(engine: Engine, kinds: Mapping[str, Kind], folder: Path, id: int) -> int:
    """Do a job that is killed again and again, each time a write later than before; says how often it was."""
    kills = 0
    while not (await job_of(engine, id)).over:
        async with killed_at(engine, 3 + kills // 8, stored=kills % 2 == 0):
            await do(engine, kinds, folder)
        kills += 1
    return kills
