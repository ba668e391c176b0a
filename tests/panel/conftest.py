"""One hub and one browser for all tests of the panel.

A test takes `desk` and sits down before the browser: `async with desk.sit("user", language="zh-CN") as sitting`. It
says `pytestmark = pytest.mark.asyncio(loop_scope="package")`. What it changes it does with a key of its own
(`desk.key()`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.here import running_hub
from tests.e2e.hub import demo_config
from tests.panel import chromium
from tests.panel.chromium import ChromiumMissing
from tests.panel.desk import Desk


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Debian's chromium."""
    try:
        chromium.path()
    except ChromiumMissing as missing:
        pytest.skip(str(missing))
    async with chromium.running() as browser:
        yield browser


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A hub with the demo agent, and a user beside its admin."""
    async with running_hub(tmp_path_factory.mktemp("panel"), demo_config(bus={})) as here:
        desk = Desk(here, browser, {"admin": here.key})
        desk.secrets["user"] = await desk.key()
        yield desk
