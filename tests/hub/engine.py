"""What tests of the engine share: a store and signals that can fail, a clock, and scripted parties at the ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import structs
from sqlalchemy import Connection, select

from hub import memory
from hub.accounts.turns import TurnRecord
from hub.accounts.turns import find as find_turn
from hub.agent import Reply, Turn
from hub.bus import Bus, Publish
from hub.channel import Intake, Limits, Sending
from hub.delivery.posts import Channels
from hub.errors import StoreUnavailable
from hub.memory import Entry
from hub.message import Address, Author, Message, Text
from hub.signals.local import LocalSignals
from hub.store import Store
from hub.store.tables import entries, messages
from hub.worker import Timing, Worker
from tests.clock import Clock
from tests.patience import PATIENCE

T = TypeVar("T")
FAST = Timing(lease=8.0, extend=0.02, tries=3)
CHAT = Address("support", "42")
ANN = Author(id="ann", name="Ann")
FREE = Limits(length=20, unit="chars", per_chat=1e6, per_group=1e6, per_bot=1e6, burst=1000)
"""A platform that paces nothing."""


class FailingStore:
    """A store that can be made to fail, and says when something was written."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.down = False
        self.hung = False
        self.break_commit: Callable[[], Exception] | None = None
        """Raised by the next write after its unit ran: nothing of it is there."""
        self.break_answer: Callable[[], Exception] | None = None
        """Raised after the next write was committed: everything of it is there."""
        self._written = asyncio.Event()

    async def write(self, unit: Callable[[Connection], T]) -> T:
        if self.hung:
            await asyncio.Event().wait()
        self._fail_if_down()
        broken, self.break_commit = self.break_commit, None

        def run(connection: Connection) -> T:
            result = unit(connection)
            if broken is not None:
                raise broken()
            return result

        try:
            result = await self.store.write(run)
        finally:
            self._written.set()
        lost, self.break_answer = self.break_answer, None
        if lost is not None:
            raise lost()
        return result

    async def read(self, unit: Callable[[Connection], T]) -> T:
        self._fail_if_down()
        return await self.store.read(unit)

    async def close(self) -> None:
        await self.store.close()

    def _fail_if_down(self) -> None:
        if self.down:
            raise StoreUnavailable("down for the test")

    async def until(self, check: Callable[[], Awaitable[object]]) -> None:
        """Wait until something holds, looking again after every write."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._written.clear()
                if await check():
                    return
                try:
                    async with asyncio.timeout(0.05):
                        await self._written.wait()
                except TimeoutError:
                    pass


class LossySignals(LocalSignals):
    """Signals of which some get lost: those whose topic begins with a word in `lost`."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: tuple[str, ...] = ()
        self.sent: list[tuple[str, bytes]] = []

    def send(self, topic: str, payload: bytes = b"") -> None:
        self.sent.append((topic, payload))
        if not topic.startswith(self.lost):
            super().send(topic, payload)


@dataclass
class Engine:
    """A bus on a store that can fail."""

    store: FailingStore
    signals: LossySignals
    clock: Clock
    bus: Bus

    async def row(self, inbox: str, id: str) -> Any:
        """The row of a message, or None."""
        query = select(messages).where(messages.c.inbox == inbox, messages.c.mid == id)
        return await self.store.store.read(lambda connection: connection.execute(query).first())

    async def outcome(self, inbox: str, id: str) -> tuple[str | None, str | None]:
        """Outcome and reason of a message, once it has them."""

        async def settled() -> bool:
            row = await self.row(inbox, id)
            return row is not None and row.outcome is not None

        await self.store.until(settled)
        row = await self.row(inbox, id)
        return row.outcome, row.reason

    async def all(self, query: Any) -> Sequence[Any]:
        return await self.store.store.read(lambda connection: connection.execute(query).all())

    async def publish(self, inbox: str, *ids: str, lane: str = "x") -> None:
        for mid in ids:
            await self.bus.commit(Publish(inbox=inbox, lane=lane, id=mid, body=mid.encode()))

    def forward(self, seconds: float, *inboxes: str) -> None:
        """Let time pass, and have the workers of some inboxes look."""
        self.clock.forward(seconds)
        for inbox in inboxes:
            LocalSignals.send(self.signals, f"inbox.{inbox}")


