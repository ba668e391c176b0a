"""A network between a client and the hub that loses one answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Lossy:
    """What goes through a first connection arrives, nothing comes back; the connections after it are as they should be.

    `lost` ends, as soon as the first connection should break.
    """

    def __init__(self, root: str, lost: Callable[[], Awaitable[object]]) -> None:
        parts = urlsplit(root)
        self._target = parts.hostname, parts.port
        self._lost = lost
        self._connections = 0
        self.again = asyncio.Event()
        """A second connection was made."""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        first = self._connections == 1
        back, forth = await asyncio.open_connection(*self._target)
        sending = asyncio.create_task(_pump(reader, forth))
        if first:
            await self._lost()
            writer.transport.abort()
            forth.transport.abort()
        else:
            self.again.set()
            await _pump(back, writer)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what is read, until the end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def lossy(root: str, lost: Callable[[], Awaitable[object]]) -> AsyncGenerator[tuple[str, Lossy]]:
    """The root URL of a way to the hub that loses one answer when `lost` has ended, and the way itself."""
    way = Lossy(root, lost)
    server = await asyncio.start_server(way.connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}", way
