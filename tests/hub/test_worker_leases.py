"""A worker and its leases: extended while it works, stopped, given back, lost."""

from __future__ import annotations

import asyncio

import pytest

from hub.bus import Bus, Lease, Stop
from hub.errors import LeaseLost, StoreUnavailable
from hub.worker import Outcome, Timing, Work
from tests.clock import Clock
from tests.hub.engine import FAST, Engine, soon
from tests.hub.test_worker import ANSWERED, INBOX, Scripted, forever, lane, until_stopped, working


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
