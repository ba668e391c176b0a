"""Asking an agent: the answer comes whole whatever signals do, and a client that goes away stops its turn in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from hub.accounts.turns import Ask, TurnRecord
from hub.agent import Reply, Step, Turn
from hub.asks import Asks, FollowedTurn
from hub.bus import Bus
from hub.delivery.posts import Posts
from hub.errors import InboxFull, ModelRefused, ModelUnavailable, StoreUnavailable, TurnTimeout
from hub.message import Live, Text
from hub.signals.local import BACKLOG, LocalSignals
from hub.store.tables import turns
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Worker
from tests.hub.engine import ASKER, BOT, FAST, Engine, Script, channels, running, soon, turn_of

TEXT = "One two three, four five six."


def ask(text: str = "hello", *, session: str = "default", repeats: bool = False, body: str = "body") -> Ask:
    return Ask(
        agent="bot",
        key_id=1,
        session_id=session,
        parts=(Text(text=text),),
        fingerprint=f"{session}/{body}",
        repeats=repeats,
    )


@asynccontextmanager
async def asking(engine: Engine, *, timeout: float = 60.0, grace: float = 60.0) -> AsyncGenerator[Asks]:
    asks = Asks(engine.bus, timeout=timeout, grace=grace)
    try:
        yield asks
    finally:
        await asks.close()


@asynccontextmanager
async def agent(engine: Engine, play: Callable[[Turn], Awaitable[Reply]]) -> AsyncGenerator[Script]:
    script = Script(play)
    handler = TurnHandler(Persona(name="bot", bus=engine.bus, posts=Posts(engine.bus, channels())), script)
    async with running(Worker(engine.bus, BOT, handler, timing=FAST, random=lambda: 0.0), engine):
        yield script


async def streams(turn: Turn) -> Reply:
    """Says its text word by word, in two steps."""
    first, second = TEXT.split(", ")
    for piece in (first[:4], first[4:]):
        turn.emit(piece)
        await asyncio.sleep(0)
    await turn.checkpoint(Step(text=first))
    turn.emit(f"\n\n{second}")
    return Reply(text=second)


SAID = TEXT.replace(", ", "\n\n")


class Held:
    """An agent that says a word and waits until it may end."""

    def __init__(self, text: str = "Done.") -> None:
        self.text = text
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, turn: Turn) -> Reply:
        turn.emit(self.text[:2])
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Reply(text=self.text)


async def read(answer: FollowedTurn) -> str:
    return "".join([piece async for piece in answer])


async def count(engine: Engine) -> int:
    return int((await engine.all(select(func.count()).select_from(turns)))[0][0])


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


async def test_a_client_gone_before_its_turn_began_withdraws_it_after_the_grace(every_engine: Engine) -> None:
    engine = every_engine
    async with asking(engine, grace=0.02) as asks:
        async with asks.ask(ask()) as answer:
            pass
        assert await engine.outcome(BOT, answer.id) == ("refused", "client gone")
    assert (await turn_of(engine, answer.id)).status == "cancelled"
    async with agent(engine, streams) as script:
        await engine.publish(BOT, "unreadable", lane="sign")
        assert script.answers == 0
    assert await engine.bus.residue(0.0) == 0


async def test_a_client_gone_before_the_first_byte_cancels_its_running_turn_after_the_grace(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=0.02) as asks, agent(engine, held):
        async with asks.ask(ask()) as answer:
            await soon(held.begun.wait())
        await soon(held.cancelled.wait())
        assert await engine.outcome(BOT, answer.id) == ("silent", "stopped")
    assert (await turn_of(engine, answer.id)).response == "Do"


async def test_a_turn_goes_on_for_the_grace(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=60.0) as asks, agent(engine, held):
        async with asks.ask(ask()) as answer:
            await soon(held.begun.wait())
        held.go.set()
        assert await engine.outcome(BOT, answer.id) == ("answered", None)


async def test_a_client_gone_after_the_first_byte_cancels_at_once(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=60.0) as asks, agent(engine, held):
        async with asks.ask(ask()) as answer:
            await soon(anext(aiter(answer)))
            answer.began()
        await soon(held.cancelled.wait())
        assert await engine.outcome(BOT, answer.id) == ("silent", "stopped")


async def test_a_client_cut_off_while_its_message_is_stored_leaves_nothing_running(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, stored = engine.store.write, asyncio.Event()

    async def unheard(unit: Callable[[Connection], object]) -> object:
        result = await write(unit)
        if not stored.is_set():
            stored.set()
            await asyncio.Event().wait()
        return result

    monkeypatch.setattr(engine.store, "write", unheard)
    async with asking(engine, grace=0.02) as asks:

        async def call() -> None:
            async with asks.ask(ask()):
                raise AssertionError

        task = asyncio.create_task(call())
        await soon(stored.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def withdrawn() -> bool:
            found = await engine.all(select(turns.c.status))
            return [row.status for row in found] == ["cancelled"]

        await engine.store.until(withdrawn)


async def test_an_sdks_retry_attaches_to_the_running_turn_and_keeps_it_alive(engine: Engine) -> None:
    held = Held(TEXT)
    async with asking(engine, grace=0.05) as asks, agent(engine, held) as script:
        async with asks.ask(ask()) as first:
            await soon(held.begun.wait())
        async with asks.ask(ask(repeats=True)) as second:
            assert second.id == first.id
            await asyncio.wait({asyncio.create_task(held.cancelled.wait())}, timeout=0.2)  # longer than the grace
            held.go.set()
            assert await soon(read(second)) == TEXT
        assert script.answers == 1
    assert await count(engine) == 1


async def test_an_sdks_retry_gets_the_answer_that_came_in_between(engine: Engine) -> None:
    async with asking(engine) as asks, agent(engine, streams) as script:
        async with asks.ask(ask()) as first:
            pass
        await engine.outcome(BOT, first.id)
        async with asks.ask(ask(repeats=True)) as second:
            assert await soon(read(second)) == SAID
        assert (second.id, script.answers) == (first.id, 1)


async def test_after_a_restart_no_answer_counts_as_written(engine: Engine) -> None:
    async with agent(engine, streams):
        async with asking(engine) as asks, asks.ask(ask()) as first:
            await soon(read(first))
            first.written()
        async with asking(engine) as asks, asks.ask(ask(repeats=True)) as second:
            assert await soon(read(second)) == SAID
    assert second.id == first.id


@pytest.mark.parametrize(
    "why", ["written", "cancelled", "failed", "other body", "other session", "too old", "no retry"]
)
async def test_a_request_that_repeats_nothing_is_a_turn_of_its_own(engine: Engine, why: str) -> None:
    begun = asyncio.Event()

    async def play(turn: Turn) -> Reply:
        if why == "failed" and script.answers == 1:
            raise ModelRefused("no", status=400)
        if why == "cancelled" and script.answers == 1:
            begun.set()
            await asyncio.Event().wait()
        return await streams(turn)

    again = {
        "other body": ask(repeats=True, body="else"),
        "other session": ask(repeats=True, session="else"),
        "no retry": ask(),
    }
    async with asking(engine) as asks, agent(engine, play) as script:
        async with asks.ask(ask()) as first:
            if why == "cancelled":
                # A turn cancelled before it began would leave the agent's first answer to the second.
                await soon(begun.wait())
                await asks.cancel(first.id)
            await soon(read(first))
            if why == "written":
                first.written()
        if why == "too old":
            engine.clock.forward(601.0)
        async with asks.ask(again.get(why, ask(repeats=True))) as second:
            assert await soon(read(second)) == SAID
    assert second.id != first.id
    assert await count(engine) == 2


async def test_the_last_follower_decides(engine: Engine) -> None:
    held = Held(TEXT)
    async with asking(engine, grace=0.02) as asks, agent(engine, held), asks.ask(ask()) as first:
        await soon(held.begun.wait())
        async with asks.ask(ask(repeats=True)) as second:
            assert second.id == first.id
            second.began()
        await asyncio.wait({asyncio.create_task(held.cancelled.wait())}, timeout=0.1)
        assert not held.cancelled.is_set()
        held.go.set()
        assert await soon(read(first)) == TEXT


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


async def test_a_store_that_is_away_when_a_client_leaves_is_no_crash(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=0.0) as asks, agent(engine, held):
        async with asks.ask(ask()) as answer:
            await soon(held.begun.wait())
            engine.store.down = True
        await asyncio.gather(*asks._leaving)  # pyright: ignore[reportPrivateUsage]
        engine.store.down = False
        held.go.set()
        assert await engine.outcome(BOT, answer.id) == ("answered", None)


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
