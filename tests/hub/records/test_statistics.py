"""Turns and messages are added up once each, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from hub.accounts import turns
from hub.accounts.turns import TurnRecord
from hub.bus import Bus, Outcome, Publish, Settle
from hub.message import Address
from hub.model import Usage
from hub.records import rollup
from hub.records.rollup import DAY, HOUR, MINUTE, count_messages, count_turns, roll_up
from hub.records.statistics import Asked, By, Found, Per, Window, measure, plot, total
from hub.records.tally import Sums
from hub.store import Store, open_store
from hub.store.tables import messages, statistics
from hub.store.tables import turns as table
from tests.contracts.bus_plans import Explained
from tests.hub.engine import Engine, message

NOON = 20_000.0 * DAY + DAY / 2


def turn(id: str, at: float = NOON, seconds: float = 1.0, **changes: Any) -> TurnRecord:
    """A turn that ended at a time."""
    record: dict[str, Any] = {
        "id": id,
        "address": "api:1:x",
        "status": "completed",
        "agent": "bot",
        "model": "demo",
        "usage": Usage(prompt=10, completion=2, cached=1),
        "created_at": at - seconds,
        "finished_at": at,
    }
    return TurnRecord(**record | changes)


async def save(store: Store, *records: TurnRecord) -> None:
    for record in records:
        await store.write(partial(turns.save, record=record, charged=True))


async def read(store: Store, asked: Asked | None = None, *, per: Per | None = None, by: By | None = None) -> Found:
    return await store.read(lambda connection: measure(connection, asked or Asked(), per=per, by=by))


async def seen(store: Store) -> list[Found]:
    """Everything, in every way."""
    ways: list[tuple[Per | None, By | None]] = [(None, None), ("day", "agent"), ("hour", "key"), ("hour", "channel")]
    return [await read(store, per=per, by=by) for per, by in ways]


async def marked(store: Store) -> int:
    counted = select(table.c.id).where(table.c.counted_at.is_not(None))
    return len(await store.read(lambda connection: connection.execute(counted).all()))


async def test_a_turn_is_seen_at_once_and_no_differently_when_it_is_counted(store: Store) -> None:
    await save(
        store,
        turn("t1", fee=5, first_token_at=NOON - 0.5, key_id=7),
        turn("t2", seconds=3.0, accepted_at=NOON - 2.0),
        turn("t3", status="failed", agent=None, address="support:42"),
        turn("t4", at=NOON + HOUR, status="cancelled", model=None),
        turn("t5", status="running", finished_at=None),
    )
    before = await seen(store)
    await roll_up(store, NOON + HOUR)
    assert await seen(store) == before
    assert await marked(store) == 4
    everything = total(before[0])
    assert (everything.turns, everything.failed, everything.cancelled, everything.fee) == (4, 1, 1, 5)
    assert (everything.prompt_tokens, everything.completion_tokens, everything.cached_tokens) == (40, 8, 4)
    assert everything.milliseconds == 3000
    assert {key: sums.turns for key, sums in before[1].items()} == {
        (NOON - DAY / 2, "bot"): 3,
        (NOON - DAY / 2, None): 1,
    }
    assert {key: sums.turns for key, sums in before[2].items()} == {
        (NOON, 7): 1,
        (NOON, None): 2,
        (NOON + HOUR, None): 1,
    }
    assert {key[1]: sums.failed for key, sums in before[3].items() if key[0] == NOON} == {"api": 0, "support": 1}


async def test_a_turn_whose_transaction_comes_late_is_counted_all_the_same(store: Store) -> None:
    await save(store, turn("t1"))
    await roll_up(store, NOON + DAY)
    await save(store, turn("late", at=NOON - 5))
    await roll_up(store, NOON + DAY)
    assert total(await read(store)).turns == 2


async def test_a_turn_that_is_gone_stays_in_the_statistics(store: Store) -> None:
    await save(store, turn("t1"))
    await roll_up(store, NOON)
    before = await seen(store)
    await store.write(lambda connection: connection.execute(delete(table)))
    assert await seen(store) == before


async def test_times_end_where_they_are_said_to_and_days_are_those_of_utc(store: Store) -> None:
    midnight = NOON + DAY / 2
    for number, at in enumerate((midnight - 0.001, midnight, midnight + HOUR - 0.001, midnight + HOUR)):
        await save(store, turn(f"t{number}", at=at))
    for _ in range(2):  # from the turns, and from the rows
        assert [at for at, _ in await read(store, per="day")] == [midnight - DAY, midnight]
        assert total(await read(store, Asked(since=midnight, until=midnight + HOUR))).turns == 2
        assert total(await read(store, Asked(since=midnight - 1, until=midnight + 1))).turns == 3  # whole hours
        for around in (3 * DAY, 45 * DAY, 400 * DAY):  # whole days, a month, and all there is
            assert total(await read(store, Asked(since=midnight - around, until=midnight + around))).turns == 4
        await roll_up(store, midnight + DAY)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Asked(channel="support"), 1),
        (Asked(agent="bot"), 2),
        (Asked(agent="bot", model="gpt"), 1),
        (Asked(key_id=3), 1),
        (Asked(key_id=4), 0),
    ],
)
async def test_only_what_was_asked_for_is_counted(store: Store, asked: Asked, found: int) -> None:
    await save(store, turn("a", address="support:1"), turn("b", model="gpt", key_id=3), turn("c", agent="other"))
    assert total(await read(store, asked)).turns == found
    await roll_up(store, NOON)
    assert total(await read(store, asked)).turns == found


async def test_minutes_are_forgotten_after_a_while_and_hours_are_not(store: Store) -> None:
    await save(store, turn("old", at=NOON - DAY), turn("new"))
    await roll_up(store, NOON)
    assert [at for at, _ in await read(store, per="minute")] == [NOON]
    await roll_up(store, NOON + DAY)
    assert await read(store, per="minute") == {}
    assert total(await read(store)).turns == 2


async def test_an_old_store_is_counted_bit_by_bit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "BATCH", 3)
    monkeypatch.setattr(rollup, "BATCHES", 2)
    await save(store, *(turn(f"t{number}", at=NOON + number) for number in range(10)))
    counted: list[int] = []
    for _ in range(3):
        await roll_up(store, NOON)
        counted.append(await marked(store))
        assert total(await read(store)).turns == 10
    assert counted == [6, 10, 10]


async def test_two_processes_count_each_turn_once(
    store_url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "BATCH", 5)
    await save(store, *(turn(f"t{number}", at=NOON + number % 3 * HOUR, key_id=number % 4) for number in range(60)))
    before = await seen(store)
    other = await open_store(store_url)
    await asyncio.gather(roll_up(store, NOON), roll_up(other, NOON), roll_up(store, NOON))
    assert await marked(store) == 60
    assert await seen(other) == before
    await other.close()


class Crash(Exception):
    """The process ends before its transaction does."""


statuses = st.sampled_from(["completed", "failed", "cancelled", "running"])
histories = st.lists(
    st.tuples(
        statuses,
        st.sampled_from(["api:1:x", "api:2", "support:42", "support:42:7"]),
        st.sampled_from([None, "bot", "other"]),
        st.sampled_from([None, 1, 2]),
        st.integers(0, 3 * DAY),
        st.integers(0, 10**6),
    ),
    max_size=12,
)


def history(number: int, drawn: Sequence[Any]) -> list[TurnRecord]:
    return [
        turn(
            f"t{number}.{place}",
            at=NOON + after,
            seconds=much / 1000,
            status=status,
            address=address,
            agent=agent,
            key_id=key,
            fee=much,
            usage=Usage(prompt=much % 1000, completion=much % 7),
            **({"finished_at": None} if status == "running" else {}),
        )
        for place, (status, address, agent, key, after, much) in enumerate(drawn)
    ]


def added_up(records: Iterable[TurnRecord]) -> Sums:
    over = [record for record in records if record.over]
    return Sums(
        turns=len(over),
        failed=sum(record.status == "failed" for record in over),
        cancelled=sum(record.status == "cancelled" for record in over),
        prompt_tokens=sum(record.usage.prompt for record in over),
        completion_tokens=sum(record.usage.completion for record in over),
        fee=sum(record.fee for record in over),
    )


def numbers(sums: Sums) -> tuple[int, ...]:
    return (sums.turns, sums.failed, sums.cancelled, sums.prompt_tokens, sums.completion_tokens, sums.fee)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(histories | st.sampled_from(["count", "crash"]), max_size=8))
async def test_the_sums_are_those_of_the_turns_whatever_happens(store: Store, steps: list[Any]) -> None:
    await store.write(lambda c: [c.execute(delete(each)) for each in (table, statistics)])
    said: list[TurnRecord] = []
    for number, step in enumerate(steps):
        if step == "crash":
            with pytest.raises(Crash):
                await store.write(_count_and_crash)
        elif step == "count":
            await store.write(partial(count_turns, now=NOON + DAY))
        else:
            said += (new := history(number, step))
            await save(store, *new)
        assert numbers(total(await read(store))) == numbers(added_up(said))
    for by in ("channel", "agent", "model", "key"):
        assert numbers(total(await read(store, per="day", by=by))) == numbers(added_up(said))


def _count_and_crash(connection: Any) -> None:
    count_turns(connection, NOON + DAY)
    raise Crash


async def test_messages_are_counted_by_where_they_came_from_and_went(every_engine: Engine) -> None:
    engine, bus = every_engine, every_engine.bus
    await said(bus, "m1", "support", "answered")
    await said(bus, "m2", "support", "refused")
    await said(bus, "m3", "web", "silent")
    outcomes: tuple[Outcome, ...] = ("delivered", "dead")
    for outcome in outcomes:
        await bus.commit(Publish(inbox="channel:support", lane="x", id=outcome, body=b"{}"))
        [lease] = await bus.claim("channel:support", 1, 8.0)
        await bus.commit(Settle(lease=lease, outcome=outcome))
    await bus.commit(Publish(inbox="agent:bot", lane="", id="odd", body=b"?", outcome="dead", reason="unreadable"))
    before = await read(engine.store, by="channel")
    assert {of: (s.received, s.refused, s.delivered, s.undelivered) for (_, of), s in before.items()} == {
        "support": (2, 1, 1, 1),
        "web": (1, 0, 0, 0),
        None: (1, 0, 0, 0),
    }
    await roll_up(engine.store, engine.clock.now)  # too early: others may still commit
    assert await read(engine.store, by="channel") == before
    assert await rows(engine.store) == 0
    for _ in range(2):
        engine.clock.forward(61.0)
        await roll_up(engine.store, engine.clock.now)
        assert await rows(engine.store) > 0
        assert await read(engine.store, by="channel") == before
    await bus.sweep(engine.clock.now + 1)
    assert await read(engine.store, by="channel") == before


async def test_what_was_settled_at_one_moment_is_counted_at_once(
    every_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "BATCH", 2)
    for number in range(5):
        await said(every_engine.bus, f"m{number}", "support", "answered")
    every_engine.clock.forward(1.0)
    await said(every_engine.bus, "next", "support", "answered")
    count = partial(count_messages, now=every_engine.clock.now + 100)
    assert [await every_engine.store.write(count) for _ in range(2)] == [True, False]
    assert total(await read(every_engine.store)).received == 6


async def test_somebody_who_takes_a_dead_message_back_changes_nothing(every_engine: Engine) -> None:
    engine = every_engine
    await said(engine.bus, "m", "support", "dead")
    engine.clock.forward(100.0)
    await roll_up(engine.store, engine.clock.now)
    before = await read(engine.store)
    closed = {"reason": "discarded", "settled_at": engine.clock.now}
    await engine.store.write(lambda c: c.execute(update(messages).values(closed)))
    assert await read(engine.store) == before


async def said(bus: Bus, id: str, channel: str, outcome: Outcome) -> None:
    body = msgspec.json.encode(message(id, address=Address(channel, "42")))
    await bus.commit(Publish(inbox="agent:bot", lane=f"{channel}:42", id=id, body=body))
    [lease] = await bus.claim("agent:bot", 1, 8.0)
    await bus.commit(Settle(lease=lease, outcome=outcome))


async def rows(store: Store) -> int:
    return len(await store.read(lambda connection: connection.execute(select(statistics.c.start)).all()))


async def test_a_plot_has_every_point_of_every_line(store: Store) -> None:
    await save(store, turn("t1"), turn("t2", at=NOON - 5 * HOUR, agent=None), turn("t3", at=NOON - 2 * DAY))
    windows: tuple[tuple[Window, int, int, list[int]], ...] = (
        ("1h", MINUTE, 60, [1]),
        ("24h", HOUR, 24, [1, 1]),
        ("30d", DAY, 30, [1, 2]),
    )
    for window, span, many, found in windows:
        drawn = await store.read(partial(plot, window=window, now=NOON + 1))
        assert list(drawn.starts) == [NOON // span * span - back * span for back in reversed(range(many))]
        assert [point.turns for point in drawn.lines[None] if point.turns] == found
        assert drawn.total.turns == sum(found)
    lines = (await store.read(partial(plot, window="24h", now=NOON + 1, by="agent"))).lines
    assert {of: (len(points), sum(point.turns for point in points)) for of, points in lines.items()} == {
        None: (24, 1),
        "bot": (24, 1),
    }


async def test_nothing_that_is_read_grows_with_the_turns_that_are_stored(engine: Engine) -> None:
    await save(engine.store, *(turn(f"t{number}") for number in range(10)))
    await roll_up(engine.store, NOON)
    explained = Explained(engine.store.store)
    await save(engine.store, turn("one more"))
    await roll_up(explained, NOON)
    for by in (None, "agent"):
        await explained.read(partial(measure, asked=Asked(since=NOON - 400 * DAY), by=by))
        await explained.read(partial(plot, window="30d", now=NOON, by=by))
    plans = [line for plan in explained.plans.values() for line in plan]
    assert any("ix_turns_uncounted" in line for line in plans)
    assert [line for line in plans if line.startswith(("SCAN turns", "SCAN messages", "SCAN statistics"))] == []
