"""Erasing somebody as a job: it is killed and goes on, tells how far it is, and takes back what was exported."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hub.files import FileStore
from hub.records import jobs, people
from hub.records.jobs.runner import Kind, Outcome, Run
from tests.hub.engine import Engine
from tests.hub.records.doing import asked, do, job_of, killed_at
from tests.hub.records.test_people import SECRET, everything, people_of, whole_life


def kinds(engine: Engine, folder: Path) -> dict[str, Kind]:
    erase = partial(people.erase, people_of(engine, FileStore(folder / "files")))
    return {"erase": Kind(do=erase), "export": Kind(do=_write)}


async def _write(run: Run) -> Outcome:
    run.folder.mkdir(exist_ok=True)
    name = f"{run.job.id}.turns.csv"
    (run.folder / name).write_text(SECRET)
    await run.save("turns", 1)
    return Outcome(result={}, file=name)


async def test_an_erase_that_is_killed_goes_on_until_nothing_is_left(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    await whole_life(engine)
    before = await everything(engine)
    job = await asked(engine, "erase", person="support:ann")
    # Twice at each write: more often before the first note, and it would be given up.
    kills = 0
    while not (await job_of(engine, job)).over:
        async with killed_at(engine, 3 + kills // 2, stored=kills % 2 == 0):
            await do(engine, kinds(engine, tmp_path), tmp_path / "exports")
        kills += 1
    assert kills > 5
    ended = await job_of(engine, job)
    assert (ended.state, ended.error) == ("done", None)
    after = await everything(engine)
    assert SECRET not in after
    assert after.count("bassoon") == before.count("bassoon")


async def test_an_erase_takes_back_the_exports_before_it(every_engine: Engine, tmp_path: Path) -> None:
    engine, folder = every_engine, tmp_path / "exports"
    await whole_life(engine)
    done, cut = await asked(engine, "export"), await asked(engine, "export")
    async with killed_at(engine, 7, stored=True):
        await do(engine, kinds(engine, tmp_path), folder)
    assert [(await job_of(engine, one)).state for one in (done, cut)] == ["done", "running"]
    # Somebody does it at once, beside the runner.
    erased = await people_of(engine, FileStore(tmp_path / "files")).erase("support:ann")
    assert erased.exports == 2
    found = [await job_of(engine, one) for one in (done, cut)]
    assert [(job.state, job.file) for job in found] == [("done", None), ("cancelled", None)]
    assert "erased" in (found[1].error or "")
    await do(engine, kinds(engine, tmp_path), folder)
    assert list(folder.iterdir()) == []


async def test_an_erase_says_what_it_did_in_counts_alone(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    await whole_life(engine)
    one = await asked(engine, "erase", person="support:ann")
    await do(engine, kinds(engine, tmp_path), tmp_path / "exports")
    job = await job_of(engine, one)
    assert job.result is not None
    assert (job.state, job.result["facts"], job.result["entries"]) == ("done", 1, 3)
    assert SECRET not in str(job)


async def test_an_erase_of_nobody_fails_and_says_so(engine: Engine, tmp_path: Path) -> None:
    one = await asked(engine, "erase", person="ann")
    await do(engine, kinds(engine, tmp_path), tmp_path / "exports")
    job = await job_of(engine, one)
    assert (job.state, "is nobody" in (job.error or "")) == ("failed", True)
    assert await engine.store.read(jobs.following) is None
