"""A façade for every test of the API."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from hub.store import Store, open_store
from hub.store.migrate import migrate
from tests.api.announced import watched
from tests.api.facade import Facade, running
from tests.e2e.here import Here


@pytest.fixture(autouse=True)
def announced() -> Iterator[list[str]]:
    """No route answers what /openapi.json does not tell of it."""
    with watched() as found:
        yield found
    assert not found, "\n".join(["answers that @document does not announce:", *found])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A migrated database."""
    opened = await open_store(f"sqlite:///{tmp_path}/bothub.db")
    await migrate(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def facade(store: Store) -> AsyncIterator[Facade]:
    """A façade on a free port."""
    async with running(store) as started:
        yield started


@pytest.fixture
async def client(hub: Here) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK, for the `hub` of a module."""
    async with hub.openai() as client:
        yield client
