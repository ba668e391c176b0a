"""Pages that keep themselves up to date, and what the modules add to forms, times and dialogs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, Route, expect

from api.panel.view import View
from hub import logs
from hub.bus import Publish
from hub.errors import StoreUnavailable
from tests.panel.desk import NARROW, Desk
from tests.panel.test_typed import end

pytestmark = pytest.mark.asyncio(loop_scope="package")
ON = "main[data-live-state=on]"
ANY_ON = f"{ON}, [data-log-state=on], [data-room][data-state=on]"
HELD = 6
"""Connections to one server that a browser holds at a time."""
FOLLOWED = ["/panel/overview", "/panel/logs", "/panel/chat/lobby"]
LOOKS = """(here) => {
  Object.defineProperty(document, "hidden", { value: !here, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


async def change(desk: Desk, name: str) -> None:
    """Have the overview show something new."""
    await desk.here.engine.bus.commit(Publish(inbox=f"agent:{name}", lane="x", id="x", body=b"{}"))


async def test_what_changes_is_shown_without_loading_the_page_again(desk: Desk) -> None:
    async with desk.sit() as sitting:
        await sitting.open("/panel/overview")
        await expect(sitting.page.locator(ON)).to_be_attached()
        await expect(sitting.page.get_by_text("nobody-hears")).to_have_count(0)
        await sitting.page.evaluate("window.stayed = true")
        await change(desk, "nobody-hears")
        await expect(sitting.page.get_by_text("nobody-hears")).to_be_visible()
        assert await sitting.page.evaluate("window.stayed")


async def test_what_has_the_focus_keeps_it_while_all_around_it_is_renewed(desk: Desk) -> None:
    async with desk.sit() as sitting:
        await sitting.open("/panel/overview")
        await expect(sitting.page.locator(ON)).to_be_attached()
        link = sitting.page.locator("[data-live=now]").get_by_role("link", name="web", exact=True)
        await link.focus()
        await link.evaluate("link => (link.old = true)")
        await change(desk, "beside-the-focus")
        await expect(sitting.page.get_by_text("beside-the-focus")).to_be_visible()
        await expect(link).to_be_focused()
        assert await link.evaluate("link => link.old") is None


Act = Callable[[Page], Awaitable[object]]
HEARD = """window.heard = "";
window.now = () => document.querySelector("[data-live=now]");
window.EventSource = class extends EventSource {
  constructor(...given) {
    super(...given);
    this.addEventListener("blocks", (event) => (window.heard += event.data));
  }
};"""
WAYS: dict[str, tuple[Act, Act]] = {
    "types": (
        lambda page: page.evaluate("now().append(document.createElement('input')), now().lastChild.focus()"),
        lambda page: page.evaluate("now().lastChild.blur()"),
    ),
    "selects": (
        lambda page: page.evaluate("getSelection().selectAllChildren(now())"),
        lambda page: page.evaluate("getSelection().empty()"),
    ),
    "is asked": (
        lambda page: page.evaluate("now().append(document.createElement('dialog')), now().lastChild.showModal()"),
        lambda page: page.evaluate("now().lastChild.close()"),
    ),
    "clicks": (lambda page: page.mouse.down(), lambda page: page.mouse.up()),
}
"""What somebody does in the midst of a block, and its end."""


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_is_interrupted_and_what_came_meanwhile_is_shown_afterwards(desk: Desk, way: str) -> None:
    begin, end = WAYS[way]
    name = f"while somebody {way}"
    async with desk.sit() as sitting:
        page = sitting.page
        await page.add_init_script(HEARD)
        await sitting.open("/panel/overview")
        await expect(page.locator(ON)).to_be_attached()
        await page.locator("[data-live=now] h2").first.hover()
        await begin(page)
        await change(desk, name)
        await page.wait_for_function("name => heard.includes(name)", arg=name)
        assert await page.get_by_text(name).count() == 0
        await end(page)
        await expect(page.get_by_text(name)).to_be_visible()


async def test_it_leads_to_the_login_when_that_is_over(desk: Desk) -> None:
    async with desk.sit() as sitting:
        await sitting.open("/panel/overview")
        await expect(sitting.page.locator(ON)).to_be_attached()
        await end(desk, sitting.page)
        await sitting.page.wait_for_url("**/panel/login?next=**")


@pytest.mark.parametrize("path", FOLLOWED)
async def test_so_does_one_that_nobody_looked_at_meanwhile(desk: Desk, path: str) -> None:
    async with desk.sit() as sitting:
        await sitting.open(path)
        await expect(sitting.page.locator(ANY_ON)).to_be_attached()
        await sitting.page.evaluate(LOOKS, False)
        await end(desk, sitting.page)
        await sitting.page.evaluate(LOOKS, True)
        await sitting.page.wait_for_url("**/panel/login?next=**")


async def test_it_says_so_while_the_database_is_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: View) -> bool:
        raise StoreUnavailable("down")

    async with desk.sit() as sitting:
        await sitting.open("/panel/settings/jobs")
        await expect(sitting.page.locator(ON)).to_be_attached()
        with monkeypatch.context() as patched:
            patched.setattr(View, "holds", away)
            await expect(sitting.page.get_by_text("Reconnecting…")).to_be_visible()
        await expect(sitting.page.get_by_text("Reconnecting…")).to_be_hidden()
        await expect(sitting.page.locator(ON)).to_be_attached()


async def test_it_says_when_the_connection_is_gone_and_goes_on_when_it_is_back(desk: Desk) -> None:
    async with desk.sit() as sitting:
        gone = True

        async def pass_on(route: Route) -> None:
            await (route.abort() if gone else route.continue_())

        await sitting.page.route("**/overview/live", pass_on)
        await sitting.open("/panel/overview")
        await expect(sitting.page.get_by_text("Reconnecting…")).to_be_visible()
        gone = False
        await expect(sitting.page.locator(ON)).to_be_attached()
        await expect(sitting.page.get_by_text("Reconnecting…")).to_be_hidden()
        sitting.errors.clear()  # the browser tells of what it could not load


async def test_one_logs_in_and_out_with_the_keyboard_alone(desk: Desk) -> None:
    async with desk.sit(None) as sitting:
        await sitting.open("/panel/login")
        await sitting.page.keyboard.type(desk.secrets["user"])
        await sitting.page.keyboard.press("Enter")
        await sitting.page.wait_for_url("**/panel/overview")
        button = sitting.page.get_by_role("button", name="Log out")
        await button.focus()
        await sitting.page.keyboard.press("Enter")
        await sitting.page.wait_for_url("**/panel/login")


async def test_language_and_theme_are_chosen_and_kept(desk: Desk) -> None:
    async with desk.sit() as sitting:
        await sitting.open("/panel/settings")
        await sitting.page.get_by_role("link", name="简体中文").click()
        await expect(sitting.page.locator("h1")).to_have_text("设置")
        await sitting.page.get_by_title("深色").click()
        await expect(sitting.page.locator("html")).to_have_attribute("data-theme", "dark")
        await sitting.open("/panel/overview")
        await expect(sitting.page.locator("h1")).to_have_text("概览")


@pytest.mark.parametrize("javascript", [True, False])
async def test_on_a_phone_the_pages_are_behind_a_button(desk: Desk, javascript: bool) -> None:
    async with desk.sit(size=NARROW, javascript=javascript) as sitting:
        await sitting.open("/panel/overview")
        link = sitting.page.locator(".nav").get_by_text("Settings")
        await expect(link).to_be_hidden()
        await sitting.page.get_by_role("button", name="Menu").click()
        await expect(link).to_be_visible()
        await link.click()
        await expect(sitting.page.locator("h1")).to_have_text("Settings")


@pytest.mark.parametrize("path", FOLLOWED)
async def test_tabs_that_nobody_looks_at_let_others_in_and_go_on_later(desk: Desk, path: str) -> None:
    name = f"away-from-{path.rpartition('/')[2]}"
    async with desk.sit() as sitting:
        tabs = [sitting.page, *[await sitting.page.context.new_page() for _ in range(HELD)]]
        for tab in tabs:
            await tab.goto(desk.here.url + path)
            await expect(tab.locator(ANY_ON)).to_be_attached()
            await tab.evaluate(LOOKS, False)
        async with desk.here.http() as client:
            (await client.post("/api/v1/web/lobby", json={"text": name})).raise_for_status()
        logs.BOOK.keep(None, "info", {"event": name, "level": "info"})
        await change(desk, name)
        await tabs[0].evaluate(LOOKS, True)
        await expect(tabs[0].get_by_text(name).first).to_be_visible()
