"""What every test may rely on: real stores and servers, no network, no quiet skips in CI."""

import gc
import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import aiosqlite
import pytest
import structlog
from hypothesis import settings

from hub.store import Store, open_store
from hub.store.tables import metadata
from tests import jitter, nats, offline, postgres
from tests.clock import Clock
from tests.platforms.openai import Upstream

NO_SKIP = os.environ.get("BOTHUB_NO_SKIP", "") not in ("", "0")
STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]

offline.install()

# A busy machine is no failure; budgets are measured by `make bench`. The rest is Hypothesis' own choice, also in CI.
settings.register_profile("bothub", parent=settings(), deadline=None)
settings.load_profile("bothub")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--jitter` finds tests that race."""
    parser.addoption("--jitter", type=int, nargs="?", const=0, metavar="SEED", help="let results come late at random")


def pytest_configure(config: pytest.Config) -> None:
    """Make the event loops late before any of them runs."""
    seed: int | None = config.getoption("jitter")
    if seed is not None:
        jitter.install(seed)


@pytest.fixture(autouse=True)
def network() -> Iterator[list[str]]:
    """Attempts to leave the machine; a test that makes one fails, unless it expects it and clears the list."""
    offline.attempts.clear()
    yield offline.attempts
    assert not offline.attempts, f"the test tried to leave this machine: {', '.join(offline.attempts)}"


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """What a command set up for its logs ends with its test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """The session's PostgreSQL."""
    try:
        with postgres.running() as server:
            yield server
    except postgres.PostgresMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres) -> Iterator[str]:
    """A fresh, empty database on PostgreSQL. A test that asks for it is marked `postgres`."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A fresh, empty database on SQLite."""
    return f"sqlite:///{tmp_path}/bothub.db"


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest) -> str:
    """A fresh, empty database, once on each engine."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An empty store with its tables, once on each engine."""
    store = await open_store(store_url)
    await store.write(metadata.create_all)
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    """A time that the test moves."""
    return Clock()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A model server that speaks OpenAI's protocol, on this machine."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def nats_url() -> Iterator[str]:
    """The session's NATS server. Subjects are shared, so a test takes its own prefix."""
    try:
        with nats.running() as url:
            yield url
    except nats.NatsMissing as missing:
        pytest.skip(str(missing))


def pytest_unconfigure() -> None:
    """A test that failed may have left a connection open, whose thread would keep the run from ending."""
    for each in gc.get_objects():
        if isinstance(each, aiosqlite.Connection):
            each.stop()  # pyright: ignore[reportUnknownMemberType] - aiosqlite's


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs PostgreSQL says so, however it came by the fixture."""
    for item in items:
        if "postgres_url" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.postgres)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@difference("why")`: a law that an implementation declares it does not keep."""
    if declared := item.get_closest_marker("difference"):
        pytest.skip(f"declared difference: {declared.args[0]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With BOTHUB_NO_SKIP a skipped test is a failed one, unless its difference is declared."""
    report = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail") and not item.get_closest_marker("difference"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and BOTHUB_NO_SKIP is set: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself."""
    report = yield
    if NO_SKIP and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and BOTHUB_NO_SKIP is set: {report.longrepr}"
    return report
