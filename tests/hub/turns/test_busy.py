"""What comes while a turn runs: it waits, joins the turn at its next step, or interrupts it; and what comes rapidly."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import pytest
from sqlalchemy import select

from hub.agent import Reply, Step, Turn
from hub.bus import Publish, Stop
from hub.delivery.posts import Posts
from hub.errors import ModelUnavailable
from hub.memory import Entry, Heard, Said
from hub.message import Address, Author, Delivery, news_of
from hub.model import Usage
from hub.store.tables import entries, messages
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Timing, Worker
from tests.hub.engine import (
    ANN,
    BOT,
    CHAT,
    Engine,
    Script,
    channels,
    journal_of,
    message,
    running,
    soon,
    turn_of,
)

Busy = Literal["queue", "steer", "interrupt"]
BOB = Author(id="bob", name="Bob")
OTHER = Address("support", "43")
TIMING = Timing(lease=8.0, extend=0.02, tries=3)


def at_work(
    engine: Engine, play: Callable[[Turn], Awaitable[Reply]] | Script, *, timing: Timing = TIMING, **persona: Any
) -> AbstractAsyncContextManager[Worker]:
    """A worker of an agent that does as `play` says."""
    agent = play if isinstance(play, Script) else Script(play)
    posts = Posts(engine.bus, channels(support=True))
    handler = TurnHandler(Persona(name="bot", bus=engine.bus, posts=posts, **persona), agent)
    return running(Worker(engine.bus, BOT, handler, timing=timing, random=lambda: 0.0), engine)


async def say(engine: Engine, mid: str, author: Author = ANN, address: Address = CHAT, **more: Any) -> None:
    """Somebody says its own id; as the ingress does it."""
    one = message(mid, mid, address, author=author, **more)
    await engine.bus.commit(Publish(inbox=BOT, lane=str(address), id=mid, body=msgspec.json.encode(one)))
    engine.signals.send(news_of(BOT, str(address)))


async def seen_by(turn: Turn) -> list[object]:
    return [one["content"] for one in await turn.view()]


async def reply_to(engine: Engine, mid: str) -> Delivery:
    row = await engine.row("channel:support", f"{mid}.reply")
    return msgspec.json.decode(row.body, type=Delivery)


def texts(found: list[Entry]) -> list[str]:
    return [entry.text for entry in found]


class Gated:
    """An agent that begins to speak, is held, and then answers with what it was asked."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[list[object]] = asyncio.Queue()
        self.go = asyncio.Event()

    async def answer(self, turn: Turn) -> Reply:
        turn.emit("Well, ")
        self.begun.put_nowait(await seen_by(turn))
        await self.go.wait()
        text = f"Well, {' and '.join(one.text for one in turn.messages)}"
        return Reply(text=text, usage=Usage(prompt=1), model="m")


class TestQueue:
    async def test_each_message_gets_its_own_answer(self, every_engine: Engine) -> None:
        engine, agent = every_engine, Gated()
        async with at_work(engine, agent.answer):
            await say(engine, "a")
            await soon(agent.begun.get())
            await say(engine, "b")
            await say(engine, "c", BOB)
            agent.go.set()
            assert [await engine.outcome(BOT, mid) for mid in "abc"] == [("answered", None)] * 3
        assert [(await reply_to(engine, mid)).text for mid in "abc"] == ["Well, a", "Well, b", "Well, c"]
        assert await engine.bus.residue(0.0) == 0


