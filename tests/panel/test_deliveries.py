"""Deliveries in the panel: seen as they fail, tried again, edited, discarded; and messages to agents likewise."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from hub.accounts.definitions import Change
from hub.records import deadletters
from tests.e2e.here import Here
from tests.panel.desk import NARROW, Desk, Sitting
from tests.platforms.telegram import PRIVATE, TelegramServer

pytestmark = pytest.mark.asyncio(loop_scope="package")
PAGE = "/panel/deliveries"
IMG = "<img src=x onerror='window.pwned=1'>"
REFUSED = f"Bad Request: can't parse {IMG}"


@pytest.fixture
def name() -> str:
    """Of something that no other test has."""
    return f"post-{secrets.token_hex(4)}"


@pytest_asyncio.fixture(loop_scope="package")
async def telegram(desk: Desk, name: str) -> AsyncIterator[TelegramServer]:
    """A bot of that name, to which somebody has written."""
    async with TelegramServer() as server, desk.here.http() as client:
        bot = {"name": name, "config": {"token": server.token, "baseUrl": server.base_url}}
        (await client.post("/admin/bot/telegram/save", json=bot)).raise_for_status()
        server.say("hello")
        await server.wait_sent(PRIVATE, 1)
        yield server
        found = next(one for one in await desk.here.live.list("channel") if one.name == name)
        await desk.here.live.save(Change(kind="channel", id=found.id, settings=None), by=deadletters.By())


async def post(here: Here, to: str, *texts: str, wait: bool = True) -> str:
    """Send to a chat; returns the id of the delivery."""
    channel, _, chat = to.partition(":")
    parts = [{"type": "text", "text": text} for text in texts]
    async with here.http() as client:
        said = {"channel": channel, "chat_id": chat, "parts": parts, "wait": 30 if wait else False}
        answer = await client.post("/v1/deliveries", json=said)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()["id"]


def texts(telegram: TelegramServer) -> list[str]:
    """What the bot said, after its first answer."""
    return [said["text"] for said in telegram.sent(PRIVATE)[1:]]


async def is_(sitting: Sitting, state: str) -> None:
    """Wait until the page says how the delivery stands."""
    await expect(sitting.page.locator("[data-state]")).to_have_text(state)


async def press(sitting: Sitting, button: str) -> Locator:
    """Press a button that asks first; returns its dialog."""
    await sitting.page.locator(".deeds").get_by_role("button", name=button, exact=True).first.click()
    return sitting.page.locator("dialog[open]")


async def agree(sitting: Sitting, button: str) -> None:
    await (await press(sitting, button)).get_by_role("button", name=button, exact=True).click()


class TestToChats:
    async def test_one_that_dies_is_seen_live_and_arrives_once_it_is_tried_again(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        async with desk.sit() as sitting:
            page = sitting.page
            await sitting.open(f"{PAGE}?channel={name}&state=dead")
            await expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
            telegram.fail("sendMessage", 400, REFUSED, times=None)
            await post(desk.here, f"{name}:{PRIVATE}", f"news {IMG}")
            row = page.get_by_role("row", name="news")
            await expect(row).to_contain_text("Telegram refuses: Bad Request: can't parse <img")
            await expect(row).to_contain_text("Dead")
            await expect(page.get_by_role("link", name="Dead 1")).to_be_visible()
            assert await sitting.violations() == []
            await row.get_by_role("link").click()
            await is_(sitting, "Dead")
            await expect(page.locator(".bubble-text")).to_have_text(f"news {IMG}")
            assert await sitting.violations() == []
            telegram.heal()
            await agree(sitting, "Retry")
            await expect(page.get_by_text("It is on its way again.")).to_be_visible()
            await is_(sitting, "Sent")
            [said] = [one for one in telegram.sent(PRIVATE) if "news" in one["text"]]
            await expect(page.get_by_role("cell", name=str(said["message_id"]), exact=True)).to_be_visible()
            await expect(page.get_by_role("table", name="Tries before")).to_contain_text("Telegram refuses")
            assert await page.evaluate("window.pwned") is None
            await page.set_viewport_size(NARROW)  # pyright: ignore[reportArgumentType] - a TypedDict
            assert await sitting.overflow() is None
