"""An engine to test on SQLite; `every_engine` where PostgreSQL's locks might make a difference."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.backup import backup
from hub.bus import Bus
from hub.store import open_store
from hub.store.migrate import migrate
from hub.store.tables import metadata
from tests.clock import Clock
from tests.hub.engine import Engine, FailingStore, LossySignals
from tests.hub.house import NEW, OLD, House


async def _engine(url: str) -> Engine:
    store = FailingStore(await open_store(url))
    await store.write(metadata.create_all)
    signals, clock = LossySignals(), Clock()
    return Engine(store=store, signals=signals, clock=clock, bus=Bus(store, signals, clock))


@pytest.fixture
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits looks often: for tests in which only looking helps."""
    for module in ("asks", "delivery.dispatch", "delivery.posts", "worker"):
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


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which nothing is."""
    path = tmp_path_factory.mktemp("empty") / "bothub.db"

    async def build() -> None:
        store = await open_store(f"sqlite:///{path}")
        await migrate(store)
        await store.close()

    asyncio.run(build())
    return path


@pytest.fixture
async def house(tmp_path: Path, empty_database: Path) -> House:
    made = House(tmp_path / "data")
    made.folder.mkdir()
    shutil.copyfile(empty_database, made.kept.database)
    made.say(OLD)
    await made.store().keep("a.txt", "text/plain", b"what Ann sent")
    return made


@pytest.fixture
def archive(house: House, tmp_path: Path) -> Path:
    """A backup of the house, in which something was said since."""
    path = tmp_path / "backup.zip"
    backup(house.kept, path)
    house.say(NEW)
    return path
