"""Stored files that nothing refers to are removed, and never one that something refers to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from hub import memory
from hub.bus import Publish
from hub.files import FileStore
from hub.memory import Heard
from hub.message import File
from hub.records.jobs.runner import Kind
from hub.records.sweep import BATCH, ORPHANED_AFTER, Sweep, holding
from hub.records.traces import PAGE
from hub.store.tables import entries, messages, posts
from tests.hub.engine import BOT, CHAT, Engine, message
from tests.hub.records.doing import asked, do, do_with_kills, job_of

OLD = ORPHANED_AFTER + 60.0
HOLDERS = ("entry", "message", "post")


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


async def stored(engine: Engine, files: FileStore, content: str, age: float = OLD) -> File:
    """A file that was stored some seconds ago."""
    file = await files.keep(f"{content}.txt", "text/plain", content.encode())
    [path] = [path for path in files.all() if path.name == file.ref]
    at = engine.clock() - age
    os.utime(path, (at, at))
    return file


async def sweep(engine: Engine, files: FileStore, folder: Path) -> Any:
    one = await asked(engine, "sweep")
    await do(engine, {"sweep": Kind(do=Sweep(files))}, folder)
    job = await job_of(engine, one)
    assert (job.state, job.error) == ("done", None)
    return job.result


async def refer(engine: Engine, file: File, holder: str) -> None:
    """Have a row refer to a file, of the kind that `holder` says."""
    name = f"{holder}.{file.name}"
    said = message(name, parts=(file,))
    if holder == "entry":
        session = await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, 0.0, "support:ann"))
        heard = [Heard(text="see", files=(file,))]
        await engine.store.write(lambda c: memory.append(c, session, name, 0, heard, 0.0))
    elif holder == "message":
        await engine.bus.commit(Publish(inbox=BOT, lane=str(CHAT), id=name, body=msgspec.json.encode(said)))
    else:
        row = {"key": name, "channel": "web", "chat_id": "lobby", "body": msgspec.json.encode(said), "at": 0.0}
        await engine.store.write(lambda c: c.execute(insert(posts).values(row)))


async def let_go(engine: Engine) -> None:
    """Have nothing refer to anything."""
    for table in (entries, messages, posts):
        await engine.store.write(lambda c, table=table: c.execute(delete(table)))


async def test_what_nothing_refers_to_goes_a_day_later(every_engine: Engine, files: FileStore, tmp_path: Path) -> None:
    engine = every_engine
    kept = [await stored(engine, files, holder) for holder in HOLDERS]
    for file, holder in zip(kept, HOLDERS, strict=True):
        await refer(engine, file, holder)
    lost, fresh = await stored(engine, files, "lost"), await stored(engine, files, "fresh", age=60.0)
    await files.derive(lost, "md", "what was in it")
    assert await sweep(engine, files, tmp_path / "jobs") == {"files": 1}
    assert set(await files.kept()) == {fresh.ref, *(file.ref for file in kept)}
    assert await files.derived(lost, "md") is None
    await let_go(engine)
    assert await sweep(engine, files, tmp_path / "jobs") == {"files": 3}
    assert set(await files.kept()) == {fresh.ref}


async def test_a_file_that_is_wanted_again_meanwhile_stays(engine: Engine, files: FileStore, tmp_path: Path) -> None:
    """It was seen nowhere, and is stored once more before it would have gone."""
    again = await stored(engine, files, "again")
    before = engine.store.read

    async def reading(unit: Any) -> Any:
        await stored(engine, files, "again", age=0.0)
        return await before(unit)

    engine.store.read = reading
    assert await sweep(engine, files, tmp_path / "jobs") == {"files": 0}
    assert await files.read(again) == b"again"


async def test_more_than_a_page_is_looked_at(every_engine: Engine, files: FileStore, tmp_path: Path) -> None:
    engine = every_engine
    session = await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, 0.0, "support:ann"))
    last = await stored(engine, files, "last")
    heard = [*(Heard(text=str(number)) for number in range(2 * PAGE)), Heard(text="see", files=(last,))]
    await engine.store.write(lambda c: memory.append(c, session, "t", 0, heard, 0.0))
    assert await sweep(engine, files, tmp_path / "jobs") == {"files": 0}
    assert set(await files.kept()) == {last.ref}


async def test_one_that_is_killed_again_and_again_ends(engine: Engine, files: FileStore, tmp_path: Path) -> None:
    kept = await stored(engine, files, "kept")
    await refer(engine, kept, "post")
    for number in range(BATCH + 1):
        await stored(engine, files, f"lost {number}")
    one = await asked(engine, "sweep")
    assert await do_with_kills(engine, {"sweep": Kind(do=Sweep(files))}, tmp_path / "jobs", one) > 0
    assert (await job_of(engine, one)).state == "done"
    assert set(await files.kept()) == {kept.ref}


STEPS = st.lists(
    st.tuples(st.sampled_from(("store", "refer", "let go", "sweep", "kill")), st.integers(0, 5)), max_size=20
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=STEPS)
async def test_any_history_keeps_what_is_referred_to_and_nothing_else(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("sweep")
    files = FileStore(folder / "files")
    there, wanted = dict[str, File](), set[str]()
    await let_go(engine)
    for step, number in steps:
        content = f"file {number}"
        if step == "store":
            there[content] = await stored(engine, files, content)
        elif step == "refer" and content in there and there[content].ref not in wanted:
            await refer(engine, there[content], HOLDERS[number % len(HOLDERS)])
            wanted.add(there[content].ref)
        elif step == "let go":
            await let_go(engine)
            wanted.clear()
        elif step in ("sweep", "kill"):
            one = await asked(engine, "sweep")
            if step == "kill":
                await do_with_kills(engine, {"sweep": Kind(do=Sweep(files))}, folder, one)
            else:
                await do(engine, {"sweep": Kind(do=Sweep(files))}, folder)
            there = {name: file for name, file in there.items() if file.ref in wanted}
            assert set(await files.kept()) == wanted
    assert wanted <= set(await files.kept())


def test_messages_of_the_bus_are_looked_at_last() -> None:
    """What is made of a message refers to its files before the message can go."""
    tables = holding()
    assert tables[-1] is messages
    assert {entries, posts} < set(tables)
