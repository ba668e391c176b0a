"""The worker claims, hands over, extends and settles; nothing that fails around it stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import insert, select

from hub.bus import Bus, Lease, Publish, Stop
from hub.errors import LeaseLost, StoreUnavailable
from hub.store.tables import lanes, settings
from hub.worker import Defer, Done, Outcome, Retry, Timing, Why, Work, Worker
from tests.hub.engine import FAST, Clock, Engine, soon

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


async def taken(engine: Engine) -> Lease:
    """The lane, taken by another process: by its clock, which is ahead, the lease is over however often extended."""
    ahead = Clock()
    ahead.now = engine.clock.now + 9.0
    [lease] = await Bus(engine.store, engine.signals, ahead).claim(INBOX, 1, 8.0)
    return lease


async def test_a_handler_whose_lease_was_lost_is_cancelled_and_nothing_of_it_settles(every_engine: Engine) -> None:
    engine = every_engine
    handler = Scripted(forever)
    await engine.publish(INBOX, "m")
    async with working(engine, handler, timing=Timing(lease=8.0, extend=0.1, tries=3)):
        work = await soon(handler.begun.get())
        other = await taken(engine)
        assert other.token == work.lease.token + 1

        async def cancelled() -> bool:
            return handler.cancelled == ["m"]

        await engine.store.until(cancelled)
        row = await lane(engine)
        assert (row.leased, row.token, (await engine.row(INBOX, "m")).outcome) == (True, other.token, None)


async def test_an_answer_that_comes_after_the_lease_was_lost_is_dropped(engine: Engine) -> None:
    go = asyncio.Event()

    async def play(work: Work) -> Outcome:
        await go.wait()
        return ANSWERED

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler, timing=Timing(lease=8.0, extend=60.0, tries=3)):
        await soon(handler.begun.get())
        engine.clock.forward(9.0)
        [other] = await Bus(engine.store, engine.signals, engine.clock).claim(INBOX, 1, 8.0)
        go.set()
        await engine.publish(INBOX, "sign", lane="y")
        await engine.outcome(INBOX, "sign")
        assert (await engine.row(INBOX, "m")).outcome is None
        assert (await lane(engine)).token == other.token


async def test_a_lease_is_extended_while_its_handler_runs(engine: Engine) -> None:
    handler = Scripted(forever)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        await soon(handler.begun.get())
        for _ in range(5):
            engine.clock.forward(7.0)
            until = engine.clock.now + FAST.lease

            async def extended(until: float = until) -> bool:
                return (await lane(engine)).ready_at == until

            await engine.store.until(extended)
        assert handler.cancelled == []
        assert (await lane(engine)).token == 1


async def test_a_stop_reaches_the_handler_by_signal(every_engine: Engine) -> None:
    handler = Scripted(until_stopped)
    await every_engine.publish(INBOX, "m", "queued")
    async with working(every_engine, handler, timing=Timing(lease=8.0, extend=60.0, tries=3)):
        await soon(handler.begun.get())
        await every_engine.bus.commit(Stop(inbox=INBOX, lane="x"))
        await every_engine.publish(INBOX, "later")
        assert await every_engine.outcome(INBOX, "queued") == ("silent", "stopped")
        work = [await soon(handler.begun.get()) for _ in range(2)][-1]
        assert work.lease.head.id == "later"
        assert not work.stopped.is_set()


async def test_a_stop_whose_signal_is_lost_comes_with_the_next_extension(engine: Engine) -> None:
    engine.signals.lost = ("stop.",)
    handler = Scripted(until_stopped)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        await soon(handler.begun.get())
        await engine.bus.commit(Stop(inbox=INBOX, lane="x"))
        assert await engine.outcome(INBOX, "m") == ("silent", "stopped")


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


async def test_closing_lets_what_runs_end_and_claims_nothing_more(engine: Engine) -> None:
    go = asyncio.Event()

    async def play(work: Work) -> Outcome:
        await go.wait()
        return ANSWERED

    handler = Scripted(play)
    await engine.publish(INBOX, "m", "next")
    async with working(engine, handler) as worker:
        await soon(handler.begun.get())
        closing = asyncio.create_task(worker.close(5.0))
        await engine.publish(INBOX, "new", lane="y")
        go.set()
        await soon(closing)
    assert (await engine.row(INBOX, "m")).outcome == "answered"
    assert [(await engine.row(INBOX, mid)).outcome for mid in ("next", "new")] == [None, None]
    assert handler.ids == ["m"]


async def test_closing_gives_back_what_does_not_end_without_using_up_a_try(every_engine: Engine) -> None:
    engine, handler = every_engine, Scripted(forever)
    await engine.publish(INBOX, "m")
    for _ in range(5):
        async with working(engine, handler) as worker:
            await soon(handler.begun.get())
            await soon(worker.close(0.0))
        row = await lane(engine)
        assert (row.leased, row.tries, row.ready_at) == (False, 0, engine.clock.now)
    assert len(handler.cancelled) == 5
    assert await engine.bus.residue(0.0) == 0


async def test_a_handler_that_lets_go_slowly_is_cancelled_once(engine: Engine) -> None:
    let_go, letting_go = asyncio.Event(), asyncio.Event()

    async def play(work: Work) -> Outcome:
        try:
            await forever(work)
        finally:
            letting_go.set()
            await let_go.wait()
        return ANSWERED

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        await soon(handler.begun.get())
        other = await taken(engine)
        await soon(letting_go.wait())
        for _ in range(3):  # further extensions that tell of the loss
            engine.store._written.clear()  # pyright: ignore[reportPrivateUsage]
            await soon(engine.store._written.wait())  # pyright: ignore[reportPrivateUsage]
        assert handler.running == 1
        let_go.set()
        assert other.token == 2


@pytest.mark.usefixtures("quick_polls")
@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("pool exhausted")])
async def test_a_store_that_fails_does_not_end_the_loops(engine: Engine, error: Exception) -> None:
    handler = Scripted(until_stopped)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        await soon(handler.begun.get())
        for _ in range(3):  # whichever loop writes next: claim, extend, stop
            engine.store.break_commit = lambda: error
            engine.signals.send(f"inbox.{INBOX}")
            await engine.store.until(lambda: used_up(engine))
        engine.store.break_commit = lambda: error
        engine.signals.send(f"stop.{INBOX}", b"x")
        await engine.store.until(lambda: used_up(engine))
        await engine.bus.commit(Stop(inbox=INBOX, lane="x"))
        assert await engine.outcome(INBOX, "m") == ("silent", "stopped")
        await engine.publish(INBOX, "n", lane="y")
        assert (await soon(handler.begun.get())).lease.head.id == "n"


async def used_up(engine: Engine) -> bool:
    return engine.store.break_commit is None


@pytest.mark.parametrize("how", ["down", "hung"])
async def test_what_cannot_be_extended_in_time_is_dropped_when_its_lease_ends(engine: Engine, how: str) -> None:
    handler = Scripted(forever)
    await engine.publish(INBOX, "m")
    async with working(engine, handler, timing=Timing(lease=0.3, extend=0.05, tries=9)):
        await soon(handler.begun.get())
        setattr(engine.store, how, True)

        async def cancelled() -> bool:
            return handler.cancelled == ["m"]

        await engine.store.until(cancelled)
        setattr(engine.store, how, False)
        engine.forward(0.3, INBOX)
        work = await soon(handler.begun.get())  # and it is taken up again
        assert work.lease.tries == 2


async def test_a_settle_whose_answer_is_lost_is_not_done_twice(engine: Engine) -> None:
    async def play(work: Work) -> Outcome:
        engine.store.break_answer = lambda: StoreUnavailable("the connection broke")
        return ANSWERED

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        assert await engine.outcome(INBOX, "m") == ("answered", None)
        await engine.publish(INBOX, "n")
        await engine.outcome(INBOX, "n")
    assert handler.ids == ["m", "n"]


async def test_a_lost_lease_that_the_handler_meets_leaves_the_message_to_the_other(engine: Engine) -> None:
    async def play(work: Work) -> Outcome:
        raise LeaseLost("taken")

    handler = Scripted(play)
    await engine.publish(INBOX, "m")
    async with working(engine, handler):
        await soon(handler.begun.get())
        await engine.publish(INBOX, "n", lane="y")
        await soon(handler.begun.get())
        assert (await engine.row(INBOX, "m")).outcome is None
