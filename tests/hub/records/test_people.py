"""Everything about one person: handed out whole, erased whole, and nothing of anybody else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import LargeBinary, Text, select, text

from hub import access, memory, timetable
from hub.accounts import idempotency, responses
from hub.accounts.responses import Kept
from hub.agent import Reply, Step, Turn
from hub.bus import Publish
from hub.errors import Conflict, RequestError
from hub.files import FileStore
from hub.memory import Summary
from hub.message import Address, Author, Delivery, File, Message, channel_inbox
from hub.message import Text as Words
from hub.records.people import Erased, People
from hub.records.rooms import StoredRooms
from hub.records.traces import ERASED, PAGE
from hub.store import search
from hub.store.tables import entries, metadata, schedules, sessions, turns
from hub.timetable import Rule
from hub.uploads import Uploads
from hub.when import Once
from tests.auditing import act
from tests.hub.engine import BOT, CHAT, Engine, Script, message, running, soon, turn_of
from tests.hub.turns.test_turns import handler_of, say, worker_of
from tests.patience import PATIENCE

BEN = Author(id="ben", name="Ben")
BENS = Address("support", "43")
GROUP = Address("support", "-1")
KEY = Author(id="7", name="7", kind="api")
ASKED = Address("api", "7", "default")
SECRET = "xylophone"


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


def people_of(engine: Engine, files: FileStore) -> People:
    return People(engine.bus, files, Uploads(engine.store, engine.clock, Path("/dev/null")))


@pytest.fixture
def people(every_engine: Engine, files: FileStore) -> People:
    return people_of(every_engine, files)


async def confide(turn: Turn) -> Reply:
    """Remembers and repeats all it hears."""
    await turn.memory.remember(turn.messages[0].text)
    await turn.checkpoint(Step(text=f"I keep {turn.messages[0].text}."))
    return Reply(text=f"Yes, {turn.messages[0].text}." if turn.address != GROUP else "Yes.")


async def _silent(_turn: Turn) -> Reply:
    return Reply(text="Yes.")


async def play(engine: Engine, *said: Message, script: Script | None = None) -> None:
    await say(engine, *said)
    async with running(worker_of(engine, handler_of(engine, script or Script(confide))), engine):
        for one in said:
            await engine.outcome(BOT, one.id)


async def whole_life(engine: Engine) -> None:
    """Ann and Ben in private and in a group, each with a word of their own that nobody else says."""
    await play(engine, message("a1", f"my {SECRET}"), message("b1", "my bassoon", BENS, author=BEN))
    groups = [
        message("a2", f"{SECRET} for all", GROUP, direct=False),
        message("b2", "bassoon for all", GROUP, direct=False, author=BEN),
    ]
    await play(engine, *groups, script=Script(_silent))
    await engine.store.write(lambda c: access.request(act(c, engine.clock()), "support", "ann", f"Ann {SECRET}"))


async def everything(engine: Engine) -> str:
    """Every text and body of every table, and the index."""
    found: list[str] = []
    for table in metadata.sorted_tables:
        columns = [column for column in table.columns if isinstance(column.type, Text | LargeBinary)]
        for row in await engine.all(select(*columns)) if columns else ():
            found += [value.decode() if isinstance(value, bytes) else str(value) for value in row]
    found += [str(row.words) for row in await engine.all(text("SELECT words FROM entry_words"))]
    return "\n".join(found)


async def test_nothing_that_a_person_said_is_left_and_all_of_others(every_engine: Engine, people: People) -> None:
    engine = every_engine
    await whole_life(engine)
    before = await everything(engine)
    assert before.count("bassoon") > 5
    assert SECRET in before
    erased = await people.erase("support:ann")
    assert (erased.facts, erased.said, erased.entries, erased.pairings) == (1, 1, 3, 1)
    after = await everything(engine)
    assert SECRET not in after
    assert after.count("bassoon") == before.count("bassoon")
    assert await engine.store.read(lambda c: search.find(c, range(1, 9), SECRET, 9)) == []
    assert len(await engine.store.read(lambda c: search.find(c, range(1, 9), "bassoon", 9))) == 4


async def test_what_somebody_said_in_a_group_says_that_it_was_erased(every_engine: Engine, people: People) -> None:
    engine = every_engine
    await whole_life(engine)
    await people.erase("support:ann")
    _, said = await engine.store.read(lambda c: memory.journal(c, "a2"))
    assert [entry.text for entry in said] == [ERASED, "Yes."]


async def test_erasing_again_finds_nothing(every_engine: Engine, people: People) -> None:
    await whole_life(every_engine)
    assert (await people.erase("support:ann")).counts
    again = await people.erase("support:ann")
    assert again == Erased(person="support:ann")
    assert again.counts == {}


async def test_what_a_turn_used_stays_without_what_was_said(every_engine: Engine, people: People) -> None:
    engine = every_engine
    await whole_life(engine)
    await people.erase("support:ann")
    record = await turn_of(engine, "a1")
    assert (record.response, record.error, record.session, record.status) == (None, None, None, "completed")
    assert (await turn_of(engine, "b1")).response is not None


async def test_a_person_who_comes_back_is_a_stranger(every_engine: Engine, people: People) -> None:
    engine = every_engine
    views: list[str] = []

    async def look(turn: Turn) -> Reply:
        views.append(str(await turn.view()))
        return Reply(text="Hello.")

    await whole_life(engine)
    await people.erase("support:ann")
    await play(engine, message("a3", "hello again"), script=Script(look))
    assert "hello again" in views[0]
    assert SECRET not in views[0]
    assert not await engine.store.read(lambda c: access.is_paired(c, "support", "ann"))


async def test_a_key_is_erased_with_all_it_asked(every_engine: Engine, people: People) -> None:
    engine = every_engine
    more: dict[str, Any] = {"tools": [{"function": {"name": SECRET}}], "results": {"c": SECRET}}
    asked = message("k1", SECRET, ASKED, author=KEY, params={"user": SECRET}, instructions=SECRET, **more)
    other = message("k2", "bassoon", Address("api", "77", "default"), author=Author(id="77", name="77", kind="api"))
    await play(engine, asked, other)
    await engine.store.write(lambda c: c.execute(turns.update().values(fingerprint=SECRET)))
    claim = await engine.store.write(lambda c: idempotency.begin(c, 7, "build", "f", engine.clock()))
    await engine.store.write(lambda c: idempotency.finish(c, claim, 200, SECRET.encode()))
    await engine.store.write(lambda c: c.execute(turns.update().where(turns.c.id == "k2").values(fingerprint="g")))
    rooms = StoredRooms(engine.store, engine.signals, engine.clock)
    await rooms.say(message("w1", "tuba", Address("web", "lobby"), author=Author(id="7", name="key"), shared=True))
    to = Delivery(id="d1", address=Address("web", "x"), parts=(Words(text=SECRET),), author=KEY)
    await engine.bus.commit(Publish(inbox="channel:web", lane="web:x", id="d1", body=msgspec.json.encode(to)))
    for name, key, word in (("r1", 7, SECRET), ("r2", 77, "bassoon")):
        kept = Kept(id=name, key_id=key, asked={"model": "m"}, input=[{"said": word}], created_at=engine.clock())
        await engine.store.write(lambda c, kept=kept: responses.save(c, kept))
        await engine.store.write(lambda c, kept=kept: responses.answered(c, kept.id, {"output": kept.input}))
    before = await everything(engine)
    [shown] = (await people.export("api:7")).responses
    assert (shown["input"], shown["answer"]) == ([{"said": SECRET}], {"output": [{"said": SECRET}]})
    erased = await people.erase("api:7")
    assert (erased.turns, erased.answers, erased.discarded, erased.posts) == (1, 1, 1, 0)
    assert erased.responses == 1
    after = await everything(engine)
    assert SECRET not in after
    assert after.count("bassoon") == before.count("bassoon")
    assert "tuba" in after  # said in a room it is `web:7`
    assert (await engine.outcome("channel:web", "d1")) == ("dead", "discarded")


async def test_what_was_said_in_web_rooms_goes_also_what_is_unheard(every_engine: Engine, people: People) -> None:
    engine = every_engine
    rooms = StoredRooms(engine.store, engine.signals, engine.clock)
    lobby = Address("web", "lobby")
    await rooms.say(message("w1", SECRET, lobby, author=Author(id="1/Ann", name="Ann"), shared=True))
    await rooms.say(message("w2", "bassoon", lobby, author=Author(id="1/Ben", name="Ben"), shared=True))
    assert (await people.erase("web:1/Ann")).posts == 2
    assert SECRET not in await everything(engine)
    assert [one.id for one in await rooms.unheard(engine.clock())] == ["w2"]


async def test_what_waits_is_discarded_and_never_answered(every_engine: Engine, people: People) -> None:
    engine = every_engine
    script = Script(confide)
    await say(engine, message("a1", SECRET), message("b1", "bassoon", BENS, author=BEN))
    notice = Delivery(id="n1", address=CHAT, parts=(Words(text=SECRET),), author=Author(id="x", name="x", kind="agent"))
    await engine.bus.commit(
        Publish(inbox=channel_inbox("support"), lane=str(CHAT), id="n1", body=msgspec.json.encode(notice))
    )
    assert (await people.erase("support:ann")).discarded == 2
    assert await engine.outcome(BOT, "a1") == ("dead", "discarded")
    assert await engine.outcome("channel:support", "n1") == ("dead", "discarded")
    assert SECRET not in await everything(engine)
    async with running(worker_of(engine, handler_of(engine, script)), engine):
        await engine.outcome(BOT, "b1")
    assert script.texts == ["bassoon"]
    assert await engine.bus.residue(0.0) == 0


async def test_a_turn_that_runs_is_stopped_and_erased(
    every_engine: Engine, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = every_engine
    monkeypatch.setattr("hub.records.people.STOP_WAIT", PATIENCE)

    async def never(turn: Turn) -> Reply:
        turn.emit(SECRET)
        await asyncio.Event().wait()
        return Reply(text="never")

    script = Script(never)
    await say(engine, message("a1", SECRET))
    async with running(worker_of(engine, handler_of(engine, script)), engine):

        async def runs() -> bool:
            return bool(script.answers)

        await engine.store.until(runs)
        await soon(people.erase("support:ann"))
    assert (await engine.outcome(BOT, "a1")) == ("silent", "stopped")
    assert SECRET not in await everything(engine)


async def test_a_turn_that_does_not_stop_refuses_the_erase(
    every_engine: Engine, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = every_engine
    monkeypatch.setattr("hub.records.people.STOP_WAIT", 0.0)
    await say(engine, message("a1", SECRET))
    [lease] = await engine.bus.claim(BOT, 1, 8.0)  # by a hub that does not look
    with pytest.raises(Conflict, match=r"turn a1.*Erase again") as refused:
        await people.erase("support:ann")
    assert refused.value.code == "turn_running"
    [lost] = [await engine.bus.extend([lease], 8.0)]
    assert (lost, lease.stopped) == ([], True)
    assert SECRET in await everything(engine)


async def test_what_was_to_be_said_in_private_chats_later_is_not(every_engine: Engine, people: People) -> None:
    engine = every_engine
    await whole_life(engine)
    for key, address, about in (("1", CHAT, SECRET), ("2", BENS, "bassoon"), ("3", GROUP, "tea")):
        when = Once(at=engine.clock() + 60.0)
        rule = Rule(id=0, text=about, when=when, next_at=engine.clock() + 60.0, agent="bot", address=address)
        await engine.store.write(lambda c, key=key, rule=rule: timetable.add(c, key, rule, engine.clock()))
    assert [one["text"] for one in (await people.export("support:ann")).schedules] == [SECRET]
    assert (await people.erase("support:ann")).schedules == 1
    assert SECRET not in await everything(engine)
    assert [row.text for row in await engine.all(select(schedules.c.text).order_by(schedules.c.id))] == [
        "bassoon",
        "tea",
    ]


async def test_dead_letters_of_the_person_want_nobody_any_more(every_engine: Engine, people: People) -> None:
    engine = every_engine
    body = msgspec.json.encode(message("a1", SECRET))
    dead = Publish(inbox=BOT, lane=str(CHAT), id="a1", body=body, outcome="dead", reason="failed", error=SECRET)
    await engine.bus.commit(dead)
    unread = Publish(inbox=BOT, lane="", id="u1", body=b"{odd", outcome="dead", reason="unreadable")
    await engine.bus.commit(unread)
    await people.erase("support:ann")
    assert await engine.outcome(BOT, "a1") == ("dead", "discarded")
    assert await engine.outcome(BOT, "u1") == ("dead", "unreadable")
    assert SECRET not in await everything(engine)


async def test_summaries_of_private_chats_go_with_them(every_engine: Engine, people: People) -> None:
    engine = every_engine
    await whole_life(engine)
    [mine] = await engine.all(select(sessions.c.id).where(sessions.c.person == "support:ann"))
    summary = Summary(text=f"about the {SECRET}", upto=1)
    turn = memory.summaries(mine.id)
    await engine.store.write(lambda c: memory.append(c, mine.id, turn, 0, [summary], 0.0))
    assert (await people.erase("support:ann")).entries == 4
    assert SECRET not in await everything(engine)


async def test_more_than_a_page_is_erased_and_a_cut_off_erase_goes_on(every_engine: Engine, people: People) -> None:
    engine, told = every_engine, list[tuple[str, int]]()
    session = await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, 0.0, "support:ann"))
    said = [memory.Heard(text=f"{SECRET} {number}") for number in range(2 * PAGE + 1)]
    await engine.store.write(lambda c: memory.append(c, session, "t", 0, said, 0.0))
    await engine.store.write(lambda c: memory.new_session(c, "bot", BENS, 0.0, "support:ben"))

    async def cut(step: str, done: int) -> None:
        told.append((step, done))
        if (step, done) == ("entries", PAGE):
            raise ConnectionError("cut off")

    with pytest.raises(ConnectionError):
        await people.erase("support:ann", cut)
    assert len(await engine.all(select(entries.c.id))) == PAGE + 1
    erased = await people.erase("support:ann")
    assert (erased.entries, erased.sessions) == (PAGE + 1, 1)
    assert SECRET not in await everything(engine)
    assert await engine.store.read(lambda c: memory.current_session(c, "bot", CHAT)) is None
    assert await engine.store.read(lambda c: memory.current_session(c, "bot", BENS)) is not None


async def test_the_files_of_sqlite_forget_too(engine: Engine, tmp_path: Path) -> None:
    """What FTS5 only marks as gone is rewritten without it."""
    session = await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, 0.0, "support:ann"))
    for number in range(40):
        said = [memory.Heard(text=f"{SECRET}{number}")]
        await engine.store.write(
            lambda c, number=number, said=said: memory.append(c, session, f"t{number}", 0, said, 0.0)
        )
    blocks = text("SELECT block FROM entry_words_data")
    assert SECRET.encode() in b"".join(row.block for row in await engine.all(blocks))
    await people_of(engine, FileStore(tmp_path / "files")).erase("support:ann")
    assert SECRET.encode() not in b"".join(row.block for row in await engine.all(blocks))


async def picture(files: FileStore, content: bytes, age: float = 3600.0) -> File:
    """A file that was stored some seconds before the engine's time."""
    file = await files.keep("p.png", "image/png", content)
    at = 1_800_000_000.0 - age
    path = next(files._root.glob(f"*/{file.ref}"))  # pyright: ignore[reportPrivateUsage]
    os.utime(path, (at, at))
    return file


