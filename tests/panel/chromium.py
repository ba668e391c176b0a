"""The browser of the tests: Debian's chromium, which `make test` installs where it may."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "sudo apt-get install chromium"


class ChromiumMissing(Exception):
    """There is no browser on this machine."""


def path() -> str:
    """Where the browser is; raises ChromiumMissing."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise ChromiumMissing(f"there is no chromium: {INSTALL}")
    return found


@asynccontextmanager
async def running() -> AsyncGenerator[Browser]:
    """A browser until the block ends; as root, as in containers, it has no sandbox of its own."""
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path(), args=[*options, "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            await browser.close()
