"""One turn under way: what its agent sees, and what it has done so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import msgspec
import structlog

from hub import facts, memory, tokens, tracing
from hub.accounts import turns
from hub.accounts.billing import Bill, Billing
from hub.accounts.tariff import FREE, Tariff
from hub.accounts.turns import Sign, Status, TurnRecord, signs_of
from hub.agent import Fact, Receipt, Reply, Room, Step
from hub.bus import Bus, Hold, Waiting
from hub.delivery.posts import Posts, may_post
from hub.errors import Forbidden, RequestError, StoreUnavailable
from hub.facts import place_of
from hub.files import FileStore
from hub.memory import Entry, Heard, Said, Stepped
from hub.message import API, Address, Author, Buttons, Delivery, File, Live, Message, Part, Payer, news_of
from hub.model import Completion, ToolCall, Usage
from hub.signals import POLL
from hub.store import Connection
from hub.turns import history
from hub.turns.exhibits import Exhibits, Reader
from hub.turns.recall import TurnMemory
from hub.turns.reminders import Reminders
from hub.turns.view import Past, fit, heard, size
from hub.turns.voices import Voices
from hub.worker import Work

log = structlog.get_logger()
MOST = 100
"""How many messages a turn takes at a time."""
MOST_PAUSES = 10
"""A sender who never pauses is answered after so many times `debounce`."""
CROWDED = 0.75
"""The part of its room that a conversation may take before its oldest part is summed up."""
MARGIN = 2
"""So much more than the budget is read: a model may count half as many tokens as were guessed."""


@dataclass(frozen=True, kw_only=True)
class Persona:
    """An agent as its turns need to know it."""

    name: str
    bus: Bus
    posts: Posts
    posts_to: tuple[str, ...] = ()
    voices: Voices | None = None
    """Writes down voice messages, where config names a model for it."""
    reader: Reader | None = None
    """Makes Markdown of documents; without one they are notes."""
    files: FileStore | None = None
    learns_from: tuple[str, ...] = ()
    """Where what is said may become a fact for everybody."""
    budget: int = 32_000
    """Tokens of history the agent sees, unless it says that it has room for others."""
    busy: Literal["queue", "steer", "interrupt"] = "queue"
    """What becomes of messages that come to a chat's turn while it runs."""
    debounce: float = 0.0
    """Seconds to wait for more of the same sender before a chat's turn begins."""
    tariff: Tariff = FREE
    """What the models cost that may answer."""
    billing: Billing | None = None
    payer: Callable[[Address], Payer | None] = lambda _: None
    """Who pays for what is asked in a chat."""

    @property
    def author(self) -> Author:
        """Who its messages are from."""
        return Author(id=self.name, name=self.name, kind="agent")

    def bill(self, message: Message) -> Bill:
        """The bill of a message's turn."""
        billing = self.billing or Billing(self.bus.store, self.bus.clock)
        payer = message.payer or (None if message.by_program else self.payer(message.address))
        return billing.bill(message.id, self.tariff, payer)


