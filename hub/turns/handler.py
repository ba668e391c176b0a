"""Runs turns: a message of an agent's inbox becomes a `Turn`, the agent answers it, and the reply is settled.

What a turn changes at its end is one unit: its entries, its row, the reply's delivery and the settled message.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import msgspec
import structlog
from structlog.contextvars import bind_contextvars

from hub import bus as buses
from hub import tracing
from hub.accounts.turns import Sign, Status, TurnRecord, end_of, error_code, signs_of
from hub.agent import Agent, Reply, Summarizes
from hub.bus import Lease, Publish
from hub.delivery.posts import publish
from hub.errors import HubError, ModelError, ModelRefused, PaymentRequired
from hub.memory import Said
from hub.message import Delivery, Live, Part, Text, reply_id
from hub.metrics import TURNS
from hub.signals import LARGEST
from hub.store import Connection
from hub.turns.compaction import compaction
from hub.turns.persona import Persona
from hub.turns.running import RunningTurn
from hub.turns.speech import topic_of
from hub.worker import Defer, Done, Outcome, Retry, Why, Work, named, take_up

log = structlog.get_logger()
TYPING_EVERY = 4.0
TOLD_EVERY = 3600.0
"""A chat is told at most this often that its budget is used up, in seconds."""
USED_UP = "I have used up what I may spend here for now. I can answer again when my operator adds to it, or next month."


class TurnHandler:
    """Handles the inbox of one agent."""

    def __init__(self, persona: Persona, agent: Agent) -> None:
        self.persona = persona
        self.agent = agent
        self._bus = persona.bus

    async def handle(self, work: Work) -> Outcome:
        """Run the turn of the lease's message to its end."""
        turn = await self._begun(work)
        told = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": self.persona.name,
            "bothub.turn.id": turn.id,
            "bothub.address": str(turn.address),
        }
        with tracing.span(f"invoke_agent {self.persona.name}", told) as span:
            async with turn.bill:
                outcome = await self._handled(turn, work)
            span.set({"bothub.outcome": named(outcome)})
        return outcome

    async def _handled(self, turn: RunningTurn, work: Work) -> Outcome:
        if work.stopped.is_set():
            return self._cancelled(turn)
        if (until := await turn.arrivals.collect()) is not None:
            return Defer(until=until)
        try:
            reply = await self._answer(turn, work)
        except PaymentRequired as error:
            return self._refused(turn, error)
        except ModelError as error:
            if not turn.message.by_program and not isinstance(error, ModelRefused):
                return Retry(why=error)
            return self._failed(turn, error)
        if reply is None:
            return self._cancelled(turn)
        turn.finish(reply)
        return self._answered(turn, reply)

    async def _begun(self, work: Work) -> RunningTurn:
        """The turn as far as it came, by which what is logged from here on goes."""
        turn = RunningTurn(self.persona, work)
        take_up(work.lease, turn.message)
        bind_contextvars(agent=self.persona.name)
        await turn.begin()
        return turn

    async def _answer(self, turn: RunningTurn, work: Work) -> Reply | None:
        """The agent's reply, None when the turn was stopped first; shows that somebody is typing meanwhile."""
        if turn.message.by_program:
            return await self._attempt(turn, work)
        watch: list[asyncio.Task[NoReturn]] = []
        if self.persona.busy == "interrupt":
            await turn.arrivals.catch_up()
            watch.append(asyncio.create_task(turn.arrivals.watch()))
        typing = asyncio.create_task(self._keep_typing(turn))
        try:
            while True:
                reply = await self._attempt(turn, work, *watch)
                if not turn.arrivals.is_behind:
                    return reply
                if work.stopped.is_set():
                    return None
                log.info("turn interrupted", id=turn.id, address=str(turn.address), agent=self.persona.name)
        finally:
            await _cancel(typing, *watch)

    async def _attempt(self, turn: RunningTurn, work: Work, *watch: asyncio.Task[NoReturn]) -> Reply | None:
        """What the agent says; None when it was stopped, or is behind a newer message."""
        turn.restart()
        answer = asyncio.create_task(self._run(turn), name=f"turn {turn.id}")
        try:
            await _first({answer, *watch}, work.stopped, turn.arrivals.overtaken)
            for task in watch:
                if task.done():
                    task.result()
            return answer.result() if answer.done() and not turn.arrivals.is_behind else None
        finally:
            await _cancel(answer)

    async def _run(self, turn: RunningTurn) -> Reply:
        with turn.acting():  # a recording that is cut off would be sent to be written down again
            await turn.listen()
        return await self.agent.answer(turn)

    async def _keep_typing(self, turn: RunningTurn) -> NoReturn:
        typing = msgspec.json.encode(Live(kind="typing", turn=turn.id, address=turn.address, agent=self.persona.name))
        while True:
            self._bus.signals.send(topic_of(turn.message), typing)
            await asyncio.sleep(TYPING_EVERY)

    async def exhausted(self, lease: Lease, why: Why) -> Done:
        """End a message that failed too often: its chat gets a sentence, an operator the error."""
        turn = await self._begun(Work(lease=lease))
        return self._failed(turn, why if isinstance(why, ModelError) else str(why))

    def _answered(self, turn: RunningTurn, reply: Reply) -> Done:
        said = Said(text=reply.text, calls=reply.calls, usage=reply.usage, model=reply.model, pace=reply.pace)
        if turn.message.by_program:
            return self._done(turn, "answered", "completed", said, finish=reply.finish)
        parts = (*text_parts(turn.response), *reply.parts)
        if not parts:
            say = text_parts("I have nothing to say to that.") if turn.message.waited_for else ()
            return self._done(turn, "silent", "completed", said, reason="stay_silent", say=say, closes=turn.closes)
        return self._done(turn, "answered", "completed", said, finish=reply.finish, say=parts)

    def _cancelled(self, turn: RunningTurn) -> Done:
        said = Said(text=turn.unfinished, mark="stopped", usage=turn.lost, model=turn.model or "")
        is_there = bool(turn.response) and turn.may_show
        shown = text_parts(f"{turn.response}\n\n(stopped)".strip()) if is_there or turn.message.waited_for else ()
        return self._done(turn, "silent", "cancelled", said, reason="stopped", say=shown, closes=turn.closes)

    def _failed(self, turn: RunningTurn, error: ModelError | str) -> Done:
        log.warning("turn failed", id=turn.id, address=str(turn.address), agent=self.persona.name, error=str(error))
        said = Said(text=turn.unfinished, mark="failed", usage=turn.lost, model=turn.model or "")
        if turn.message.by_program:
            return self._done(turn, "dead", "failed", said, reason="told", error=error)
        return self._done(turn, "dead", "failed", said, error=error, say=text_parts(_apology(turn, error)))

    def _refused(self, turn: RunningTurn, error: PaymentRequired) -> Done:
        """Nobody pays for more: a program is told so, a chat at most once an hour, unless an answer was begun there."""
        said = Said(text=turn.unfinished, mark="failed", usage=turn.lost, model=turn.model or "")
        begun = bool(turn.response) or turn.may_show or turn.message.waited_for
        slot = int(self._bus.clock() / TOLD_EVERY)
        return self._done(
            turn,
            "refused",
            "failed",
            said,
            reason="budget",
            error=error,
            say=text_parts(f"{turn.response}\n\n{USED_UP}".strip()),
            once=None if begun else f"budget.{turn.address}.{slot}",
        )

    def _done(
        self,
        turn: RunningTurn,
        outcome: buses.Outcome,
        status: Status,
        said: Said,
        *,
        reason: str | None = None,
        finish: str | None = None,
        error: HubError | str | None = None,
        say: tuple[Part, ...] = (),
        closes: bool = False,
        once: str | None = None,
    ) -> Done:
        record = self._record(turn, status, finish, error)
        turn.bill.leave()

        def write(connection: Connection) -> None:
            session = turn.append(connection, said)
            turn.bill.write(connection, msgspec.structs.replace(record, session=session))

        TURNS.labels(self.persona.name, status).inc()
        log.info(
            "turn",
            id=turn.id,
            address=str(turn.address),
            agent=self.persona.name,
            status=status,
            queued=round(turn.started_at - turn.message.at, 3),
            seconds=round(self._bus.clock() - turn.started_at, 3),
        )
        return Done(
            outcome=outcome,
            reason=reason,
            error=None if error is None else str(error),
            publishes=(*self._says(turn, say, closes, once), *self._asks_for_room(turn)),
            also=write,
            tell=_tell_end(turn, record),
        )

    def _says(self, turn: RunningTurn, say: tuple[Part, ...], closes: bool, once: str | None) -> tuple[Publish, ...]:
        if turn.message.by_program or not (say or closes):
            return ()
        reply = self._reply(turn, say, closes)
        return (publish(reply if once is None else msgspec.structs.replace(reply, id=once)),)

    def _asks_for_room(self, turn: RunningTurn) -> tuple[Publish, ...]:
        """A summary of what is oldest, before there is no more room for it."""
        if turn.session is None or not turn.crowded or not isinstance(self.agent, Summarizes):
            return ()
        return (compaction(turn, self.persona.name, turn.session, self._bus.clock()),)

    def _record(
        self, turn: RunningTurn, status: Status, finish: str | None, error: HubError | str | None
    ) -> TurnRecord:
        return turn.record(
            status,
            response=turn.response,
            finish=finish,
            error=None if error is None else str(error),
            error_code=None if error is None else error_code(error),
            finished_at=self._bus.clock(),
        )

    def _reply(self, turn: RunningTurn, parts: tuple[Part, ...], closes: bool) -> Delivery:
        return Delivery(
            id=reply_id(turn.id),
            address=turn.address,
            parts=parts,
            author=self.persona.author,
            reply_to=turn.reply_to,
            closes=closes,
        )


