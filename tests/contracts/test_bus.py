"""The bus keeps its laws on both engines."""

from collections.abc import AsyncIterator

import pytest

from hub.store import Store, open_store
from hub.store.tables import metadata
from tests.contracts.bus import BusLaws


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = await open_store(store_url)
    await store.write(metadata.create_all)
    yield store
    await store.close()


class TestBus(BusLaws):
    """SQLite and PostgreSQL, without a difference."""