class TestSteer:
    async def test_what_comes_is_given_to_the_next_step(self, every_engine: Engine) -> None:
        engine, held, go = every_engine, asyncio.Event(), asyncio.Event()
        views: list[list[object]] = []

        async def play(turn: Turn) -> Reply:
            held.set()
            await go.wait()
            await turn.checkpoint(Step(text="Looking."))
            taken = [one.text for one in await turn.take()]
            views.append(await seen_by(turn))
            return Reply(text=f"heard {taken}")

        async with at_work(engine, play, busy="steer"):
            await say(engine, "a")
            await soon(held.wait())
            await say(engine, "b")
            await say(engine, "c", BOB)
            go.set()
            assert await engine.outcome(BOT, "a") == ("answered", None)
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
            assert await engine.outcome(BOT, "c") == ("silent", "merged:a")
        assert views == [["a", "Looking.", "b", "c"]]
        assert texts(await journal_of(engine, "a")) == ["a", "Looking.", "b", "c", "heard ['b', 'c']"]
        assert (await reply_to(engine, "a")).text == "Looking.\n\nheard ['b', 'c']"
        assert await engine.row("channel:support", "b.reply") is None
        assert await engine.bus.residue(0.0) == 0

    @pytest.mark.parametrize("busy", ["queue", "interrupt"])
    async def test_other_agents_take_nothing(self, engine: Engine, busy: Busy) -> None:
        async def play(turn: Turn) -> Reply:
            return Reply(text=str(len(await turn.take())))

        await say(engine, "a")
        async with at_work(engine, play, busy=busy):
            assert await engine.outcome(BOT, "a") == ("answered", None)
        assert (await reply_to(engine, "a")).text == "0"

    async def test_what_comes_after_a_stop_is_not_stopped(self, every_engine: Engine) -> None:
        engine, begun, go = every_engine, asyncio.Event(), asyncio.Event()

        async def play(turn: Turn) -> Reply:
            if turn.id == "a":
                begun.set()
                await go.wait()
                await turn.take()
                await asyncio.Event().wait()
            return Reply(text="hi")

        async with at_work(engine, play, busy="steer"):
            await say(engine, "a")
            await soon(begun.wait())
            engine.signals.lost = ("stop.",)
            await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
            await say(engine, "b")
            go.set()
            assert await engine.outcome(BOT, "a") == ("silent", "stopped")
            assert await engine.outcome(BOT, "b") == ("answered", None)

    async def test_a_stop_covers_what_was_taken(self, engine: Engine) -> None:
        taken = asyncio.Event()

        async def play(turn: Turn) -> Reply:
            assert [one.id for one in await turn.take()] == ["b"]
            turn.emit("Half a sen")
            taken.set()
            await asyncio.Event().wait()
            raise AssertionError

        await say(engine, "a")
        await say(engine, "b")
        async with at_work(engine, play, busy="steer"):
            await soon(taken.wait())
            await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
            assert await engine.outcome(BOT, "a") == ("silent", "stopped")
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
        assert (await journal_of(engine, "a"))[-1] == Said(text="Half a sen", mark="stopped")
        assert await journal_of(engine, "b") == []

    @pytest.mark.parametrize("point", ["taken", "stepped"])
    async def test_a_crash_gives_all_back_and_the_turn_sees_the_same(self, every_engine: Engine, point: str) -> None:
        engine, held = every_engine, asyncio.Event()
        views: list[list[object]] = []

        async def play(turn: Turn) -> Reply:
            if not turn.steps:
                await turn.take()
                if point == "stepped" or script.answers > 1:
                    await turn.checkpoint(Step(text="Looking."))
            if script.answers == 1:
                held.set()
                await asyncio.Event().wait()
            views.append(await seen_by(turn))
            return Reply(text="hi")

        script = Script(play)
        await say(engine, "a")
        await say(engine, "b")
        async with at_work(engine, script, busy="steer"):
            await soon(held.wait())
        assert (await engine.row(BOT, "b")).outcome is None
        async with at_work(engine, script):  # the setting is another one by now: the turn is the same
            assert await engine.outcome(BOT, "a") == ("answered", None)
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
        assert views == [["a", "b", "Looking."]]
        assert await engine.bus.residue(0.0) == 0

    async def test_what_was_taken_ends_with_a_turn_that_fails(self, engine: Engine) -> None:
        async def play(turn: Turn) -> Reply:
            await turn.take()
            raise ModelUnavailable("The model is away.", status=503)

        await say(engine, "a")
        await say(engine, "b")
        async with at_work(engine, play, busy="steer"):
            for tries, wait in ((1, 1.0), (2, 2.0)):

                async def given_back(tries: int = tries) -> bool:
                    return (await engine.row(BOT, "a")).attempts == tries

                await engine.store.until(given_back)
                engine.forward(wait, BOT)
            assert await engine.outcome(BOT, "a") == ("dead", None)
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
        assert [type(entry) for entry in await journal_of(engine, "a")] == [Heard, Heard, Said]

    async def test_the_answer_in_a_group_quotes_the_newest_it_began_with(self, engine: Engine) -> None:
        async def play(turn: Turn) -> Reply:
            await turn.take()
            await turn.checkpoint(Step(text="Looking."))
            await say(engine, "c", direct=False, reply_to="3")
            await turn.take()
            return Reply(text="hi")

        await say(engine, "a", direct=False, reply_to="1")
        await say(engine, "b", BOB, direct=False, reply_to="2")
        async with at_work(engine, play, busy="steer"):
            assert await engine.outcome(BOT, "c") == ("silent", "merged:a")
        assert (await reply_to(engine, "a")).reply_to == "2"

    async def test_a_message_that_nobody_can_read_is_not_taken(self, engine: Engine) -> None:
        async def play(turn: Turn) -> Reply:
            return Reply(text=str(len(await turn.take())))

        await say(engine, "a")
        await engine.publish(BOT, "broken", lane=str(CHAT))
        await say(engine, "b")
        async with at_work(engine, play, busy="steer"):
            assert await engine.outcome(BOT, "a") == ("answered", None)
            for attempt in (1, 2):

                async def given_back(attempt: int = attempt) -> bool:
                    return (await engine.row(BOT, "broken")).attempts == attempt

                await engine.store.until(given_back)
                engine.forward(10.0, BOT)
            assert await engine.outcome(BOT, "broken") == ("dead", "failed")
            assert await engine.outcome(BOT, "b") == ("answered", None)
        assert (await reply_to(engine, "a")).text == "0"


