"""How soon a hub answers `/health` after its start, and what it takes while it is idle. `python -m bench.start`."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench import load, processes
from bench.facade import config
from bench.measure import Figure, cpu, rss, show
from tests.e2e.hub import HubProcess

STARTS = 5
SETTLED = 2.0
"""Seconds until a hub that has started is idle."""
NOWHERE = "http://127.0.0.1:9/v1"
"""An upstream that is configured and never asked."""


async def measure() -> list[Figure]:
    """The figures of three configs, and of Quart alone."""
    floor = median([await _quart() for _ in range(STARTS)])
    return [
        Figure(name="Quart alone: start to its first answer", value=floor, unit="s"),
        *await _of("api and agents", config(), memory=90),
        *await _of("and an openai model", config(NOWHERE)),
        *await _of("and the web channel", config(web=True)),
    ]


async def _of(name: str, config: dict[str, Any], memory: float | None = None) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bothub-bench-") as folder:
        hub = HubProcess(Path(folder), config)
        first, *later = [await _start(hub, last=number == STARTS) for number in range(STARTS + 1)]
        await asyncio.sleep(SETTLED)
        used, megabytes = cpu(hub.pid), rss(hub.pid)
        await asyncio.sleep(SETTLED)
        idle = (cpu(hub.pid) - used) / SETTLED
        await hub.kill()
    return [
        Figure(name=f"{name}: start to /health", value=median(later), unit="s", most=1.0, ratio=f"first {first:.2f} s"),
        Figure(name=f"{name}: RSS idle", value=megabytes, unit="MB", most=memory),
        Figure(name=f"{name}: CPU idle", value=idle * 100, unit="%"),
    ]


async def _quart() -> float:
    began = time.perf_counter()
    async with processes.server("bench.hello") as hello:
        await load.run(load.Ask(url=hello.url, model="hello"), 1, 1)
        return time.perf_counter() - began


async def _start(hub: HubProcess, *, last: bool) -> float:
    """Seconds from the start of the process to its first answer; it is stopped again unless it is the last."""
    began = time.perf_counter()
    await hub.start()
    await load.run(load.Ask(url=f"{hub.url}/health"), 1, 1)
    seconds = time.perf_counter() - began
    if not last:
        await hub.stop()
    return seconds


def run() -> None:
    """Measure and print."""
    show("start and idle", asyncio.run(measure()))


if __name__ == "__main__":
    run()
