"""What a dashboard costs to read where 1,000, 100,000 and 1,000,000 turns are stored, and what counting a turn costs.

`python -m bench.statistics`, or with other numbers: `python -m bench.statistics 1000 10000`. On both engines; CPU is
that of this process, where on SQLite all the work is done.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from bench.history import DAY, History, fill
from bench.measure import Figure, show
from hub.records import statistics
from hub.records.rollup import count_turns
from hub.records.statistics import Asked
from hub.store import Connection, Store, open_store
from hub.store.migrate import migrate
from tests import postgres

SIZES = (1000, 100_000, 1_000_000)
ROUNDS = 9
MS, US = 1e3, 1e6
NOW = 20_000.0 * DAY + DAY / 2
READS: dict[str, Callable[[Connection], object]] = {
    "plot of 1 h, by agent": partial(statistics.plot, window="1h", now=NOW, by="agent"),
    "plot of 24 h, by channel": partial(statistics.plot, window="24h", now=NOW, by="channel"),
    "plot of 30 d, by model": partial(statistics.plot, window="30d", now=NOW, by="model"),
    "total of a year": partial(statistics.measure, asked=Asked(since=NOW - 365 * DAY)),
    "keys of a year": partial(statistics.measure, asked=Asked(since=NOW - 365 * DAY), by="key"),
    "year by day": partial(statistics.measure, asked=Asked(since=NOW - 365 * DAY), per="day"),
}
MOST = 300.0
"""Milliseconds that a page may take."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds: of counting a turn and the longest unit of it, and of each read, wall."""

    turns: int
    counting: float
    longest: float
    reads: dict[str, float]


def run(sizes: Sequence[int] = SIZES) -> None:
    """Measure both engines, and print what they cost."""
    with tempfile.TemporaryDirectory(prefix="bothub-bench-") as folder:
        _print("SQLite", asyncio.run(_all(sizes, lambda turns: f"sqlite:///{folder}/{turns}.db")))
    with postgres.running() as server:
        _print("PostgreSQL", asyncio.run(_all(sizes, lambda _: server.url(server.create()))))


async def _all(sizes: Sequence[int], url: Callable[[int], str]) -> list[Measured]:
    return [await _measure(url(turns), turns) for turns in sizes]


async def _measure(url: str, turns: int) -> Measured:
    async with _opened(url) as store:
        await fill(store, History(turns=turns, sessions=max(1, turns // 10)), NOW)
        longest, began, more = 0.0, time.process_time(), True
        while more:
            unit = time.perf_counter()
            more = await store.write(partial(count_turns, now=NOW))
            longest = max(longest, time.perf_counter() - unit)
        counting = (time.process_time() - began) / turns
        await store.write(lambda connection: connection.exec_driver_sql("ANALYZE"))
        reads = {name: await _wall(store, unit) for name, unit in READS.items()}
        return Measured(turns=turns, counting=counting, longest=longest, reads=reads)


async def _wall(store: Store, unit: Callable[[Connection], Any]) -> float:
    seconds: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await store.read(unit)
        seconds.append(time.perf_counter() - began)
    return median(seconds)


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[Store]:
    store = await open_store(url)
    try:
        await migrate(store)
        yield store
    finally:
        await store.close()


def _print(engine: str, measured: Sequence[Measured]) -> None:
    first = measured[0]
    figures = [
        Figure(
            name=f"{name}, {each.turns:,} turns",
            value=each.reads[name] * MS,
            unit="ms",
            most=MOST,
            ratio=f"{each.reads[name] / first.reads[name]:.1f} x {first.turns:,} turns",
        )
        for name in READS
        for each in measured
    ]
    for each in measured:
        figures.append(Figure(name=f"counting a turn, CPU, {each.turns:,} turns", value=each.counting * US, unit="µs"))
        figures.append(Figure(name=f"longest unit of it, {each.turns:,} turns", value=each.longest * MS, unit="ms"))
    show(engine, figures)


if __name__ == "__main__":
    run([int(each) for each in sys.argv[1:]] or SIZES)
