"""The words everything else speaks: addresses, messages, deliveries and deltas."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import msgspec

from hub.errors import RequestError

NAME = re.compile(r"[a-z0-9_-]+")
"""What channels, agents and models may be called."""
_OF_TURN = re.compile(r"(.+)\.(?:reply|\d+\.\d+)")
"""A turn's answer, or what a tool of it posted: by the step and the call."""
_AGAIN = re.compile(r"#\d+$")

API = "api"
"""The reserved channel name of conversations that programs hold over HTTP."""


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value that travels as JSON; each kind says `frozen, kw_only` itself, because msgspec does not hand them on."""


class Address(msgspec.Struct, frozen=True, order=True):
    """Where a message comes from or goes to: `channel` + `chat_id` + optional `thread_id`."""

    channel: str
    chat_id: str
    thread_id: str | None = None

    def __str__(self) -> str:
        tail = "" if self.thread_id is None else f":{self.thread_id}"
        return f"{self.channel}:{self.chat_id}{tail}"

    @property
    def chat(self) -> str:
        """The chat with all its threads; over HTTP the key with all its sessions."""
        return f"{self.channel}:{self.chat_id}"

    @property
    def own_room(self) -> Own | None:
        """Whose own conversation it is, where it is a web room of somebody's own."""
        return own(self.chat_id) if self.channel == WEB else None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `channel:chat_id[:thread_id]`; raises RequestError when it has not that form."""
        channel, _, rest = text.partition(":")
        chat_id, _, thread_id = rest.partition(":")
        if not channel or not chat_id:
            raise RequestError(f"'{text}' is not an address: write channel:chat_id or channel:chat_id:thread_id")
        return cls(channel, chat_id, thread_id or None)


WEB = "web"
"""The channel of web rooms."""
OWN = "own."
"""What the names of web rooms begin with that are somebody's own."""
_OWN = re.compile(r"own\.(\d{1,18})\.([a-z0-9_-]+)\.([a-z0-9]+)")


class Own(NamedTuple):
    """A room that is somebody's own conversation with one agent: who and with whom is in its name, so nobody else can
    come to own it, and nothing has to be kept of it.
    """

    key: int
    """The key that pays for what is said there, and whoever acts for it."""
    agent: str
    word: str

    @property
    def room(self) -> str:
        return f"{OWN}{self.key}.{self.agent}.{self.word}"


def own(chat_id: str) -> Own | None:
    """Whose a room is; None for one that everybody may enter."""
    found = _OWN.fullmatch(chat_id)
    return None if found is None else Own(int(found[1]), found[2], found[3])


class Text(Value, frozen=True, kw_only=True, tag_field="kind", tag="text"):
    """A piece of CommonMark."""

    text: str


