"""Turns that end with functions for their asker to run, and those that go on with what these returned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from hub.accounts.turns import Ask
from hub.agent import Reply, Step, Turn
from hub.asks import Asks
from hub.delivery.posts import Posts
from hub.errors import StoreUnavailable
from hub.memory import UNKNOWN, Heard, Said, Stepped
from hub.message import Text
from hub.model import ToolCall
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.turns.progress import HandedOut, Progress, Words
from hub.worker import Timing, Work, Worker
from tests.hub.asking import agent, ask, asking
from tests.hub.engine import BOT, FAST, Engine, Script, channels, journal_of, running, soon
from tests.hub.turns.test_progress import read

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "weather"}}
CALLS = (
    ToolCall(id="c1", name="weather", arguments='{"city":"Bern"}'),
    ToolCall(id="c2", name="weather", arguments=""),
)
ASKED = Said(text="I look.", calls=CALLS)
RESULTS = {"c1": "sunny", "c2": "rainy"}
STILL = Timing(lease=8.0, extend=60.0, tries=3)
"""No extension comes between what a test does."""


class Travelling:
    """Has the weather looked up; once it knows, takes a step and answers. It waits where it is `held`."""

    def __init__(self, held: str = "") -> None:
        self.views: list[list[dict[str, Any]]] = []
        self.reached = asyncio.Event()
        self._held = held

    async def __call__(self, turn: Turn) -> Reply:
        view = await turn.view()
        self.views.append(view)
        if view[-1] == {"role": "user", "content": "weather?"}:
            assert turn.messages[-1].tools == [TOOL]
            return Reply(text=ASKED.text, calls=CALLS, finish="tool_calls")
        await self._reach("begun")
        if not turn.steps:
            await turn.checkpoint(Step(text="Hm."))
        await self._reach("stepped")
        return Reply(text="Mixed.")

    async def _reach(self, point: str) -> None:
        if point == self._held:
            self.reached.set()
            await asyncio.Event().wait()


def handler_of(engine: Engine, play: Callable[[Turn], Awaitable[Reply]]) -> TurnHandler:
    return TurnHandler(Persona(name="bot", bus=engine.bus, posts=Posts(engine.bus, channels())), Script(play))


def question() -> Ask:
    return msgspec.structs.replace(ask("weather?"), tools=[TOOL])


def returned(**results: str) -> Ask:
    return msgspec.structs.replace(ask(), parts=(), tools=[TOOL], results=results or RESULTS)


async def answered(asks: Asks, one: Ask) -> str:
    async with asks.ask(one) as answer:
        await soon(read(answer))
    assert answer.record.status == "completed"
    return answer.record.finish or ""


def roles(view: Sequence[dict[str, Any]]) -> list[str]:
    return [message["role"] for message in view]


async def test_calls_are_journaled_with_the_end_and_told_with_their_results(every_engine: Engine) -> None:
    engine, play = every_engine, Travelling()
    first, second = question(), returned()
    async with asking(engine) as asks, agent(engine, play):
        assert await answered(asks, first) == "tool_calls"
        assert await journal_of(engine, first.id) == [Heard(text="weather?"), ASKED]
        assert await answered(asks, second) == "stop"
    calls = (CALLS[0], ToolCall(id="c2", name="weather", arguments="{}"))
    told = Heard(text="", returned=Stepped(text="I look.", calls=calls, results=("sunny", "rainy")))
    assert await journal_of(engine, second.id) == [told, Stepped(text="Hm."), Said(text="Mixed.")]
    assert roles(play.views[-1]) == ["user", "assistant", "tool", "tool"]


@pytest.mark.parametrize("lost", [(), ("turn.",)])
@pytest.mark.usefixtures("quick_polls")
async def test_who_follows_is_told_of_the_calls_last(every_engine: Engine, lost: tuple[str, ...]) -> None:
    engine = every_engine
    engine.signals.lost = lost
    handed = [HandedOut(id=call.id, name=call.name, arguments=call.arguments) for call in CALLS]
    async with asking(engine) as asks, agent(engine, Travelling()):
        async with asks.ask(one := question()) as live:
            assert await soon(read(live)) == [Words(text="I look."), *handed]
        async with asks.follow(one.id) as after:
            assert await soon(read(after)) == [Words(text="I look."), *handed]


def test_calls_come_after_words_that_were_heard_before() -> None:
    progress = Progress()
    assert list(progress.catch_up([Heard(text="hi"), Stepped(text="Hm."), ASKED]))[:2] == [
        Words(text="Hm."),
        Words(text="\n\nI look."),
    ]
    assert list(progress.end("Hm.\n\nI look.")) == []


@pytest.mark.parametrize("how", ["killed", "given back"])
@pytest.mark.parametrize("point", ["begun", "stepped"])
async def test_a_turn_that_is_cut_off_goes_on_with_what_it_was_told(every_engine: Engine, point: str, how: str) -> None:
    engine, second = every_engine, returned()
    async with asking(engine) as asks:
        async with agent(engine, Travelling()):
            await answered(asks, question())
        await asks.start(second)
        held = Travelling(point)
        if how == "killed":
            [lease] = await engine.bus.claim(BOT, 1, 8.0)
            task = asyncio.create_task(handler_of(engine, held).handle(Work(lease=lease)))
            await soon(held.reached.wait())
            task.cancel()
            await asyncio.wait({task})
            engine.clock.forward(8.0)
        else:
            async with running(Worker(engine.bus, BOT, handler_of(engine, held), timing=FAST), engine):
                await soon(held.reached.wait())
        play = Travelling()
        async with agent(engine, play):
            assert await engine.outcome(BOT, second.id) == ("answered", None)
    assert roles(held.views[0]) == ["user", "assistant", "tool", "tool"]
    assert roles(play.views[0]) == roles(held.views[0]) + ["assistant"] * (point == "stepped")
    journal = await journal_of(engine, second.id)
    assert [type(entry) for entry in journal] == [Heard, Stepped, Said]
    assert isinstance(journal[0], Heard)
    assert journal[0].returned is not None
    assert journal[0].returned.results == ("sunny", "rainy")
    assert await engine.bus.residue(0.0) == 0


async def test_the_calls_are_there_when_the_turn_is_over_and_not_before(every_engine: Engine) -> None:
    engine, one = every_engine, question()
    async with asking(engine) as asks:
        await asks.start(one)
        play = Travelling()

        async def breaking(turn: Turn) -> Reply:
            if not play.views:
                engine.store.break_commit = lambda: StoreUnavailable("the machine stopped")
            return await play(turn)

        worker = Worker(engine.bus, BOT, handler_of(engine, breaking), timing=STILL, random=lambda: 0.0)
        async with running(worker, engine):

            async def used_up() -> bool:
                return len(play.views) == 1 and engine.store.break_commit is None

            await engine.store.until(used_up)
            assert await journal_of(engine, one.id) == []
            engine.forward(8.0, BOT)
            assert await engine.outcome(BOT, one.id) == ("answered", None)
    assert await journal_of(engine, one.id) == [Heard(text="weather?"), ASKED]


async def test_what_comes_when_others_spoke_first_is_a_text(every_engine: Engine) -> None:
    engine, play = every_engine, Travelling()
    spoken = msgspec.structs.replace(ask("never mind"), tools=[TOOL])
    late = msgspec.structs.replace(returned(), parts=(Text(text="here"),))
    async with asking(engine) as asks, agent(engine, play):
        for one in (question(), spoken, late):
            await answered(asks, one)
    assert roles(play.views[1]) == ["user", "assistant", "tool", "tool", "user"]
    assert play.views[2][-1]["content"] == "(The call c1 returned: sunny)\n\n(The call c2 returned: rainy)\n\nhere"
    assert [message["content"] for message in play.views[2] if message["role"] == "tool"] == [UNKNOWN, UNKNOWN]
