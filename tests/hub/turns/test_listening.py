"""Where a bot listens it knows what was said in a group before somebody speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import func, select

from hub import memory
from hub.access import Rules
from hub.agent import Reply, Turn
from hub.delivery.posts import Posts
from hub.ingress import Ingress
from hub.message import Address, Author, File, Message, Text
from hub.store.tables import entries, messages, sessions
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Worker
from tests.hub.engine import ANN, BOT, CHAT, FAST, Engine, Script, channels, message, running, soon, turn_of

BOB = Author(id="bob", name="Bob")
LISTENS = Rules(agent="bot", groups="listen")


def door(engine: Engine) -> Ingress:
    return Ingress(engine.bus, {"support": LISTENS})


def aside(id: str, text: str, author: Author = ANN, **more: Any) -> Message:
    """Something said in a group, to others."""
    return message(id, text, author=author, direct=False, mentioned=False, **more)


def asked(id: str, text: str, **more: Any) -> Message:
    return message(id, text, direct=False, **more)


def worker(engine: Engine, play: Callable[[Turn], Awaitable[Reply]]) -> Worker:
    persona = Persona(name="bot", bus=engine.bus, posts=Posts(engine.bus, channels(support=True)))
    return Worker(engine.bus, BOT, TurnHandler(persona, Script(play)), timing=FAST, random=lambda: 0.0)


class Seen:
    """An agent that keeps what it saw, and says "fine"."""

    def __init__(self) -> None:
        self.views: list[Sequence[Any]] = []

    async def __call__(self, turn: Turn) -> Reply:
        self.views.append([(one["role"], one["content"]) for one in await turn.view()])
        return Reply(text="fine")


async def turns_so_far(engine: Engine, session: int) -> int:
    return (await engine.store.read(lambda connection: memory.summary(connection, session)))[1]


async def current(engine: Engine, address: Address = CHAT) -> int | None:
    return await engine.store.read(lambda connection: memory.current_session(connection, "bot", address))


async def test_an_agent_that_is_spoken_to_knows_what_was_said_before(every_engine: Engine) -> None:
    engine, seen = every_engine, Seen()
    for _ in range(2):  # platforms deliver again
        await door(engine).accept(aside("m1", "lunch at one?"))
        await door(engine).accept(aside("m2", "rather at two", BOB))
    await door(engine).accept(aside("m3", "elsewhere", address=Address("support", "42", "7")))
    await door(engine).accept(asked("m4", "when is lunch?"))
    async with running(worker(engine, seen), engine):
        assert await engine.outcome(BOT, "m4") == ("answered", None)
        await door(engine).accept(aside("m5", "see you", BOB))
        await door(engine).accept(asked("m6", "where?"))
        assert await engine.outcome(BOT, "m6") == ("answered", None)
    before = [("user", "Ann: lunch at one?"), ("user", "Bob: rather at two"), ("user", "Ann: when is lunch?")]
    after = [("assistant", "fine"), ("user", "Bob: see you"), ("user", "Ann: where?")]
    assert seen.views == [before, [*before, *after]]
    session = (await turn_of(engine, "m6")).session
    assert session is not None
    assert session == await current(engine)
    assert await turns_so_far(engine, session) == 2, "what was only listened to is no turn"
    assert await engine.bus.residue(0.0) == 0


async def test_it_is_remembered_with_its_outcome_or_not_at_all(every_engine: Engine) -> None:
    engine = every_engine
    await door(engine).accept(asked("m", "mine"))
    await door(engine).accept(aside("m", "the same id again"))
    assert (await engine.all(select(func.count()).select_from(entries)))[0][0] == 0


async def test_what_is_listened_to_while_a_first_turn_runs_is_in_its_session(every_engine: Engine) -> None:
    engine, seen = every_engine, Seen()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def play(turn: Turn) -> Reply:
        begun.set()
        await go_on.wait()
        return await seen(turn)

    await door(engine).accept(asked("m1", "hello"))
    async with running(worker(engine, play), engine):
        await soon(begun.wait())
        await door(engine).accept(aside("m2", "hi all", BOB))
        go_on.set()
        assert await engine.outcome(BOT, "m1") == ("answered", None)
        await door(engine).accept(asked("m3", "and now?"))
        assert await engine.outcome(BOT, "m3") == ("answered", None)
    first = ("user", "Ann: hello")
    assert seen.views[0] == [first]
    assert set(seen.views[1]) == {first, ("user", "Bob: hi all"), ("assistant", "fine"), ("user", "Ann: and now?")}
    assert (await turn_of(engine, "m1")).session == (await turn_of(engine, "m3")).session == await current(engine)


async def test_a_new_session_begins_without_what_was_heard(engine: Engine) -> None:
    seen = Seen()
    await door(engine).accept(aside("m1", "old"))
    await door(engine).accept(asked("m2", "/new"))
    await door(engine).accept(asked("m3", "hello"))
    async with running(worker(engine, seen), engine):
        assert await engine.outcome(BOT, "m3") == ("answered", None)
    assert seen.views == [[("user", "Ann: hello")]]


async def test_files_are_only_noted(engine: Engine) -> None:
    seen = Seen()
    file = File(ref="r", name="menu.png", media_type="image/png", size=3)
    await door(engine).accept(aside("m1", "", parts=(Text(text="look"), file)))
    await door(engine).accept(asked("m2", "nice?"))
    async with running(worker(engine, seen), engine):
        assert await engine.outcome(BOT, "m2") == ("answered", None)
    assert seen.views[0][0] == ("user", "Ann: look\n\n[image menu.png]")


async def test_what_is_said_at_the_same_moment_is_in_one_session(every_engine: Engine) -> None:
    engine = every_engine

    async def opened() -> int:
        return await engine.store.write(lambda c: memory.opened(c, "bot", CHAT, engine.clock()))

    said = [door(engine).accept(aside(f"m{number}", "hi")) for number in range(5)]
    found = await asyncio.gather(*(opened() for _ in range(5)), *said)
    assert set(found[:5]) == {await current(engine)}
    assert len(await engine.all(select(sessions.c.id))) == 1
    assert len(await engine.all(select(entries.c.id))) == len(await engine.all(select(messages.c.mid))) == 5
