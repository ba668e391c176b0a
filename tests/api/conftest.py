"""A façade for every test of the API."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.store import Store, open_store
from hub.store.migrate import migrate
from tests.api.facade import Facade, running


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
