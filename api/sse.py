"""Server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Generic, TypeVar, cast

import msgspec
from quart import Response, request

T = TypeVar("T")
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: says nothing, and keeps proxies from closing the connection."""
DONE = b"data: [DONE]\n\n"
"""The end of a stream of OpenAI's."""
AHEAD = 256
"""Items that are read before somebody takes them: a client that reads slowly is not read ahead of without end."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
TYPE = "text/event-stream"
CONTENT_TYPE = f"{TYPE}; charset=utf-8"
_encode = msgspec.json.Encoder().encode


class LastWords(bytes):
    """The end of a stream that failed: an answer that nobody gets again."""


def asked_for() -> bool:
    """Whether the client says that it takes events."""
    return TYPE in request.headers.get("Accept", "")


def stream(source: AsyncIterator[bytes], headers: dict[str, str] | None = None) -> Response:
    """A response that sends what the source gives as it comes; the source is closed when the client is gone."""
    return Response(source, 200, {**HEADERS, **(headers or {})}, content_type=CONTENT_TYPE)


def event(value: Any, name: str | None = None) -> bytes:
    """One event with the value as JSON."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + _encode(value) + b"\n\n"


async def batches(source: AsyncIterator[T], silence: float) -> AsyncGenerator[list[T], None]:
    """What the source gives, as soon as there is any; an empty list after every `silence` seconds without.

    The source is read ahead, but not far, so waiting for it can stop without disturbing it; closing this stops it.
    """
    ahead = _Ahead(source, silence)
    try:
        while (batch := await ahead.next()) is not None:
            yield batch
    finally:
        await ahead.stop()


class _Ahead(Generic[T]):
    """Reads a source; one timer for all of it, because a timer an item would cost more than the item."""

    def __init__(self, source: AsyncIterator[T], silence: float) -> None:
        self._source = source
        self._silence = silence
        self._waiting: list[T] = []
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer = self._loop.call_later(silence, self._beat)
        self._reader = asyncio.create_task(self._read())

    async def next(self) -> list[T] | None:
        """What was read, nothing after a silence, None at the end; raises what the source raised."""
        if not self._waiting and not self._reader.done():
            await self._news.wait()
        self._news.clear()
        if self._waiting:
            self._last = self._loop.time()
            batch, self._waiting = self._waiting, []
            self._room.set()
            return batch
        if self._reader.done():
            return self._reader.result()
        return []

    async def stop(self) -> None:
        """End the reading, and the source."""
        self._timer.cancel()
        self._reader.cancel()
        await asyncio.wait([self._reader])
        source: object = self._source
        if isinstance(source, AsyncGenerator):
            await cast(AsyncGenerator[T, None], source).aclose()

    async def _read(self) -> None:
        try:
            async for item in self._source:
                self._waiting.append(item)
                self._news.set()
                if len(self._waiting) >= AHEAD:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._news.set()

    def _beat(self) -> None:
        if self._loop.time() >= self._last + self._silence:
            self._last = self._loop.time()
            self._news.set()
        self._timer = self._loop.call_at(self._last + self._silence, self._beat)
