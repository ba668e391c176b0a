"""A whole hub in this process, on either engine, for the official SDK to ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml
from openai import AsyncOpenAI
from openai.types.responses import FunctionToolParam

from api.app import create_app
from api.serve import listen, serve
from hub.accounts import keys
from hub.accounts.bootstrap import Bootstrap
from hub.accounts.ids import namespace
from hub.app import Engine, Live, facade, open_engine
from hub.config import load
from hub.store import Connection
from tests.granting import grant
from tests.patience import PATIENCE
from tests.platforms.openai import Upstream

T = TypeVar("T")
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


@dataclass(frozen=True)
class Serving:
    """A running hub; `upstream` is what its model `gpt` and its agents `writer` and `drafter` ask."""

    engine: Engine
    upstream: Upstream
    root: str
    mine: str
    """The key that clients use unless told otherwise."""

    async def key(self) -> str:
        """A new key: sessions belong to keys, so whoever has one of their own is alone."""
        secret = keys.new_secret("sk-")

        def unit(connection: Connection) -> None:
            made = keys.create(connection, secret, name="test", now=time.time())
            grant(connection, made.id, models=self.engine.config.models)

        await self.engine.store.write(unit)
        return secret

    def openai(self, secret: str | None = None) -> AsyncOpenAI:
        """The official SDK."""
        return AsyncOpenAI(base_url=f"{self.root}/v1", api_key=secret or self.mine, max_retries=0, timeout=PATIENCE)

    def http(self) -> httpx.AsyncClient:
        """A plain client."""
        headers = {"Authorization": f"Bearer {self.mine}"}
        return httpx.AsyncClient(base_url=self.root, headers=headers, timeout=PATIENCE)

    @property
    def told(self) -> list[dict[str, Any]]:
        """The messages that the upstream was told last."""
        return self.upstream.requests[-1].body["messages"]


def config(store_url: str, upstream: Upstream) -> dict[str, Any]:
    """Agents with memory (`assistant` and `writer`), one without (`drafter`), and models."""
    gpt = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test", "multiple": True}
    return {
        "data_dir": "./data",
        "store": {"url": store_url},
        "models": {"demo": {"provider": "demo"}, "gpt": gpt},
        "agents": {
            "assistant": {"model": "demo", "tools": ["memory"]},
            "writer": {"model": "gpt", "tools": ["memory"], "system_prompt": "Be kind."},
            "clerk": {"model": "demo", "tools": ["memory"], "show_tools": True},
            "drafter": {"model": "gpt", "history": "client", "system_prompt": "Be brief.", "temperature": 0.5},
        },
    }


async def until(check: Callable[[], Awaitable[T | None]]) -> T:
    """What a check finds, once it finds something."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await check()
            if found is not None:
                return found
            await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(folder: Path, store_url: str, upstream: Upstream) -> AsyncGenerator[Serving]:
    """A hub with a key; leaving stops it as Ctrl-C does."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config(store_url, upstream)))
    async with AsyncExitStack() as stack:
        engine = await open_engine(load(path, {}), stack)
        stack.push_async_callback(engine.close)
        await engine.start()
        known = Bootstrap(secret="")
        app = create_app(facade(Live(engine), await engine.store.write(namespace), known), keep_alive=0.5)
        listener, stop = listen("127.0.0.1", 0), asyncio.Event()
        root = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = asyncio.create_task(serve(app, listener, stop, grace=0.1))
        try:
            hub = Serving(engine, upstream, root, "")
            yield replace(hub, mine=await hub.key())
        finally:
            stop.set()
            await server
