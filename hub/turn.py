"""One turn under way: what its agent sees, and what it has done so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from hub import memory
from hub.accounts.turns import signs_of
from hub.agent import Receipt, Reply, Step
from hub.bus import Bus, Hold
from hub.errors import Forbidden, RequestError
from hub.files import FileStore
from hub.memory import Entry, Heard, Stepped
from hub.message import API, Address, Author, Buttons, Delivery, File, Live, Message, Part, described
from hub.model import Usage
from hub.posts import Posts, may_post
from hub.store import Connection
from hub.voices import Voices
from hub.worker import Work

log = structlog.get_logger()
POST_WAIT = 10.0
"""How long a tool waits for its post's receipt, in seconds."""
POST_EXPIRES = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Persona:
    """An agent as its turns need to know it."""

    name: str
    bus: Bus
    posts: Posts
    posts_to: tuple[str, ...] = ()
    voices: Voices | None = None
    """Writes down voice messages, where config names a model for it."""
    files: FileStore | None = None
    budget: int = 32_000
    """Tokens of history the agent sees."""

    @property
    def author(self) -> Author:
        """Who its messages are from."""
        return Author(id=self.name, name=self.name, kind="agent")


class RunningTurn:
    """The `Turn` of one lease: what the agent sees, and what it has done so far."""

    def __init__(self, persona: Persona, work: Work, message: Message) -> None:
        self._persona = persona
        self._bus = persona.bus
        self._lease = work.lease
        self.message = message
        self.started_at = persona.bus.clock()
        self.first_token_at: float | None = None
        self.session: int | None = None
        self.history: list[Entry] = []
        """What the session held before this turn, as far as the model sees it."""
        self.journaled = 0
        """Entries of this turn that are stored."""
        self.steps: list[Entry] = []
        self.usage = Usage()
        self.lost = Usage()
        """Of which: what a model call that was cut off took."""
        self.model: str | None = None
        self._said: list[str] = []
        self._pieces: list[str] = []
        self._emitted = 0
        self._topic = topic_of(message)

    @property
    def id(self) -> str:
        return self._lease.head.id

    @property
    def address(self) -> Address:
        return self.message.address

    @property
    def messages(self) -> Sequence[Message]:
        return (self.message,)

    @property
    def heard(self) -> Heard:
        return Heard(text=described(self.message), author=None if self.message.direct else self.message.author.name)

    @property
    def reply_to(self) -> str | None:
        """What the answer names: the question, where others talk too."""
        return self.message.answers_name

    async def begin(self) -> None:
        """Find the turn's session, its history and, when it was cut off before, what it had done."""
        self.session, self.history, entries = await self._bus.store.read(self._recall)
        self.journaled, self.steps = len(entries), entries[1:]
        for step in self.steps:
            if isinstance(step, Stepped):
                self._meter(step.usage, step.model)
                self._say(step.text)
        self._emitted = len(self.response)

    def _recall(self, connection: Connection) -> tuple[int | None, list[Entry], list[Entry]]:
        session, entries = memory.journal(connection, self.id)
        if session is None:
            session = memory.current_session(connection, self._persona.name, self.address)
        if session is None:
            return None, [], []
        return session, memory.recent(connection, session, self._persona.budget, without=self.id), entries

    async def listen(self) -> None:
        """Have voice messages written down, unless that was done before the turn was cut off."""
        if self._persona.voices is not None and not self.journaled:
            self.message, used = await self._persona.voices.written(self.message)
            self._meter(used, "")

    async def view(self) -> list[dict[str, Any]]:
        """The conversation so far in OpenAI's shape."""
        return memory.as_chat([*self.history, self.heard, *self.steps])

    async def checkpoint(self, step: Step) -> None:
        """Make a finished step durable."""
        # All of it before the write: when a stop cuts that off, it may be stored or not, and nothing is said twice.
        self._meter(step.usage, step.model)
        self._say(step.text)
        self.steps.append(memory.stepped(step))
        written: list[int] = []

        def write(connection: Connection) -> None:
            written.append(self.append(connection))

        await self._bus.commit(Hold(lease=self._lease), also=write)
        self.session, self.journaled = written[0], 1 + len(self.steps)

    def append(self, connection: Connection, *last: Entry) -> int:
        """A unit: write the entries that are not stored yet, and `last`; returns the turn's session."""
        now, session = self._bus.clock(), self.session
        if session is None:
            session = memory.first_session(connection, self._persona.name, self.address, self.id, now)
        entries = [self.heard, *self.steps, *last][self.journaled :]
        memory.append(connection, session, self.id, self.journaled, entries, now)
        return session

    async def post(self, key: str, address: Address, parts: tuple[Part, ...], buttons: Buttons = ()) -> Receipt:
        """Send a message to any chat the agent may post to."""
        address = self._persona.posts.channels.resolve(address)
        if not self._may_post(address):
            names = {"message": self.messages[-1].id, "turn": self.id, "target": str(address)}
            log.warning("post refused", agent=self._persona.name, **names)
            raise Forbidden(f"'{self._persona.name}' may not post to {address} from here.")
        delivery = Delivery(
            id=f"{self.id}.{len(self.steps)}.{key}",
            address=address,
            parts=parts,
            buttons=buttons,
            author=self._persona.author,
            expires_at=self._bus.clock() + POST_EXPIRES,
        )
        record = await self._persona.posts.deliver(delivery, POST_WAIT, hold=self._lease)
        status = record.status if record.status != "sending" else "waiting"
        reason = record.last_error if record.status == "failed" else None
        reason = reason or self._persona.posts.waiting_because(record) or record.last_error
        ids = tuple(part.platform_id for part in record.parts)
        return Receipt(id=delivery.id, status=status, platform_ids=ids, reason=reason)

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        """Store a file, to be posted."""
        if self._persona.files is None:
            raise RequestError("Files cannot be stored here.")
        return await self._persona.files.keep(name, media_type, content)

    def _may_post(self, address: Address) -> bool:
        if self.message.posts_to is not None:
            return may_post(self.message.posts_to, address)
        asking = (self.address.channel, self.address.chat_id)
        return (address.channel, address.chat_id) == asking or may_post(self._persona.posts_to, address)

    def emit(self, text: str) -> None:
        """Show a piece of the reply that is being written."""
        if self.first_token_at is None:
            self.first_token_at = self._bus.clock()
        live = Live(
            kind="delta",
            turn=self.id,
            address=self.address,
            agent=self._persona.name,
            reply_to=self.reply_to,
            offset=self._emitted,
            text=text,
        )
        self._emitted += len(text)
        self._pieces.append(text)
        self._bus.signals.send(self._topic, msgspec.json.encode(live))

    def finish(self, reply: Reply) -> None:
        """Take over the agent's last words."""
        self._meter(reply.usage, reply.model)
        self._say(reply.text)
        if reply.silent:
            self._said = []

    def _say(self, text: str) -> None:
        """The text of a step is complete."""
        self._pieces = []
        if text:
            self._said.append(text)

    @property
    def may_show(self) -> bool:
        """A preview of the reply may be in the chat, perhaps from before a crash."""
        return self._emitted > 0 or self._lease.tries > 1 or self._lease.head.attempts > 0

    @property
    def closes(self) -> bool:
        """Whether the end of a turn without an answer is only told where a preview may be."""
        return self.may_show and not self.message.waited_for

    @property
    def unfinished(self) -> str:
        """What was shown of a step that did not end."""
        return "".join(self._pieces).strip()

    @property
    def response(self) -> str:
        """All the agent has said, its steps apart by blank lines; in the middle of a step, what was shown of it."""
        return "\n\n".join(self._said) + "".join(self._pieces)

    def spent(self, usage: Usage, model: str) -> None:
        """Count the tokens of a model call that was cut off."""
        self._meter(usage, model)
        self.lost += usage

    def _meter(self, usage: Usage, model: str) -> None:
        self.usage += usage
        self.model = model or self.model


def topic_of(message: Message) -> str:
    """Where a turn shows signs of life: to its asker over HTTP, or to its channel."""
    return signs_of(message.id) if message.address.channel == API else f"live.{message.address.channel}"
