"""Deliveries in the panel: seen as they fail, tried again, edited, discarded; and messages to agents likewise."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from hub.accounts import audit
from hub.accounts.audit import By
from hub.accounts.definitions import Change
from hub.message import Own
from hub.store.listing import Part
from tests.e2e.here import Here
from tests.hub.cli.command import delivery, message, settle
from tests.panel.desk import NARROW, Desk, Sitting
from tests.panel.past import key_of
from tests.platforms.openai import Upstream, fail, say
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
        await desk.here.live.save(Change(kind="channel", id=found.id, settings=None), by=By())


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

    async def test_one_that_was_edited_arrives_once_and_what_had_arrived_is_told(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        telegram.fail("sendMessage", 400, REFUSED, times=None)
        told = post(desk.here, f"{name}:{PRIVATE}", "Dear Ann,\n\nthe *lamp* is here.")
        async with desk.sit() as sitting:
            page = sitting.page
            await sitting.open(f"{PAGE}/{await told}")
            await page.get_by_role("link", name="Edit and resend").click()
            await expect(page.get_by_label("Text")).to_have_value("Dear Ann,\n\nthe *lamp* is here.")
            assert await sitting.violations() == []
            await page.get_by_label("Text").fill("Dear Bob,\n\nit is.")
            telegram.heal()
            await page.get_by_role("button", name="Send").click()
            await expect(page.get_by_text("The new text is on its way.")).to_be_visible()
            await is_(sitting, "Sent")
            await expect(page.get_by_role("table", name="Tries before")).to_contain_text("before it was edited")
            assert [text for text in texts(telegram) if text.startswith("Dear")] == ["Dear Bob,\n\nit is."]
            [record] = (
                await desk.here.store.read(
                    lambda connection: audit.listed(
                        connection, Part(limit=9), what="dead.resend", target=f"{name}:{PRIVATE}"
                    )
                )
            ).items
            assert "Bob" not in str(record)

    async def test_parts_that_arrived_stay_and_the_page_says_so(
        self, desk: Desk, telegram: TelegramServer, name: str
    ) -> None:
        telegram.hang("sendMessage").set()  # the first part passes
        telegram.fail("sendMessage", 400, REFUSED)
        told = await post(desk.here, f"{name}:{PRIVATE}", "first half", "second half")
        async with desk.sit(javascript=False) as sitting:
            page = sitting.page
            await sitting.open(f"{PAGE}/{told}/edit")
            await expect(page.locator(".goes strong")).to_contain_text("1 part arrived already")
            await page.get_by_label("Text").fill("the whole")
            await page.get_by_role("button", name="Send").click()
            await telegram.wait_text("the whole")
            assert [text for text in texts(telegram) if "half" in text or "whole" in text] == [
                "first half",
                "the whole",
            ]

    async def test_one_is_discarded_with_the_keyboard_when_one_says_so_twice(self, desk: Desk, name: str) -> None:
        await settle(desk.here.engine.bus, delivery(name, f"{name}:7"), error="It is too long.")
        async with desk.sit() as sitting:
            page = sitting.page
            await sitting.open(f"{PAGE}/{name}")
            button = page.locator(".deeds").get_by_role("button", name="Discard").first
            await button.focus()
            await button.press("Enter")
            dialog = page.locator("dialog[open]")
            await expect(dialog).to_contain_text("cannot be undone")
            await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
            await page.keyboard.press("Enter")
            await expect(dialog).to_have_count(0)
            await is_(sitting, "Dead")
            await button.press("Enter")
            await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("The delivery is discarded.")).to_be_visible()
            await is_(sitting, "Discarded")
            await expect(page.locator(".deeds").get_by_role("button")).to_have_count(0)

    async def test_one_that_waits_says_why_and_is_withdrawn(self, desk: Desk, name: str) -> None:
        await desk.here.engine.bus.commit(delivery(name, f"{name}:7"))
        async with desk.sit() as sitting:
            await sitting.open(f"{PAGE}/{name}")
            await is_(sitting, "Waiting")
            await expect(sitting.page.locator(".note")).to_contain_text("it goes out once the channel runs")
            await agree(sitting, "Discard")
            await is_(sitting, "Discarded")

    async def test_what_somebody_else_has_seen_to_is_told(self, desk: Desk, name: str) -> None:
        await settle(desk.here.engine.bus, delivery(name, f"{name}:7"))
        async with desk.sit() as one, desk.sit() as other:
            for sitting in (one, other):
                await sitting.open(f"{PAGE}/{name}/edit")
                await sitting.page.get_by_label("Text").fill("new")
            for sitting in (one, other):
                await sitting.page.get_by_role("button", name="Send").click()
            await expect(other.page.get_by_role("alert")).to_contain_text("somebody has seen to it")
            await is_(other, "Waiting")
            assert await desk.here.engine.bus.waiting(f"channel:{name}", f"{name}:7") == 1
            await other.open(f"{PAGE}/{name}/edit")
            await expect(other.page.get_by_text("somebody has seen to it")).to_have_count(1)
            await expect(other.page).to_have_url(re.compile(f"{PAGE}/{name}[^/]*$"))

    async def test_a_chat_and_an_id_are_found(self, desk: Desk, name: str) -> None:
        for number, chat in enumerate(("7", "7:x", "77")):
            await desk.here.engine.bus.commit(delivery(f"{name}-{number}", f"{name}:{chat}", f"words {number}"))
        async with desk.sit() as sitting:
            shown = sitting.page.locator(".session-name")
            await sitting.open(f"{PAGE}?address={name}:7")
            await expect(shown).to_have_text(["words 1", "words 0"])
            await expect(sitting.page.get_by_role("link", name="Waiting 2")).to_be_visible()
            await sitting.page.get_by_label("Any id", exact=True).fill(f"{name}-0")
            await sitting.page.get_by_role("button", name="Show").click()
            await expect(shown).to_have_text(["words 0"])
            await sitting.open(f"{PAGE}?address=nowhere", 400)

    async def test_they_are_for_admins(self, desk: Desk, name: str) -> None:
        await settle(desk.here.engine.bus, delivery(name, f"{name}:7"))
        async with desk.sit("user", javascript=False) as sitting:
            for path in ("", "/incoming", f"/{name}", f"/{name}/edit", f"/{name}/live"):
                await sitting.open(f"{PAGE}{path}", 403)


@pytest_asyncio.fixture(loop_scope="package")
async def upstream(desk: Desk, name: str) -> AsyncIterator[Upstream]:
    """Of a model and an agent of that name."""
    async with Upstream() as server:
        model = {"provider": "openai", "base_url": server.base_url, "api_key": "k", "model": "gpt"}
        agent = {"model": f"{name}-model", "public": True}
        saved = await desk.here.live.save(
            Change(kind="model", name=f"{name}-model", settings=model),
            Change(kind="agent", name=name, settings=agent),
            by=By(),
        )
        yield server
        gone = [Change(kind=one.kind, id=one.id, settings=None) for one in reversed(saved)]
        await desk.here.live.save(*gone, by=By())


class TestToAgents:
    async def test_one_that_nobody_could_answer_is_answered_once_it_is_asked_again(
        self, desk: Desk, upstream: Upstream, name: str
    ) -> None:
        room = Own(await key_of(desk, desk.here.key), name, "talk").room
        upstream.script(fail(400, "no such thing"))
        async with desk.sit() as sitting, desk.here.http() as client:
            page = sitting.page
            await sitting.open(f"{PAGE}/incoming?agent={name}")
            await expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
            (await client.post(f"/api/v1/web/{room}", json={"text": f"what is {IMG}?"})).raise_for_status()
            row = page.get_by_role("row", name="what is")
            await expect(row).to_contain_text("no such thing")
            assert await sitting.violations() == []
            await row.get_by_role("link").click()
            await expect(page.locator(".bubble-text")).to_have_text(f"what is {IMG}?")
            assert await sitting.violations() == []
            upstream.script(say("A picture."))
            await agree(sitting, "Retry")
            await expect(page.get_by_text("The agent is asked again.")).to_be_visible()
            await desk.here.store.until(lambda: self._was_said(desk, room, "A picture."))
            assert await page.evaluate("window.pwned") is None

    async def test_one_is_answered_with_another_text(self, desk: Desk, upstream: Upstream, name: str) -> None:
        room = Own(await key_of(desk, desk.here.key), name, "talk").room
        upstream.script(fail(400, "no such thing"))
        async with desk.sit(language="zh-CN", size=NARROW) as sitting, desk.here.http() as client:
            page = sitting.page
            await sitting.open(f"{PAGE}/incoming?agent={name}")
            (await client.post(f"/api/v1/web/{room}", json={"text": "what?"})).raise_for_status()
            await page.get_by_role("link", name="what?").click()
            await page.get_by_role("link", name="编辑并重新发送").click()
            assert await sitting.overflow() is None
            await page.locator("#f-text").fill("who are you?")
            await page.locator("main button[type=submit]").click()
            await expect(page.get_by_text("已用新文本询问智能体")).to_be_visible()
            await desk.here.store.until(lambda: self._was_said(desk, room, "You said: who are you?"))

    async def _was_said(self, desk: Desk, room: str, text: str) -> bool:
        return any(said.text == text for said in await desk.here.engine.rooms.read("web", room, 0, 20))

    async def test_one_is_discarded(self, desk: Desk, name: str) -> None:
        await settle(desk.here.engine.bus, message(name, f"{name}:7", "anybody?", name), error="Nobody.")
        async with desk.sit() as sitting:
            await sitting.open(f"{PAGE}/incoming?agent={name}")
            await sitting.page.get_by_role("link", name="anybody?").click()
            await agree(sitting, "Discard")
            await expect(sitting.page.get_by_text("The message is discarded.")).to_be_visible()
            await sitting.open(f"{PAGE}/incoming/{name}")
            await is_(sitting, "Seen to")
            await expect(sitting.page.get_by_text("Somebody let it go.")).to_be_visible()
            await expect(sitting.page.locator(".deeds")).to_have_count(0)
            await sitting.open(f"{PAGE}/incoming/no-such", 404)
