"""An engine to test on SQLite; `every_engine` where PostgreSQL's locks might make a difference."""

from collections.abc import AsyncIterator

import pytest

from hub.bus import Bus
from hub.store import open_store
from hub.store.tables import metadata
from tests.clock import Clock
from tests.hub.engine import Engine, FailingStore, LossySignals


async def _engine(url: str) -> Engine:
    store = FailingStore(await open_store(url))
    await store.write(metadata.create_all)
    signals, clock = LossySignals(), Clock()
    return Engine(store=store, signals=signals, clock=clock, bus=Bus(store, signals, clock))


@pytest.fixture
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits looks often: for tests in which only looking helps."""
    for module in ("asks", "dispatch", "posts", "worker"):
        monkeypatch.setattr(f"hub.{module}.POLL", 0.05)


@pytest.fixture
async def engine(sqlite_url: str) -> AsyncIterator[Engine]:
    engine = await _engine(sqlite_url)
    yield engine
    await engine.store.close()


@pytest.fixture
async def every_engine(store_url: str) -> AsyncIterator[Engine]:
    engine = await _engine(store_url)
    yield engine
    await engine.store.close()
