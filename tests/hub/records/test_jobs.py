"""Jobs: done once and in order, by one process at a time, and on from where they were cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.accounts.audit import By
from hub.errors import Conflict, LeaseLost, NotFound, RequestError
from hub.records import jobs
from hub.records.jobs.runner import FILE_KEEP, KEEP, TRIES, Kind, Outcome, Run, Runner
from hub.store.listing import Part
from tests.hub.engine import Engine
from tests.hub.records.doing import asked, do, do_with_kills, job_of, killed_at, lease_of

STEPS = 6


class Counting:
    """Counts to STEPS, a save each; `counted` has each number as often as it was stored."""

    def __init__(self) -> None:
        self.begun: list[int] = []

    async def __call__(self, run: Run) -> Outcome:
        at: int = run.job.mark or 0
        self.begun.append(at)
        while at < STEPS:
            at += 1
            await run.save("counting", at, STEPS, mark=at)
        return Outcome(result={"counted": at})


async def test_a_job_goes_on_where_it_was_cut_off(every_engine: Engine, tmp_path: Path) -> None:
    count, one = Counting(), await asked(every_engine, "count")
    kills = await do_with_kills(every_engine, {"count": Kind(do=count)}, tmp_path, one)
    job = await job_of(every_engine, one)
    assert kills > STEPS / 2
    assert (job.state, job.result, job.step, job.done, job.of) == ("done", {"counted": STEPS}, "counting", STEPS, STEPS)
    assert count.begun == sorted(count.begun)
    assert count.begun[-1] > 0


async def test_jobs_are_done_one_after_the_other(engine: Engine, tmp_path: Path) -> None:
    count = Counting()
    ids = [await asked(engine, "count") for _ in range(3)]
    await do(engine, {"count": Kind(do=count)}, tmp_path)
    ended = [(await job_of(engine, each)).state for each in ids]
    assert (ended, count.begun) == (["done"] * 3, [0, 0, 0])


async def test_who_lost_the_lease_changes_nothing(every_engine: Engine, tmp_path: Path) -> None:
    engine, one = every_engine, await asked(every_engine, "count")

    async def overtaken(run: Run) -> Outcome:
        await run.save("counting", 1, mark=1)
        await lease_of(engine)
        await run.save("counting", 2, mark=2)
        return Outcome(result={})

    with pytest.raises(LeaseLost):
        await do(engine, {"count": Kind(do=overtaken)}, tmp_path)
    job = await job_of(engine, one)
    assert (job.state, job.done, job.mark) == ("running", 1, 1)


async def test_a_job_that_is_cancelled_stops_at_its_next_step(every_engine: Engine, tmp_path: Path) -> None:
    engine, one = every_engine, await asked(every_engine, "count")
    written: list[int] = []

    async def cancelled(run: Run) -> Outcome:
        for at in range(STEPS):
            if at == 2:
                await engine.store.write(lambda c: jobs.cancel(c, run.job.id, engine.clock()))
            await run.save("counting", at, mark=at, unit=lambda _, at=at: written.append(at))
        return Outcome(result={})

    await do(engine, {"count": Kind(do=cancelled)}, tmp_path)
    job = await job_of(engine, one)
    assert (job.state, job.done, job.finished_at) == ("cancelled", 1, engine.clock())
    assert written == [0, 1, 2]
    again = await engine.store.write(lambda c: jobs.cancel(c, one, engine.clock() + 9))
    assert again == job


async def test_a_job_that_waits_is_cancelled_before_it_begins(engine: Engine, tmp_path: Path) -> None:
    count, one = Counting(), await asked(engine, "count")
    await engine.store.write(lambda c: jobs.cancel(c, one, engine.clock()))
    await do(engine, {"count": Kind(do=count)}, tmp_path)
    assert count.begun == []


async def test_what_is_over_cannot_be_cancelled(engine: Engine, tmp_path: Path) -> None:
    one = await asked(engine, "count")
    await do(engine, {"count": Kind(do=Counting())}, tmp_path)
    with pytest.raises(Conflict, match="it is done"):
        await engine.store.write(lambda c: jobs.cancel(c, one, engine.clock()))
    with pytest.raises(NotFound, match="no job 99"):
        await engine.store.write(lambda c: jobs.cancel(c, 99, engine.clock()))


async def test_a_job_that_fails_says_why_and_the_next_is_done(engine: Engine, tmp_path: Path) -> None:
    async def refused(_run: Run) -> Outcome:
        raise RequestError("That is nobody.")

    async def broken(_run: Run) -> Outcome:
        raise ZeroDivisionError("secret")

    ids = [await asked(engine, kind) for kind in ("refused", "broken", "unknown", "count")]
    kinds = {"refused": Kind(do=refused), "broken": Kind(do=broken), "count": Kind(do=Counting())}
    await do(engine, kinds, tmp_path)
    found = [await job_of(engine, each) for each in ids]
    assert [job.state for job in found] == ["failed", "failed", "failed", "done"]
    assert [job.error for job in found] == [
        "That is nobody.",
        "ZeroDivisionError: the log says more.",
        "This version of bothub knows no job 'unknown'.",
        None,
    ]


async def test_a_job_that_kills_its_process_each_time_is_given_up(engine: Engine, tmp_path: Path) -> None:
    one = await asked(engine, "count")
    for _ in range(TRIES):
        async with killed_at(engine, 4, stored=True):
            await do(engine, {"count": Kind(do=_deadly(engine))}, tmp_path)
    await do(engine, {"count": Kind(do=Counting())}, tmp_path)
    job = await job_of(engine, one)
    assert (job.state, job.error) == ("failed", f"It was cut off {TRIES} times without coming any further.")


def _deadly(engine: Engine) -> Counting:
    class Deadly(Counting):
        async def __call__(self, run: Run) -> Outcome:
            while True:
                await engine.store.write(lambda _: None)

    return Deadly()


async def test_what_is_asked_again_is_the_same_job(every_engine: Engine) -> None:
    store = every_engine.store
    first, new = await store.write(lambda c: jobs.create(c, "count", {"to": 3}, By(), 5.0, "r1"))
    again, newer = await store.write(lambda c: jobs.create(c, "count", {"to": 3}, By(), 6.0, "r1"))
    other, newest = await store.write(lambda c: jobs.create(c, "count", {"to": 3}, By(), 6.0, "r2"))
    assert (new, newer, newest) == (True, False, True)
    assert first == again
    assert other.id > first.id
    assert (first.by, first.key_id, first.arguments) == ("command line", None, {"to": 3})


async def test_jobs_are_listed_by_kind_and_state_page_by_page(every_engine: Engine) -> None:
    store = every_engine.store
    ids = [await asked(every_engine, kind) for kind in ("a", "b", "a", "a")]
    await store.write(lambda c: jobs.cancel(c, ids[0], 1.0))
    page = await store.read(lambda c: jobs.listed(c, Part(limit=2), kind="a"))
    assert ([job.id for job in page.items], page.total) == ([ids[3], ids[2]], 3)
    assert page.next is not None
    rest = await store.read(lambda c: jobs.listed(c, Part(limit=2, after=page.next or ()), kind="a"))
    assert ([job.id for job in rest.items], rest.next) == ([ids[0]], None)
    waiting = await store.read(lambda c: jobs.listed(c, Part(limit=9), state="waiting"))
    assert ([job.id for job in waiting.items], waiting.total) == (ids[:0:-1], 3)


async def test_what_is_due_is_asked_for_once_in_its_time(every_engine: Engine, tmp_path: Path) -> None:
    engine, wanted = every_engine, [True]
    kinds = {"daily": Kind(do=Counting(), every=86_400, wanted=lambda: wanted[0])}

    async def count() -> int:
        await do(engine, kinds, tmp_path)
        return (await engine.store.read(lambda c: jobs.listed(c, Part(limit=99), kind="daily"))).total

    assert [await count(), await count()] == [1, 1]
    engine.clock.forward(86_400)
    wanted[0] = False
    assert await count() == 1
    wanted[0] = True
    assert await count() == 2


async def test_files_and_old_jobs_are_forgotten(every_engine: Engine, tmp_path: Path) -> None:
    engine, folder = every_engine, tmp_path / "exports"
    folder.mkdir()

    async def writes(run: Run) -> Outcome:
        name = f"{run.job.id}.txt"
        (folder / name).write_text("x")
        if run.job.arguments:
            raise RequestError("That is too long.")
        return Outcome(result={}, file=name)

    kinds = {"write": Kind(do=writes)}
    kept, failed = await asked(engine, "write"), await asked(engine, "write", fails=True)
    (folder / "README").write_text("not ours")
    (folder / f".{failed}.draft").mkdir()
    (folder / f".{failed}.draft" / "half").write_text("what a kill left")
    await do(engine, kinds, folder)
    engine.clock.forward(FILE_KEEP - 60)
    await do(engine, kinds, folder)
    assert names(folder) == [f"{kept}.txt", "README"]
    engine.clock.forward(61)
    await do(engine, kinds, folder)
    assert names(folder) == ["README"]
    job = await job_of(engine, kept)
    assert (job.state, job.file, job.expires_at) == ("done", None, None)
    engine.clock.forward(KEEP)
    await do(engine, kinds, folder)
    for each in (kept, failed):
        with pytest.raises(NotFound):
            await job_of(engine, each)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_an_idle_runner_looks_for_what_is_due_only_now_and_then(engine: Engine, tmp_path: Path) -> None:
    lease = await lease_of(engine)
    runner = Runner(engine.bus, {}, tmp_path)
    assert not await runner.once(lease)
    engine.store.hung = True  # it would wait for ever
    assert not await runner.once(lease)
