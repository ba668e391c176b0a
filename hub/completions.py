"""What models do without memory: it runs where it arrives and bypasses the bus, for there is no order to keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import structlog
from msgspec import structs
from structlog.contextvars import bind_contextvars

from hub import memory, tokens, tracing
from hub.accounts.billing import Bill, Billing
from hub.accounts.tariff import FREE, Tariff
from hub.accounts.turns import Call, Stage, Status, TurnRecord, Work, error_code
from hub.agent import Step, Turn
from hub.errors import RequestError, TurnTimeout
from hub.memory import Heard, Said
from hub.message import API, Address
from hub.model import (
    Chunk,
    Completion,
    Embeddable,
    Embedder,
    Embeddings,
    Model,
    Recording,
    Transcriber,
    Transcript,
    Usage,
    stopping,
)
from hub.store import Connection, Store
from hub.turns.errand import Desk, Errand

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a name stands for: a model, or an agent that answers without a conversation and counts its own tokens."""

    model: Model
    model_name: str
    agent: str | None = None
    tariff: Tariff = FREE
    answer: Callable[[Completion, Turn], AsyncIterator[Chunk]] | None = None
    """How the agent answers."""


class Completions:
    """Completes, embeds, transcribes, and records (`api.ports.Models`)."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        targets: Mapping[str, Target],
        desk: Desk,
        *,
        estimate: Callable[[Completion, str], Usage],
        timeout: float | None = None,
        billing: Billing | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._targets = targets
        self._desk = desk
        self._estimate = estimate
        """Counts the tokens of an answer that was cut off before its usage came."""
        self._billing = billing or Billing(store, clock)
        self._timeout = timeout
        """How long to wait for the first of an answer, in seconds; a model knows how long its silences may be."""

    async def complete(self, call: Call) -> AsyncGenerator[Chunk]:
        """Answer and record the turn, cancelled when the iterator is closed early.

        Raises a ModelError, PaymentRequired, TurnTimeout.
        """
        target = self._targets[call.name]

        def cut_off(said: _Said) -> Usage:
            return self._estimate(call.completion, "".join((*said.thought, *said.text)))

        async with self._recorded(call, target, cut_off) as said:
            errand = Errand(call, target.agent or "", self._desk, said.bill)
            try:
                if target.answer:
                    answer = target.answer(call.completion, errand)
                else:
                    answer = target.model.complete(await said.bill.afford(call.completion))
                async with stopping(answer) as chunks:
                    chunk = await self._in_time(anext(chunks, None))
                    while chunk is not None:
                        said.first_at = said.first_at or self._clock()
                        said.take(chunk)
                        yield chunk
                        chunk = await anext(chunks, None)
            finally:
                if target.answer is not None:
                    said.usage = (said.usage or Usage()) + errand.lost
                    said.stages = tuple(map(_stage, errand.steps))

    async def embed(self, work: Work, inputs: Sequence[Embeddable], dimensions: int | None = None) -> Embeddings:
        """Embed and record; raises RequestError when it cannot, a ModelError, TurnTimeout."""
        target, model = self._able(work.name, Embedder, "embed texts")
        guess = Usage(prompt=tokens.of_inputs(inputs), estimated=True)
        async with self._recorded(work, target, lambda _: guess) as said:
            await said.bill.reserve(target.tariff.embedding(inputs))
            found = await self._in_time(model.embed(inputs, dimensions))
            said.count(found.usage)
        return found

    async def transcribe(self, work: Work, recording: Recording) -> Transcript:
        """Write down and record; raises RequestError when it cannot, a ModelError, TurnTimeout."""
        target, model = self._able(work.name, Transcriber, "transcribe recordings")
        async with self._recorded(work, target, lambda _: Usage(estimated=True)) as said:
            await said.bill.reserve(target.tariff.recording(recording))
            found = await self._in_time(model.transcribe(recording))
            said.text.append(found.text)
            said.count(found.usage)
        return found

    def _able(self, name: str, ability: type[T], does: str) -> tuple[Target, T]:
        """The target of a name, and its model with an ability; raises RequestError that names those which have it."""
        able = {each: target for each, target in self._targets.items() if _has(target, ability)}
        if name in able and isinstance(model := able[name].model, ability):
            return able[name], model
        others = f"; of those here {', '.join(able)} can" if able else ""
        raise RequestError(f"'{name}' cannot {does}{others}.", param="model", code="unsupported_model")

    @asynccontextmanager
    async def _recorded(
        self, work: Work, target: Target, cut_off: Callable[[_Said], Usage]
    ) -> AsyncGenerator[_Said, None]:
        """Record what is done in the block; `cut_off` guesses the usage of what ends before its usage came."""
        bind_contextvars(id=work.id, agent=target.agent)
        bill = self._billing.bill(work.id, target.tariff, work.payer)
        said = _Said(created_at=self._clock(), model=target.model_name, bill=bill)
        async with bill:
            try:
                with _invoking(target, work):
                    yield said
                said.status = "completed"
            except TurnTimeout:
                raise
            except Exception as failure:
                said.status, said.error = "failed", failure
                raise
            finally:
                # A model that failed without a word has used nothing.
                if said.usage is None and (said.first_at is not None or said.error is None):
                    said.count(cut_off(said))
                await self._record(work, target, said)

    async def _record(self, work: Work, target: Target, said: _Said) -> None:
        now = self._clock()
        record = TurnRecord(
            id=work.id,
            address=str(Address(API, str(work.key_id), work.session_id)),
            status=said.status,
            agent=target.agent,
            model=said.model,
            session_id=work.session_id,
            key_id=work.key_id,
            response="".join(said.text) if work.keeps_text else None,
            finish=said.finish,
            error=None if said.error is None or not work.keeps_text else str(said.error),
            error_code=None if said.error is None else error_code(said.error),
            usage=said.usage or Usage(),
            created_at=said.created_at,
            started_at=said.created_at,
            first_token_at=said.first_at,
            finished_at=now,
            request_id=tracing.request_id(),
            trace_id=tracing.trace_id(tracing.traceparent()),
            stages=said.stages,
        )
        prompt = _prompt(work.completion) if isinstance(work, Call) and work.keeps_text else None

        def write(connection: Connection) -> None:
            known = record if prompt is None else remembered(connection, record, work.name, prompt, now)
            said.bill.write(connection, known)

        await self._store.write(write)
        said.bill.written()
        log.info(
            "completion",
            id=work.id,
            address=record.address,
            agent=target.agent,
            model=said.model,
            status=said.status,
            seconds=round(now - said.created_at, 3),
        )

    async def _in_time(self, answer: Awaitable[T]) -> T:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                return await answer
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TurnTimeout(f"No answer within {self._timeout:g} s; the turn was cancelled.") from error


def remembered(connection: Connection, record: TurnRecord, name: str, prompt: str, now: float) -> TurnRecord:
    """A unit: keep what was said in the session that the request named, or without one in the turn's row."""
    here = Address.parse(record.address)
    if here.thread_id is None:
        return structs.replace(record, prompt=prompt)
    session = memory.opened(connection, name, here, record.created_at, person=here.chat)
    mark = _MARKS.get(record.status)
    last = Said(text=record.response or "", mark=mark, usage=record.usage, model=record.model or "")
    memory.append(connection, session, record.id, 0, [Heard(text=prompt), last], now)
    return structs.replace(record, session=session)