async def test_files_go_that_nobody_else_refers_to(every_engine: Engine, people: People, files: FileStore) -> None:
    engine = every_engine
    mine, both, bens = [await picture(files, content) for content in (b"mine", b"both", b"bens")]
    await files.derive(mine, "md", SECRET)
    await play(
        engine,
        message("a1", parts=(mine, both)),
        message("a2", address=GROUP, direct=False, parts=(mine,)),
        message("b1", address=BENS, author=BEN, parts=(both, bens)),
        script=Script(_silent),
    )
    assert (await people.erase("support:ann")).files == 1
    assert set(await files.kept()) == {both.ref, bens.ref}
    assert await files.derived(mine, "md") is None
    assert await files.read(both) == b"both"


async def test_a_file_that_is_stored_again_meanwhile_stays(files: FileStore) -> None:
    file = await picture(files, b"again")
    await files.keep("p.png", "image/png", b"again")
    assert not await files.remove(file.ref, before=1_000_000_000.0)
    assert await files.read(file) == b"again"


async def test_everything_about_a_person_is_handed_out(every_engine: Engine, people: People, files: FileStore) -> None:
    engine = every_engine
    await whole_life(engine)
    photo = await picture(files, b"photo")
    await play(engine, message("a4", parts=(Words(text="see"), photo)), script=Script(_silent))
    export = await people.export("support:ann")
    assert [fact["text"] for fact in export.facts] == [f"my {SECRET}"]
    [chat] = export.sessions
    assert (chat["agent"], chat["address"]) == ("bot", "support:42")
    assert [entry["body"]["kind"] for entry in chat["entries"]] == ["heard", "step", "said", "heard", "said"]
    assert [entry["body"]["text"] for entry in export.said] == [f"{SECRET} for all"]
    assert {turn["id"] for turn in export.turns} == {"a1", "a4"}
    assert {one["mid"] for one in export.messages} == {"a1", "a1.reply", "a2", "a4", "a4.reply"}
    assert [file["ref"] for file in export.files] == [photo.ref]
    assert export.pairing is not None
    assert export.pairing["name"] == f"Ann {SECRET}"
    assert b"bassoon" not in msgspec.json.encode(export)
    await people.erase("support:ann")
    left = msgspec.to_builtins(await people.export("support:ann"))
    kept: dict[str, Any] = {name: value for name, value in left.items() if value and name not in ("person", "at")}
    assert list(kept) == ["messages"]  # their ids alone, until they are forgotten
    assert all(part["text"] == ERASED for one in kept["messages"] for part in one["body"]["parts"])


async def test_who_is_nobody_is_told_so(engine: Engine, files: FileStore) -> None:
    people = people_of(engine, files)
    for name in ("ann", "support:", ":ann", "", "api:bob"):
        with pytest.raises(RequestError, match="is nobody"):
            await people.erase(name)
        with pytest.raises(RequestError, match="is nobody"):
            await people.export(name)
