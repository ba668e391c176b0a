"""A NATS server of which a test sees every line, and that can be told to misbehave."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from tests.patience import PATIENCE


class ScriptedNats:
    """Speaks what a client needs to connect; carries nothing."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.frozen = False
        """Accept connections and read what comes, but never answer again."""
        self.deaf = False
        """Do not even read."""
        self.refusal: str | None = None
        """What to say in place of a welcome."""
        self._changed = asyncio.Condition()
        self._closing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def host(self) -> str:
        assert self._server is not None
        return "{}:{}".format(*self._server.sockets[0].getsockname())

    @property
    def connects(self) -> list[dict[str, Any]]:
        """What the clients said about themselves."""
        return [json.loads(line.removeprefix("CONNECT ")) for line in self.lines if line.startswith("CONNECT ")]

    def said(self, *verbs: str) -> list[str]:
        return [line for line in self.lines if line.split(" ")[0] in verbs]

    async def until(self, verb: str, times: int) -> None:
        """Wait until clients have used a verb so often."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.said(verb)) >= times)

    async def tell(self, text: str) -> None:
        """Say a line to all who are connected."""
        for writer in self._writers:
            writer.write(text.encode() + b"\r\n")

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 22)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._closing.set()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        info = {"server_id": "scripted", "version": "2.15.1", "headers": True, "max_payload": 1 << 20}
        writer.write(f"INFO {json.dumps(info)}\r\n".encode())
        try:
            while not self.deaf and (line := (await reader.readline()).decode().strip()):
                await self._meet(line, reader, writer)
            if self.deaf:
                await self._closing.wait()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _meet(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb = line.split(" ", maxsplit=1)[0]
        if verb == "PUB":
            await reader.readexactly(int(line.rsplit(" ", maxsplit=1)[-1]) + 2)
        async with self._changed:
            self.lines.append(line)
            self._changed.notify_all()
        if verb == "PING" and not self.frozen:
            writer.write(b"PONG\r\n" if self.refusal is None else f"-ERR '{self.refusal}'\r\n".encode())
