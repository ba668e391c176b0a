"""PORT: something that takes a turn and answers.

An agent sees a `Turn` and nothing else: no bus, no database. What it does through the turn survives a crash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, runtime_checkable

from hub.message import Address, Buttons, File, Message, Part, Value
from hub.model import Completion, Pace, ToolCall, Usage
from hub.when import When


class Step(Value, frozen=True, kw_only=True):
    """One finished step: what the model said, the tools it called and what they returned, in the order of `calls`.

    `took` says how many seconds each call ran; they begin together when the model has ended.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    results: tuple[str, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    pace: Pace | None = None
    took: tuple[float, ...] = ()


class Reply(Value, frozen=True, kw_only=True):
    """The end of a turn: the last thing the agent says (may be empty), and the tokens of the call that said it.

    `finish` says why it ends, in OpenAI's words: `stop`, `tool_calls`, or `length` when the model was cut off.
    """

    text: str = ""
    finish: str = "stop"
    usage: Usage = Usage()
    model: str = ""
    pace: Pace | None = None
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    """Functions of the asker's (`Message.tools`) that it is to run; what they return comes with its next message."""
    silent: bool = False
    """Say nothing at all, also not what was said in the turn's steps."""


class Receipt(Value, frozen=True, kw_only=True):
    """What became of a post: never `delivered` before the platform took it.

    `platform_ids` has one id a part; `reason` says why it waits or failed.
    """

    id: str
    status: str
    platform_ids: tuple[str, ...] = ()
    reason: str | None = None


Scope = Literal["person", "chat", "agent"]
"""Whom a fact is for: the person who asks, the chat that asks, or everybody who talks to the agent."""


class Fact(Value, frozen=True, kw_only=True):
    """Something an agent shall know from now on; `at` is a Unix time in seconds."""

    id: int
    scope: Scope
    text: str
    at: float


class Found(Value, frozen=True, kw_only=True):
    """Something that was said, or the piece of it around what was looked for; `by` is a name, `user` or `you`."""

    at: float
    by: str
    text: str


class Recalled(Value, frozen=True, kw_only=True):
    """What a search found, the best first."""

    facts: tuple[Fact, ...] = ()
    said: tuple[Found, ...] = ()


class Memory(Protocol):
    """What the agent remembers where its turn is: nothing that others said in private is within its reach."""

    async def remember(self, text: str, scope: Scope | None = None) -> Fact:
        """Keep a fact; without a scope for the person in private, else for the chat. The same text again is the same.

        Raises RequestError for a text that is empty or too long and where there are too many, Forbidden for a scope
        that cannot be written from here, LeaseLost.
        """
        ...

    async def recall(self, query: str) -> Recalled:
        """Search the facts, and what was said here in this session and the ones before; any text is a query."""
        ...

    async def forget(self, text: str) -> Fact:
        """Forget the fact that says this, or the only one that has it in it.

        Raises NotFound, RequestError where it may be several, Forbidden, LeaseLost.
        """
        ...


class Room(Value, frozen=True, kw_only=True):
    """How much of a conversation a model takes: `tokens` as `hub.tokens` guesses them, and how many images.

    `note` is what the model is told right before the turn's own messages: what is true of this turn alone stands late,
    so that what comes before it stays the same and may be cached upstream.
    """

    tokens: int
    images: int = 0
    note: str = ""


class Schedule(Value, frozen=True, kw_only=True):
    """A reminder that an agent set itself; `next_at` is a Unix time in seconds."""

    id: int
    text: str
    when: When
    next_at: float


class Schedules(Protocol):
    """An agent's own schedules; all raise Forbidden for a chat that it may not post to."""

    @property
    def now(self) -> float:
        """The time, in Unix seconds."""
        ...

    async def add(self, key: str, address: Address, text: str, when: When) -> Schedule:
        """Have the agent reminded in a chat; the same key of the same step again adds nothing.

        Raises RequestError for a time that never comes, and where there are too many.
        """
        ...

    async def list(self, address: Address) -> list[Schedule]:
        """Those of a chat, the next one first."""
        ...

    async def cancel(self, address: Address, id: int) -> bool:
        """Remove one; False where the agent has none of that id there."""
        ...


class Turn(Protocol):
    """One run of an agent."""

    @property
    def id(self) -> str: ...

    @property
    def address(self) -> Address:
        """Where the conversation is: a chat, or `api:<key>:<session>`."""
        ...

    @property
    def messages(self) -> Sequence[Message]:
        """What was said and is to be answered, oldest first; never empty, and `take` may add to it."""
        ...

    @property
    def steps(self) -> Sequence[Step]:
        """The steps that this turn has finished, also those from before a crash."""
        ...

    async def take(self) -> Sequence[Message]:
        """What else was said meanwhile and is to be answered with the rest, where the agent is `busy: steer`.

        From then on it is in `messages` and in the view, after the steps that were finished before it came.
        """
        ...

    async def view(self, room: Room | None = None) -> list[dict[str, Any]]:
        """The conversation so far in OpenAI's shape: as much as there is room for, by default as config says.

        This turn's messages and finished steps are always in it. What a summary covers is not; the summary comes first,
        as a system message.
        """
        ...

    async def open(self, file: File) -> bytes:
        """What is in a file that came with a message; raises NotFound when it was removed."""
        ...

    async def afford(self, request: Completion) -> Completion:
        """Have the money for a model call set aside: the request as it may be made, before each one.

        Raises PaymentRequired, which ends the turn. What the call did cost is taken from the usage of the step or
        reply that it belongs to, or from `spent`.
        """
        ...

    async def checkpoint(self, step: Step) -> None:
        """Make a finished step durable; raises LeaseLost when another process has the turn."""
        ...

    async def post(self, key: str, address: Address, parts: tuple[Part, ...], buttons: Buttons = ()) -> Receipt:
        """Send a message to any chat the agent may post to, and wait at most 10 s for what became of it.

        `key` tells the posts of one step apart: the same key of the same step again, after a crash, sends nothing
        twice. Raises Forbidden where the agent may not post, RequestError for an unknown channel.
        """
        ...

    async def react(self, key: str, emoji: str) -> Receipt:
        """Put an emoji below the newest message of this turn; raises RequestError where there is none, as over HTTP.

        `key` is as for `post`.
        """
        ...

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        """Store a file, to be posted."""
        ...

    @property
    def memory(self) -> Memory: ...

    @property
    def schedules(self) -> Schedules:
        """What the agent is to be reminded of, in this chat or another."""
        ...

    def emit(self, text: str) -> None:
        """Show a piece of the reply that is being written; may be lost."""
        ...

    def think(self, text: str) -> None:
        """Show a piece of what the model thinks; may be lost, and is not stored."""
        ...

    def spent(self, usage: Usage, model: str) -> None:
        """Count the tokens of a model call that was cut off; those of steps and replies are counted with them."""
        ...

    def acting(self, calls: tuple[ToolCall, ...] = ()) -> AbstractContextManager[None]:
        """For what must not be cut in two: no newer message interrupts the turn before this is left.

        `calls` are the tools that are used inside, to be shown.
        """
        ...


class Agent(Protocol):
    """Something that takes a turn and answers."""

    async def answer(self, turn: Turn) -> Reply:
        """Run the turn to its end; raises ModelError, PaymentRequired.

        Cancelled when its asker no longer wants it, and where a newer message interrupts it: then it is called again,
        with that message too and with what `steps` has.
        """
        ...


Afford = Callable[[Completion], Awaitable[Completion]]


@runtime_checkable
class Summarizes(Protocol):
    """An agent that can put into few words what there is no room for any more."""

    async def summarize(self, conversation: list[dict[str, Any]], afford: Afford) -> Reply:
        """Sum up a part of a conversation, in OpenAI's shape; an earlier summary comes first, as a system message.

        `afford` is as a turn's. It runs beside turns and holds none of them up; nothing of it is shown.

        Raises ModelError, PaymentRequired.
        """
        ...