def _prompt(completion: Completion) -> str:
    """What a person said last, with a word for each file among it."""
    said = (each.get("content") for each in reversed(completion.messages) if each.get("role") == "user")
    content: Any = next(said, None)
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = cast(list[dict[str, Any]], content)
    texts = [part["text"] if isinstance(part.get("text"), str) else f"({part.get('type', 'file')})" for part in parts]
    return "\n\n".join(texts)


_MARKS: Mapping[Status, Literal["stopped", "failed"]] = {"cancelled": "stopped", "failed": "failed"}


def _invoking(target: Target, work: Work) -> AbstractContextManager[object]:
    """A span for the turn of an agent; a model that is called without one has its own."""
    if target.agent is None:
        return nullcontext()
    told = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": target.agent, "bothub.turn.id": work.id}
    return tracing.span(f"invoke_agent {target.agent}", told)


def _stage(step: Step) -> Stage:
    """What is kept of a step."""
    names = tuple(call.name for call in step.calls)
    return Stage(calls=names, usage=step.usage, model=step.model, pace=step.pace, took=step.took)


def _has(target: Target, ability: type[object]) -> bool:
    """Whether it is a model with an ability; agents only answer."""
    return target.agent is None and isinstance(target.model, ability)


@dataclass(kw_only=True)
class _Said:
    """What came of it so far."""

    created_at: float
    model: str
    bill: Bill
    status: Status = "cancelled"
    text: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])
    finish: str | None = None
    usage: Usage | None = None
    error: Exception | None = None
    first_at: float | None = None
    stages: tuple[Stage, ...] = ()

    def take(self, chunk: Chunk) -> None:
        self.text.append(chunk.text)
        if chunk.reasoning:
            self.thought.append(chunk.reasoning)
        self.finish = chunk.finish or self.finish
        self.model = chunk.model or self.model
        if chunk.usage is not None:
            self.count(chunk.usage)

    def count(self, usage: Usage) -> None:
        """Count what a call took that has ended."""
        self.usage = usage if self.usage is None else self.usage + usage
        self.bill.used(usage, self.model)
