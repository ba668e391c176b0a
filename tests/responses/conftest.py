"""A hub that the tests of responses share; `every_hub` is one of its own on each engine, where the store matters."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.api.announced import watched
from tests.platforms.openai import Upstream
from tests.responses.serving import Serving, serving


@pytest.fixture(autouse=True)
def announced() -> Iterator[list[str]]:
    """No route answers what /openapi.json does not tell of it."""
    with watched() as found:
        yield found
    assert not found, "\n".join(["answers that @document does not announce:", *found])


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    """The folder's hub."""
    folder = tmp_path_factory.mktemp("hub")
    async with Upstream() as upstream, serving(folder, f"sqlite:///{folder}/bothub.db", upstream) as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="package")
async def hub(served: Serving) -> Serving:
    """The folder's hub with a key that nobody used before, nothing asked of its upstream yet."""
    served.upstream.forget()
    return replace(served, mine=await served.key())


@pytest_asyncio.fixture(loop_scope="package")
async def upstream() -> AsyncIterator[Upstream]:
    """What the model `gpt` of a hub of its own asks."""
    async with Upstream() as upstream:
        yield upstream


@pytest_asyncio.fixture(loop_scope="package")
async def every_hub(tmp_path: Path, store_url: str, upstream: Upstream) -> AsyncIterator[Serving]:
    """A running hub on each engine."""
    async with serving(tmp_path, store_url, upstream) as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="package")
async def client(hub: Serving) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK."""
    async with hub.openai() as client:
        yield client
