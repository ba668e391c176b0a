"""CPU of one streamed chunk, from the upstream's socket through provider and runner to `Turn.emit`.

`python -m bench.stream`; the floor is aiohttp reading the same bytes and throwing them away.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import aiohttp

from agents.models.openai import OpenAI
from agents.runner import Runner
from bench.measure import Figure, show
from tests.agents.fake_turn import FakeTurn

CHUNKS = 500
STREAMS = 20
DELAY = 0.002
"""Seconds between two chunks of a stream, so that each is a read of its own, as tokens of a model are."""
ROUNDS = 5


async def measure() -> dict[str, float]:
    """Microseconds of CPU a chunk: `floor`, and `chunk` through us; medians of alternating rounds."""
    async with upstream() as url, aiohttp.ClientSession() as session:
        model = OpenAI(model="bench", base_url=url)
        runner = Runner(name="bench", model=model, model_name="bench")

        async def read() -> None:
            asked: dict[str, Any] = {"model": "bench", "stream": True, "messages": []}
            async with session.post(f"{url}/chat/completions", json=asked) as response:
                async for _ in response.content.iter_any():
                    pass

        async def answer() -> None:
            turn = FakeTurn()
            await runner.answer(turn)
            assert len(turn.emitted) == CHUNKS

        await asyncio.gather(read(), answer())  # imports and connections are not the chunks' to pay
        rounds = [(await cost(read), await cost(answer)) for _ in range(ROUNDS)]
        await model.close()
    floor, chunk = zip(*rounds, strict=True)
    return {"floor": median(floor), "chunk": median(chunk)}


async def cost(stream: Callable[[], Awaitable[None]]) -> float:
    """Microseconds of this process's CPU for each chunk of many streams at once."""
    before = time.process_time()
    await asyncio.gather(*(stream() for _ in range(STREAMS)))
    return (time.process_time() - before) / (STREAMS * CHUNKS) * 1e6


@asynccontextmanager
async def upstream() -> AsyncGenerator[str]:
    """The local upstream in a process of its own; its base URL."""
    options = ["--chunks", str(CHUNKS), "--delay", str(DELAY)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.platforms.openai", *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


def run() -> None:
    """Measure and print."""
    show("streamed chunk, without HTTP of our own", asyncio.run(_figures()))


async def _figures() -> list[Figure]:
    figures = await measure()
    ratio = f"{figures['chunk'] / figures['floor']:.1f} x aiohttp alone"
    return [Figure(name="CPU a chunk", value=figures["chunk"], unit="us", most=20, ratio=ratio)]


if __name__ == "__main__":
    run()
