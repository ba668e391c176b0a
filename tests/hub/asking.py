"""Programs that ask an agent, and agents that answer them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy import func, select

from hub.accounts.turns import Ask
from hub.agent import Reply, Step, Turn
from hub.asks import Asks, FollowedTurn
from hub.delivery.posts import Posts
from hub.message import Text
from hub.store.tables import turns
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Worker
from tests.hub.engine import BOT, FAST, Engine, Script, channels, running

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
