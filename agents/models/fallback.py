"""Several models as one: when one cannot answer, the next is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec
import structlog

from hub.errors import ModelError, ModelRefused
from hub.model import Chunk, Completion, Model, answering

log = structlog.get_logger()
_ITS_OWN = (401, 402, 403, 404)
"""Statuses of a refusal that is about our account or this model, not about the request."""


class Fallback:
    """Models in the order they are asked, each with its configured name; who says a word answers to the end."""

    def __init__(self, models: Sequence[tuple[str, Model]]) -> None:
        self._models = models

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        """The answer of the first model that begins one; raises the last one's ModelError, or what all would say."""
        hurried = msgspec.structs.replace(request, hurry=True)
        for number, (name, model) in enumerate(self._models, 1):
            last = number == len(self._models)
            async with answering(model, request if last else hurried) as chunks:
                try:
                    first = await _begin(chunks)
                except ModelError as error:
                    if last or not _may_pass_elsewhere(error):
                        raise
                    log.warning("model failed, the next one is asked", model=name, error=str(error))
                    continue
                yield msgspec.structs.replace(first[0], model=first[0].model or name)
                for chunk in first[1:]:
                    yield chunk
                async for chunk in chunks:
                    yield chunk
                return

    async def close(self) -> None:
        """Hold nothing: who made the models closes them."""


async def _begin(chunks: AsyncIterator[Chunk]) -> list[Chunk]:
    """The chunks up to the first one that says something; at least one."""
    read: list[Chunk] = []
    async for chunk in chunks:
        read.append(chunk)
        if chunk.text or chunk.reasoning or chunk.calls or chunk.finish:
            break
    return read or [Chunk()]


def _may_pass_elsewhere(error: ModelError) -> bool:
    return not isinstance(error, ModelRefused) or error.status in _ITS_OWN
