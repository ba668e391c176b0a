"""The façade's budgets: what a turn, a passed-on request and a streamed chunk cost the hub's process.

`python -m bench.facade [turns] [chunks] [streams] [postgres]`; all takes five minutes. The upstream is a local one,
measured by itself in the same run, and the floor is Quart saying hello.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench import load, processes
from bench.measure import Cost, Figure, cost, cpu, percentile, rss, show
from tests import postgres
from tests.e2e.hub import HubProcess

ONE, MANY = 1, 32
"""Clients at once."""
COUNT = 600
"""Requests of a round."""
ROUNDS = 5
STREAMS = 20
CHUNKS, DELAY = 300, 0.01
"""Chunks of a stream and seconds between them, so that each is a read of its own, as tokens of a model are."""
OPENED = ((200, 0.0), (1000, 4.0))
"""Streams that are open together, and within how many seconds they are opened."""
OPEN_CHUNKS, OPEN_DELAY = 12, 0.5
LOOK = 0.05
"""Seconds between two looks at the memory of a process."""
MS, US = 1e3, 1e6


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A process, and what it is asked."""

    pid: int
    ask: load.Ask


def config(upstream: str | None = None, *, store: str | None = None, web: bool = False) -> dict[str, Any]:
    """An agent of the demo model and, with an upstream, its model for passing on and an agent of that."""
    models: dict[str, Any] = {"demo": {"provider": "demo"}}
    agents: dict[str, Any] = {"assistant": {"model": "demo"}}
    if upstream is not None:
        models["upstream"] = {"provider": "openai", "base_url": upstream, "api_key": "sk-bench", "model": "bench"}
        agents["reader"] = {"model": "upstream"}
    return {
        "data_dir": "./data",
        "roles": ["api", "agents", *(["channels"] if web else [])],
        "api": {"port": 0},
        "models": models,
        "agents": agents,
        **({"channels": {"web": {"kind": "web", "agent": "assistant"}}} if web else {}),
        **({"store": {"url": store}} if store else {}),
    }


def chat(hub: HubProcess, model: str, *, stream: bool = False) -> Subject:
    """A hub that is asked by the name of a model or an agent."""
    ask = load.Ask(url=f"{hub.url}/v1/chat/completions", key=hub.key, model=model, stream=stream)
    return Subject(pid=hub.pid, ask=ask)


async def turns() -> list[Figure]:
    """Whole answers: durable turns of the demo model, and requests that are passed on."""
    async with (
        processes.server("bench.hello") as hello,
        processes.upstream() as upstream,
        processes.hub(config(upstream.url)) as hub,
    ):
        subjects = [
            Subject(pid=hello.pid, ask=load.Ask(url=hello.url, model="hello")),
            Subject(pid=upstream.pid, ask=load.Ask(url=f"{upstream.url}/chat/completions", model="bench")),
            chat(hub, "assistant"),
            chat(hub, "upstream"),
        ]
        floor, direct, turn, passed = await costs(subjects, ONE)
        floors, _, many_turns, many_passed = await costs(subjects, MANY)
    return [
        Figure(name="Quart alone: CPU a request", value=floors.cpu * MS, unit="ms"),
        Figure(name="Quart alone: requests/s", value=floors.rate, unit="/s"),
        Figure(name="upstream alone: p50, 1 client", value=direct.p50 * MS, unit="ms"),
        *_figures("durable turn", turn, many_turns, floor, floors, most=2.5),
        *_figures("passed on", passed, many_passed, direct, floors, most=1.0),
    ]


async def on_postgres() -> list[Figure]:
    """A durable turn where the store is PostgreSQL."""
    with postgres.running() as server:
        async with processes.hub(config(store=server.url(server.create()))) as hub:
            (many,) = await costs([chat(hub, "assistant")], MANY)
    return [
        Figure(name="durable turn on PostgreSQL: CPU, 32 clients", value=many.cpu * MS, unit="ms"),
        Figure(name="durable turn on PostgreSQL: requests/s", value=many.rate, unit="/s"),
    ]


def _figures(name: str, one: Cost, many: Cost, alone: Cost, floor: Cost, *, most: float) -> list[Figure]:
    added = (one.p50 - alone.p50) * MS
    return [
        Figure(name=f"{name}: CPU, 1 client", value=one.cpu * MS, unit="ms", most=most),
        Figure(
            name=f"{name}: CPU, {MANY} clients",
            value=many.cpu * MS,
            unit="ms",
            most=most,
            ratio=_times(many.cpu, floor.cpu),
        ),
        Figure(name=f"{name}: added latency p50, 1 client", value=added, unit="ms", most=8.0),
        Figure(
            name=f"{name}: requests/s, {MANY} clients",
            value=many.rate,
            unit="/s",
            ratio=f"1/{floor.rate / many.rate:.1f} of Quart alone",
        ),
    ]


