"""A hub for every test of responses; `every_hub` on both engines, where the store matters."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
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


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """What the model `gpt` asks."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def hub(tmp_path: Path, sqlite_url: str, upstream: Upstream) -> AsyncIterator[Serving]:
    """A running hub."""
    async with serving(tmp_path, sqlite_url, upstream) as hub:
        yield hub


@pytest.fixture
async def every_hub(tmp_path: Path, store_url: str, upstream: Upstream) -> AsyncIterator[Serving]:
    """A running hub on each engine."""
    async with serving(tmp_path, store_url, upstream) as hub:
        yield hub


@pytest.fixture
async def client(hub: Serving) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK."""
    async with hub.openai() as client:
        yield client
