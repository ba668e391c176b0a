"""A hub that is killed under the page: nothing that was said is lost or said twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.hub import HubProcess, demo_config
from tests.panel.talking import LOBBY, Talk
from tests.patience import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="package")


@dataclass
class Visitor:
    """Somebody who logs in to a hub that may go away."""

    page: Page
    hub: HubProcess

    async def open(self, path: str) -> None:
        await self.page.goto(f"{self.hub.url}/panel/login?next={path}")
        await self.page.get_by_label("API key").fill(self.hub.key)
        await self.page.get_by_role("button", name="Log in").click()


async def test_the_page_goes_on_where_it_was(browser: Browser, tmp_path: Path) -> None:
    async with HubProcess(tmp_path / "hub", demo_config()) as hub:
        context = await browser.new_context(locale="en-GB")
        try:
            talk = Talk(Visitor(await context.new_page(), hub))
            talk.page.set_default_timeout(PATIENCE * 1000)
            await talk.open(LOBBY)
            await talk.ask("before", "You said: before")
            await hub.kill()
            await expect(talk.page.get_by_text("Reconnecting")).to_be_visible()
            await talk.say("in between")
            failed = talk.page.locator(".bubble.failed")
            await expect(failed).to_contain_text("in between")
            await hub.start()
            headers = {"Authorization": f"Bearer {hub.key}"}
            async with httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=PATIENCE) as other:
                await other.post("/api/v1/web/lobby", json={"text": "from elsewhere", "name": "Ann"})
            await expect(talk.said("You said: from elsewhere")).to_be_visible()
            await expect(talk.page.get_by_text("Reconnecting")).to_be_hidden()
            await failed.get_by_role("button", name="Send again").click()
            await expect(talk.said("You said: in between")).to_be_visible()
            said = ["before", "from elsewhere", "in between"]
            assert await talk.texts() == [text for one in said for text in (one, f"You said: {one}")]
        finally:
            await context.close()