async def _first(tasks: set[asyncio.Task[Any]], *events: asyncio.Event) -> None:
    """Wait until a task has ended or an event is set at this moment."""
    while not any(task.done() for task in tasks) and not any(event.is_set() for event in events):
        waits = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait({*tasks, *waits}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(*waits)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended; their errors are nobody's then."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def text_parts(text: str) -> tuple[Part, ...]:
    """A text as the parts of a message; blank text has none."""
    return (Text(text=text),) if text.strip() else ()


def _tell_end(turn: RunningTurn, record: TurnRecord) -> tuple[tuple[str, bytes], ...]:
    """Signals that a turn is over; who asks over HTTP learns from them how, and need not look."""
    done = Sign(kind="done", turn=turn.id, address=turn.address)
    if not turn.message.by_program:
        return ((topic_of(turn.message), msgspec.json.encode(done)),)
    payload = msgspec.json.encode(msgspec.structs.replace(done, record=record))
    if len(payload) > LARGEST:
        payload = msgspec.json.encode(done)
    return (signs_of(turn.id), payload), (end_of(turn.id), payload)


def _apology(turn: RunningTurn, error: ModelError | str) -> str:
    why = str(error) if isinstance(error, ModelError) else "Something went wrong on my side."
    return f"Sorry, I could not answer that. {why}\n\n(turn {turn.id})"
