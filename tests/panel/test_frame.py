"""What every page promises: it asks before it destroys, says what it did, copies, and needs no mouse."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from hub.accounts import keys
from tests.e2e.hub import HubProcess, demo_config
from tests.panel.desk import NARROW, Desk, Sitting
from tests.panel.past import key_of
from tests.panel.test_chat_restart import Visitor
from tests.patience import PATIENCE
from tests.platforms.openai import Answer, Upstream

pytestmark = pytest.mark.asyncio(loop_scope="package")
ON = "main[data-live-state=on]"
LINED = "element => getComputedStyle(element).outlineStyle !== 'none' && element.matches(':focus-visible')"


async def works(desk: Desk, secret: str) -> bool:
    """Whether a key is let in."""
    now = desk.here.engine.clock()
    return await desk.here.store.read(lambda connection: keys.find(connection, secret, now)) is not None


async def focus_of(page: Page) -> Locator:
    """What has the focus, which can be seen."""
    focused = page.locator(":focus")
    assert await focused.evaluate(LINED), await focused.evaluate("element => element.outerHTML")
    return focused


class TestAsking:
    @pytest.mark.parametrize("way", ["button", "Escape"])
    @pytest.mark.parametrize("javascript", [True, False])
    async def test_who_says_no_changes_nothing_and_is_where_they_were(
        self, desk: Desk, way: str, javascript: bool
    ) -> None:
        secret = await desk.key()
        async with desk.sit(javascript=javascript) as sitting:
            page = sitting.page
            await sitting.open(f"/panel/keys/{await key_of(desk, secret)}")
            revoke = page.locator(".head").get_by_role("button", name="Revoke")
            await revoke.press("Enter")
            dialog = page.get_by_role("dialog")
            await expect(dialog).to_contain_text("This cannot be undone.")
            await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
            await page.keyboard.press("Enter" if way == "button" else "Escape")
            await expect(dialog).to_be_hidden()
            await expect(revoke).to_be_focused()
            assert await works(desk, secret)

    @pytest.mark.parametrize("javascript", [True, False])
    async def test_who_says_yes_is_told_what_was_done(self, desk: Desk, javascript: bool) -> None:
        secret = await desk.key()
        async with desk.sit(javascript=javascript) as sitting:
            page = sitting.page
            await sitting.open(f"/panel/keys/{await key_of(desk, secret)}")
            await page.locator(".head").get_by_role("button", name="Revoke").click()
            await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
            await expect(page.get_by_role("status").filter(has_text="revoked")).to_be_visible()
            assert not await works(desk, secret)

    async def test_what_is_behind_the_question_cannot_be_reached(self, desk: Desk) -> None:
        secret = await desk.key()
        async with desk.sit() as sitting:
            page = sitting.page
            await sitting.open(f"/panel/keys/{await key_of(desk, secret)}")
            await page.locator(".head").get_by_role("button", name="Revoke").click()
            for _ in range(4):
                await page.keyboard.press("Tab")
                assert await page.evaluate(
                    "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
                )
            assert await sitting.violations() == []


async def test_a_message_comes_after_the_page_so_that_it_is_read_aloud(desk: Desk) -> None:
    secret = await desk.key()
    async with desk.sit() as sitting:
        page = sitting.page
        await page.add_init_script(_HEARD)
        await sitting.open(f"/panel/keys/{await key_of(desk, secret)}")
        await page.locator(".head").get_by_role("button", name="Revoke").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        toast = page.get_by_role("status").filter(has_text="revoked")
        await expect(toast).to_be_visible()
        await page.wait_for_function("window.heard.length > 0")
        assert await page.evaluate("window.heard") == [(await toast.inner_text()).strip()]
        await sitting.open("/panel/keys")
        await expect(page.locator(".toast")).to_have_count(0)


_HEARD = """window.heard = [];
addEventListener("DOMContentLoaded", () => new MutationObserver((changes) => {
  for (const { target } of changes) {
    const words = target.textContent.trim();
    if (words && target.closest?.(".toast[role=status]")) window.heard.push(words);
  }
}).observe(document.body, { subtree: true, childList: true }));"""


async def test_a_new_key_is_copied_with_a_button(desk: Desk) -> None:
    async with desk.sit() as sitting:
        page = sitting.page
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=desk.here.url)
        await sitting.open("/panel/keys/new")
        await page.get_by_label("Name", exact=True).fill("to be copied")
        await page.get_by_role("button", name="Create Key").click()
        shown = page.locator(".code").first
        await shown.get_by_role("button", name="Copy").click()
        await expect(shown.get_by_role("button", name="Copied")).to_be_visible()
        secret = await page.evaluate("navigator.clipboard.readText()")
        assert secret == await shown.locator("code").inner_text()
        assert await works(desk, secret)


class TestPlots:
    async def plot(self, desk: Desk, sitting: Sitting) -> Locator:
        """One with something to see."""
        async with desk.here.http() as http:
            asked = {"model": "assistant", "messages": [{"role": "user", "content": "hello"}]}
            (await http.post("/v1/chat/completions", json=asked)).raise_for_status()
        await sitting.open("/panel/overview?over=1h")
        plot = sitting.page.locator(".plot", has=sitting.page.locator(".drawing")).first
        await expect(plot).to_be_visible()
        return plot

    async def test_what_is_pointed_at_shows_its_values(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            plot = await self.plot(desk, sitting)
            await plot.locator(".moment").nth(3).hover()
            await expect(plot.locator(".tip")).to_contain_text(":")
            await sitting.page.locator("h1").hover()
            await expect(plot.locator(".tip")).to_have_count(0)

    async def test_so_does_what_the_arrow_keys_lead_to(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            plot, page = await self.plot(desk, sitting), sitting.page
            moments = plot.locator(".moment")
            count = await moments.count()
            await page.locator(".switch a").last.focus()
            await page.keyboard.press("Tab")
            await expect(plot.locator(".drawing")).to_be_focused()
            await focus_of(page)
            for key, place in (
                ("", count - 1),
                ("ArrowLeft", count - 2),
                ("Home", 0),
                ("ArrowLeft", 0),
                ("End", count - 1),
            ):
                if key:
                    await page.keyboard.press(key)
                chosen = moments.nth(place)
                await expect(chosen).to_have_class("moment chosen")
                said = await chosen.get_attribute("data-said")
                await expect(plot.locator(".tip")).to_have_text(said or "")
            await page.keyboard.press("Escape")
            await expect(plot.locator(".tip")).to_have_count(0)
            assert await sitting.violations() == []


class TestKeyboard:
    async def test_one_skips_to_the_content_and_the_focus_is_seen_on_the_way(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            page = sitting.page
            await sitting.open("/panel/settings")
            await page.keyboard.press("Tab")
            skip = await focus_of(page)
            await expect(skip).to_have_text("Skip to the content")
            await expect(skip).to_be_in_viewport()
            assert (await skip.bounding_box() or {"width": 0})["width"] > 100
            await page.keyboard.press("Enter")
            await expect(page.locator("main")).to_be_focused()
            await page.keyboard.press("Tab")
            inside = await focus_of(page)
            assert await inside.evaluate("element => !!element.closest('main')")

    async def test_every_page_is_reached_by_tab_and_enter(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            page = sitting.page
            await sitting.open("/panel/overview")
            paths = await page.locator(".nav a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
            await page.locator(".side .brand").focus()
            for path in paths:
                await page.keyboard.press("Tab")
                await expect(await focus_of(page)).to_have_attribute("href", path)
            await page.keyboard.press("Enter")
            await page.wait_for_url(f"**{paths[-1]}")
            await page.keyboard.press("Tab")
            await expect(await focus_of(page)).to_have_text("Skip to the content")

    @pytest.mark.parametrize("javascript", [True, False])
    async def test_the_menu_of_a_phone_opens_and_closes_by_keys(self, desk: Desk, javascript: bool) -> None:
        async with desk.sit(size=NARROW, javascript=javascript) as sitting:
            page = sitting.page
            await sitting.open("/panel/overview")
            menu, side = page.get_by_role("button", name="Menu"), page.locator("#side")
            await menu.focus()
            for leave in ("Escape", "Enter"):
                await page.keyboard.press("Enter")
                await expect(side).to_be_visible()
                if leave == "Enter":
                    await expect(menu).to_be_focused()
                else:
                    await page.keyboard.press("Tab")
                    assert await (await focus_of(page)).evaluate("element => !!element.closest('#side')")
                await page.keyboard.press(leave)
                await expect(side).to_be_hidden()
                await expect(menu).to_be_focused()
            await page.keyboard.press("Enter")
            await page.keyboard.press("Tab")
            await page.keyboard.press("Tab")
            await page.keyboard.press("Tab")
            await expect(await focus_of(page)).to_have_attribute("href", "/panel/chat")
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/panel/chat")


async def test_pages_go_on_by_themselves_after_the_hub_was_killed(browser: Browser, tmp_path: Path) -> None:
    """The overview, a turn that is cut off in the middle, and the log."""
    gate = asyncio.Event()
    async with Upstream(default=lambda _: Answer(text=("Done.",), gate=gate)) as upstream:
        config = demo_config(bus={"lease": "3s", "extend": "1s"})
        config["models"]["up"] = {"provider": "openai", "base_url": upstream.base_url, "api_key": "k", "model": "up"}
        config["agents"]["assistant"]["model"] = "up"
        async with HubProcess(tmp_path / "hub", config) as hub:
            context = await browser.new_context(locale="en-GB")
            try:
                await _goes_on(context, hub, gate)
            finally:
                await context.close()


async def _goes_on(context: BrowserContext, hub: HubProcess, gate: asyncio.Event) -> None:
    pages = overview, trace, log = [await context.new_page() for _ in range(3)]
    for page in pages:
        page.set_default_timeout(PATIENCE * 1000)
    await Visitor(overview, hub).open("/panel/overview")
    await expect(overview.locator(ON)).to_be_attached()
    await expect(overview.get_by_role("heading", name="Nothing has come yet")).to_be_visible()
    headers = {"Authorization": f"Bearer {hub.key}"}
    async with httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=PATIENCE) as http:
        said = (await http.post("/api/v1/web/lobby", json={"text": "is tea ready?"})).json()["message_id"]
    await trace.goto(f"{hub.url}/panel/trace?id={said}")
    await expect(trace.get_by_role("heading", name="The agent is at work")).to_be_visible()
    await log.goto(f"{hub.url}/panel/logs")
    await expect(log.locator("[data-log-state=on]")).to_be_attached()
    for page in pages:
        await page.evaluate("window.stayed = true")
    await hub.kill()
    for page in pages:
        await expect(page.get_by_text("Reconnecting…")).to_be_visible()
    await hub.start()
    gate.set()
    await expect(trace.get_by_role("heading", name="Ended")).to_be_visible()
    claimed = trace.locator(".trace-row", has=trace.get_by_role("heading", name="Claimed"))
    await expect(claimed).to_contain_text(re.compile(r"try \d"))
    await expect(overview.get_by_role("row", name="assistant")).to_be_visible()
    await expect(log.get_by_text("The hub was started anew")).to_be_visible()
    await expect(log.locator(".log-line", has_text=said).first).to_be_visible()
    for page in pages:
        await expect(page.get_by_text("Reconnecting…")).to_be_hidden()
        assert await page.evaluate("window.stayed")
