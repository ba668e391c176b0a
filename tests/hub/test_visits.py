"""A program's turn in a chat's conversation: in the chat's order, told apart, and answered to nobody but it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest

from hub.accounts import keys
from hub.accounts.audit import By
from hub.accounts.turns import Ask, TurnRecord, Visit
from hub.agent import Reply, Step, Turn
from hub.asks import Asks
from hub.bus import Publish, Stop
from hub.delivery.posts import Posts
from hub.errors import Forbidden, ModelUnavailable, RequestError
from hub.memory import Heard, Said
from hub.message import Address, Payer, Text, news_of
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Worker
from tests.hub.engine import BOT, CHAT, FAST, Engine, Script, channels, journal_of, message, running, soon, turn_of

Busy = Literal["queue", "steer", "interrupt"]
THREAD = Address("support", "42", "7")


@dataclass
class Chat:
    """A chat with an agent, and a program whose key was granted its conversation."""

    engine: Engine
    asks: Asks
    by: By

    async def say(self, mid: str, address: Address = CHAT, **more: Any) -> None:
        """Somebody says its own id in the chat."""
        one = message(mid, mid, address, **more)
        await self.engine.bus.commit(Publish(inbox=BOT, lane=str(address), id=mid, body=msgspec.json.encode(one)))
        self.engine.signals.send(news_of(BOT, str(address)))

    async def said(self, mid: str, address: Address = CHAT) -> None:
        """The same, and it is answered."""
        await self.say(mid, address)
        assert await self.engine.outcome(BOT, mid) == ("answered", None)

    async def ask(self, mid: str, address: Address = CHAT, *, payer: Payer | None = None) -> None:
        """The program says its own id there."""
        visit = Visit(address=address, by=self.by)
        asked = Ask(
            id=mid,
            agent="bot",
            key_id=1,
            session_id="",
            visit=visit,
            parts=(Text(text=mid),),
            posts_to=(),
            fingerprint=mid,
            payer=payer,
        )
        await self.asks.start(asked)

    async def answered(self, mid: str, address: Address = CHAT) -> TurnRecord:
        """The same, once its turn is over."""
        await self.ask(mid, address)
        return await self.over(mid)

    async def over(self, mid: str) -> TurnRecord:
        async with self.asks.follow(mid) as turn:
            async for _ in turn:
                pass
        return turn.record

    async def told(self) -> list[str]:
        """What goes to the chat, by its ids."""
        rows = await self.engine.store.read(
            lambda connection: list(
                connection.exec_driver_sql("SELECT mid FROM messages WHERE inbox='channel:support'")
            )
        )
        return [row[0] for row in rows]


@pytest.fixture
async def chat(every_engine: Engine) -> AsyncGenerator[Chat]:
    engine, now = every_engine, every_engine.clock()
    key = await engine.store.write(lambda connection: keys.create(connection, "sk-" + "a" * 43, name="crm", now=now))
    asks = Asks(engine.bus, timeout=60.0, grace=60.0)
    yield Chat(engine, asks, By(key=key, ip="127.0.0.1"))
    await asks.close()


@asynccontextmanager
async def at_work(chat: Chat, play: Callable[[Turn], Awaitable[Reply]], **persona: Any) -> AsyncGenerator[None]:
    posts = Posts(chat.engine.bus, channels(support=True))
    handler = TurnHandler(Persona(name="bot", bus=chat.engine.bus, posts=posts, **persona), Script(play))
    async with running(Worker(chat.engine.bus, BOT, handler, timing=FAST, random=lambda: 0.0), chat.engine):
        yield


async def echo(turn: Turn) -> Reply:
    turn.emit("Well, ")
    return Reply(text=f"Well, {turn.messages[0].text}")


async def test_it_belongs_to_the_chats_session_and_its_answer_to_the_program(chat: Chat) -> None:
    async with at_work(chat, echo):
        await chat.said("a")
        record = await chat.answered("b")
        await chat.said("c")
    assert (record.response, record.key_id, record.session_id, record.address) == ("Well, b", 1, None, "support:42")
    assert await journal_of(chat.engine, "b") == [
        Heard(text="b", author="crm", sender="api:1"),
        Said(text="Well, b"),
    ]
    assert await chat.told() == ["a.reply", "c.reply"]
    assert {(await turn_of(chat.engine, mid)).session for mid in "abc"} == {1}
    assert await chat.engine.bus.residue(0.0) == 0


@pytest.mark.parametrize("busy", ["queue", "steer", "interrupt"])
async def test_it_waits_for_the_turn_before_and_is_never_merged(chat: Chat, busy: Busy) -> None:
    held, go = asyncio.Event(), asyncio.Event()

    async def play(turn: Turn) -> Reply:
        if turn.id == "a":
            held.set()
            await go.wait()
            await turn.checkpoint(Step(text="Looking."))
        taken = [one.text for one in await turn.take()]
        return Reply(text=f"{turn.id} {taken}")

    async with at_work(chat, play, busy=busy):
        await chat.say("a")
        await soon(held.wait())
        await chat.ask("b")
        await chat.ask("c")
        await chat.say("d")
        go.set()
        answers = [(await chat.over(mid)).response for mid in ("b", "c")]
        assert [await chat.engine.outcome(BOT, mid) for mid in "abcd"] == [("answered", None)] * 4
    assert answers == ["b []", "c []"]
    assert await chat.told() == ["a.reply", "d.reply"]


@pytest.mark.parametrize("busy", ["steer", "interrupt"])
async def test_what_people_say_meanwhile_waits_for_its_end(chat: Chat, busy: Busy) -> None:
    held, go = asyncio.Event(), asyncio.Event()

    async def play(turn: Turn) -> Reply:
        if turn.id == "b":
            held.set()
            await go.wait()
            await turn.checkpoint(Step(text="Looking."))
        return Reply(text=f"{turn.id} {[one.text for one in await turn.take()]}")

    async with at_work(chat, play, busy=busy):
        await chat.ask("b")
        await soon(held.wait())
        await chat.say("c")
        go.set()
        assert (await chat.over("b")).response == "Looking.\n\nb []"
        assert await chat.engine.outcome(BOT, "c") == ("answered", None)
    assert await chat.told() == ["c.reply"]


async def test_a_chat_that_pauses_for_more_does_not_take_it(chat: Chat) -> None:
    await chat.say("a")
    await chat.ask("b")
    async with at_work(chat, echo, debounce=1.0):

        async def answered() -> bool:
            chat.engine.clock.now += 1.0
            row = await chat.engine.row(BOT, "a")
            return row is not None and row.outcome is not None

        await chat.engine.store.until(answered)
        assert (await chat.over("b")).response == "Well, b"
        assert await chat.engine.outcome(BOT, "a") == ("answered", None)


async def test_stop_in_the_chat_stops_it_too_and_what_waits(chat: Chat) -> None:
    held = asyncio.Event()

    async def play(turn: Turn) -> Reply:
        turn.emit("Let me")
        held.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with at_work(chat, play):
        await chat.ask("b")
        await soon(held.wait())
        await chat.ask("c")
        await chat.engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
        stopped = [await chat.over(mid) for mid in ("b", "c")]
    assert [record.status for record in stopped] == ["cancelled", "cancelled"]
    assert [record.key_id for record in stopped] == [1, 1]
    assert await chat.told() == []


async def test_its_failure_is_told_to_the_program_at_once(chat: Chat) -> None:
    async def play(_: Turn) -> Reply:
        raise ModelUnavailable("The model is away.", status=503)

    async with at_work(chat, play):
        record = await chat.answered("b")
    assert (record.status, record.error_code) == ("failed", "upstream_503")
    assert await chat.told() == []


async def test_it_posts_reacts_and_reminds_where_its_key_may_and_nowhere_else(chat: Chat) -> None:
    refused: list[str] = []

    async def play(turn: Turn) -> Reply:
        for attempt in (turn.post("1", CHAT, (Text(text="psst"),)), turn.react("2", "👍")):
            try:
                await attempt
            except (Forbidden, RequestError) as error:
                refused.append(str(error))
        return Reply(text="done")

    async with at_work(chat, play, posts_to=("*",)):
        assert (await chat.answered("b")).status == "completed"
    assert refused == [
        "'bot' may not post to support:42 from here.",
        "There is no message here that could be reacted to.",
    ]
    assert await chat.told() == []


async def test_it_recalls_what_was_said_in_its_thread_and_no_persons_facts(chat: Chat) -> None:
    found: dict[str, list[str]] = {}

    async def play(turn: Turn) -> Reply:
        if turn.id.startswith("tell"):
            await turn.memory.remember(f"fact of {turn.id}")
            return Reply(text="noted")
        recalled = await turn.memory.recall("teapot")
        found[turn.id] = sorted(one.text for one in recalled.said)
        found[f"{turn.id}.facts"] = sorted(fact.text for fact in (await turn.memory.recall("fact")).facts)
        return Reply(text="done")

    async with at_work(chat, play):
        await chat.said("tell teapot here")
        await chat.said("tell teapot there", THREAD)
        await chat.answered("x")
        await chat.answered("y", THREAD)
        await chat.said("z")
    assert (found["x"], found["y"]) == (["tell teapot here"], ["tell teapot there"])
    assert found["z"] == ["tell teapot here", "tell teapot there"]
    assert (found["x.facts"], found["y.facts"]) == ([], [])
    assert found["z.facts"] == ["fact of tell teapot here", "fact of tell teapot there"]


async def test_the_budget_of_the_chat_does_not_pay_for_it(chat: Chat) -> None:
    persona = Persona(
        name="bot", bus=chat.engine.bus, posts=Posts(chat.engine.bus, channels()), payer=lambda _: Payer(key=9)
    )
    said = message("a")
    asked = msgspec.structs.replace(said, author=msgspec.structs.replace(said.author, id="1", kind="api"))
    assert [persona.bill(one).payer for one in (said, asked)] == [Payer(key=9), None]
