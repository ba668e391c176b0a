"""A model whose library is imported off the loop: those of some providers take seconds."""

from __future__ import annotations

import asyncio
import pkgutil
from collections.abc import AsyncGenerator
from typing import Any

from hub.model import Chunk, Completion, Model, answering


class Late:
    """The model of a class, `module:Class`, made in a thread: when the hub has started, or when it is first asked."""

    def __init__(self, kind: str, **settings: Any) -> None:
        self._kind = kind
        self._settings = settings
        self._lock = asyncio.Lock()
        self._model: Model | None = None

    async def load(self) -> None:
        """Import what it needs."""
        await self._made()

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        """Answer in chunks, as the model does."""
        async with answering(await self._made(), request) as chunks:
            async for chunk in chunks:
                yield chunk

    async def close(self) -> None:
        """Let go of connections."""
        if self._model is not None:
            await self._model.close()

    async def _made(self) -> Model:
        async with self._lock:
            if self._model is None:
                self._model = await asyncio.to_thread(self._make)
            return self._model

    def _make(self) -> Model:
        return pkgutil.resolve_name(self._kind)(**self._settings)