async def costs(subjects: list[Subject], concurrency: int) -> list[Cost]:
    """Each one's cost, the medians of rounds that alternate between them."""
    count = COUNT if concurrency > 1 else COUNT // 4
    rounds = [[await cost(each.pid, each.ask, count, concurrency) for each in subjects] for _ in range(ROUNDS)]
    return [Cost.median(taken) for taken in zip(*rounds, strict=True)]


async def chunks() -> list[Figure]:
    """What a chunk costs on its way through; each arrives alone."""
    options = ("--chunks", str(CHUNKS), "--delay", str(DELAY))
    async with (
        processes.server("bench.hello") as hello,
        processes.upstream(*options) as upstream,
        processes.hub(config(upstream.url)) as hub,
    ):
        floor = Subject(pid=hello.pid, ask=load.Ask(url=f"{hello.url}stream/{CHUNKS}/{DELAY}", model="hello"))
        subjects = (floor, chat(hub, "upstream", stream=True), chat(hub, "reader", stream=True))
        rounds = [[await _chunk(subject) for subject in subjects] for _ in range(ROUNDS)]
    alone, passed, durable = (median(taken) for taken in zip(*rounds, strict=True))
    return [
        Figure(name="Quart alone: CPU a chunk", value=alone * US, unit="us"),
        Figure(name="passed on: CPU a chunk", value=passed * US, unit="us", most=40, ratio=_times(passed, alone)),
        Figure(name="durable turn: CPU a chunk", value=durable * US, unit="us", most=40, ratio=_times(durable, alone)),
    ]


async def streams() -> list[Figure]:
    """Many open streams: how long first tokens take, whether any fails, and what they take of memory."""
    options = ("--chunks", str(OPEN_CHUNKS), "--delay", str(OPEN_DELAY))
    async with processes.upstream(*options) as upstream:
        return [
            figure
            for model, name in (("upstream", "passed on"), ("reader", "durable turn"))
            for count, seconds in OPENED
            for figure in await _open_figures(upstream.url, model, name, count, seconds)
        ]


async def _chunk(subject: Subject) -> float:
    """Seconds of CPU for each chunk of some streams at once, everything that belongs to them included."""
    before = cpu(subject.pid)
    streamed = await asyncio.gather(*(load.stream(subject.ask) for _ in range(STREAMS)))
    return (cpu(subject.pid) - before) / sum(each.tokens for each in streamed)


async def _open(subject: Subject, count: int, seconds: float) -> list[load.Streamed | BaseException]:
    """So many streams, opened evenly over some seconds."""

    async def one(after: float) -> load.Streamed:
        await asyncio.sleep(after)
        return await load.stream(subject.ask)

    waits = (number * seconds / count for number in range(count))
    return await asyncio.gather(*(one(wait) for wait in waits), return_exceptions=True)


async def _open_figures(upstream: str, model: str, name: str, count: int, seconds: float) -> list[Figure]:
    """Those of a hub of their own: one that had other streams before keeps some of their memory."""
    async with processes.hub(config(upstream)) as hub:
        subject = chat(hub, model, stream=True)
        await _open(subject, 20, 0)  # to warm up
        before = rss(subject.pid)
        opened = asyncio.create_task(_open(subject, count, seconds))
        peak = await _peak(subject.pid, opened)
    firsts = [result.first for result in opened.result() if isinstance(result, load.Streamed)]
    what = f"{name}: {count} streams opened {f'within {seconds:g} s' if seconds else 'at once'}"
    middle = f"p50 {percentile(firsts, 50) * MS:.0f} ms"
    each = f"{before:.0f} MB before, {(peak - before) * 1024 / count:.0f} KB a stream"
    return [
        Figure(name=f"{what}: last first token", value=max(firsts) * MS, unit="ms", most=1000.0, ratio=middle),
        Figure(name=f"{what}: failed", value=count - len(firsts), unit="", most=0),
        Figure(name=f"{what}: RSS at its peak", value=peak, unit="MB", ratio=each),
    ]


async def _peak(pid: int, task: asyncio.Task[Any]) -> float:
    """The most megabytes that a process has in memory until a task is done."""
    most = rss(pid)
    while not task.done():
        await asyncio.wait((task,), timeout=LOOK)
        most = max(most, rss(pid))
    return most


def _times(value: float, floor: float) -> str:
    return f"{value / floor:.1f} x Quart alone"


PARTS: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "turns": turns,
    "chunks": chunks,
    "streams": streams,
    "postgres": on_postgres,
}


async def measure(*names: str) -> list[Figure]:
    """The figures of the parts so named, or of all."""
    return [figure for name in names or PARTS for figure in await PARTS[name]()]


def run() -> None:
    """Measure everything and print it."""
    show("façade", asyncio.run(measure()))


if __name__ == "__main__":
    show("façade", asyncio.run(measure(*sys.argv[1:])))
