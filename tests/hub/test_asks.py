"""Asking an agent: the answer comes whole whatever signals do, in time, and a turn can be followed and cancelled."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hub.accounts.turns import TurnRecord
from hub.agent import Reply, Step, Turn
from hub.asks import Asks
from hub.bus import Bus
from hub.errors import InboxFull, ModelUnavailable, StoreUnavailable, TurnTimeout
from hub.message import Live
from hub.signals.local import BACKLOG, LocalSignals
from tests.hub.asking import SAID, Held, agent, ask, asking, count, read, streams
from tests.hub.engine import ASKER, BOT, Engine, soon, turn_of


@pytest.mark.usefixtures("quick_polls")
@pytest.mark.parametrize("lost", [(), ("turn.",), ("turn.", "inbox.")])
async def test_the_pieces_joined_are_the_response(every_engine: Engine, lost: tuple[str, ...]) -> None:
    engine = every_engine
    engine.signals.lost = lost
    async with asking(engine) as asks, agent(engine, streams), asks.ask(ask()) as answer:
        assert await soon(read(answer)) == SAID
    assert answer.record.response == SAID
    assert (answer.record.status, answer.record.key_id, answer.record.session_id) == ("completed", 1, "default")
    assert (await turn_of(engine, answer.id)).fingerprint == "default/body"
    assert await engine.outcome(BOT, answer.id) == ("answered", None)
    assert await engine.bus.residue(0.0) == 0


async def test_pieces_come_while_the_answer_is_written(engine: Engine) -> None:
    held = Held("Hello there.")
    async with asking(engine) as asks, agent(engine, held), asks.ask(ask()) as answer:
        pieces = aiter(answer)
        assert await soon(anext(pieces)) == "He"
        held.go.set()
        assert await soon(anext(pieces)) == "llo there."
        with pytest.raises(StopAsyncIteration):
            await soon(anext(pieces))


async def test_more_pieces_than_a_listener_keeps_are_no_loss(engine: Engine) -> None:
    async def flood(turn: Turn) -> Reply:
        for number in range(2 * BACKLOG):
            turn.emit(f"{number} ")
        return Reply(text="".join(f"{number} " for number in range(2 * BACKLOG)))

    async with asking(engine) as asks, agent(engine, flood), asks.ask(ask()) as answer:
        text = await soon(read(answer))
    assert text == answer.record.response


async def test_pieces_that_come_twice_or_out_of_order_are_no_harm(engine: Engine) -> None:
    async def stutter(turn: Turn) -> Reply:
        live = Live(kind="delta", turn=turn.id, address=ASKER)
        for offset, text in ((0, "ab"), (0, "abc"), (4, "e"), (1, "bcd"), (0, "a"), (9, "x")):
            sign = msgspec.structs.replace(live, offset=offset, text=text)
            engine.signals.send(f"turn.{turn.id}", msgspec.json.encode(sign))
        return Reply(text="abcdef")

    async with asking(engine) as asks, agent(engine, stutter), asks.ask(ask()) as answer:
        assert await soon(read(answer)) == "abcdef"


async def test_an_answer_that_was_begun_anew_in_other_words_is_an_error(engine: Engine) -> None:
    async def forgetful(turn: Turn) -> Reply:
        turn.emit("I think")
        return Reply(text="On the other hand")

    async with asking(engine) as asks, agent(engine, forgetful), asks.ask(ask()) as answer:
        with pytest.raises(ModelUnavailable):
            await soon(read(answer))
    assert answer.record.response == "On the other hand"


async def test_a_turn_that_takes_too_long_is_cancelled(engine: Engine) -> None:
    held = Held()
    # Long enough for the turn to begin before.
    async with asking(engine, timeout=2.0) as asks, agent(engine, held), asks.ask(ask()) as answer:
        with pytest.raises(TurnTimeout):
            await soon(read(answer))
    assert held.cancelled.is_set()
    assert (await turn_of(engine, answer.id)).status == "cancelled"
    assert await engine.outcome(BOT, answer.id) == ("silent", "stopped")


async def test_a_turn_that_never_stops_talking_is_cancelled_in_time_too(engine: Engine) -> None:
    async def chatter(turn: Turn) -> Reply:
        while True:
            turn.emit("bla ")
            await asyncio.sleep(0)

    async with asking(engine, timeout=0.2) as asks, agent(engine, chatter), asks.ask(ask()) as answer:
        with pytest.raises(TurnTimeout):
            await soon(read(answer))


async def test_time_in_the_queue_counts_and_a_timeout_there_withdraws(engine: Engine) -> None:
    async with asking(engine, timeout=0.1) as asks, asks.ask(ask()) as answer:
        with pytest.raises(TurnTimeout):
            await soon(read(answer))
    assert (await turn_of(engine, answer.id)).status == "cancelled"
    assert await engine.outcome(BOT, answer.id) == ("silent", "stopped")


async def test_a_full_lane_refuses_and_leaves_nothing_behind(engine: Engine) -> None:
    bus = Bus(engine.store, engine.signals, engine.clock, lane_limit=2)
    asks = Asks(bus, timeout=60.0)
    async with asks.ask(ask()), asks.ask(ask()):
        with pytest.raises(InboxFull):
            async with asks.ask(ask()):
                raise AssertionError
        assert await count(engine) == 2
        async with asks.ask(ask(session="another")):
            pass
    await asks.close()


async def test_turns_of_one_session_run_one_after_another(every_engine: Engine) -> None:
    """N10."""
    engine = every_engine
    order: list[str] = []

    async def play(turn: Turn) -> Reply:
        text = turn.messages[0].text
        order.append(f"{text} begins")
        await asyncio.sleep(0)
        await turn.checkpoint(Step())
        order.append(f"{text} ends")
        return Reply(text=text)

    async with asking(engine) as asks:

        async def call(number: int) -> str:
            async with asks.ask(ask(str(number))) as answer:
                published[number].set()
                return await read(answer)

        published = [asyncio.Event() for _ in range(6)]
        calls: list[asyncio.Task[str]] = []
        for number in range(6):
            calls.append(asyncio.create_task(call(number)))
            await soon(published[number].wait())
        async with agent(engine, play):
            assert await soon(asyncio.gather(*calls)) == [str(number) for number in range(6)]
    assert order == [f"{number} {what}" for number in range(6) for what in ("begins", "ends")]


async def test_two_sessions_run_side_by_side(engine: Engine) -> None:
    both = asyncio.Barrier(2)

    async def play(turn: Turn) -> Reply:
        await both.wait()
        return Reply(text=turn.messages[0].text)

    async with (
        asking(engine) as asks,
        agent(engine, play),
        asks.ask(ask("a", session="a")) as a,
        asks.ask(ask("b", session="b")) as b,
    ):
        assert await soon(asyncio.gather(read(a), read(b))) == ["a", "b"]


async def test_a_turn_is_found_queued_running_and_over(engine: Engine) -> None:
    async def status(id: str) -> str:
        record = await asks.find(id)
        assert record is not None
        return record.status

    held = Held()
    async with asking(engine) as asks, asks.ask(ask()) as answer:
        assert await status(answer.id) == "queued"
        async with agent(engine, held):
            await soon(held.begun.wait())
            assert await status(answer.id) == "running"
            held.go.set()
            await soon(read(answer))
            assert await status(answer.id) == "completed"
    assert await asks.find("nothing") is None


@pytest.mark.usefixtures("quick_polls")
@pytest.mark.parametrize("signals", ["kept", "lost"])
async def test_a_turn_is_cancelled_queued_or_running_and_stays_as_it_ended(engine: Engine, signals: str) -> None:
    engine.signals.lost = ("turn.", "stop.") if signals == "lost" else ()
    held = Held()

    async def cancel(id: str) -> TurnRecord:
        record = await soon(asks.cancel(id))
        assert record is not None
        return record

    async with asking(engine) as asks, asks.ask(ask()) as run, asks.ask(ask()) as queued:
        async with agent(engine, held):
            await soon(held.begun.wait())
            assert (await cancel(queued.id)).status == "cancelled"
            assert await engine.outcome(BOT, queued.id) == ("silent", "stopped")
            record = await cancel(run.id)
            assert (record.status, record.response) == ("cancelled", "Do")
            held.go.set()
            async with asks.ask(ask()) as third:
                assert await soon(read(third)) == "Done."
            assert (await cancel(third.id)).status == "completed"
        assert await soon(read(run)) == "Do"
        assert await soon(read(queued)) == ""
    assert await asks.cancel("nothing") is None


async def test_a_message_that_cannot_be_stored_is_the_askers_to_know(engine: Engine) -> None:
    engine.store.break_commit = lambda: StoreUnavailable("away")
    async with asking(engine) as asks:
        with pytest.raises(StoreUnavailable):
            async with asks.ask(ask()):
                raise AssertionError
    assert await count(engine) == 0


async def test_nothing_is_left_of_a_turn_when_it_is_over(engine: Engine) -> None:
    async with asking(engine) as asks, agent(engine, streams):
        async with asks.ask(ask()) as answer:
            await soon(read(answer))
        assert not asks._followers  # pyright: ignore[reportPrivateUsage]
        assert not asks._leaving  # pyright: ignore[reportPrivateUsage]
    assert isinstance(engine.signals, LocalSignals)
    assert not any(topic.startswith("turn.") for topic in engine.signals._listeners)  # pyright: ignore[reportPrivateUsage]
