"""PORT: a chat platform.

A channel translates. What it hears it hands to `Intake`, which stores before it returns; what it is told to send it
sends once and returns the platform's id. Splitting, pacing, retries and receipts are the dispatcher's, fed by `Limits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

from hub.message import Address, Author, Buttons, File, Message, Part, Value
from hub.text import Unit

COMMANDS: Mapping[str, str] = {
    "new": "Start a new conversation",
    "stop": "Stop the answer that is being written",
    "status": "Show what the bot is doing",
    "agent": "Show who may answer here; with a name, let that agent do it",
    "memory": "Show what the bot remembers here; with “forget” and a number it forgets one",
    "help": "Show what the bot can do",
    "pair": "Show how to be let in",
}
"""What people may tell the hub itself, as `/new`, with the words for a platform's menu."""
RESERVED = {*COMMANDS, "start", "ask"}
"""Words that mean something already: the commands, what Telegram says for people, what Discord's menu has."""


class Limits(Value, frozen=True, kw_only=True):
    """Facts about a platform; rates are messages per second, `burst` how many may go at once."""

    length: int
    """The longest text of one message, in `unit`."""
    unit: Unit = "utf16"
    per_chat: float = 1.0
    per_group: float = 1.0
    group_prefix: str | None = None
    """What the chat ids of groups begin with, where they have a rate of their own."""
    per_bot: float = 30.0
    burst: int = 3
    typing_seconds: float | None = None
    """How long a sign of typing stays; None where the platform shows none."""
    dedupes: bool = False
    """The platform drops a second send with the same `key`."""
    live: bool = False
    """Whoever looks there sees an answer while it is written, without previews."""
    edit_every: float = 1.5
    """Seconds between two edits of a preview in a direct chat; what `Edits` is told is never faster."""
    edit_every_group: float = 3.0
    file_size: int = 0
    """The largest file that may be sent, in bytes; 0 where files cannot be sent."""
    image_size: int = 0
    """The largest image that is shown as one, in bytes; a larger one goes out as a file."""


class Sending(Value, frozen=True, kw_only=True):
    """One message for the platform: a single part, within the limits."""

    address: Address
    part: Part
    author: Author
    key: str
    """The same for every try of the same part: the platform's dedupe key, where it has one."""
    reply_to: str | None = None
    buttons: Buttons = ()
    """Rows of buttons below the message."""
    content: bytes = b""
    """What is in the file, where the part is one."""
    final: bool = True
    """False for a preview, which will be edited."""


class Intake(Protocol):
    """Where a channel puts what it hears; each call returns once the message is stored."""

    async def accept(self, message: Message) -> None:
        """Store a message; the same id again is nothing new."""
        ...

    async def reject(self, id: str, raw: bytes, why: str) -> None:
        """Store something that could not be read as a dead letter, with its raw payload."""
        ...

    async def admits(self, message: Message) -> bool:
        """Whether an agent will come to see a message; of any other its files are not worth a download."""
        ...

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        """Store a file that came with a message, to be named among its parts."""
        ...

    async def gone(self, chat_id: str, why: str) -> None:
        """The bot cannot write to this chat any more; posts to it fail at once until somebody speaks there."""
        ...

    async def moved(self, chat_id: str, to: str) -> None:
        """A chat has another id from now on; its conversations and what waits for it go along."""
        ...

    def up(self) -> None:
        """Say that the connection stands."""
        ...


class Channel(Protocol):
    """One configured account on a chat platform."""

    @property
    def limits(self) -> Limits: ...

    async def listen(self, intake: Intake) -> None:
        """Hand over what people say until cancelled.

        Raises ChannelRefused when the platform refuses our credentials, Unreachable when the connection is lost.
        """
        ...

    async def send(self, sending: Sending) -> str:
        """Send one message and return the platform's id of it; raises a ChannelError."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class ShowsTyping(Protocol):
    """A channel that can show that an answer is being written."""

    async def typing(self, address: Address) -> None: ...


@runtime_checkable
class Edits(Protocol):
    """A channel that can change what it sent: answers are shown while they are written."""

    async def edit(self, sending: Sending, platform_id: str) -> None:
        """Put a part in the place of what was sent under this id; the same content again is no error.

        The first edit with `final` ends the preview. Raises a ChannelError.
        """
        ...

    async def delete(self, address: Address, platform_id: str) -> None:
        """Take back what was sent; what is not there any more is no error."""
        ...


@runtime_checkable
class Drafts(Protocol):
    """A channel that can show a preview that goes away by itself."""

    async def draft(self, sending: Sending) -> bool:
        """Show a preview; False where this chat shows none, and `Edits` is asked."""
        ...


@runtime_checkable
class Measures(Protocol):
    """A channel whose texts grow when they are rendered."""

    def size(self, text: str) -> int:
        """What a CommonMark text takes of the limit once it is rendered, in the platform's unit."""
        ...


@runtime_checkable
class Reacts(Protocol):
    """A channel that can put an emoji below a message."""

    async def react(self, address: Address, platform_id: str, emoji: str) -> None: ...


class WebhookAnswer(Value, frozen=True, kw_only=True):
    """What to answer a platform that pushed something."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"


class Webhook(Protocol):
    """Reads what a platform pushes over HTTP; made from config, without connecting."""

    async def receive(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> WebhookAnswer:
        """Check the secret, store what was said, answer; header names are in lower case. Raises Forbidden."""
        ...


class Rooms(Protocol):
    """Stored chat rooms, for channels whose platform is bothub itself."""

    async def post(self, sending: Sending) -> str:
        """Put a message into the room once per key and return its id."""
        ...


State = Literal["starting", "up", "retrying", "stopped", "failed"]
"""How a channel is: the words of `/ready` and the panel."""
