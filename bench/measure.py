"""What benches share: the CPU and memory of a process, percentiles, and the table of figures."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from bench import load

_CPU_CLOCK = 2
"""CPUCLOCK_SCHED: what all threads of a process have run, in Linux's numbers of clocks."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number; `most` is its budget, `ratio` compares it with something of the same run."""

    name: str
    value: float
    unit: str
    most: float | None = None
    ratio: str = ""

    @property
    def kept(self) -> bool:
        return self.most is None or self.value <= self.most


def cpu(pid: int) -> float:
    """Seconds of CPU a process has used, to the microsecond."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


def rss(pid: int) -> float:
    """Megabytes of a process that are in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What requests to a process took: its CPU for each, its rate, and how long each was on its way, in seconds."""

    cpu: float
    rate: float
    latencies: list[float]

    @property
    def p50(self) -> float:
        return percentile(self.latencies, 50)

    @classmethod
    def median(cls, rounds: Sequence[Cost]) -> Cost:
        """The middle of several rounds, with the latencies of all."""
        return cls(
            cpu=median(each.cpu for each in rounds),
            rate=median(each.rate for each in rounds),
            latencies=[latency for each in rounds for latency in each.latencies],
        )


async def cost(pid: int, ask: load.Ask, count: int, concurrency: int) -> Cost:
    """The cost of `count` requests by so many clients, after a tenth as many to warm up."""
    await load.run(ask, count // 10 + concurrency, concurrency)
    cpu_before, before = cpu(pid), time.perf_counter()
    latencies = await load.run(ask, count, concurrency)
    seconds = time.perf_counter() - before
    return Cost(cpu=(cpu(pid) - cpu_before) / len(latencies), rate=len(latencies) / seconds, latencies=latencies)


def show(title: str, figures: Sequence[Figure]) -> None:
    """Print a table."""
    table = Table(title=f"{title} (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("budget", justify="right")
    table.add_column("compared")
    for figure in figures:
        budget = "" if figure.most is None else f"{figure.most:g} {figure.unit}"
        style = None if figure.kept else "bold red"
        table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}", budget, figure.ratio, style=style)
    Console().print(table)