async def soon(awaitable: Awaitable[T]) -> T:
    """What comes within the patience of a test."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def message(id: str, text: str = "hello", address: Address = CHAT, **more: Any) -> Message:
    said = Message(id=id, address=address, author=ANN, parts=(Text(text=text),), at=1.0)
    return structs.replace(said, **more)


@dataclass
class Script:
    """An agent that does as it is told; `answers` counts how often it was asked."""

    play: Callable[[Turn], Awaitable[Reply]]
    answers: int = 0
    texts: list[str] = field(default_factory=list[str])

    async def answer(self, turn: Turn) -> Reply:
        self.answers += 1
        self.texts.append(turn.messages[0].text)
        return await self.play(turn)


class Chat:
    """A chat platform in memory: keeps what is sent, raises what it is told to."""

    def __init__(self, **limits: Any) -> None:
        self.limits = structs.replace(FREE, **limits)
        self.sent: list[Sending] = []
        self.failures: list[Exception] = []
        """Raised one by one, before anything is sent."""
        self.failures_at: dict[int, Exception] = {}
        """Raised once so many messages were sent."""
        self.gates: dict[str, asyncio.Event] = {}
        """A send to a chat with a gate waits for it."""
        self.heard: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self.connections: int = 0
        self.listening = 0
        self.most_listening = 0
        self.closed = 0
        self.connected = asyncio.Event()

    async def listen(self, intake: Intake) -> None:
        self.connections += 1
        self.listening += 1
        self.most_listening = max(self.most_listening, self.listening)
        try:
            intake.up()
            self.connected.set()
            while True:
                heard = await self.heard.get()
                if isinstance(heard, Exception):
                    raise heard
                await intake.accept(heard)
        finally:
            self.listening -= 1

    async def send(self, sending: Sending) -> str:
        if gate := self.gates.get(sending.address.chat_id):
            await gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        if failure := self.failures_at.pop(len(self.sent), None):
            raise failure
        self.sent.append(sending)
        return f"p{len(self.sent)}"

    async def close(self) -> None:
        self.closed += 1

    def said(self, chat_id: str) -> list[str]:
        return [one.part.text for one in self.sent if one.address.chat_id == chat_id and isinstance(one.part, Text)]


BOT = "agent:bot"
ASKER = Address("api", "1", "default")


def channels(**enabled: bool) -> Channels:
    """Telegram channels by name: whether each is enabled."""
    return Channels(
        kinds=dict.fromkeys(enabled, "telegram"),
        enabled={name for name, is_on in enabled.items() if is_on},
        known_kinds={"telegram", "discord", "web"},
    )


@asynccontextmanager
async def running(worker: Worker, engine: Engine) -> AsyncGenerator[Worker]:
    """A worker at work; what it holds at the end is given back."""
    worker.start()
    try:
        yield worker
    finally:
        engine.store.down = engine.store.hung = False
        await soon(worker.close(0.0))


async def turn_of(engine: Engine, id: str) -> TurnRecord:
    """A turn's row, which must be there."""
    record = await engine.store.store.read(lambda connection: find_turn(connection, id))
    assert record is not None
    return record


async def journal_of(engine: Engine, turn: str) -> list[Entry]:
    """A turn's entries; fails where their numbers have a gap."""
    query = select(entries.c.ordinal).where(entries.c.turn == turn).order_by(entries.c.ordinal)
    ordinals = [row.ordinal for row in await engine.all(query)]
    assert ordinals == list(range(len(ordinals)))
    _, found = await engine.store.store.read(lambda connection: memory.journal(connection, turn))
    return found