class TestInterrupt:
    @pytest.mark.parametrize("lost", [(), ("news.",)])
    async def test_it_begins_again_with_all_messages(self, every_engine: Engine, lost: tuple[str, ...]) -> None:
        engine, agent = every_engine, Gated()
        engine.signals.lost = lost
        async with at_work(engine, agent.answer, busy="interrupt"):
            await say(engine, "a")
            assert await soon(agent.begun.get()) == ["a"]
            await say(engine, "b", BOB)
            assert await soon(agent.begun.get()) == ["a", "b"]
            agent.go.set()
            assert await engine.outcome(BOT, "a") == ("answered", None)
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
        assert texts(await journal_of(engine, "a")) == ["a", "b", "Well, a and b"]
        assert (await reply_to(engine, "a")).text == (await turn_of(engine, "a")).response == "Well, a and b"
        assert await engine.bus.residue(0.0) == 0

    async def test_what_waits_already_is_answered_together(self, engine: Engine) -> None:
        agent = Gated()
        agent.go.set()
        script = Script(agent.answer)
        await say(engine, "a")
        await say(engine, "b")
        async with at_work(engine, script, busy="interrupt"):
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
        assert script.answers == 1

    async def test_finished_steps_stay_and_what_was_half_said_goes(self, engine: Engine) -> None:
        held: asyncio.Queue[int] = asyncio.Queue()

        async def play(turn: Turn) -> Reply:
            if not turn.steps:
                await turn.checkpoint(Step(text="First."))
            if len(turn.messages) == 1:
                turn.emit("\n\nHalf a sen")
                held.put_nowait(1)
                await asyncio.Event().wait()
            return Reply(text="Second.")

        async with at_work(engine, play, busy="interrupt"):
            await say(engine, "a")
            await soon(held.get())
            await say(engine, "b")
            await engine.outcome(BOT, "b")
        assert (await reply_to(engine, "a")).text == "First.\n\nSecond."
        assert texts(await journal_of(engine, "a")) == ["a", "First.", "b", "Second."]

    async def test_a_step_that_acts_is_finished_first(self, engine: Engine) -> None:
        acting, go = asyncio.Event(), asyncio.Event()
        attempts: list[int] = []

        async def play(turn: Turn) -> Reply:
            attempts.append(len(turn.steps))
            if not turn.steps:
                with turn.acting():
                    acting.set()
                    await go.wait()
                    await turn.checkpoint(Step(text="Done it."))
                await asyncio.Event().wait()
            return Reply(text=f"and {len(turn.messages)}")

        async with at_work(engine, play, busy="interrupt"):
            await say(engine, "a")
            await soon(acting.wait())
            await say(engine, "b")
            await engine.store.until(lambda: heard_in(engine, "a", 2))
            assert attempts == [0]
            go.set()
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
        assert attempts == [0, 1]
        assert (await reply_to(engine, "a")).text == "Done it.\n\nand 2"

    async def test_a_stop_beats_it(self, engine: Engine) -> None:
        agent = Gated()
        async with at_work(engine, agent.answer, busy="interrupt"):
            await say(engine, "a")
            await soon(agent.begun.get())
            await say(engine, "b")
            await soon(agent.begun.get())
            await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
            await say(engine, "c")
            assert await engine.outcome(BOT, "a") == ("silent", "stopped")
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
            agent.go.set()
            assert await engine.outcome(BOT, "c") == ("answered", None)


