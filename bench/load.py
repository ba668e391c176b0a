"""A client that costs little: HTTP/1.1 over bare sockets, one connection a client, no more requests than it is told."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

TURNS = 8
"""How many turns a conversation of the load has."""
_NUMBERS = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked again and again; without a model it is a GET."""

    url: str
    key: str = ""
    model: str | None = None
    stream: bool = False
    text: str = "hello there"

    def requests(self) -> Iterator[bytes]:
        """One client's requests; a new session every few."""
        for number in itertools.count():
            if number % TURNS == 0:
                raw = self._raw(f"bench-{next(_NUMBERS)}")
            yield raw  # pyright: ignore[reportPossiblyUnboundVariable] - 0 is the first number

    def _raw(self, session: str) -> bytes:
        url = urlsplit(self.url)
        body = b""
        if self.model is not None:
            messages = [{"role": "user", "content": self.text}]
            asked = {"model": self.model, "messages": messages, "session_id": session, "stream": self.stream}
            body = msgspec.json.encode(asked)
        head = (
            f"{'POST' if body else 'GET'} {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n"
            f"Authorization: Bearer {self.key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Failed(Exception):
    """A request that was not answered with a 200."""


class Connection:
    """One connection, used for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Connection:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def parts(self, request: bytes) -> AsyncIterator[bytes]:
        """The body of the answer: all of it, or its chunks as they come."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, found, length = head.partition(b"content-length:")
        if found:
            body = await self._reader.readexactly(int(length.split(b"\r\n", 1)[0]))
            _check(head, body)
            yield body
            return
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            chunk = await self._reader.readexactly(size + 2)
            _check(head, chunk)
            yield chunk[:-2]
        await self._reader.readexactly(2)

    def close(self) -> None:
        self._writer.close()


def _check(head: bytes, body: bytes) -> None:
    if not head.startswith(b"http/1.1 200"):
        raise Failed((head + body).decode(errors="replace"))


async def run(ask: Ask, count: int, concurrency: int) -> list[float]:
    """Ask `count` times by so many clients at once; the seconds that each took."""
    left = iter(range(count))
    latencies: list[float] = []

    async def client() -> None:
        with closing(await Connection.open(ask.url)) as connection:
            for _, request in zip(left, ask.requests(), strict=False):
                began = time.perf_counter()
                async for _ in connection.parts(request):
                    pass
                latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(client() for _ in range(concurrency)))
    return latencies


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """One streamed answer: seconds to its first token and to its end, and how many tokens it had."""

    first: float
    seconds: float
    tokens: int


async def stream(ask: Ask) -> Streamed:
    """Ask for one stream on a connection of its own, and read it to its end."""
    began = time.perf_counter()
    first, tokens, last = 0.0, 0, b""
    with closing(await Connection.open(ask.url)) as connection:
        async for chunk in connection.parts(next(ask.requests())):
            tokens += chunk.count(b'"content":"') - chunk.count(b'"content":""')
            first = first or (time.perf_counter() - began if tokens else 0.0)
            last = chunk
    if not last.endswith(b"data: [DONE]\n\n") or not tokens:
        raise Failed(f"a stream of {tokens} tokens ended with {last!r}")
    return Streamed(first=first, seconds=time.perf_counter() - began, tokens=tokens)
