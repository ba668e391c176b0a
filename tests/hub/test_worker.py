"""The worker claims, hands over, extends and settles; nothing that fails around it stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import insert, select

from hub.bus import Bus, Lease, Publish
from hub.store.tables import lanes, settings
from hub.worker import Defer, Done, Outcome, Retry, Timing, Why, Work, Worker
from tests.hub.engine import FAST, Engine, soon

INBOX = "agent:a"
ANSWERED = Done(outcome="answered")


class Scripted:
    """A handler that plays a function, and notes what it was given."""

    def __init__(self, play: Callable[[Work], Awaitable[Outcome]]) -> None:
        self.play = play
        self.begun: asyncio.Queue[Work] = asyncio.Queue()
        self.ids: list[str] = []
        self.cancelled: list[str] = []
        self.running = 0
        self.most_running = 0

    async def handle(self, work: Work) -> Outcome:
        self.ids.append(work.lease.head.id)
        self.begun.put_nowait(work)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self.play(work)
        except asyncio.CancelledError:
            self.cancelled.append(work.lease.head.id)
            raise
        finally:
            self.running -= 1

    async def exhausted(self, lease: Lease, why: Why) -> Done:
        return Done(outcome="dead", reason="failed", error=str(why))


async def answer(work: Work) -> Outcome:
    return ANSWERED


async def forever(work: Work) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


async def until_stopped(work: Work) -> Outcome:
    await work.stopped.wait()
    return Done(outcome="silent", reason="stopped")


@asynccontextmanager
async def working(
    engine: Engine, handler: Any, *, timing: Timing = FAST, concurrency: int = 64, bus: Bus | None = None
) -> AsyncGenerator[Worker]:
    worker = Worker(bus or engine.bus, INBOX, handler, timing=timing, concurrency=concurrency, random=lambda: 0.0)
    worker.start()
    try:
        yield worker
    finally:
        engine.store.down = engine.store.hung = False
        await soon(worker.close(0.0))


async def lane(engine: Engine, name: str = "x") -> Any:
    [row] = await engine.all(select(lanes).where(lanes.c.inbox == INBOX, lanes.c.lane == name))
    return row


async def idle(engine: Engine, name: str = "x") -> None:
    """Wait until a lane is leased to nobody."""

    async def free() -> bool:
        return not (await lane(engine, name)).leased

    await engine.store.until(free)


async def test_a_message_gets_the_outcome_its_handler_says(every_engine: Engine) -> None:
    async def play(work: Work) -> Outcome:
        return Done(outcome="silent", reason="stay_silent", error="none")

    await every_engine.publish(INBOX, "m")
    async with working(every_engine, Scripted(play)):
        assert await every_engine.outcome(INBOX, "m") == ("silent", "stay_silent")


async def test_what_an_outcome_publishes_and_writes_is_there_with_it_and_is_told_after(engine: Engine) -> None:
    async def play(work: Work) -> Outcome:
        return Done(
            outcome="answered",
            publishes=(Publish(inbox="channel:c", lane="y", id="m.reply", body=b"hi"),),
            also=lambda connection: connection.execute(insert(settings), {"name": "seen", "value": "yes"}),
            tell=(("told", b"now"),),
        )

    with engine.signals.listen("told") as told:
        await engine.publish(INBOX, "m")
        async with working(engine, Scripted(play)):
            assert await soon(told.next()) == b"now"
    assert (await engine.row(INBOX, "m")).outcome == "answered"
    assert (await engine.row("channel:c", "m.reply")).body == b"hi"
    assert await engine.all(select(settings.c.value)) == [("yes",)]


async def test_a_lane_is_handled_in_order_and_lanes_side_by_side(every_engine: Engine) -> None:
    release = asyncio.Event()

    async def play(work: Work) -> Outcome:
        if work.lease.head.id == "a1":
            await release.wait()
        return ANSWERED

    handler = Scripted(play)
    await every_engine.publish(INBOX, "a1", "a2", lane="a")
    async with working(every_engine, handler):
        await soon(handler.begun.get())
        await every_engine.publish(INBOX, "b1", "b2", lane="b")
        await every_engine.outcome(INBOX, "b2")
        assert handler.ids == ["a1", "b1", "b2"]
        release.set()
        await every_engine.outcome(INBOX, "a2")
    assert handler.ids == ["a1", "b1", "b2", "a2"]


async def test_a_retry_keeps_the_head_of_its_lane_for_the_back_off(engine: Engine) -> None:
    async def play(work: Work) -> Outcome:
        return Retry(why="not yet") if handler.ids == ["m1"] else ANSWERED

    handler = Scripted(play)
    await engine.publish(INBOX, "m1", "m2")
    async with working(engine, handler):
        await soon(handler.begun.get())
        await idle(engine)
        row = await lane(engine)
        assert row.ready_at == engine.clock.now + 1.0
        assert (await engine.row(INBOX, "m1")).error == "not yet"
        engine.forward(0.9, INBOX)
        await engine.publish(INBOX, "n", lane="other")  # the other lane does not wait
        await engine.outcome(INBOX, "n")
        assert handler.ids == ["m1", "n"]
        engine.forward(0.2, INBOX)
        await engine.outcome(INBOX, "m2")
    assert handler.ids == ["m1", "n", "m1", "m2"]


async def test_the_back_off_doubles_and_the_tries_end(engine: Engine) -> None:
    async def play(work: Work) -> Outcome:
        return Retry(why=f"failure {work.lease.tries}")

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        for wait in (1.0, 2.0):
            await soon(handler.begun.get())
            await idle(engine)
            assert (await lane(engine)).ready_at == engine.clock.now + wait
            engine.forward(wait, INBOX)
        assert await engine.outcome(INBOX, "m") == ("dead", "failed")
    row = await engine.row(INBOX, "m")
    assert (row.error, row.attempts, len(handler.ids)) == ("failure 3", 3, 3)


async def test_a_deferred_message_waits_until_it_is_told_and_uses_up_no_try(engine: Engine) -> None:
    async def play(work: Work) -> Outcome:
        if len(handler.ids) <= 5:
            return Defer(until=engine.clock.now + 30.0, why="429")
        assert work.lease.tries == 1
        return ANSWERED

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        for _ in range(5):
            await soon(handler.begun.get())
            await idle(engine)
            assert (await lane(engine)).ready_at == engine.clock.now + 30.0
            engine.forward(30.0, INBOX)
        assert await engine.outcome(INBOX, "m") == ("answered", None)


async def test_a_short_wait_ends_on_time_without_a_signal(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.worker.POLL", 3600.0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    engine.bus.clock = lambda: 1_800_000_000.0 + loop.time() - began

    async def play(work: Work) -> Outcome:
        return Defer(until=engine.bus.clock() + 0.05) if len(handler.ids) == 1 else ANSWERED

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        assert await engine.outcome(INBOX, "m") == ("answered", None)


async def test_a_handler_that_raises_is_logged_and_tried_again(engine: Engine) -> None:
    async def play(work: Work) -> Outcome:
        if len(handler.ids) == 1:
            raise ZeroDivisionError("a bug")
        return ANSWERED

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        await soon(handler.begun.get())
        await idle(engine)
        assert (await engine.row(INBOX, "m")).error == "ZeroDivisionError: a bug"
        engine.forward(1.0, INBOX)
        assert await engine.outcome(INBOX, "m") == ("answered", None)


async def test_a_message_that_kills_its_process_each_time_ends_dead(engine: Engine) -> None:
    await engine.publish(INBOX, "m", "next")
    for _ in range(3):
        [lease] = await engine.bus.claim(INBOX, 1, FAST.lease)
        assert lease.head.id == "m"
        engine.clock.forward(FAST.lease)
    handler = Scripted(answer)
    async with working(engine, handler):
        assert await engine.outcome(INBOX, "m") == ("dead", "failed")
        assert await engine.outcome(INBOX, "next") == ("answered", None)
    assert handler.ids == ["next"]
    assert (await engine.row(INBOX, "m")).error == "given up after 3 tries that did not end"


async def test_a_message_whose_end_cannot_be_made_either_ends_dead_all_the_same(engine: Engine) -> None:
    class Hopeless(Scripted):
        async def exhausted(self, lease: Lease, why: Why) -> Done:
            raise ValueError("unreadable")

    async def play(work: Work) -> Outcome:
        raise ValueError("unreadable")

    handler = Hopeless(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler, timing=Timing(lease=8.0, extend=0.02, tries=1)):
        assert await engine.outcome(INBOX, "m") == ("dead", "failed")
    assert (await engine.row(INBOX, "m")).error == "ValueError: unreadable"


async def test_an_outcome_that_cannot_be_stored_is_a_failed_try_and_at_last_dead(engine: Engine) -> None:
    def refuse(connection: object) -> None:
        raise ValueError("a zero byte")

    async def play(work: Work) -> Outcome:
        return Done(outcome="answered", also=refuse)

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler, timing=Timing(lease=8.0, extend=0.02, tries=2)):
        await soon(handler.begun.get())
        await idle(engine)
        assert (await engine.row(INBOX, "m")).error == "ValueError: a zero byte"
        engine.forward(1.0, INBOX)
        assert await engine.outcome(INBOX, "m") == ("dead", "failed")
    assert handler.ids == ["m", "m"]


async def test_when_the_last_words_cannot_be_stored_either_the_message_ends_without_them(engine: Engine) -> None:
    def refuse(connection: object) -> None:
        raise ValueError("a zero byte")

    class Talkative(Scripted):
        async def exhausted(self, lease: Lease, why: Why) -> Done:
            return Done(outcome="dead", reason="failed", also=refuse)

    async def play(work: Work) -> Outcome:
        return Done(outcome="answered", also=refuse)

    await engine.publish(INBOX, "m")
    async with working(engine, Talkative(play), timing=Timing(lease=8.0, extend=0.02, tries=1)):
        assert await engine.outcome(INBOX, "m") == ("dead", "failed")


@pytest.mark.usefixtures("quick_polls")
async def test_a_message_whose_signal_is_lost_is_found_by_polling(engine: Engine) -> None:
    engine.signals.lost = ("inbox.",)
    async with working(engine, Scripted(answer)):
        await engine.publish(INBOX, "m")
        assert await engine.outcome(INBOX, "m") == ("answered", None)


async def test_no_more_lanes_run_than_the_worker_may(engine: Engine) -> None:
    go = asyncio.Event()

    async def play(work: Work) -> Outcome:
        await go.wait()
        return ANSWERED

    handler = Scripted(play)
    for number in range(20):
        await engine.publish(INBOX, f"m{number}", lane=f"l{number}")
    async with working(engine, handler, concurrency=4):
        for _ in range(4):
            await soon(handler.begun.get())
        assert handler.begun.empty()
        go.set()
        for number in range(20):
            await engine.outcome(INBOX, f"m{number}")
    assert handler.most_running == 4
