"""Stateless completions: they run where they arrive and bypass the bus, for there is no order to keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from hub.accounts.turns import Call, Status, TurnRecord, error_code, save
from hub.errors import TurnTimeout
from hub.message import API, Address
from hub.model import Chunk, Completion, Model, Usage
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
        timeout: float | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._targets = targets
        self._timeout = timeout
        """How long to wait for the first of an answer, in seconds; a model knows how long its silences may be."""

    async def complete(self, call: Call) -> AsyncGenerator[Chunk]:
        """Answer and record the turn, cancelled when the iterator is closed early; raises a ModelError, TurnTimeout."""
        target = self._targets[call.name]
        created_at = self._clock()
        status: Status = "cancelled"
        text: list[str] = []
        usage, error, first_at = Usage(), None, None
        try:
            async with _closing(target.model.complete(target.prepare(call.completion))) as chunks:
                chunk = await self._first(chunks)
                while chunk is not None:
                    first_at = first_at or self._clock()
                    text.append(chunk.text)
                    usage = chunk.usage or usage
                    yield chunk
                    chunk = await anext(chunks, None)
            status = "completed"
        except TurnTimeout:
            raise
        except Exception as failure:
            status, error = "failed", failure
            raise
        finally:
            now = self._clock()
            record = TurnRecord(
                id=call.id,
                address=str(Address(API, str(call.key_id), call.session_id)),
                status=status,
                agent=target.agent,
                model=target.model_name,
                session_id=call.session_id,
                key_id=call.key_id,
                response="".join(text),
                error=None if error is None else str(error),
                error_code=None if error is None else error_code(error),
                usage=usage,
                created_at=created_at,
                started_at=created_at,
                first_token_at=first_at,
                finished_at=now,
            )
            await self._store.write(lambda connection: save(connection, record))
            log.info(
                "completion",
                id=call.id,
                address=record.address,
                agent=target.agent,
                model=target.model_name,
                status=status,
                seconds=round(now - created_at, 3),
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


@asynccontextmanager
async def _closing(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[AsyncIterator[Chunk]]:
    """Stop the upstream however the completion ends."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
