"""What the pages of the panel cost where 100,000 sessions, 1,000,000 turns and all that was said in them are stored.

`python -m bench.pages`, on both engines; `--keep FOLDER` leaves the stores there for the next time, which is to be
within a day, `sqlite` or `postgresql` is one of them alone, `--turns 1000 --sessions 100` is a small one. The hub is a
process and is asked over HTTP, one page after the other, in so many rounds; a figure is compared with what the same
page costs in the same run where 1,000 turns are stored. `first` is what a page took that nobody had looked at before;
what many look at is read once for all of them, as the plots are every ten seconds, and the other times are without it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import select

from bench import history, said
from bench.history import History, Tell, secret
from bench.load import Failed
from bench.looks import Defined, Look, looks
from bench.measure import cpu, percentile
from hub.store import open_store
from hub.store.migrate import migrate
from hub.store.tables import definitions, keys
from tests import postgres
from tests.e2e.hub import HubProcess

MANY = History(sessions=100_000, turns=1_000_000, keys=200)
FEW = History(sessions=100, turns=1000, keys=200)
ROUNDS = 20
ADMIN = "br-4dm1n-of-the-bench-0123456789"
MOST, NEAR = 300.0, 150.0
"""Milliseconds that a page may take, and from which on it is pointed out."""
MS = 1e3
ENGINES = ("sqlite", "postgresql")
PATIENCE = 60.0


@dataclass(kw_only=True)
class Took:
    """What a page took, in milliseconds: on the clock the first time and the other times, and CPU of the hub."""

    look: Look
    first: float = 0.0
    wall: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])


Taken = Sequence[Took]


def config(store: str, many: History) -> dict[str, Any]:
    """A hub with what the history knows of: its agents and models, open to all keys, and the web rooms."""
    models = {f"model{number}": {"provider": "demo"} for number in range(many.models)}
    agents = {f"agent{number}": {"model": "model0", "public": True} for number in range(many.agents)}
    return {
        "data_dir": "./data",
        "store": {"url": store},
        "api": {"port": 0},
        "models": models,
        "agents": agents,
        "channels": {"web": {"kind": "web", "agent": "agent0"}},
    }


async def make(url: str, past: History, tell: Tell) -> None:
    """Bring a database up to date, and write the history where there is none."""
    store = await open_store(url)
    try:
        await migrate(store)
        if await store.read(lambda connection: connection.execute(select(keys.c.id).limit(1)).first()) is None:
            now = time.time()
            await history.fill(store, past, now, tell)
            await said.fill(store, past, now, tell)
    finally:
        await store.close()


async def defined(url: str) -> Defined:
    """The numbers of what a hub on a store found defined."""
    store = await open_store(url)
    try:
        rows = await store.read(lambda connection: connection.execute(select(definitions)).all())
        return {(row.kind, row.name): row.id for row in rows}
    finally:
        await store.close()


@asynccontextmanager
async def running(url: str, past: History) -> AsyncGenerator[HubProcess]:
    """A hub on a store."""
    with tempfile.TemporaryDirectory(prefix="bothub-bench-") as folder:
        async with HubProcess(Path(folder), config(url, past), {"BOTHUB_API_KEY": ADMIN}) as process:
            yield process


async def measure(hub: HubProcess, all_: Sequence[Look], rounds: int, tell: Tell) -> Taken:
    """Ask for all pages, again and again."""
    taken = [Took(look=look) for look in all_]
    async with httpx.AsyncClient(base_url=hub.url, timeout=PATIENCE) as client:
        cookies = {"nobody": "", "admin": await _login(client, ADMIN), "user": await _login(client, secret(1))}
        for number in range(rounds + 1):
            for each in taken:
                before, began = cpu(hub.pid), time.perf_counter()
                await _ask(client, each.look, cookies[each.look.who])
                wall, used = (time.perf_counter() - began) * MS, (cpu(hub.pid) - before) * MS
                if number == 0:
                    each.first = wall
                else:
                    each.wall.append(wall)
                    each.cpu.append(used)
            tell("pages", number + 1, rounds + 1)
    return taken


async def _login(client: httpx.AsyncClient, key: str) -> str:
    answer = await client.post("/panel/login", data={"key": key})
    client.cookies.clear()
    return answer.headers["Set-Cookie"].partition(";")[0]


async def _ask(client: httpx.AsyncClient, look: Look, cookie: str) -> None:
    """A page to its end, or the first piece of what has none."""
    async with client.stream("GET", look.path, headers={"Cookie": cookie}) as answer:
        if answer.status_code != 200:
            raise Failed(f"{look.name}: {answer.status_code} {(await answer.aread()).decode()[:500]}")
        async for _ in answer.aiter_bytes():
            if look.live:
                break


async def compare(url: Mapping[str, str], many: History, rounds: int, only: str, tell: Tell) -> tuple[Taken, Taken]:
    """What the pages of two stores cost, the small one's and the big one's; of the pages that have `only` in them."""
    few = replace(many, sessions=min(FEW.sessions, many.sessions), turns=min(FEW.turns, many.turns))
    taken: list[Taken] = []
    for name, past in (("few", few), ("many", many)):
        await make(url[name], past, tell)
        async with running(url[name], past) as hub:
            all_ = looks(past, await defined(url[name]))
            taken.append(await measure(hub, [look for look in all_ if only in look.path], rounds, tell))
    return taken[0], taken[1]


@contextmanager
def stores(engine: str, keep: Path | None) -> Generator[Mapping[str, str]]:
    """The addresses of two databases of an engine, the small one's and the big one's, kept in a folder or not."""
    scratch = tempfile.TemporaryDirectory(prefix="bothub-bench-")
    with scratch as folder:
        here = Path(folder) if keep is None else keep / engine
        here.mkdir(parents=True, exist_ok=True)
        if engine == "sqlite":
            yield {name: f"sqlite:///{here}/{name}.db" for name in ("few", "many")}
            return
        with postgres.running(here) as server:
            there = server.sql("SELECT datname FROM pg_database").split()
            for name in {"few", "many"}.difference(there):
                server.sql(f"CREATE DATABASE {name} TEMPLATE template0")
            yield {name: server.url(name) for name in ("few", "many")}


def show(engine: str, few: Taken, many: Taken, past: History) -> None:
    """Print a table of what one engine's pages cost."""
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    title = f"{engine}, {past.turns:,} turns: milliseconds of a page ({load}); at most {MOST:g}"
    table = Table(title=title, title_justify="left")
    for column in ("page", "first", "least", "p50", "p95", "CPU, p50", "small store"):
        table.add_column(column, justify="left" if column == "page" else "right", overflow="fold")
    for took, beside in zip(many, few, strict=True):
        p50, p95 = percentile(took.wall, 50), percentile(took.wall, 95)
        figures = [took.first, min(took.wall), p50, p95, percentile(took.cpu, 50)]
        ratio = f"{p50 / percentile(beside.wall, 50):.1f} x"
        style = "bold red" if p50 > MOST else "yellow" if p50 > NEAR else None
        table.add_row(took.look.name, *(f"{figure:.1f}" for figure in figures), ratio, style=style)
    Console(width=None if Console().is_terminal else 140).print(table)


def run(
    engines: Sequence[str] = ENGINES,
    past: History = MANY,
    *,
    rounds: int = ROUNDS,
    only: str = "",
    keep: Path | None = None,
) -> None:
    """Measure the engines, and print their tables."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f}")
    for engine in engines:
        with stores(engine, keep) as url, Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(engine)

            def tell(table: str, done: int, of: int, engine: str = engine) -> None:
                bar.update(task, description=f"{engine}: {table}", completed=done, total=of)  # noqa: B023

            few, many = asyncio.run(compare(url, past, rounds, only, tell))
        show(engine, few, many, past)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=f"one or more of {', '.join(ENGINES)}")
    parser.add_argument("--turns", type=int, default=MANY.turns)
    parser.add_argument("--sessions", type=int, default=MANY.sessions)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", metavar="TEXT", help="only pages that have this in their address")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the stores are left for the next time")
    given = parser.parse_args(arguments)
    past = replace(MANY, turns=given.turns, sessions=given.sessions)
    keep = given.keep and given.keep.absolute()
    run(given.engines or ENGINES, past, rounds=given.rounds, only=given.only, keep=keep)


if __name__ == "__main__":
    main()
