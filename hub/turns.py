"""Runs turns: a message of an agent's inbox becomes a `Turn`, the agent answers it, and the reply is settled.

What a turn changes at its end is one unit: its entries, its row, the reply's delivery and the settled message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec
import structlog

from hub import bus as buses
from hub import memory
from hub.accounts.turns import Sign, Status, TurnRecord, end_of, error_code, save, signs_of
from hub.agent import Agent, Receipt, Reply, Step
from hub.bus import Bus, Hold, Lease
from hub.errors import Forbidden, ModelError, ModelRefused
from hub.memory import Entry, Heard, Said, Stepped
from hub.message import API, Address, Author, Buttons, Delivery, Live, Message, Part, Text, described, reply_id
from hub.metrics import TURNS
from hub.model import Usage
from hub.posts import Posts, may_post, publish
from hub.signals import LARGEST
from hub.store import Connection
from hub.worker import Done, Outcome, Retry, Why, Work

log = structlog.get_logger()
POST_WAIT = 10.0
"""How long a tool waits for its post's receipt, in seconds."""
POST_EXPIRES = 24 * 3600.0
TYPING_EVERY = 4.0


class RunningTurn:
    """The `Turn` of one lease: what the agent sees, and what it has done so far."""

    def __init__(self, handler: TurnHandler, work: Work, message: Message) -> None:
        self._handler = handler
        self._bus = handler.bus
        self._lease = work.lease
        self.message = message
        self.started_at = handler.bus.clock()
        self.first_token_at: float | None = None
        self.session: int | None = None
        self.history: list[Entry] = []
        """What the session held before this turn, as far as the model sees it."""
        self.journaled = 0
        """Entries of this turn that are stored."""
        self.steps: list[Entry] = []
        self.usage = Usage()
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
        """What the answer quotes: the question, where others talk too."""
        return None if self.message.direct else self.message.reply_to

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
            session = memory.current_session(connection, self._handler.name, self.address)
        if session is None:
            return None, [], []
        return session, memory.recent(connection, session, self._handler.budget, without=self.id), entries

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
            session = memory.first_session(connection, self._handler.name, self.address, self.id, now)
        entries = [self.heard, *self.steps, *last][self.journaled :]
        memory.append(connection, session, self.id, self.journaled, entries, now)
        return session

    async def post(self, key: str, address: Address, parts: tuple[Part, ...], buttons: Buttons = ()) -> Receipt:
        """Send a message to any chat the agent may post to."""
        address = self._handler.posts.channels.resolve(address)
        if not self._may_post(address):
            log.warning("post refused", turn=self.id, target=str(address), agent=self._handler.name)
            raise Forbidden(f"'{self._handler.name}' may not post to {address} from here.")
        delivery = Delivery(
            id=f"{self.id}.{len(self.steps)}.{key}",
            address=address,
            parts=parts,
            buttons=buttons,
            author=self._handler.author,
            expires_at=self._bus.clock() + POST_EXPIRES,
        )
        record = await self._handler.posts.deliver(delivery, POST_WAIT, hold=self._lease)
        status = record.status if record.status != "sending" else "waiting"
        reason = record.last_error if record.status == "failed" else None
        reason = reason or self._handler.posts.waiting_because(record) or record.last_error
        ids = tuple(part.platform_id for part in record.parts)
        return Receipt(id=delivery.id, status=status, platform_ids=ids, reason=reason)

    def _may_post(self, address: Address) -> bool:
        if self.message.posts_to is not None:
            return may_post(self.message.posts_to, address)
        asking = (self.address.channel, self.address.chat_id)
        return (address.channel, address.chat_id) == asking or may_post(self._handler.posts_to, address)

    def emit(self, text: str) -> None:
        """Show a piece of the reply that is being written."""
        if self.first_token_at is None:
            self.first_token_at = self._bus.clock()
        live = Live(
            kind="delta",
            turn=self.id,
            address=self.address,
            agent=self._handler.name,
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
    def unfinished(self) -> str:
        """What was shown of a step that did not end."""
        return "".join(self._pieces).strip()

    @property
    def response(self) -> str:
        """All the agent has said, its steps apart by blank lines; in the middle of a step, what was shown of it."""
        return "\n\n".join(self._said) + "".join(self._pieces)

    def _meter(self, usage: Usage, model: str) -> None:
        self.usage += usage
        self.model = model or self.model


class TurnHandler:
    """Handles the inbox of one agent."""

    def __init__(
        self,
        bus: Bus,
        posts: Posts,
        name: str,
        agent: Agent,
        *,
        posts_to: tuple[str, ...] = (),
        budget: int = 32_000,
    ) -> None:
        self.bus = bus
        self.posts = posts
        self.name = name
        self.agent = agent
        self.posts_to = posts_to
        self.budget = budget
        self.author = Author(id=name, name=name, kind="agent")

    async def handle(self, work: Work) -> Outcome:
        """Run the turn of the lease's message to its end."""
        message = _DECODER.decode(work.lease.head.body)
        turn = RunningTurn(self, work, message)
        await turn.begin()
        if work.stopped.is_set():
            return self._cancelled(turn)
        try:
            reply = await self._answer(turn, work)
        except ModelError as error:
            if message.address.channel != API and not isinstance(error, ModelRefused):
                return Retry(why=error)
            return self._failed(turn, error)
        if reply is None:
            return self._cancelled(turn)
        turn.finish(reply)
        return self._answered(turn, reply)

    async def _answer(self, turn: RunningTurn, work: Work) -> Reply | None:
        """The agent's reply, None when the turn was stopped first; shows that somebody is typing meanwhile."""
        typing = [asyncio.create_task(self._keep_typing(turn))] if turn.address.channel != API else []
        answer = asyncio.create_task(self.agent.answer(turn), name=f"turn {turn.id}")
        stopped = asyncio.create_task(work.stopped.wait())
        tasks: list[asyncio.Task[Any]] = [*typing, answer, stopped]
        try:
            await asyncio.wait({answer, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            for task in tasks:
                task.cancel()
            # Its errors after a stop are nobody's.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_typing(self, turn: RunningTurn) -> NoReturn:
        typing = msgspec.json.encode(Live(kind="typing", turn=turn.id, address=turn.address))
        while True:
            self.bus.signals.send(topic_of(turn.message), typing)
            await asyncio.sleep(TYPING_EVERY)

    async def exhausted(self, lease: Lease, why: Why) -> Done:
        """End a message that failed too often: its chat gets a sentence, an operator the error."""
        turn = RunningTurn(self, Work(lease=lease), _DECODER.decode(lease.head.body))
        await turn.begin()
        return self._failed(turn, why if isinstance(why, ModelError) else str(why))

    def _answered(self, turn: RunningTurn, reply: Reply) -> Done:
        said = Said(text=reply.text)
        if turn.address.channel == API:
            return self._done(turn, "answered", "completed", said)
        parts = (*text_parts(turn.response), *reply.parts)
        if not parts:
            return self._done(turn, "silent", "completed", said, reason="stay_silent", closes=turn.may_show)
        return self._done(turn, "answered", "completed", said, say=parts)

    def _cancelled(self, turn: RunningTurn) -> Done:
        said = Said(text=turn.unfinished, mark="stopped")
        shown = text_parts(f"{turn.response}\n\n(stopped)") if turn.response and turn.may_show else ()
        return self._done(turn, "silent", "cancelled", said, reason="stopped", say=shown, closes=turn.may_show)

    def _failed(self, turn: RunningTurn, error: ModelError | str) -> Done:
        log.warning("turn failed", id=turn.id, address=str(turn.address), agent=self.name, error=str(error))
        said = Said(text=turn.unfinished, mark="failed")
        if turn.address.channel == API:
            return self._done(turn, "dead", "failed", said, reason="told", error=error)
        return self._done(turn, "dead", "failed", said, error=error, say=text_parts(_apology(turn, error)))

    def _done(
        self,
        turn: RunningTurn,
        outcome: buses.Outcome,
        status: Status,
        said: Said,
        *,
        reason: str | None = None,
        error: ModelError | str | None = None,
        say: tuple[Part, ...] = (),
        closes: bool = False,
    ) -> Done:
        record = self._record(turn, status, error)

        def write(connection: Connection) -> None:
            session = turn.append(connection, said)
            save(connection, msgspec.structs.replace(record, session=session))

        TURNS.labels(self.name, status).inc()
        log.info(
            "turn",
            id=turn.id,
            address=str(turn.address),
            agent=self.name,
            status=status,
            queued=round(turn.started_at - turn.message.at, 3),
            seconds=round(self.bus.clock() - turn.started_at, 3),
        )
        return Done(
            outcome=outcome,
            reason=reason,
            error=None if error is None else str(error),
            publishes=(publish(self._reply(turn, say, closes)),)
            if turn.address.channel != API and (say or closes)
            else (),
            also=write,
            tell=_tell_end(turn, record),
        )

    def _record(self, turn: RunningTurn, status: Status, error: ModelError | str | None) -> TurnRecord:
        asker = turn.address if turn.address.channel == API else None
        return TurnRecord(
            id=turn.id,
            address=str(turn.address),
            session_id=asker and asker.thread_id,
            key_id=asker and int(asker.chat_id),
            status=status,
            agent=self.name,
            model=turn.model,
            response=turn.response,
            error=None if error is None else str(error),
            error_code=None if error is None else error_code(error),
            usage=turn.usage,
            created_at=turn.message.at,
            started_at=turn.started_at,
            first_token_at=turn.first_token_at,
            finished_at=self.bus.clock(),
        )

    def _reply(self, turn: RunningTurn, parts: tuple[Part, ...], closes: bool) -> Delivery:
        return Delivery(
            id=reply_id(turn.id),
            address=turn.address,
            parts=parts,
            author=self.author,
            reply_to=turn.reply_to,
            closes=closes,
        )


def text_parts(text: str) -> tuple[Part, ...]:
    """A text as the parts of a message; blank text has none."""
    return (Text(text=text),) if text.strip() else ()


def topic_of(message: Message) -> str:
    """Where a turn shows signs of life: to its asker over HTTP, or to its channel."""
    return signs_of(message.id) if message.address.channel == API else f"live.{message.address.channel}"


def _tell_end(turn: RunningTurn, record: TurnRecord) -> tuple[tuple[str, bytes], ...]:
    """Signals that a turn is over; who asks over HTTP learns from them how, and need not look."""
    done = Sign(kind="done", turn=turn.id, address=turn.address)
    if turn.address.channel != API:
        return ((topic_of(turn.message), msgspec.json.encode(done)),)
    payload = msgspec.json.encode(msgspec.structs.replace(done, record=record))
    if len(payload) > LARGEST:
        payload = msgspec.json.encode(done)
    return (signs_of(turn.id), payload), (end_of(turn.id), payload)


def _apology(turn: RunningTurn, error: ModelError | str) -> str:
    why = str(error) if isinstance(error, ModelError) else "Something went wrong on my side."
    return f"Sorry, I could not answer that. {why}\n\n(turn {turn.id})"


_DECODER = msgspec.json.Decoder(Message)
