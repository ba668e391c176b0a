"""Backups as jobs: made whole, told how far they are, begun again after a kill, taken back by an erase."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from hub.backup import restore
from hub.records import jobs
from hub.records.backups import Backups
from hub.records.jobs.runner import TRIES, Kind, Outcome, Run
from tests.hub.engine import Engine
from tests.hub.held import held
from tests.hub.house import OLD, House
from tests.hub.records.doing import Killed, asked, do, job_of


def kinds(house: House) -> Mapping[str, Kind]:
    return {"backup": Kind(do=Backups(f"sqlite:///{house.kept.database}", house.folder, look=0.01))}


async def packing(engine: Engine, one: int) -> None:
    """Wait until the job packs files."""

    async def there() -> bool:
        return (await job_of(engine, one)).step == "packing"

    await engine.store.until(there)


async def test_a_backup_is_made_that_can_be_restored(engine: Engine, house: House, tmp_path: Path) -> None:
    folder, one = tmp_path / "exports", await asked(engine, "backup")
    await do(engine, kinds(house), folder)
    job = await job_of(engine, one)
    assert job.file is not None
    [path] = folder.iterdir()
    assert (job.state, job.file, job.result) == ("done", path.name, {"bytes": path.stat().st_size, "files": 1})
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    there = House(tmp_path / "elsewhere")
    restore(path, there.kept)
    assert (there.said(), there.files()) == (OLD, house.files())


async def test_it_tells_how_far_it_is(engine: Engine, house: House, tmp_path: Path) -> None:
    one = await asked(engine, "backup")
    with held(house.folder):
        doing = asyncio.create_task(do(engine, kinds(house), tmp_path / "exports"))
        await packing(engine, one)
        job = await job_of(engine, one)
        assert job.of is not None
        assert (job.state, 0 < job.done <= job.of) == ("running", True)
    await doing
    assert (await job_of(engine, one)).state == "done"


async def test_one_that_is_cancelled_leaves_nothing(engine: Engine, house: House, tmp_path: Path) -> None:
    folder, one = tmp_path / "exports", await asked(engine, "backup")
    with held(house.folder):
        doing = asyncio.create_task(do(engine, kinds(house), folder))
        await packing(engine, one)
        await engine.store.write(lambda connection: jobs.cancel(connection, one, engine.clock()))
        await doing
        await do(engine, kinds(house), folder)
        assert (await job_of(engine, one)).state == "cancelled"
        assert [*folder.iterdir()] == []


async def test_an_erase_takes_a_backup_back_and_ends_one_that_is_being_made(
    engine: Engine, house: House, tmp_path: Path
) -> None:
    folder, one = tmp_path / "exports", await asked(engine, "backup")
    await do(engine, kinds(house), folder)
    two = await asked(engine, "backup")
    with held(house.folder):
        doing = asyncio.create_task(do(engine, kinds(house), folder))
        await packing(engine, two)
        taken = await engine.store.write(lambda connection: jobs.withdraw_files(connection, engine.clock()))
        await doing
    found = [await job_of(engine, each) for each in (one, two)]
    assert (taken, [(job.state, job.file) for job in found]) == (2, [("done", None), ("cancelled", None)])
    await do(engine, kinds(house), folder)
    assert [*folder.glob(f"{one}.*")] == []


async def test_what_a_kill_left_of_it_goes_when_it_is_made_anew(engine: Engine, house: House, tmp_path: Path) -> None:
    folder, one = tmp_path / "exports", await asked(engine, "backup")

    async def killed(run: Run) -> Outcome:
        (run.folder / f".{run.job.id}.7.backup.zip.x").mkdir(parents=True)
        (run.folder / f".{run.job.id}.7.backup.zip.x" / "archive").write_text("half of it")
        await run.save("packing", 1, 2, mark=1)
        raise Killed

    with pytest.raises(Killed):
        await do(engine, {"backup": Kind(do=killed)}, folder)
    await do(engine, kinds(house), folder)
    job = await job_of(engine, one)
    assert (job.state, [path.name for path in folder.iterdir()]) == ("done", [job.file])


async def test_one_that_kills_its_process_each_time_is_given_up(engine: Engine, house: House, tmp_path: Path) -> None:
    one = await asked(engine, "backup")

    async def killed(run: Run) -> Outcome:
        await run.save("packing", 1, 2, mark=TRIES)
        raise Killed

    with pytest.raises(Killed):
        await do(engine, {"backup": Kind(do=killed)}, tmp_path / "exports")
    await do(engine, kinds(house), tmp_path / "exports")
    job = await job_of(engine, one)
    assert (job.state, job.error) == ("failed", f"It was cut off {TRIES} times before it was whole.")


async def test_a_damaged_database_is_told_and_leaves_no_file(engine: Engine, house: House, tmp_path: Path) -> None:
    content = house.kept.database.read_bytes()
    house.kept.database.write_bytes(content[:100] + b"x" * (len(content) - 100))
    folder, one = tmp_path / "exports", await asked(engine, "backup")
    await do(engine, kinds(house), folder)
    job = await job_of(engine, one)
    assert (job.state, [*folder.iterdir()]) == ("failed", [])
    assert "database" in (job.error or "")


async def test_on_postgresql_it_says_who_does_it(engine: Engine, tmp_path: Path) -> None:
    one = await asked(engine, "backup")
    backups = Backups("postgresql+asyncpg://bot:secret@db/x", tmp_path)
    await do(engine, {"backup": Kind(do=backups)}, tmp_path / "exports")
    assert "PostgreSQL" in ((await job_of(engine, one)).error or "")
