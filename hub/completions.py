"""Stateless completions: they run where they arrive and bypass the bus, for there is no order to keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from hub.accounts.turns import Call, Status, TurnRecord, error_code, save
from hub.errors import TurnTimeout
from hub.message import API, Address
from hub.model import Chunk, Completion, Model, Usage, answering
from hub.store import Store

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a name stands for: a model, and for agents whose history the client keeps, what they add to a request."""

    model: Model
    model_name: str
    agent: str | None = None
    prepare: Callable[[Completion], Completion] = lambda completion: completion


class Completions:
    """Completes and records (`api.ports.Models`)."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        targets: Mapping[str, Target],
        *,
        estimate: Callable[[Completion, str], Usage],
        timeout: float | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._targets = targets
        self._estimate = estimate
        """Counts the tokens of an answer that was cut off before its usage came."""
        self._timeout = timeout
        """How long to wait for the first of an answer, in seconds; a model knows how long its silences may be."""

    async def complete(self, call: Call) -> AsyncGenerator[Chunk]:
        """Answer and record the turn, cancelled when the iterator is closed early; raises a ModelError, TurnTimeout."""
        target = self._targets[call.name]
        request = target.prepare(call.completion)
        said = _Said(created_at=self._clock(), model=target.model_name)
        try:
            async with answering(target.model, request) as chunks:
                chunk = await self._first(chunks)
                while chunk is not None:
                    said.first_at = said.first_at or self._clock()
                    said.take(chunk)
                    yield chunk
                    chunk = await anext(chunks, None)
            said.status = "completed"
        except TurnTimeout:
            raise
        except Exception as failure:
            said.status, said.error = "failed", failure
            raise
        finally:
            # A model that failed without a word has used nothing.
            if said.usage is None and (said.first_at is not None or said.error is None):
                said.usage = self._estimate(request, "".join((*said.thought, *said.text)))
            await self._record(call, target, said)

    async def _record(self, call: Call, target: Target, said: _Said) -> None:
        now = self._clock()
        record = TurnRecord(
            id=call.id,
            address=str(Address(API, str(call.key_id), call.session_id)),
            status=said.status,
            agent=target.agent,
            model=said.model,
            session_id=call.session_id,
            key_id=call.key_id,
            response="".join(said.text) if call.keeps_text else None,
            finish=said.finish,
            error=None if said.error is None or not call.keeps_text else str(said.error),
            error_code=None if said.error is None else error_code(said.error),
            usage=said.usage or Usage(),
            created_at=said.created_at,
            started_at=said.created_at,
            first_token_at=said.first_at,
            finished_at=now,
        )
        await self._store.write(lambda connection: save(connection, record))
        log.info(
            "completion",
            id=call.id,
            address=record.address,
            agent=target.agent,
            model=said.model,
            status=said.status,
            seconds=round(now - said.created_at, 3),
        )

    async def _first(self, chunks: AsyncIterator[Chunk]) -> Chunk | None:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                return await anext(chunks, None)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TurnTimeout(f"No answer within {self._timeout:g} s; the turn was cancelled.") from error


@dataclass(kw_only=True)
class _Said:
    """What came of a completion so far."""

    created_at: float
    model: str
    status: Status = "cancelled"
    text: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])
    finish: str | None = None
    usage: Usage | None = None
    error: Exception | None = None
    first_at: float | None = None

    def take(self, chunk: Chunk) -> None:
        self.text.append(chunk.text)
        if chunk.reasoning:
            self.thought.append(chunk.reasoning)
        self.finish = chunk.finish or self.finish
        self.usage = chunk.usage or self.usage
        self.model = chunk.model or self.model