class File(Value, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """A reference to a file in the content-addressed store; `size` in bytes."""

    ref: str
    name: str
    media_type: str
    size: int


Part = Text | File


class Button(Value, frozen=True, kw_only=True):
    """Something to press below a message; pressing it says `value`."""

    text: str
    value: str


Buttons = tuple[tuple[Button, ...], ...]
"""Rows of buttons."""


class Author(Value, frozen=True, kw_only=True):
    """Who said something."""

    id: str
    name: str
    kind: Literal["person", "bot", "agent", "api"] = "person"
    """`bot` is somebody else's; `agent` is ours."""


BOT = Author(id="bothub", name="bothub", kind="agent")
"""Who says what the hub itself has to say."""


class Payer(Value, frozen=True, kw_only=True):
    """Who pays for what a message asks: a key, which needs no reservations where it is `unlimited`.

    `limited` are the keys whose limits count its tokens.
    """

    key: int
    unlimited: bool = False
    limited: tuple[int, ...] = ()


class Message(Value, frozen=True, kw_only=True):
    """One thing said to an agent; `at` is a Unix time in seconds."""

    id: str
    address: Address
    author: Author
    parts: tuple[Part, ...]
    at: float
    direct: bool = True
    """Said in private, as opposed to a group."""
    mentioned: bool = True
    """Said to the bot; always true in a direct chat."""
    shared: bool = False
    """Others may read along although it is answered like a direct chat: a web room."""
    agent: str | None = None
    """The agent with whom a web room is somebody's own conversation: nobody else reads along, or answers there."""
    reply_to: str | None = None
    """The platform's id of this message, for answers that quote it."""
    waited_for: bool = False
    """The platform shows that an answer is on its way, until something answers exactly this message."""
    quoted: str | None = None
    """The text of the message that this one answers."""
    params: dict[str, Any] = {}
    """Model parameters that came with the message (HTTP only)."""
    posts_to: tuple[str, ...] | None = None
    """Address patterns the sender's key may post to (HTTP only); None: the agent's own rule holds."""
    instructions: str | None = None
    """What the model shall mind for this turn alone (HTTP only)."""
    request_id: str | None = None
    """The `X-Request-Id` of the request it came with."""
    trace: str | None = None
    """The W3C traceparent of the span that took it in, where traces are kept."""
    tools: list[dict[str, Any]] = []
    """Functions that the asker runs itself, in the shape of chat completions (HTTP only)."""
    results: dict[str, str] = {}
    """What its functions returned that it was asked to run, by the ids of their calls (HTTP only)."""
    payer: Payer | None = None
    """Who pays (HTTP only); None: the budget of the chat, if it has one."""

    @property
    def text(self) -> str:
        return text_of(self.parts)

    @property
    def answers_name(self) -> str | None:
        """What an answer names: the message, where others talk too or the platform waits."""
        return None if self.direct and not self.waited_for else self.reply_to

    @property
    def by_program(self) -> bool:
        """A program asked over HTTP, in a session of its key or in a chat's conversation: the answer is its alone."""
        return self.author.kind == "api" or self.address.channel == API

    @property
    def key_id(self) -> int | None:
        """The key that asked: that of a program, or who speaks in a conversation of somebody's own."""
        if self.address.channel == API:
            return int(self.address.chat_id)
        if self.agent is not None and self.author.kind == "person":
            return int(self.author.id.partition("/")[0])
        return int(self.author.id) if self.by_program else None

    @property
    def visits(self) -> bool:
        """A program asked in the conversation of a chat, which was granted to its key."""
        return self.by_program and self.address.channel != API

    @property
    def sender(self) -> str:
        """The person who said it: `channel:id`, over HTTP `api:` and the key's id."""
        return f"{API if self.by_program else self.address.channel}:{self.author.id}"

    @property
    def person(self) -> str | None:
        """Who it is private with: `channel:id`; None: others read along.

        Somebody's own conversation is with the key that speaks, if its owner pays for that, and else with the owner's.
        """
        if not self.private:
            return None
        room = self.address.own_room
        if room is None:
            return self.sender
        is_theirs = self.payer is not None and self.payer.key == room.key
        return f"{WEB}:{(self.key_id if is_theirs else None) or room.key}"

    @property
    def in_room(self) -> bool:
        """Said in a web room."""
        return self.shared or self.agent is not None

    @property
    def private(self) -> bool:
        """Nobody else reads along."""
        return self.direct and not self.shared

    @property
    def files(self) -> tuple[File, ...]:
        return tuple(part for part in self.parts if isinstance(part, File))


class Delivery(Value, frozen=True, kw_only=True):
    """One outgoing message to one address; `expires_at` is a Unix time in seconds."""

    id: str
    address: Address
    parts: tuple[Part, ...]
    author: Author
    buttons: Buttons = ()
    reply_to: str | None = None
    expires_at: float | None = None
    closes: bool = False
    """Sent only to end a preview that was shown; without one, or without parts, there is nothing to send."""
    reaction: str | None = None
    """An emoji to put below the message `reply_to`; there are no parts then."""
    request_id: str | None = None
    """The `X-Request-Id` of the request it was made for."""
    trace: str | None = None
    """The W3C traceparent of the span that made it, where traces are kept."""

    @property
    def text(self) -> str:
        return text_of(self.parts)


class Live(Value, frozen=True, kw_only=True):
    """A disposable sign of life from a running turn; `offset` is where `text` starts, in characters of the reply."""

    kind: Literal["typing", "delta", "reasoning", "calls", "step", "done"]
    turn: str
    address: Address
    agent: str = ""
    reply_to: str | None = None
    """What the answer will quote."""
    offset: int = 0
    text: str = ""
    step: int = 0
    """How many steps the turn had finished."""


def text_of(parts: tuple[Part, ...]) -> str:
    """All text of a message, its parts joined by blank lines."""
    return "\n\n".join(part.text for part in parts if isinstance(part, Text))


def described(message: Message) -> str:
    """What a message says: what it answers, and its text."""
    quoted = [f"(in answer to “{message.quoted}”)"] if message.quoted else []
    return "\n\n".join(piece for piece in (*quoted, message.text) if piece)


def reply_id(turn: str) -> str:
    """The id of the delivery that is a turn's answer; known when the turn begins."""
    return f"{turn}.reply"


def turn_of(delivery: str) -> str | None:
    """The id of the turn that answered or posted with a delivery, by the delivery's id; None where it names none."""
    found = _OF_TURN.fullmatch(first_try(delivery))
    return None if found is None else found[1]


COMPACTION = "compaction"
"""The inbox of what is to be summed up; a lane is a session."""


def agent_inbox(agent: str) -> str:
    """The inbox of an agent."""
    return f"agent:{agent}"


def news_of(inbox: str, lane: str) -> str:
    """The topic that tells that something new waits in a lane."""
    return f"news.{inbox}.{lane}"


def channel_inbox(channel: str) -> str:
    """The inbox of a channel's deliveries."""
    return f"channel:{channel}"


def last_try(id: str) -> str | None:
    """The id that this one is the next try of, if it is one."""
    stem, _, number = id.rpartition("#")
    if not stem or not number.isdecimal() or int(number) < 2:
        return None
    return stem if int(number) == 2 else f"{stem}#{int(number) - 1}"


def first_try(id: str) -> str:
    """The id that this one is a try of, the first or a later one."""
    return _AGAIN.sub("", id)


def next_try(id: str) -> str:
    """The id under which a dead message is published again: `<id>#2`, then `<id>#3`."""
    stem, _, number = id.rpartition("#")
    return f"{stem}#{int(number) + 1}" if stem and number.isdecimal() else f"{id}#2"
