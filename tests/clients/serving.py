"""A hub that the tests of a folder share: agents, models, keys, and the upstream behind its models.

A test is alone in what it does with a key of its own (`hub.key()`): sessions belong to keys.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hub.accounts import keys
from hub.store import Connection, Store, open_store
from tests.e2e.hub import HubProcess, demo_config
from tests.granting import grant
from tests.patience import PATIENCE
from tests.platforms.openai import Upstream

EVERYTHING = ("chat", "read", "deliver")
HI: list[Any] = [{"role": "user", "content": "count to 3"}]
"""The demo model answers `1 2 3`."""

TOO_LONG = 60
"""Seconds: the hub does not wait so long to ask its upstream again."""


@dataclass(frozen=True)
class Serving:
    """A running hub; `upstream` is what its model `gpt` and its agent `writer` ask."""

    process: HubProcess
    upstream: Upstream
    store: Store
    models: Sequence[str]
    """Those that its keys may use."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def root(self) -> str:
        return self.process.url

    @property
    def url(self) -> str:
        """The base URL that clients of OpenAI are given."""
        return f"{self.root}/v1"

    def http(self, key: str | None = None) -> httpx.AsyncClient:
        """A plain client, without a key unless one is given."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(base_url=self.root, headers=headers, timeout=PATIENCE)

    async def key(self, *scopes: str) -> str:
        """A new user key, with every scope unless told otherwise."""
        name = f"test-{next(self._numbers)}"
        secret = keys.new_secret("sk-")

        def unit(connection: Connection) -> None:
            made = keys.create(connection, secret, name=name, now=time.time(), scopes=scopes or EVERYTHING)
            grant(connection, made.id, models=self.models)

        await self.store.write(unit)
        return secret


def behind(upstream: Upstream, model: str, **more: Any) -> dict[str, Any]:
    """The settings of a model that is asked at the upstream."""
    return {"provider": "openai", "base_url": upstream.base_url, "model": model, **more}


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def models() -> AsyncIterator[Upstream]:
    """The folder's upstream."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="package")
def settings(models: Upstream) -> dict[str, Any]:
    """The hub's settings; the first agent is the one that answers when no model is named."""
    return demo_config(
        models={
            "demo": {"provider": "demo"},
            "gpt": behind(models, "gpt-test", multiple=True),
            "embedder": behind(models, "embed-test"),
            "scribe": behind(models, "whisper-test"),
        },
        agents={
            "assistant": {"model": "demo", "tools": ["message"], "posts_to": ["*"]},
            "writer": {"model": "gpt", "tools": ["message"]},
            "drafter": {"model": "gpt", "history": "client", "system_prompt": "Be brief.", "temperature": 0.5},
        },
    )


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def served(
    tmp_path_factory: pytest.TempPathFactory, models: Upstream, settings: dict[str, Any]
) -> AsyncIterator[Serving]:
    """The folder's hub."""
    async with HubProcess(tmp_path_factory.mktemp("hub"), settings) as process:
        store = await open_store(process.store_url)
        yield Serving(process, models, store, [*settings["models"]])
        await store.close()


@pytest.fixture
def hub(served: Serving) -> Serving:
    """The folder's hub, nothing asked of its upstream yet."""
    served.upstream.forget()
    return served


@pytest.fixture
def upstream(hub: Serving) -> Upstream:
    """What the model `gpt` asks."""
    return hub.upstream


@pytest_asyncio.fixture(loop_scope="package")
async def key(hub: Serving) -> str:
    """A key that nobody used before."""
    return await hub.key()
