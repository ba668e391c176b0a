"""What a request pays for its key, its limits and its money, and how fast one key's turns are.

`python -m bench.money`: the units of the store by themselves, on both engines, in microseconds of CPU of this process;
then a hub on each engine is asked by 64 clients at once, with a key that has a quota and with one that is unlimited.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from bench import load, processes
from bench.measure import Cost, Figure, cost, show
from hub.accounts import budget, keys, limits
from hub.accounts.billing import Billing
from hub.accounts.limits import Limits
from hub.accounts.money import UNIT, Price
from hub.accounts.tariff import Rate, Tariff
from hub.accounts.turns import TurnRecord, save
from hub.message import Payer
from hub.model import Completion, Usage
from hub.store import Connection, Store, open_store
from hub.store.migrate import migrate
from tests import postgres
from tests.granting import grant

CLIENTS = 64
COUNT = 600
ROUNDS = 3
BLOCKS, BLOCK = 8, 100
MS, US = 1e3, 1e6
PLENTY = 10**6 * UNIT
TARIFF = Tariff(rates={"m": Rate(price=Price(input=UNIT, output=UNIT), output=500)})
ASKED = Completion(messages=[{"role": "user", "content": "How is the weather in Rome? " * 40}])
SECRET = "sk-bench-0123456789abcdefghijklmnopqrstuvwxyz"


def config(upstream: str, store: str | None) -> dict[str, Any]:
    """An agent and a model whose calls cost something."""
    model = {"provider": "openai", "base_url": upstream, "model": "bench", "price_in": 1, "price_out": 1}
    return {
        "data_dir": "./data",
        "roles": ["api", "agents"],
        "api": {"port": 0},
        "models": {"gpt": {**model, "max_output": 500}},
        "agents": {"assistant": {"model": "gpt"}},
        **({"store": {"url": store}} if store else {}),
    }


async def units(store: Store, engine: str) -> list[Figure]:
    """Microseconds of CPU of each unit; what an empty one costs is told beside them."""
    await migrate(store)
    now = time.time()
    made = await store.write(lambda c: keys.create(c, SECRET, name="k", now=now, month_quota=PLENTY))
    most, billing = Limits(requests_minute=10**6, tokens_day=10**9), Billing(store, time.time)
    numbers = iter(range(10**6))

    def settled(connection: Connection) -> None:
        number = f"s{next(numbers)}"
        bill = billing.bill(number, TARIFF, Payer(key=made.id, unlimited=True))
        bill.used(Usage(prompt=300, completion=20), "m")
        bill.write(connection, _record(number, now))

    steps: dict[str, Callable[[Connection], object]] = {
        "an empty unit": lambda _: None,
        "find the key": lambda c: keys.find(c, SECRET, now),
        "count a request": lambda c: limits.count(c, made.id, most, now),
        "reserve": lambda c: budget.reserve(c, f"r{next(numbers)}", made.id, 1000, "bench", now),
        "write a free turn": lambda c: save(c, _record(f"f{next(numbers)}", now)),
        "write and charge a turn": settled,
    }
    taken = {name: list[float]() for name in steps}
    for _ in range(BLOCKS):
        for name, unit in steps.items():
            before = time.process_time()
            for _ in range(BLOCK):
                await store.write(unit)
            taken[name].append((time.process_time() - before) / BLOCK)
    return [Figure(name=f"{engine}: {name}", value=median(each) * US, unit="us") for name, each in taken.items()]


def bound() -> Figure:
    """What it costs to know what a call may cost."""
    taken: list[float] = []
    for _ in range(BLOCKS):
        before = time.process_time()
        for _ in range(BLOCK):
            TARIFF.most(TARIFF.bounded(ASKED))
        taken.append((time.process_time() - before) / BLOCK)
    return Figure(name="the most that a call of 1 kB may cost", value=median(taken) * US, unit="us")


def _record(id: str, now: float) -> TurnRecord:
    return TurnRecord(id=id, address="api:1:s", status="completed", model="m", created_at=now)


async def one_key(engine: str, store: str | None) -> list[Figure]:
    """Turns of one key by many clients, with a quota and without, in rounds that alternate."""
    async with processes.upstream() as upstream, processes.hub(config(upstream.url, store)) as hub:
        opened = await open_store(store or f"sqlite:///{hub.folder}/data/bothub.db")
        now = time.time()

        def payer(connection: Connection) -> None:
            key = keys.create(connection, SECRET, name="k", now=now, month_quota=PLENTY)
            grant(connection, key.id, models=["gpt"])

        await opened.write(payer)
        await opened.close()
        asks = {
            (name, kind): load.Ask(url=f"{hub.url}/v1/chat/completions", key=key, model=model)
            for name, model in (("durable turns", "assistant"), ("passed on", "gpt"))
            for kind, key in (("unlimited", hub.key), ("with a quota", SECRET))
        }
        rounds = [[await cost(hub.pid, ask, COUNT, CLIENTS) for ask in asks.values()] for _ in range(ROUNDS)]
    costs = dict(zip(asks, map(Cost.median, zip(*rounds, strict=True)), strict=True))
    figures: list[Figure] = []
    for name, kind in asks:
        taken, free = costs[name, kind], costs[name, "unlimited"]
        ratio = "" if kind == "unlimited" else f"{taken.cpu / free.cpu:.2f} x, {taken.rate / free.rate:.2f} x unlimited"
        what = f"{engine}: {name}, one key {kind}, {CLIENTS} clients"
        figures += [
            Figure(name=f"{what}: CPU", value=taken.cpu * MS, unit="ms", ratio=ratio.partition(",")[0]),
            Figure(name=f"{what}: rate", value=taken.rate, unit="/s", ratio=ratio.partition(", ")[2]),
        ]
    return figures


@asynccontextmanager
async def _scratch(url: str | None) -> AsyncGenerator[Store]:
    with tempfile.TemporaryDirectory(prefix="bothub-bench-") as folder:
        store = await open_store(url or f"sqlite:///{folder}/bothub.db")
        yield store
        await store.close()


async def measure() -> list[Figure]:
    """All of it."""
    figures = [bound()]
    with postgres.running() as server:
        for engine in ("SQLite", "PostgreSQL"):
            here = engine == "SQLite"
            async with _scratch(None if here else server.url(server.create())) as store:
                figures += await units(store, engine)
            figures += await one_key(engine, None if here else server.url(server.create()))
    return figures


def run() -> None:
    """Measure, and print the table."""
    show("Keys, limits, money", asyncio.run(measure()))


if __name__ == "__main__":
    run()