async def heard_in(engine: Engine, turn: str, count: int) -> bool:
    return len(await engine.all(select(entries.c.id).where(entries.c.turn == turn))) == count


async def is_free(engine: Engine) -> bool:
    """Nobody holds a message: what waits was looked at and given back."""
    query = select(messages.c.mid).where(messages.c.inbox == BOT, messages.c.outcome.is_(None))
    waiting = [row.mid for row in await engine.all(query)]
    return not any([await engine.bus.is_claimed(BOT, mid) for mid in waiting])


@dataclass
class History:
    """A random history: people in two chats speak, the agent takes steps, and the hub is cut off again and again."""

    engine: Engine
    chooser: random.Random
    said: dict[Address, list[str]]

    async def answer(self, turn: Turn) -> Reply:
        """Steps of chance; what a turn answers is what it was told."""
        for _ in range(self.chooser.randrange(3)):
            await self.yields()
            await turn.take()
            await self.yields()
            await turn.checkpoint(Step(text="Looking."))
        await self.yields()
        return Reply(text=" ".join(one.text for one in turn.messages))

    async def yields(self) -> None:
        for _ in range(self.chooser.randrange(20)):
            await asyncio.sleep(0)

    async def talk(self) -> None:
        for _ in range(self.chooser.randrange(6)):
            address, author = self.chooser.choice([CHAT, OTHER]), self.chooser.choice([ANN, BOB])
            said = self.said.setdefault(address, [])
            said.append(f"{author.id}-{address.chat_id}-{len(said)}")
            await say(self.engine, said[-1], author, address, direct=False)
            self.engine.forward(self.chooser.choice([0.0, 0.5, 3.0]), BOT)
            await self.yields()


@pytest.mark.parametrize("busy", ["queue", "steer", "interrupt"])
@pytest.mark.parametrize("debounce", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(2))
async def test_whatever_happens_each_message_is_heard_once_and_has_one_outcome(
    every_engine: Engine, busy: Busy, debounce: float, seed: int
) -> None:
    engine = every_engine
    history = History(engine, random.Random(f"{busy} {debounce} {seed}"), {})
    patient = replace(TIMING, tries=1000)  # the hub is cut off, and time jumps, more often than a turn is tried
    for _ in range(6):
        async with at_work(engine, history.answer, timing=patient, busy=busy, debounce=debounce):
            await history.talk()
    async with at_work(engine, history.answer, timing=patient, busy=busy, debounce=debounce):
        engine.forward(20.0, BOT)
        ended = {mid: await engine.outcome(BOT, mid) for said in history.said.values() for mid in said}
    heads = {mid: mid if outcome == "answered" else str(reason)[7:] for mid, (outcome, reason) in ended.items()}
    assert {ended[head] for head in heads.values()} == {("answered", None)}, "who is merged is merged into an answer"
    for address, said in history.said.items():
        assert all(heads[mid] in said for mid in said), "chats stay apart"
        assert said == sorted(said, key=lambda mid: said.index(heads[mid])), "in order"
        for mid in said:
            together = [one for one in said if heads[one] == mid]
            if together:
                heard = [entry.text for entry in await journal_of(engine, mid) if isinstance(entry, Heard)]
                assert heard == together
                assert (await reply_to(engine, mid)).text.split("\n\n")[-1] == " ".join(together)
                assert (await reply_to(engine, mid)).address == address
    if busy == "queue":
        assert all(heads[mid].partition("-")[0] == mid.partition("-")[0] for mid in heads), "senders stay apart"
        assert debounce or all(heads[mid] == mid for mid in heads)
    posted = await engine.all(select(messages.c.mid).where(messages.c.inbox == "channel:support"))
    assert Counter(row.mid for row in posted) == Counter(f"{head}.reply" for head in set(heads.values()))
    assert await engine.bus.residue(0.0) == 0
