"""The processes of a bench: a hub in a scratch folder, the local upstream, and Quart alone."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.hub import HubProcess


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running process and where it listens."""

    pid: int
    url: str


@asynccontextmanager
async def server(module: str, *options: str) -> AsyncGenerator[Server]:
    """`python -m module`, which prints its URL on its first line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        yield Server(pid=process.pid, url=(await process.stdout.readline()).decode().strip())
    finally:
        process.terminate()
        await process.wait()


def upstream(*options: str) -> AbstractAsyncContextManager[Server]:
    """The local OpenAI; without options it answers "You said: ..." at once."""
    return server("tests.platforms.openai", *options)


@asynccontextmanager
async def hub(config: dict[str, Any]) -> AsyncGenerator[HubProcess]:
    """A hub with this config in a folder of its own, started twice: the first start makes the database."""
    with tempfile.TemporaryDirectory(prefix="bothub-bench-") as folder:
        process = HubProcess(Path(folder), config)
        async with process:
            pass
        async with process:
            yield process
