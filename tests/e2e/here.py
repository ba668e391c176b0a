"""The whole hub in the process of the test: a real engine, façade and store, and the local servers a test runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import yaml
from openai import AsyncOpenAI, OpenAI

from api.app import create_app
from api.serve import listen, serve
from hub.accounts import keys
from hub.accounts.ids import namespace
from hub.accounts.turns import TurnRecord
from hub.app import Engine, Live, facade, first_key
from hub.config import load
from hub.signals.local import LocalSignals
from hub.store import Connection, open_store
from hub.store.migrate import migrate
from tests.granting import grant
from tests.hub.engine import FailingStore
from tests.patience import PATIENCE


@dataclass(frozen=True, kw_only=True)
class Here:
    """A running hub; clients act with its admin key."""

    url: str
    key: str
    engine: Engine
    live: Live
    store: FailingStore

    def http(self, **headers: str) -> httpx.AsyncClient:
        """A plain client."""
        sent = {"Authorization": f"Bearer {self.key}", **headers}
        return httpx.AsyncClient(base_url=self.url, headers=sent, timeout=PATIENCE)

    def openai(self, path: str = "/v1") -> AsyncOpenAI:
        """The official SDK."""
        return AsyncOpenAI(base_url=self.url + path, api_key=self.key, max_retries=0, timeout=PATIENCE)

    def openai_sync(self, path: str = "/v1") -> OpenAI:
        """The official SDK for threads."""
        return OpenAI(base_url=self.url + path, api_key=self.key, max_retries=0, timeout=PATIENCE)

    async def other(self, *scopes: str) -> Here:
        """The same hub, for clients that act with a new key of a user."""
        secret = keys.new_secret("sk-")
        held, now = scopes or keys.USER_SCOPES, self.engine.clock()

        def unit(connection: Connection) -> None:
            made = keys.create(connection, secret, name=secret, now=now, scopes=held)
            grant(connection, made.id, models=self.engine.config.models)

        await self.store.write(unit)
        return replace(self, key=secret)

    async def over(self, id: str) -> TurnRecord:
        """A turn, once it is over; the id of its completion will do."""
        found: list[TurnRecord] = []

        async def is_over() -> bool:
            record = await self.engine.asks.find(id.removeprefix("chatcmpl-"))
            found[:] = [record] if record is not None and record.over else []
            return bool(found)

        await self.store.until(is_over)
        return found[0]


@asynccontextmanager
async def running_hub(
    folder: Path,
    config: dict[str, Any],
    *,
    keep_alive: float = 15.0,
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[Here]:
    """A hub in this folder, until the block ends."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"data_dir": str(folder / "data"), **config}, sort_keys=False))
    async with AsyncExitStack() as stack:
        loaded = load(path, environ or {})
        store = FailingStore(await open_store(loaded.store_url))
        stack.push_async_callback(store.close)
        await migrate(store)
        engine = Engine(loaded, store, LocalSignals(), clock)
        key = await first_key(loaded, engine.store, engine.clock, None)
        stack.push_async_callback(engine.close)
        live = Live(engine)
        await live.refresh()
        await engine.start()
        live.watch()
        stack.push_async_callback(live.close)
        listener, stop = listen("127.0.0.1", 0), asyncio.Event()
        app = create_app(facade(live, await engine.store.write(namespace), key), keep_alive=keep_alive)
        server = asyncio.create_task(serve(app, listener, stop, grace=0.1))
        host, port = listener.getsockname()[:2]
        try:
            yield Here(url=f"http://{host}:{port}", key=key.secret, engine=engine, live=live, store=store)
        finally:
            stop.set()
            await server
