"""Each page of a hub with a day behind it: all of its words can be read, on a phone and on a desk."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.panel.desk import NARROW, Desk
from tests.panel.places import places
from tests.panel.story import told

pytestmark = pytest.mark.asyncio(loop_scope="package")
_CUT = """() => {
  const goesOn = (box, style) => style.textOverflow === "ellipsis" || style.clipPath !== "none"
    || (/auto|scroll/.test(style.overflowX) && box.scrollWidth > box.clientWidth);
  const cut = [];
  const words = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(words.currentNode);
    const { right, width } = range.getBoundingClientRect();
    if (!width) continue;
    for (let box = words.currentNode.parentElement; box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (goesOn(box, style)) break;
      if (style.overflowX !== "visible" && right > box.getBoundingClientRect().right + 1) {
        cut.push(words.currentNode.textContent.trim());
        break;
      }
    }
  }
  const tables = innerWidth < 640 ? [...document.querySelectorAll(".table")] : [];
  return cut.concat(tables.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText));
}"""
"""Texts that end outside of what their box shows where nothing tells that there is more; on a phone, rows are cards."""


@pytest_asyncio.fixture(loop_scope="package")
async def seen(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Desk, dict[str, str]]]:
    async with told(tmp_path_factory.mktemp("story")) as story:
        yield Desk(story.here, browser, {"admin": story.here.key}), await places(story)


async def test_all_of_its_words_can_be_read_and_reached(seen: tuple[Desk, dict[str, str]]) -> None:
    desk, paths = seen
    async with desk.sit() as desktop, desk.sit(size=NARROW, theme="dark", language="zh-CN") as phone:
        for name, path in paths.items():
            for sitting in (desktop, phone):
                await sitting.open(path)
                assert (name, await sitting.overflow()) == (name, None)
                assert (name, await sitting.page.evaluate(_CUT)) == (name, [])
                assert (name, await sitting.violations()) == (name, [])
