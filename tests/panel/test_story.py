"""Each page of a hub with a day behind it: all of its words can be read, on a phone and on a desk."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.panel.desk import Desk, Sitting
from tests.panel.places import places
from tests.panel.story import told

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(loop_scope="package")
async def seen(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Desk, dict[str, str]]]:
    async with told(tmp_path_factory.mktemp("story")) as story:
        yield Desk(story.here, browser, {"admin": story.here.key}), await places(story)


async def test_all_of_its_words_can_be_read_and_reached(seen: tuple[Desk, dict[str, str]]) -> None:
    desk, paths = seen
    await desk.look(paths, Sitting.violations)
