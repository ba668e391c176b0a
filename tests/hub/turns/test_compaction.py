"""A conversation that grows crowded is summed up beside its turns: once, metered, and never at their cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from hub import memory
from hub.agent import Afford, Reply, Room, Turn
from hub.bus import Bus
from hub.delivery.posts import Posts
from hub.errors import ModelUnavailable, StoreUnavailable
from hub.memory import Summary
from hub.message import COMPACTION as INBOX
from hub.message import Address
from hub.model import Usage
from hub.store.tables import entries, messages
from hub.turns import history
from hub.turns.compaction import Compactor
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Timing, Worker
from tests.hub.engine import ASKER, BOT, CHAT, FAST, Engine, channels, message, running, soon, turn_of
from tests.hub.turns.test_turns import say

ROOM = Room(tokens=1000)
LONG = "x" * 400
"""About 100 tokens."""


class Talker:
    """An agent that says a word, sees what a model would, and sums up as it is told."""

    def __init__(self, summarize: Callable[[int], Awaitable[str]] | None = None) -> None:
        self.views: list[list[dict[str, Any]]] = []
        self.asked: list[list[dict[str, Any]]] = []
        self._summarize = summarize

    async def answer(self, turn: Turn) -> Reply:
        self.views.append(await turn.view(ROOM))
        return Reply(text="ok")

    async def summarize(self, conversation: list[dict[str, Any]], afford: Afford) -> Reply:
        self.asked.append(conversation)
        text = f"Summary {len(self.asked)}." if self._summarize is None else await self._summarize(len(self.asked))
        return Reply(text=text, usage=Usage(prompt=50, completion=5), model="m")


def turns_of(engine: Engine, agent: Any) -> Worker:
    persona = Persona(name="bot", bus=engine.bus, posts=Posts(engine.bus, channels(support=True)))
    return Worker(engine.bus, BOT, TurnHandler(persona, agent), timing=FAST, random=lambda: 0.0)


def summaries_of(engine: Engine, agent: Any, timing: Timing = FAST) -> Worker:
    return Worker(engine.bus, INBOX, Compactor(engine.bus, {"bot": agent}), timing=timing, random=lambda: 0.0)


async def talk(engine: Engine, first: int, last: int, address: Address = CHAT) -> None:
    """Say something long, and wait for the answer, for each number."""
    for number in range(first, last):
        await say(engine, message(f"{address.channel}{number}", f"{number} {LONG}", address))
        await engine.outcome(BOT, f"{address.channel}{number}")


async def wanted(engine: Engine) -> list[str]:
    """The ids of what is to be summed up, or was."""
    rows = await engine.all(select(messages.c.mid).where(messages.c.inbox == INBOX).order_by(messages.c.seq))
    return [row.mid for row in rows]


async def latest(engine: Engine, session: int = 1) -> Summary | None:
    return (await engine.store.read(lambda c: history.latest(c, session)))[1]


def heard(view: list[dict[str, Any]]) -> list[int]:
    return [int(said["content"].split()[0]) for said in view if said["role"] == "user"]


async def test_a_crowded_conversation_is_summed_up_and_goes_on(every_engine: Engine) -> None:
    engine, agent = every_engine, Talker()
    async with running(turns_of(engine, agent), engine), running(summaries_of(engine, agent), engine):
        await talk(engine, 0, 5)
        assert await wanted(engine) == []
        await talk(engine, 5, 8)
        [first] = await wanted(engine)
        assert await engine.outcome(INBOX, first) == ("answered", None)
        await talk(engine, 8, 9)
    [asked] = agent.asked
    covered = heard(asked)
    assert covered == list(range(len(covered)))
    assert 1 < len(covered) < 7
    summary, *view = agent.views[-1]
    assert summary["content"].endswith("Summary 1.")
    assert heard(view) == list(range(len(covered), 9))
    found = await latest(engine)
    assert found is not None
    assert (found.text, found.usage, found.model) == ("Summary 1.", Usage(prompt=50, completion=5), "m")


async def test_it_is_metered_on_a_row_of_its_own(engine: Engine) -> None:
    agent, asker = Talker(), ASKER
    async with running(turns_of(engine, agent), engine), running(summaries_of(engine, agent), engine):
        await talk(engine, 0, 8, asker)
        [first] = await wanted(engine)
        await engine.outcome(INBOX, first)
    record = await turn_of(engine, f"{memory.summaries(1)}:0")
    assert (record.usage, record.model, record.agent) == (Usage(prompt=50, completion=5), "m", "bot")
    assert (record.status, record.session, record.address) == ("completed", 1, str(asker))
    assert (record.key_id, record.session_id) == (1, "default")


async def test_nothing_that_was_said_is_changed(engine: Engine) -> None:
    agent = Talker()
    bodies = select(entries.c.id, entries.c.body).order_by(entries.c.id)
    async with running(turns_of(engine, agent), engine):
        await talk(engine, 0, 8)
        before = await engine.all(bodies)
        async with running(summaries_of(engine, agent), engine):
            for id in await wanted(engine):  # noqa: A001 - what else
                await engine.outcome(INBOX, id)
    after = await engine.all(bodies)
    assert list(after)[: len(before)] == list(before)
    assert len(after) == len(before) + 1
    assert await engine.store.read(lambda c: memory.summary(c, 1)) == (engine.clock.now, 8)


async def test_a_turn_waits_for_no_summary_and_asks_for_it_once(engine: Engine) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slowly(_: int) -> str:
        begun.set()
        await go.wait()
        return "At last."

    agent = Talker(slowly)
    async with running(turns_of(engine, agent), engine), running(summaries_of(engine, agent), engine):
        await talk(engine, 0, 8)
        await soon(begun.wait())
        await talk(engine, 8, 14)  # turns go on, and the oldest are left out
        assert heard(agent.views[-1])[-1] == 13
        assert heard(agent.views[-1])[0] > 0
        [only] = await wanted(engine)
        go.set()
        assert await engine.outcome(INBOX, only) == ("answered", None)
    assert len(agent.asked) == 1


async def test_a_summary_that_fails_costs_nobody_a_turn_and_is_tried_again_later(engine: Engine) -> None:
    async def fail(number: int) -> str:
        if number <= 3:
            raise ModelUnavailable("The model is away.")
        return "At last."

    agent = Talker(fail)
    async with running(turns_of(engine, agent), engine), running(summaries_of(engine, agent), engine):
        await talk(engine, 0, 8)
        [first] = await wanted(engine)
        for tries in (1, 2):

            async def tried(tries: int = tries) -> bool:
                return len(agent.asked) >= tries and (await engine.row(INBOX, first)).attempts >= tries

            await engine.store.until(tried)
            engine.forward(60.0, INBOX)
        assert await engine.outcome(INBOX, first) == ("dead", "failed")
        await talk(engine, 8, 10)
        assert heard(agent.views[-1])[-1] == 9
        engine.forward(600.0)
        await talk(engine, 10, 11)
        *_, second = await wanted(engine)
        assert second != first
        assert await engine.outcome(INBOX, second) == ("answered", None)
    found = await latest(engine)
    assert found is not None
    assert found.text == "At last."


async def test_a_summary_that_a_crash_cut_off_is_written_once(every_engine: Engine) -> None:
    engine = every_engine

    async def lose(_: int) -> str:
        engine.store.break_answer = lambda: StoreUnavailable("the answer was lost")
        return "Summary 1."

    agent = Talker(lose)
    async with running(turns_of(engine, agent), engine):
        await talk(engine, 0, 8)
    [only] = await wanted(engine)
    # It is stored, and whoever stored it never learns that.
    still = Timing(lease=8.0, extend=60.0, tries=3)
    async with running(summaries_of(engine, agent, still), engine):
        assert await engine.outcome(INBOX, only) == ("answered", None)
    number, summary = await engine.store.read(lambda c: history.latest(c, 1))
    assert (number, summary and summary.text) == (0, "Summary 1.")
    # Whoever claims one and dies gives it back when the lease ends.
    other = Talker()
    async with running(turns_of(engine, other), engine):
        await talk(engine, 8, 14)
    *_, again = await wanted(engine)
    [lease] = await engine.bus.claim(INBOX, 1, 8.0)
    assert lease.head.id == again
    engine.forward(8.0, INBOX)
    async with running(summaries_of(engine, other), engine):
        assert await engine.outcome(INBOX, again) == ("answered", None)
    number, _ = await engine.store.read(lambda c: history.latest(c, 1))
    assert number == 1


async def test_two_processes_sum_a_session_up_once(every_engine: Engine) -> None:
    engine, agent = every_engine, Talker()
    other = Engine(engine.store, engine.signals, engine.clock, Bus(engine.store, engine.signals, engine.clock))
    async with running(turns_of(engine, agent), engine):
        await talk(engine, 0, 8)
    [only] = await wanted(engine)
    async with running(summaries_of(engine, agent), engine), running(summaries_of(other, agent), other):
        await engine.outcome(INBOX, only)
    assert len(agent.asked) == 1


async def test_what_is_superfluous_by_now_is_not_asked_of_a_model(engine: Engine) -> None:
    agent = Talker()
    async with running(turns_of(engine, agent), engine):
        await talk(engine, 0, 7)
        engine.clock.forward(600.0)
        await talk(engine, 7, 8)
    first, second = await wanted(engine)
    async with running(summaries_of(engine, agent), engine):
        assert await engine.outcome(INBOX, first) == ("answered", None)
        assert await engine.outcome(INBOX, second) == ("silent", "nothing to sum up")
    assert len(agent.asked) == 1


async def test_a_hub_that_stops_gives_it_back(engine: Engine) -> None:
    begun = asyncio.Event()

    async def never(_: int) -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    agent = Talker(never)
    async with running(turns_of(engine, agent), engine), running(summaries_of(engine, agent), engine) as worker:
        await talk(engine, 0, 8)
        await soon(begun.wait())
        await soon(worker.close(0.0))
    [only] = await wanted(engine)
    row = await engine.row(INBOX, only)
    assert row.outcome is None
    [lease] = await engine.bus.claim(INBOX, 1, 8.0)
    assert lease.tries == 1


@pytest.mark.parametrize("agents", [{}, {"bot": object()}])
async def test_an_agent_that_is_gone_or_cannot_sum_up_is_asked_nothing(engine: Engine, agents: dict[str, Any]) -> None:
    async with running(turns_of(engine, Talker()), engine):
        await talk(engine, 0, 8)
    [only] = await wanted(engine)
    worker = Worker(engine.bus, INBOX, Compactor(engine.bus, agents), timing=FAST, random=lambda: 0.0)
    async with running(worker, engine):
        assert await engine.outcome(INBOX, only) == ("silent", "gone")


async def test_an_agent_of_another_kind_gets_what_there_is_room_for(engine: Engine) -> None:
    class Plain:
        def __init__(self) -> None:
            self.views: list[list[dict[str, Any]]] = []

        async def answer(self, turn: Turn) -> Reply:
            self.views.append(await turn.view(ROOM))
            return Reply(text="ok")

    agent = Plain()
    async with running(turns_of(engine, agent), engine):
        await talk(engine, 0, 12)
    assert heard(agent.views[-1])[-1] == 11
    assert heard(agent.views[-1])[0] > 0
    assert await wanted(engine) == []


async def test_a_summary_has_its_bounds(engine: Engine) -> None:
    async def endless(_: int) -> str:
        return "word " * 10_000

    agent = Talker(endless)
    async with running(turns_of(engine, agent), engine), running(summaries_of(engine, agent), engine):
        await talk(engine, 0, 8)
        [first] = await wanted(engine)
        await engine.outcome(INBOX, first)
    found = await latest(engine)
    assert found is not None
    assert len(found.text) < ROOM.tokens * 4 / 3


async def test_a_new_session_begins_without_it_and_keeps_the_old_one(engine: Engine) -> None:
    agent = Talker()
    async with running(turns_of(engine, agent), engine), running(summaries_of(engine, agent), engine):
        await talk(engine, 0, 8)
        [first] = await wanted(engine)
        await engine.outcome(INBOX, first)
        await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, engine.clock()))
        await talk(engine, 8, 9)
    assert heard(agent.views[-1]) == [8]
    assert len(agent.views[-1]) == 1
    assert await latest(engine) is not None
