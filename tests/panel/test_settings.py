"""Settings: the configuration in effect with where it came from, backups, work in the background, the audit log."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, expect

from hub import logs
from hub.accounts.audit import By
from hub.accounts.definitions import Change
from tests.e2e.here import running_hub
from tests.e2e.hub import demo_config
from tests.panel.desk import NARROW, Desk, Sitting

pytestmark = pytest.mark.asyncio(loop_scope="package")
PAGE = "/panel/settings"
ENVIRON = {"BOTHUB_API__TURN_TIMEOUT": "2m", "UPSTREAM_KEY": "sk-hush-of-the-environment"}
UPSTREAM = {
    "provider": "openai",
    "model": "gpt",
    "api_key": "${UPSTREAM_KEY}",
    "base_url": "http://me:hush-url@host/v1",
}


def row(sitting: Sitting, group: str, key: str) -> Locator:
    """The row of a key in the configuration."""
    card = sitting.page.locator(".card").filter(has=sitting.page.get_by_role("heading", name=group, exact=True))
    return card.locator("tbody tr").filter(has=sitting.page.get_by_text(key, exact=True))


async def test_the_configuration_tells_where_each_value_came_from_and_no_secret(
    browser: Browser, tmp_path: Path
) -> None:
    models = {"demo": {"provider": "demo"}, "upstream": UPSTREAM}
    async with running_hub(tmp_path, demo_config(models=models, bus={}), environ=ENVIRON) as here:
        kept = {"provider": "openai", "model": "other", "base_url": "http://x/v1", "api_key": "hush-of-the-store"}
        await here.live.save(Change(kind="model", name="kept", settings=kept), by=By())
        async with Desk(here, browser, {"admin": here.key}).sit() as sitting:
            await sitting.open(f"{PAGE}/config")
            for group, key, value, origin in (
                ("api", "port", "0", "config.yaml:"),
                ("api", "turn_timeout", "2m", "BOTHUB_API__TURN_TIMEOUT"),
                ("bus", "tries", "5", "Default"),
                ("models.upstream", "api_key", "${UPSTREAM_KEY}", "config.yaml:"),
                ("models.upstream", "base_url", "http://me:***@host/v1", "config.yaml:"),
                ("models.kept", "api_key", "***", "Saved while the hub ran"),
                ("models.kept", "price_in", "0", "Default"),
                ("agents.assistant", "tools", "message", "config.yaml:"),
            ):
                cells = row(sitting, group, key).locator("td")
                await expect(cells.nth(1)).to_have_text(value)
                await expect(cells.nth(2)).to_contain_text(origin)
            assert "hush" not in await sitting.page.content()
            assert await sitting.violations() == []
        assert "hush" not in repr(logs.BOOK.__dict__)


async def test_what_is_set_is_shown_alone_and_what_fits_a_text(desk: Desk) -> None:
    async with desk.sit(javascript=False) as sitting:
        page = sitting.page
        await sitting.open(f"{PAGE}/config")
        await expect(row(sitting, "bus", "tries")).to_be_visible()
        await page.get_by_role("link", name="Only what is set").click()
        await expect(page.locator("tbody tr").first).to_be_visible()
        await expect(page.locator(".as-default")).to_have_count(0)
        await page.get_by_label("Text").fill("posts_to")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(row(sitting, "agents.assistant", "posts_to").locator("td").nth(1)).to_have_text("*")
        await page.get_by_label("Part").select_option("channels")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
        sitting.errors.clear()


@pytest.mark.parametrize("path", ["/config", "/audit"])
async def test_each_tab_fits_in_chinese_on_a_phone(desk: Desk, path: str) -> None:
    async with desk.sit(language="zh-CN", theme="dark", size=NARROW) as sitting:
        await sitting.open(f"{PAGE}{path}")
        await expect(sitting.page.locator("h1")).to_have_text("设置")
        assert await sitting.overflow() is None
        assert await sitting.violations() == []
