"""Law 8: publish, claim and settle cost the same whatever waits, on both engines.

Every shape has a database of its own, and all are measured in turns, so that what else the machine does hits all of
them. Ratios compare with 10 messages waiting in one lane. On PostgreSQL also: many rounds while autovacuum clears up.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from bench.measure import percentile
from hub.bus import Bus, Publish, Settle
from hub.signals.local import LocalSignals
from hub.store import Store, open_store
from hub.store.tables import metadata
from tests import postgres

INBOX = "agent:a"
SHAPES = ((1, 10), (1, 10_000), (1, 1_000_000), (10_000, 10_000), (100_000, 100_000), (100_000, 1_000_000))
"""Lanes, and messages waiting in all of them."""
STEPS = ("publish", "claim", "settle")
BLOCKS, ROUNDS = 12, 50
VACUUM_LANES, VACUUM_ROUNDS = 100, 20_000
MS = 1e3

FILL = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})",
    "postgresql": "WITH n(i) AS (SELECT generate_series(0, {count} - 1))",
}
LANE_COLUMNS = "id, inbox, lane, tail, head, taken, stop, ready_at, leased, token, tries"
LANE_VALUES = "i + 1, 'agent:a', 'lane ' || i, {each}, 0, 0, 0, 1000.0 + i * 0.001, false, 0, 0"
MESSAGE_COLUMNS = "lane_id, seq, inbox, mid, body, at, attempts"
MESSAGE_VALUES = "i / {each} + 1, i % {each} + 1, 'agent:a', 'm' || i, {body}, 1000.0, 0"


@dataclass
class Times:
    """What one step took, wall and CPU, in seconds."""

    wall: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])

    async def measure(self, step: Awaitable[object]) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        await step
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


class Subject:
    """A bus with so much waiting, and what its steps took so far."""

    def __init__(self, store: Store, lanes: int, waiting: int) -> None:
        self.store, self.lanes, self.waiting = store, lanes, waiting
        self.bus = Bus(store, LocalSignals(), time.time)
        self.times = {step: Times() for step in STEPS}
        self._numbers = itertools.count()

    async def rounds(self, count: int) -> None:
        """Publish one, claim one, settle one; what waits stays the same."""
        for number in itertools.islice(self._numbers, count):
            lane = f"lane {number * 7919 % self.lanes}"
            message = Publish(inbox=INBOX, lane=lane, id=f"new {number}", body=b"x" * 200)
            await self.times["publish"].measure(self.bus.commit(message))
            await self.hand_out()

    async def hand_out(self) -> None:
        """Claim one and settle it."""
        claimed = asyncio.ensure_future(self.bus.claim(INBOX, 1, 30.0))
        await self.times["claim"].measure(claimed)
        (lease,) = claimed.result()
        await self.times["settle"].measure(self.bus.commit(Settle(lease=lease, outcome="answered")))


def run() -> None:
    """Measure both engines and print what they cost."""
    with tempfile.TemporaryDirectory(prefix="bothub-bench-") as folder:
        _print_shapes("SQLite", asyncio.run(_shapes(lambda number: f"sqlite:///{folder}/{number}.db")))
    with postgres.running() as server:
        server.sql("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        server.sql("SELECT pg_reload_conf()")
        _print_shapes("PostgreSQL", asyncio.run(_shapes(lambda _: server.url(server.create()))))
        _print_vacuum(asyncio.run(_with_vacuum(server.url(server.create()))))


async def _shapes(url: Callable[[int], str]) -> list[Subject]:
    async with contextlib.AsyncExitStack() as stack:
        subjects = [
            await stack.enter_async_context(_filled(url(number), *shape)) for number, shape in enumerate(SHAPES)
        ]
        for subject in subjects:
            await subject.rounds(ROUNDS)
            subject.times = {step: Times() for step in STEPS}
        for _ in range(BLOCKS):
            for subject in subjects:
                await subject.rounds(ROUNDS)
    return subjects


async def _with_vacuum(url: str) -> Subject:
    async with _filled(url, VACUUM_LANES, VACUUM_ROUNDS) as subject:
        for _ in range(VACUUM_ROUNDS):
            await subject.hand_out()
    return subject


@contextlib.asynccontextmanager
async def _filled(url: str, lanes: int, waiting: int) -> AsyncGenerator[Subject]:
    """A database where so much waits."""
    store = await open_store(url)
    try:
        await store.write(metadata.create_all)
        await store.write(lambda connection: _fill(connection, lanes, waiting))
        yield Subject(store, lanes, waiting)
    finally:
        await store.close()


def _fill(connection: Connection, lanes: int, waiting: int) -> None:
    engine, each = connection.dialect.name, waiting // lanes
    body = "zeroblob(200)" if engine == "sqlite" else "decode(repeat('00', 200), 'hex')"
    for table, columns, values, count in (
        ("lanes", LANE_COLUMNS, LANE_VALUES, lanes),
        ("messages", MESSAGE_COLUMNS, MESSAGE_VALUES, waiting),
    ):
        rows = FILL[engine].format(count=count)
        select = values.format(each=each, body=body)
        connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) {rows} SELECT {select} FROM n")
    if engine == "postgresql":
        connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('lanes', 'id'), {lanes})")
    connection.exec_driver_sql("ANALYZE")


def _print_shapes(engine: str, subjects: list[Subject]) -> None:
    table = Table(title=f"{engine}: ms, and how often the cost of the first row", title_justify="left")
    table.add_column("waiting", justify="right")
    table.add_column("lanes", justify="right")
    for step in STEPS:
        for what in ("p50", "p99", "CPU"):
            table.add_column(f"{step} {what}", justify="right")
    base = subjects[0].times
    for subject in subjects:
        cells = [
            _compared(times, first)
            for step in STEPS
            for times, first in zip(_figures(subject.times[step]), _figures(base[step]), strict=True)
        ]
        table.add_row(f"{subject.waiting:,}", f"{subject.lanes:,}", *cells)
    Console(width=160).print(table)


def _figures(times: Times) -> tuple[float, float, float]:
    """p50 and p99 of the wall, and the median of the CPU."""
    return percentile(times.wall, 50), percentile(times.wall, 99), percentile(times.cpu, 50)


def _compared(seconds: float, first: float) -> str:
    return f"{seconds * MS:.2f} x{seconds / first:.2f}"


def _print_vacuum(subject: Subject) -> None:
    table = Table(title=f"PostgreSQL, autovacuum each second: {VACUUM_ROUNDS:,} rounds, ms p50", title_justify="left")
    tenth = VACUUM_ROUNDS // 10
    for column in ("", "first tenth", "middle tenth", "last tenth", "last to first"):
        table.add_column(column, justify="right")
    for step in ("claim", "settle"):
        wall = subject.times[step].wall
        parts = [percentile(wall[start : start + tenth], 50) for start in (0, 5 * tenth, 9 * tenth)]
        table.add_row(step, *(f"{part * MS:.2f}" for part in parts), f"x{parts[2] / parts[0]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    run()
