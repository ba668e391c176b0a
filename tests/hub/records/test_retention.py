"""Retention: what is too old goes by whole turns, what was used stays, and nothing is left half."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, update

from hub import memory
from hub.accounts import responses, turns
from hub.accounts.responses import Kept
from hub.accounts.turns import Stage, TurnRecord
from hub.bus import Publish
from hub.memory import Heard, Said, Summary
from hub.message import Address, agent_inbox
from hub.model import Usage
from hub.records import retention
from hub.records.jobs.runner import Kind
from hub.records.retention import Retention
from hub.records.rollup import roll_up
from hub.store import search
from hub.store.tables import entries, sessions, settings
from hub.store.tables import turns as rows
from hub.turns import history
from tests.contracts.bus_plans import Explained
from tests.hub.engine import CHAT, Engine, turn_of
from tests.hub.records.doing import asked, do, do_with_kills, job_of

DAY = 86_400.0
KEEP = 90 * DAY
OTHER = Address("support", "43")
SECRET = "xylophone"


def kinds(**seconds: float) -> dict[str, Kind]:
    """The job, with how long each agent keeps what was said to it; `_` is no agent."""
    return {"retention": Kind(do=Retention(lambda: {None if name == "_" else name: s for name, s in seconds.items()}))}


async def forget(engine: Engine, folder: Path, **seconds: float) -> Any:
    one = await asked(engine, "retention")
    await do(engine, kinds(**(seconds or {"bot": KEEP})), folder)
    job = await job_of(engine, one)
    assert (job.state, job.error) == ("done", None)
    return job.result


async def begin(engine: Engine, address: Address = CHAT, agent: str = "bot", age: float = 100 * DAY) -> int:
    at = engine.clock() - age
    return await engine.store.write(lambda c: memory.new_session(c, agent, address, at, "support:ann"))


async def say(engine: Engine, session: int, turn: str, days: float, **more: Any) -> None:
    """A turn of so many days ago, with a word that tells it from others."""
    at = engine.clock() - days * DAY
    said = [Heard(text=f"{SECRET} {turn}"), Said(text=f"yes {turn}")]
    record = TurnRecord(
        id=turn,
        agent="bot",
        address=str(CHAT),
        session=session,
        key_id=7,
        status="completed",
        response=f"yes {turn}",
        usage=Usage(prompt=3, completion=2),
        fee=5,
        created_at=at,
        started_at=at,
        finished_at=at,
    )
    record = msgspec.structs.replace(record, **more)

    def unit(connection: Any) -> None:
        memory.append(connection, session, turn, 0, said, at)
        turns.save(connection, record, charged=True)

    await engine.store.write(unit)


async def left(engine: Engine) -> list[str]:
    return list(await engine.store.read(lambda c: c.execute(select(entries.c.turn).distinct()).scalars().all()))


async def test_whole_turns_go_that_are_too_old_and_what_they_used_stays(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    session = await begin(engine)
    stages = (Stage(calls=("look",), model="m"),)
    await say(engine, session, "old", 91, error="broken", fingerprint="f", stages=stages, request_id="r")
    await say(engine, session, "young", 89)
    before = await turn_of(engine, "old")
    assert await forget(engine, tmp_path) == {"entries": 2, "turns": 1, "sessions": 0}
    assert await left(engine) == ["young"]
    after = await turn_of(engine, "old")
    silent = {"response": None, "error": None, "fingerprint": None, "session": None, "request_id": None, "stages": ()}
    assert after == msgspec.structs.replace(before, **silent)
    assert (after.usage, after.fee, after.key_id) == (Usage(prompt=3, completion=2), 5, 7)
    assert (await turn_of(engine, "young")).response == "yes young"
    assert len(await engine.store.read(lambda c: search.find(c, [1], SECRET, 9))) == 1
    assert await forget(engine, tmp_path) == {"entries": 0, "turns": 0, "sessions": 0}


async def test_others_keep_what_was_said_to_them(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    await say(engine, await begin(engine), "mine", 91)
    await say(engine, await begin(engine, agent="other"), "others", 91, agent="other")
    await say(engine, await begin(engine, OTHER, "brief"), "brief", 4, agent="brief")
    await forget(engine, tmp_path, bot=KEEP, brief=3 * DAY)
    assert await left(engine) == ["others"]
    assert (await turn_of(engine, "others")).response == "yes others"
    assert (await turn_of(engine, "brief")).response is None


async def test_what_models_were_asked_without_an_agent_goes_too(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    for name, days in (("old", 91), ("young", 89)):
        at = engine.clock() - days * DAY
        record = TurnRecord(
            id=name, address="api:7", status="completed", response=SECRET, created_at=at, finished_at=at
        )
        kept = Kept(id=name, key_id=7, asked={}, input=[{"said": SECRET}], answer={}, created_at=at)
        await engine.store.write(lambda c, record=record: turns.save(c, record))
        await engine.store.write(lambda c, kept=kept: responses.save(c, kept))
    assert (await forget(engine, tmp_path, _=KEEP))["turns"] == 1
    assert (await turn_of(engine, "old")).response is None
    assert (await turn_of(engine, "young")).response == SECRET
    there = [await engine.store.read(lambda c, name=name: responses.find(c, name, 7)) for name in ("old", "young")]
    assert [one is not None for one in there] == [False, True]


async def test_a_turn_that_waits_or_still_goes_on_stays_until_it_is_over(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    session = await begin(engine)
    for turn in ("t1", "t2", "t3"):
        await say(engine, session, turn, 91)
    await engine.bus.commit(Publish(inbox=agent_inbox("bot"), lane=str(CHAT), id="t2", body=b"{}"))
    assert await forget(engine, tmp_path) == {"entries": 4, "turns": 2, "sessions": 0}
    assert await left(engine) == ["t2"]
    assert (await turn_of(engine, "t2")).response == "yes t2"
    assert await forget(engine, tmp_path) == {"entries": 0, "turns": 0, "sessions": 0}
    await engine.bus.withdraw(agent_inbox("bot"), "t2", "dead", "discarded")
    # The mark waited for it; what was behind it is looked at again, and is there no more.
    assert (await forget(engine, tmp_path))["entries"] == 2
    assert await left(engine) == []


async def test_a_turn_with_something_young_in_it_stays_whole(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    session = await begin(engine)
    await say(engine, session, "long", 91)
    now = engine.clock()
    await engine.store.write(lambda c: memory.append(c, session, "long", 2, [Said(text="more")], now))
    await engine.store.write(lambda c: c.execute(update(rows).values(finished_at=now)))
    assert await forget(engine, tmp_path) == {"entries": 0, "turns": 0, "sessions": 0}
    assert (await turn_of(engine, "long")).response == "yes long"


async def test_a_summary_goes_after_what_it_sums_up_and_the_next_has_the_next_number(
    every_engine: Engine, tmp_path: Path
) -> None:
    engine = every_engine
    session = await begin(engine)
    for number, days in enumerate((95, 93, 80)):
        await say(engine, session, f"t{number}", days)
        upto = (await engine.all(select(func.max(entries.c.id))))[0][0]
        at = engine.clock() - (days - 1) * DAY
        summary = Summary(text=f"sum {number}", upto=upto)
        await engine.store.write(partial(keep_summary, session=session, number=number, summary=summary, now=at))
    await forget(engine, tmp_path)
    past = await engine.store.read(lambda c: history.past(c, session, 10_000, ""))
    assert past.summary is not None
    assert past.summary.text == "sum 2"
    engine.clock.forward(30 * DAY)
    await forget(engine, tmp_path)
    past = await engine.store.read(lambda c: history.past(c, session, 10_000, ""))
    assert (past.summary, past.turns) == (None, ())
    assert await engine.store.read(lambda c: history.latest(c, session)) == (2, None)
    await say(engine, session, "t9", 0)
    oldest = await engine.store.read(lambda c: history.oldest(c, session, 0, 10_000))
    # The newest turn is never summed up: one more, and it is.
    assert oldest is None
    await say(engine, session, "t10", 0)
    oldest = await engine.store.read(lambda c: history.oldest(c, session, 0, 10_000))
    assert oldest is not None
    assert (oldest.number, oldest.before) == (3, None)
    assert "sum 2" not in str(await engine.all(select(entries.c.body)))


def keep_summary(connection: Any, session: int, number: int, summary: Summary, now: float) -> None:
    history.keep_summary(connection, session, number, summary, now)


async def test_a_view_never_has_an_answer_without_its_question(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    session = await begin(engine)
    for number in range(30):
        await say(engine, session, f"t{number}", 100.5 - number)
    await forget(engine, tmp_path)
    past = await engine.store.read(lambda c: history.past(c, session, 10_000, ""))
    told = [[type(entry) for entry in turn] for turn in past.turns]
    assert told == [[Heard, Said]] * 19


async def test_sessions_go_that_are_empty_and_over(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    over, empty, current = await begin(engine), await begin(engine), await begin(engine)
    await engine.store.write(lambda c: c.execute(update(sessions).values(title=SECRET)))
    for session in (over, current):
        await say(engine, session, f"t{session}", 91)
        await engine.store.write(
            lambda c, session=session: history.keep_summary(c, session, 0, Summary(text="s", upto=1), 1.0)
        )
    await begin(engine, OTHER)  # the newest of all stays in any case
    assert (await forget(engine, tmp_path))["sessions"] == 2
    found = await engine.all(select(sessions.c.id, sessions.c.title).order_by(sessions.c.id))
    assert [row.id for row in found] == [current, current + 1]
    assert found[0].title is None
    assert {over, empty}.isdisjoint(row.id for row in found)
    assert await engine.store.read(lambda c: memory.current_session(c, "bot", CHAT)) == current


@pytest.mark.parametrize("inbox", ["agent:bot", "compaction"])
async def test_a_session_stays_while_its_lane_is_busy(every_engine: Engine, tmp_path: Path, inbox: str) -> None:
    engine = every_engine
    over = await begin(engine)
    await begin(engine)
    lane = str(CHAT) if inbox == "agent:bot" else str(over)
    await engine.bus.commit(Publish(inbox=inbox, lane=lane, id="m1", body=b"{}"))
    assert (await forget(engine, tmp_path))["sessions"] == 0
    await engine.bus.withdraw(inbox, "m1", "dead", "discarded")
    assert await engine.bus.claim(inbox, 1, 8.0) == []  # whoever looks finds nothing there
    assert (await forget(engine, tmp_path))["sessions"] == 1


async def test_a_kill_at_any_write_loses_nothing_and_counts_nothing_twice(
    every_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = every_engine
    monkeypatch.setattr("hub.records.retention.PAGE", 7)
    session = await begin(engine)
    for number in range(20):
        await say(engine, session, f"t{number:02}", 100.5 - number)
    await begin(engine)
    await begin(engine)
    one = await asked(engine, "retention")
    assert await do_with_kills(engine, kinds(bot=KEEP), tmp_path, one) > 10
    job = await job_of(engine, one)
    assert (job.state, job.result) == ("done", {"entries": 22, "turns": 11, "sessions": 1})
    assert sorted(await left(engine)) == [f"t{number}" for number in range(11, 20)]
    whole = await engine.all(select(func.count()).select_from(entries).group_by(entries.c.turn))
    assert {row[0] for row in whole} == {2}


async def test_statistics_stay_as_they_were(every_engine: Engine, tmp_path: Path) -> None:
    engine = every_engine
    session = await begin(engine)
    await say(engine, session, "old", 91)
    await forget(engine, tmp_path)
    counted = select(func.count()).where(rows.c.counted_at.is_not(None))
    assert (await engine.all(counted))[0][0] == 0  # it waits to be counted as before
    await roll_up(engine.store.store, engine.clock())
    assert (await engine.all(counted))[0][0] == 1


async def test_a_pass_with_nothing_to_do_reads_only_what_became_old_since(engine: Engine, tmp_path: Path) -> None:
    session = await begin(engine)
    for number in range(50):
        await say(engine, session, f"t{number}", 100)
    await forget(engine, tmp_path)
    mark = await engine.store.read(lambda c: retention.mark_of(c, "bot"))
    assert mark.entry == 100
    assert mark.turn == (engine.clock() - KEEP, "") or mark.turn[0] > engine.clock() - KEEP - 60
    policy = retention.Policy(agent="bot", before=mark.turn[0] + DAY)
    explained = Explained(engine.store.store)
    assert not await explained.read(partial(retention.page_of_turns, policy=policy, after=mark.turn))
    assert not await explained.read(partial(retention.page_of_entries, after=mark.entry))
    await explained.read(partial(retention.page_of_sessions, policy=policy, after=0))
    await explained.read(partial(retention.deserted, policy=policy, ids=[session]))
    plans = [line for plan in explained.plans.values() for line in plan]
    assert any("created_at" in line and line.startswith("SEARCH turns") for line in plans)
    assert [line for line in plans if line.startswith("SCAN") and "CONSTANT" not in line] == []


async def test_nothing_is_done_where_config_says_nothing(engine: Engine) -> None:
    assert not Retention(dict).wanted()
    assert Retention(lambda: {"bot": KEEP}).wanted()
    assert await engine.all(select(settings)) == []
