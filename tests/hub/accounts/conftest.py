"""A store as an operator has it: with the rows that migrations put there."""

from collections.abc import AsyncIterator

import pytest

from hub.store import Store, open_store
from hub.store.migrate import migrate


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """A migrated store, once on each engine."""
    opened = await open_store(store_url)
    await migrate(opened)
    yield opened
    await opened.close()
