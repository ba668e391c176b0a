"""Documents as Markdown: PDF, DOCX, XLSX, PPTX and text, read in a process of its own that may use only so much.

What people send is not to be trusted: a parser that runs wild costs the hub a sentence, nothing else.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import sha256

from agents.documents import refusal
from hub.errors import MessageRefused
from hub.message import Value

REMEMBERED = 50
"""Documents whose text is remembered."""
AT_ONCE = 2
"""Documents that are read at the same time; further ones wait."""
CHILD = ("-I", "-m", "agents.documents.child")


class Bounds(Value, frozen=True, kw_only=True):
    """What reading one document may use: seconds, bytes of memory, characters of Markdown."""

    seconds: float = 20.0
    memory: int = 1_000_000_000
    characters: int = 200_000


class Documents:
    """Reads documents, a few at a time."""

    def __init__(self, bounds: Bounds | None = None, child: Sequence[str] = CHILD) -> None:
        self._bounds = bounds or Bounds()
        self._child = child
        self._places = asyncio.Semaphore(AT_ONCE)

    async def markdown(self, name: str, content: bytes) -> str:
        """What a document says; MessageRefused tells in a sentence why it cannot be read."""
        async with self._places:
            try:
                async with asyncio.timeout(self._bounds.seconds):
                    code, said = await self._read(content)
            except TimeoutError:
                raise MessageRefused(f"The document '{name}' takes too long to read.") from None
        match code:
            case 0:
                return said
            case refusal.REFUSED:
                raise MessageRefused(f"The document '{name}' {said}")
            case refusal.TOO_MUCH:
                raise MessageRefused(f"The document '{name}' takes too much memory to read.")
            case _:
                raise MessageRefused(f"The document '{name}' could not be read.")

    async def _read(self, content: bytes) -> tuple[int, str]:
        """The exit code of the process that reads, and what it said; it ends with this call, however that ends."""
        limits = [str(limit) for limit in (self._bounds.memory, int(self._bounds.seconds) + 1, self._bounds.characters)]
        pipe, away = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        command = (sys.executable, *self._child, *limits)
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=away, env={})
        try:
            said = await self._talk(process, content)
            return await process.wait(), said
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    async def _talk(self, process: asyncio.subprocess.Process, content: bytes) -> str:
        """Hand the document over, and take at most as much as was allowed."""
        assert process.stdin is not None
        assert process.stdout is not None
        most = 4 * (self._bounds.characters + 1_000)
        feeding = asyncio.create_task(_feed(process.stdin, content))
        try:
            said = bytearray()
            while len(said) < most and (piece := await process.stdout.read(65_536)):
                said += piece
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        if len(said) >= most:  # our own child never says so much
            process.kill()
            await process.stdout.read()  # the end of a process is not seen while its output waits to be read
        return said.decode("utf-8", "replace")


class Remembered:
    """Reads documents, and remembers what the newest of them said: a client sends its history again with each request.

    In memory, for those whose conversations nobody stores.
    """

    def __init__(self, read: Callable[[str, bytes], Awaitable[str]], most: int = REMEMBERED) -> None:
        self._read = read
        self._most = most
        self._said: OrderedDict[bytes, str] = OrderedDict()

    async def __call__(self, name: str, content: bytes) -> str:
        """What a document says; MessageRefused tells in a sentence why it cannot be read."""
        key = sha256(content).digest()
        said = self._said.get(key)
        if said is None:
            said = self._said[key] = await self._read(name, content)
        self._said.move_to_end(key)
        if len(self._said) > self._most:
            self._said.popitem(last=False)
        return said


async def _feed(stdin: asyncio.StreamWriter, content: bytes) -> None:
    with suppress(ConnectionError):
        stdin.write(content)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()
