"""One turn under way: what its agent sees and does, put together of what has a module of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from hub import facts, memory, tokens, tracing
from hub.accounts import turns
from hub.accounts.turns import Status, TurnRecord
from hub.agent import Fact, Receipt, Reply, Room, Step
from hub.delivery.posts import may_post
from hub.errors import RequestError
from hub.facts import place_of
from hub.memory import Entry, Stepped
from hub.message import API, Address, Buttons, File, Message, Part
from hub.model import Completion, ToolCall, Usage
from hub.store import Connection
from hub.turns.arrivals import Arrivals
from hub.turns.exhibits import Exhibits
from hub.turns.journal import Journal
from hub.turns.persona import Persona
from hub.turns.posting import Posting
from hub.turns.recall import TurnMemory
from hub.turns.reminders import Reminders
from hub.turns.speech import Speech
from hub.turns.view import Past, fit, size
from hub.worker import Work

CROWDED = 0.75
"""The part of its room that a conversation may take before its oldest part is summed up."""


class RunningTurn:
    """The `Turn` of one lease: what the agent sees, and what it has done so far."""

    def __init__(self, persona: Persona, work: Work) -> None:
        self._persona = persona
        self._bus = persona.bus
        self._lease = work.lease
        self._journal = Journal(persona, work.lease)
        self._speech = Speech(persona.bus, self.message, persona.name)
        self.arrivals = Arrivals(persona, work.lease, self._journal, self._write)
        self.bill = persona.bill(self.message)
        self.started_at = persona.bus.clock()
        teaches = may_post(persona.learns_from, self.address) and not self.message.visits
        self.place = place_of(self.message, persona.name, teaches=teaches)
        self.memory = TurnMemory(persona.bus, work.lease, self.place, self.address, exact=self.message.visits)
        self.facts = ""
        """What the agent was asked to remember here, as the model is told it."""
        self.room = Room(tokens=persona.budget)
        """How much the agent had room for when it last looked."""
        self.steps: list[Step] = []
        self.usage = Usage()
        self.lost = Usage()
        """Of which: what a model call that was cut off took."""
        self.model: str | None = None
        self._exhibits = Exhibits(persona.files, persona.reader)
        self._listening = asyncio.Lock()

    @property
    def id(self) -> str:
        return self._lease.head.id

    @property
    def accepted_at(self) -> float:
        """When the hub stored its first message (Unix seconds)."""
        return self._lease.head.at

    @property
    def tries(self) -> int:
        """How often it was begun; what was given back without a try used up does not count."""
        return self._lease.tries

    @property
    def messages(self) -> Sequence[Message]:
        return self._journal.messages

    @property
    def message(self) -> Message:
        """The first one, whose id is the turn's."""
        return self._journal.message

    @property
    def address(self) -> Address:
        return self.message.address

    @property
    def session(self) -> int | None:
        """Known from `begin` or the first checkpoint on."""
        return self._journal.session

    @property
    def past(self) -> Past:
        """What the session held before this turn, as far as there may be room for it."""
        return self._journal.past

    @property
    def reply_to(self) -> str | None:
        """What the answer names, where others talk too."""
        return self._journal.reply_to

    async def begin(self) -> None:
        """Find the turn's session, its history and, when it was cut off before, what it had heard and done."""
        known = await self._bus.store.read(self._recall)
        self.facts = facts.shown(known)
        await self._journal.begin()
        for entry in self._journal.entries:
            if isinstance(entry, Stepped):
                self._finish(entry)
        self._speech.restart()

    def _recall(self, connection: Connection) -> list[Fact]:
        self._journal.read(connection)
        if self._journal.stored and not self.bill.is_free:
            self.bill.resume(turns.charged(connection, self.id))
        return facts.visible(connection, self.place)

    async def listen(self) -> None:
        """Have voice messages written down, unless that was done before the turn was cut off."""
        if (voices := self._persona.voices) is None:
            return

        async def written(message: Message) -> Message:
            message, used = await voices.written(message, self.bill)
            self._meter(used, "")
            return message

        async with self._listening:  # the agent and whoever takes newer messages both come here
            await self._journal.rewrite(written)

    async def take(self) -> Sequence[Message]:
        """What else was said meanwhile, where the agent wants to be steered."""
        return await self.arrivals.take()

    def restart(self) -> None:
        """Let go of what was said of an unfinished step: the agent begins it anew, knowing all messages."""
        self.arrivals.restart()
        self._speech.restart()

    def acting(self, calls: tuple[ToolCall, ...] = ()) -> AbstractContextManager[None]:
        """What is done inside is finished before a newer message interrupts the turn."""
        if calls:
            self._speech.sign("calls", calls=calls)
        return self.arrivals.acting()

    async def view(self, room: Room | None = None) -> list[dict[str, Any]]:
        """The conversation so far in OpenAI's shape, as much as there is room for."""
        self.room = room or self.room
        past, own = self.past, self._journal.entries
        shown = await self._exhibits.show(past, own, self.room.images)
        known = [{"role": "system", "content": self.facts}] if self.facts else []
        left = msgspec.structs.replace(self.room, tokens=self.room.tokens - tokens.of_text(self.facts))
        return [*known, *fit(past, own, left, shown)]

    @property
    def crowded(self) -> bool:
        """Whether what the model sees will soon be more than there is room for, and some of it is the past."""
        if not self.past.turns:
            return False
        return size([*self.past.entries, *self._journal.entries]) > CROWDED * self.room.tokens

    async def open(self, file: File) -> bytes:
        """What is in a file that came with a message."""
        return await self._exhibits.open(file)

    async def afford(self, request: Completion) -> Completion:
        """The request as it may be made, with the money for it set aside."""
        return await self.bill.afford(request)

    async def checkpoint(self, step: Step) -> None:
        """Make a finished step durable."""
        self.bill.used(step.usage, step.model)
        # All of it before the write: when a stop cuts that off, it may be stored or not, and nothing is said twice.
        self._finish(step)
        self._journal.entries.append(memory.stepped(step))
        await self._write()
        self._speech.sign("step")

    async def _write(self) -> None:
        await self.listen()  # what is stored stays as it is
        await self._journal.write(self._charge)
        self.bill.written()

    def _charge(self, connection: Connection, session: int) -> None:
        if self.bill.is_open:
            self.bill.write(connection, self.record("running", session=session))

    def append(self, connection: Connection, last: Entry) -> int:
        """A unit: write the entries that are not stored yet, and the `last`; returns the turn's session."""
        return self._journal.append(connection, last)

    @property
    def _stem(self) -> str:
        """Tells what is sent and scheduled in this step from that of all others."""
        return f"{self.id}.{len(self.steps)}"

    @property
    def _posting(self) -> Posting:
        return Posting(persona=self._persona, lease=self._lease, messages=self.messages, stem=self._stem)

    async def post(self, key: str, address: Address, parts: tuple[Part, ...], buttons: Buttons = ()) -> Receipt:
        """Send a message to any chat the agent may post to."""
        return await self._posting.post(key, address, parts, buttons)

    async def react(self, key: str, emoji: str) -> Receipt:
        """Put an emoji below the newest message of this turn."""
        return await self._posting.react(key, emoji)

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        """Store a file, to be posted."""
        if self._persona.files is None:
            raise RequestError("Files cannot be stored here.")
        return await self._persona.files.keep(name, media_type, content)

    @property
    def schedules(self) -> Reminders:
        """What the agent is to be reminded of."""
        return Reminders(
            bus=self._bus,
            agent=self._persona.name,
            lease=self._lease,
            stem=self._stem,
            asking=self.address,
            direct=self.message.direct,
            permitted=self._posting.permitted,
            origin=self._posting.origin,
        )

    def emit(self, text: str) -> None:
        """Show a piece of the reply that is being written."""
        self._speech.emit(text, self.reply_to)

    def think(self, text: str) -> None:
        """Show a piece of what the model thinks."""
        self._speech.sign("reasoning", text=text)

    def finish(self, reply: Reply) -> None:
        """Take over the agent's last words."""
        self.bill.used(reply.usage, reply.model)
        self._meter(reply.usage, reply.model)
        self._speech.end(reply.text, silent=reply.silent)

    def _finish(self, step: Step) -> None:
        self._meter(step.usage, step.model)
        self._speech.step(step.text)
        self.steps.append(step)

    def record(self, status: Status, **how: Any) -> TurnRecord:
        """The turn's row as it is now; `how` it ended."""
        return TurnRecord(
            id=self.id,
            address=str(self.address),
            session_id=self.address.thread_id if self.address.channel == API else None,
            key_id=self.message.key_id,
            status=status,
            agent=self._persona.name,
            model=self.model,
            usage=self.usage,
            created_at=self.message.at,
            started_at=self.started_at,
            first_token_at=self._speech.first_token_at,
            accepted_at=self.accepted_at,
            tries=self.tries,
            request_id=self.message.request_id,
            trace_id=tracing.trace_id(self.message.trace),
            **how,
        )

    @property
    def may_show(self) -> bool:
        """A preview of the reply may be in the chat, perhaps from before a crash."""
        return self._speech.was_shown or self._lease.tries > 1 or self._lease.head.attempts > 0

    @property
    def closes(self) -> bool:
        """Whether the end of a turn without an answer is only told where a preview may be."""
        return self.may_show and not self.message.waited_for

    @property
    def unfinished(self) -> str:
        """What was shown of a step that did not end."""
        return self._speech.unfinished

    @property
    def response(self) -> str:
        """All the agent has said, its steps apart by blank lines; in the middle of a step, what was shown of it."""
        return self._speech.response

    def spent(self, usage: Usage, model: str) -> None:
        """Count the tokens of a model call that was cut off."""
        self.bill.used(usage, model)
        self._meter(usage, model)
        self.lost += usage

    def _meter(self, usage: Usage, model: str) -> None:
        self.usage += usage
        self.model = model or self.model