class RunningTurn:
    """The `Turn` of one lease: what the agent sees, and what it has done so far."""

    def __init__(self, persona: Persona, work: Work) -> None:
        self._persona = persona
        self._bus = persona.bus
        self._lease = work.lease
        self.messages: list[Message] = [message_of(work.lease.head)]
        self.bill = persona.bill(self.message)
        self.started_at = persona.bus.clock()
        self.first_token_at: float | None = None
        self.session: int | None = None
        teaches = may_post(persona.learns_from, self.address) and not self.message.visits
        self.place = place_of(self.message, persona.name, teaches=teaches)
        self.memory = TurnMemory(persona.bus, work.lease, self.place, self.address, exact=self.message.visits)
        self.facts = ""
        """What the agent was asked to remember here, as the model is told it."""
        self._asked: Said | None = None
        """The end of the turn before, where it called functions of the asker's and this turn was told of them."""
        self.past = Past()
        """What the session held before this turn, as far as there may be room for it."""
        self.room = Room(tokens=persona.budget)
        """How much the agent had room for when it last looked."""
        self.entries: list[Entry] = [heard(self.message)]
        """This turn's own: what it heard and the steps it finished, in their order."""
        self.journaled = 0
        """How many of them are stored."""
        self.steps: list[Step] = []
        self.overtaken = asyncio.Event()
        """Set while a newer message may interrupt what the agent does."""
        self._is_acting = False
        self.is_behind = False
        """There are messages that the agent has not seen, because they came while it was at work."""
        self.usage = Usage()
        self.lost = Usage()
        """Of which: what a model call that was cut off took."""
        self.model: str | None = None
        self._said: list[str] = []
        self._pieces: list[str] = []
        self._emitted = 0
        self._topic = topic_of(self.message)
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
    def message(self) -> Message:
        """The first one, whose id is the turn's."""
        return self.messages[0]

    @property
    def address(self) -> Address:
        return self.message.address

    @property
    def reply_to(self) -> str | None:
        """What the answer names, where others talk too: the newest of the messages that came before its first step."""
        first = next((at for at, entry in enumerate(self.entries) if not isinstance(entry, Heard)), len(self.messages))
        return self.messages[first - 1].answers_name

    async def begin(self) -> None:
        """Find the turn's session, its history and, when it was cut off before, what it had heard and done."""
        known = await self._bus.store.read(self._recall)
        self.facts = facts.shown(known)
        if self.session is None and not self.message.direct:
            await self._open()
        await self._take_again(sum(isinstance(entry, Heard) for entry in self.entries) - 1)
        for entry in self.entries:
            if isinstance(entry, Stepped):
                self._finish(entry)
        self._emitted = len(self.response)

    async def _open(self) -> None:
        """Begin the session now: what is only listened to may else begin another while this turn runs."""
        opened: list[int] = []

        def open_it(connection: Connection) -> None:
            opened.append(memory.opened(connection, self._persona.name, self.address, self._bus.clock()))

        await self._bus.commit(Hold(lease=self._lease), also=open_it)
        self.session = opened[-1]

    async def _take_again(self, count: int) -> None:
        if count:
            self.messages += map(message_of, await self._bus.take(self._lease, count))

    def _recall(self, connection: Connection) -> list[Fact]:
        self.session, entries = memory.journal(connection, self.id)
        if self.session is None:
            self.session = memory.current_session(connection, self._persona.name, self.address)
        if entries:
            self.entries, self.journaled = entries, len(entries)
            if not self.bill.is_free:
                self.bill.resume(turns.charged(connection, self.id))
        else:
            if self.session is not None and self.message.results:
                self._asked = memory.calling(connection, self.session, self.id)
            self.entries = [heard(self.message, self._asked)]
        if self.session is not None:
            most, first = MARGIN * self._persona.budget, self.entries[0]
            self.past = history.past(connection, self.session, most, without=self.id, first=first)
        return facts.visible(connection, self.place)

    async def listen(self) -> None:
        """Have voice messages written down, unless that was done before the turn was cut off."""
        if self._persona.voices is None:
            return
        async with self._listening:  # the agent and whoever takes newer messages both come here
            number = 0
            for at, entry in enumerate(self.entries):  # it grows meanwhile
                if isinstance(entry, Heard):
                    if at >= self.journaled:
                        written, used = await self._persona.voices.written(self.messages[number], self.bill)
                        self.messages[number], self.entries[at] = written, heard(written, self._asked)
                        self._meter(used, "")
                    number += 1

    async def collect(self) -> float | None:
        """Take what the sender said right after; a Unix time to wait for where more may still come.

        What belongs together is told by when it came, so a turn that is begun again finds the same.
        """
        pause, head = self._persona.debounce, self._lease.head
        if not pause or self.journaled or self.message.author.kind != "person":
            return None
        latest = head.at + pause * MOST_PAUSES

        def fits(last: Waiting, waiting: Waiting) -> bool:
            rapid = waiting.at - last.at <= pause and waiting.at <= latest
            return rapid and may_join(waiting) and message_of(waiting).author.id == self.message.author.id

        more = await self._bus.take(self._lease, MOST, fits)
        until = min(self._lease.messages[-1].at + pause, latest)
        if self._bus.clock() < until:
            return until
        self._add(more)
        return None

    async def take(self) -> Sequence[Message]:
        """What else was said meanwhile, where the agent wants to be steered."""
        if self._persona.busy != "steer" or self.message.by_program:
            return ()
        known = len(self.messages)
        self._add(await self._bus.take(self._lease, MOST, lambda _, waiting: may_join(waiting)))
        await self._remember(known)
        return self.messages[known:]

    def _add(self, more: Sequence[Waiting]) -> None:
        messages = [message_of(waiting) for waiting in more]
        self.messages += messages
        self.entries += map(heard, messages)

    async def _remember(self, known: int) -> None:
        """Store what was taken besides what was `known`: a turn that is cut off has to take the same again."""
        if len(self.messages) > known:
            await self._write()

    async def catch_up(self) -> None:
        """Take everything that waits; an agent that is at work is behind then."""
        if await self._bus.waiting(self._lease.inbox, self._lease.lane) > len(self._lease.messages):
            known = len(self.messages)
            self._add(await self._bus.take(self._lease, MOST, lambda _, waiting: may_join(waiting)))
            self.is_behind = self.is_behind or len(self.messages) > known
            self._overtake()
            await self._remember(known)

    async def watch(self) -> NoReturn:
        """Take what is said while the turn runs, and interrupt it."""
        with self._bus.signals.listen(news_of(self._lease.inbox, self._lease.lane)) as news:
            while True:
                try:
                    await self.catch_up()
                except StoreUnavailable as error:
                    log.warning("not looked for newer messages", turn=self.id, error=str(error))
                await news.next(POLL)

    def restart(self) -> None:
        """Let go of what was said of an unfinished step: the agent begins it anew, knowing all messages."""
        self.is_behind = False
        self._overtake()
        self._pieces = []
        self._emitted = len(self.response)

    @contextmanager
    def acting(self, calls: tuple[ToolCall, ...] = ()) -> Generator[None]:
        """What is done inside is finished before a newer message interrupts the turn."""
        if calls:
            self._sign("calls", calls=calls)
        self._is_acting = True
        self._overtake()
        try:
            yield
        finally:
            self._is_acting = False
            self._overtake()

    def _overtake(self) -> None:
        if self.is_behind and not self._is_acting:
            self.overtaken.set()
        else:
            self.overtaken.clear()

    async def view(self, room: Room | None = None) -> list[dict[str, Any]]:
        """The conversation so far in OpenAI's shape, as much as there is room for."""
        self.room = room or self.room
        shown = await self._exhibits.show(self.past, self.entries, self.room.images)
        known = [{"role": "system", "content": self.facts}] if self.facts else []
        left = msgspec.structs.replace(self.room, tokens=self.room.tokens - tokens.of_text(self.facts))
        return [*known, *fit(self.past, self.entries, left, shown)]

    @property
    def crowded(self) -> bool:
        """Whether what the model sees will soon be more than there is room for, and some of it is the past."""
        return bool(self.past.turns) and size([*self.past.entries, *self.entries]) > CROWDED * self.room.tokens

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
        self.entries.append(memory.stepped(step))
        await self._write()
        self._sign("step")

    async def _write(self) -> None:
        await self.listen()  # what is stored stays as it is
        count = len(self.entries)
        written: list[int] = []

        def write(connection: Connection) -> None:
            written.append(self._append(connection, self.entries[:count]))
            if self.bill.is_open:
                self.bill.write(connection, self.record("running", session=written[-1]))

        await self._bus.commit(Hold(lease=self._lease), also=write)
        self.bill.written()
        self.session, self.journaled = written[0], max(self.journaled, count)

    def append(self, connection: Connection, last: Entry) -> int:
        """A unit: write the entries that are not stored yet, and the `last`; returns the turn's session."""
        return self._append(connection, [*self.entries, last])

    def _append(self, connection: Connection, entries: Sequence[Entry]) -> int:
        now, session, first = self._bus.clock(), self.session, self.journaled
        if session is None:
            person = self.message.sender if self.message.private else None
            session = memory.first_session(connection, self._persona.name, self.address, self.id, now, person)
        memory.append(connection, session, self.id, first, entries[first:], now)
        return session

    async def post(self, key: str, address: Address, parts: tuple[Part, ...], buttons: Buttons = ()) -> Receipt:
        """Send a message to any chat the agent may post to."""
        address = await self._permitted(address)
        return await self._deliver(key, address, parts=parts, buttons=buttons)

    async def react(self, key: str, emoji: str) -> Receipt:
        """Put an emoji below the newest message of this turn."""
        message = self.messages[-1]
        if message.by_program or message.reply_to is None:
            raise RequestError("There is no message here that could be reacted to.")
        return await self._deliver(key, self.address, parts=(), reply_to=message.reply_to, reaction=emoji)

    async def _deliver(self, key: str, address: Address, **what: Any) -> Receipt:
        delivery = Delivery(
            id=f"{self.id}.{len(self.steps)}.{key}", address=address, author=self._persona.author, **what
        )
        return await self._persona.posts.post(delivery, hold=self._lease)

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        """Store a file, to be posted."""
        if self._persona.files is None:
            raise RequestError("Files cannot be stored here.")
        return await self._persona.files.keep(name, media_type, content)

    async def _permitted(self, address: Address) -> Address:
        """The address by its channel's own name; raises Forbidden where the agent may not post."""
        address = await self._persona.posts.resolve(address)
        if not self._may_post(address):
            names = {"message": self.messages[-1].id, "turn": self.id, "target": str(address)}
            log.warning("post refused", agent=self._persona.name, **names)
            raise Forbidden(f"'{self._persona.name}' may not post to {address} from here.")
        return address

    @property
    def schedules(self) -> Reminders:
        """What the agent is to be reminded of."""
        return Reminders(
            bus=self._bus,
            agent=self._persona.name,
            lease=self._lease,
            stem=f"{self.id}.{len(self.steps)}",
            asking=self.address,
            direct=self.message.direct,
            permitted=self._permitted,
        )

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
            step=len(self.steps),
        )
        self._emitted += len(text)
        self._pieces.append(text)
        self._bus.signals.send(self._topic, msgspec.json.encode(live))

    def think(self, text: str) -> None:
        """Show a piece of what the model thinks."""
        self._sign("reasoning", text=text)

    def _sign(self, kind: Literal["reasoning", "calls", "step"], **what: Any) -> None:
        """Tell a program what happens beside the reply; chats are not shown it."""
        if self.message.by_program:
            sign = Sign(kind=kind, turn=self.id, address=self.address, step=len(self.steps), **what)
            self._bus.signals.send(self._topic, msgspec.json.encode(sign))

    def finish(self, reply: Reply) -> None:
        """Take over the agent's last words."""
        self.bill.used(reply.usage, reply.model)
        self._meter(reply.usage, reply.model)
        self._say(reply.text)
        if reply.silent:
            self._said = []

    def _finish(self, step: Step) -> None:
        self._meter(step.usage, step.model)
        self._say(step.text)
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
            first_token_at=self.first_token_at,
            accepted_at=self.accepted_at,
            tries=self.tries,
            request_id=self.message.request_id,
            trace_id=tracing.trace_id(self.message.trace),
            **how,
        )

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
        self.bill.used(usage, model)
        self._meter(usage, model)
        self.lost += usage

    def _meter(self, usage: Usage, model: str) -> None:
        self.usage += usage
        self.model = model or self.model


def topic_of(message: Message) -> str:
    """Where a turn shows signs of life: to its asker over HTTP, or to its channel."""
    return signs_of(message.id) if message.by_program else f"live.{message.address.channel}"


def message_of(waiting: Waiting) -> Message:
    """A message that waits; raises msgspec.DecodeError for one that nobody can read."""
    return _DECODER.decode(waiting.body)


def may_join(waiting: Waiting) -> bool:
    """Whether a message may be taken.

    One that cannot be read ends by itself; one that its platform waits for (a slash command) needs an answer that
    names it; a program's has an answer of its own.
    """
    try:
        message = message_of(waiting)
    except msgspec.DecodeError:
        return False
    return not (message.waited_for or message.by_program)


_DECODER = msgspec.json.Decoder(Message)
