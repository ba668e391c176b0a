"""A turn in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from hub.agent import Fact, Found, Recalled, Receipt, Room, Schedule, Scope, Step
from hub.errors import HubError, NotFound, PaymentRequired
from hub.message import Address, Author, Buttons, File, Message, Part, Text
from hub.model import Completion, ToolCall, Usage
from hub.when import When, first

CHAT = Address("support", "42", "7")
API_CONVERSATION = Address("api", "1", "default")


class Post(msgspec.Struct, frozen=True):
    key: str
    address: Address
    parts: tuple[Part, ...]
    buttons: Buttons = ()


class FakeMemory:
    """Keeps facts; a search finds those that have the query in them, and `said`. `refusal` is raised by every call."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.said: list[Found] = []
        self.refusal: HubError | None = None

    async def remember(self, text: str, scope: Scope | None = None) -> Fact:
        self._may()
        self.facts.append(Fact(id=len(self.facts) + 1, scope=scope or "person", text=text, at=0.0))
        return self.facts[-1]

    async def recall(self, query: str) -> Recalled:
        self._may()
        return Recalled(facts=tuple(fact for fact in self.facts if query in fact.text), said=tuple(self.said))

    async def forget(self, text: str) -> Fact:
        self._may()
        return self.facts.pop(next(index for index, fact in enumerate(self.facts) if fact.text == text))

    def _may(self) -> None:
        if self.refusal:
            raise self.refusal


class FakeSchedules:
    """Keeps what is scheduled."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.kept: list[tuple[Address, Schedule]] = []

    async def add(self, key: str, address: Address, text: str, when: When) -> Schedule:
        made = Schedule(id=len(self.kept) + 1, text=text, when=when, next_at=first(when, self.now))
        self.kept.append((address, made))
        return made

    async def list(self, address: Address) -> list[Schedule]:
        return [one for where, one in self.kept if where == address]

    async def cancel(self, address: Address, id: int) -> bool:
        before = len(self.kept)
        self.kept = [(where, one) for where, one in self.kept if (where, one.id) != (address, id)]
        return len(self.kept) < before


class FakeTurn:
    """Keeps what an agent does with it. `refusal` is raised by the next posts."""

    def __init__(
        self,
        text: str = "hello",
        *,
        address: Address = CHAT,
        params: dict[str, Any] | None = None,
        tools: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.id = "turn-1"
        self.address = address
        author = Author(id="anna", name="Anna")
        parts = (Text(text=text),)
        asked: dict[str, Any] = {"params": params or {}, "tools": [*tools]}
        self.messages = [Message(id=self.id, address=address, author=author, parts=parts, at=0.0, **asked)]
        self.history: list[dict[str, Any]] = []
        self.steps: list[Step] = []
        self.later: list[Message] = []
        """What `take` gives."""
        self.acted: list[str] = []
        self.posts: list[Post] = []
        self.reactions: list[tuple[str, str]] = []
        self.files: dict[str, bytes] = {}
        self.schedules = FakeSchedules()
        self.emitted: list[str] = []
        self.thought: list[str] = []
        self.cut: list[tuple[Usage, str]] = []
        """Tokens of model calls that were cut off, and whose they were."""
        self.status = "delivered"
        self.reason: str | None = None
        self.refusal: HubError | None = None
        self.afforded: list[Completion] = []
        self.broke = False
        self.memory = FakeMemory()
        self.room: Room | None = None

    async def view(self, room: Room | None = None) -> list[dict[str, Any]]:
        self.room = room or self.room
        said = [{"role": "user", "content": message.text} for message in self.messages]
        return [*self.history, *said, *(message for step in self.steps for message in as_messages(step))]

    async def take(self) -> Sequence[Message]:
        taken, self.later = self.later, []
        self.messages += taken
        return taken

    @contextmanager
    def acting(self, calls: tuple[ToolCall, ...] = ()) -> Generator[None]:
        self.acted.append("begins")
        yield
        self.acted.append("ends")

    async def open(self, file: File) -> bytes:
        raise NotFound(f"The file '{file.name}' is not stored any more.")

    async def afford(self, request: Completion) -> Completion:
        if self.broke:
            raise PaymentRequired("Please recharge.")
        self.afforded.append(request)
        return request

    async def checkpoint(self, step: Step) -> None:
        self.steps.append(step)

    async def post(self, key: str, address: Address, parts: tuple[Part, ...], buttons: Buttons = ()) -> Receipt:
        if self.refusal:
            raise self.refusal
        self.posts.append(Post(key, address, parts, buttons))
        return Receipt(id=f"{self.id}:{key}", status=self.status, platform_ids=("p1",), reason=self.reason)

    async def react(self, key: str, emoji: str) -> Receipt:
        if self.refusal:
            raise self.refusal
        self.reactions.append((key, emoji))
        return Receipt(id=f"{self.id}:{key}", status=self.status, reason=self.reason)

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        ref = hashlib.sha256(content).hexdigest()
        self.files[ref] = content
        return File(ref=ref, name=name, media_type=media_type, size=len(content))

    def emit(self, text: str) -> None:
        self.emitted.append(text)

    def think(self, text: str) -> None:
        self.thought.append(text)

    def spent(self, usage: Usage, model: str) -> None:
        self.cut.append((usage, model))

    @property
    def shown(self) -> str:
        return "".join(self.emitted)

    @property
    def usage(self) -> Usage:
        return sum((step.usage for step in self.steps), Usage())


def as_messages(step: Step) -> list[dict[str, Any]]:
    """A finished step as a view shows it."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in step.calls
    ]
    results = zip(step.calls, step.results, strict=True)
    return [
        {"role": "assistant", "content": step.text or None, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": call.id, "content": result} for call, result in results),
    ]
