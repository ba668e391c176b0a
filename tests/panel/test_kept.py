"""What was typed into a form outlives a hub that is away, another look and another language; Back leads to a page."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, Route, expect

from api.panel.guard import COOKIE
from tests.e2e.hub import HubProcess, demo_config
from tests.panel.desk import Desk
from tests.panel.past import key_of
from tests.panel.test_chat_restart import Visitor
from tests.panel.test_once import done
from tests.patience import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="package")
NEW = "/panel/agents/new"
PROMPT = "You are kind.\nYou are brief."
AGAIN = "what you typed is here again"
KEPT = "sessionStorage.length"


async def describe(page: Page, name: str) -> None:
    """Type a new agent, and save nothing."""
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Prompt", exact=True).fill(PROMPT)
    await page.get_by_label("Every key may ask it").uncheck()


async def described(page: Page, name: str) -> None:
    """The form of a new agent has what was typed, and says so."""
    await expect(page.locator("#edit .note")).to_contain_text(AGAIN)
    await expect(page.locator("#f-name")).to_have_value(name)
    await expect(page.locator("[name=system_prompt]")).to_have_value(PROMPT)
    await expect(page.locator("[name=public]")).not_to_be_checked()


async def empty(page: Page) -> None:
    """It has nothing."""
    await expect(page.locator("#f-name")).to_have_value("")
    await expect(page.locator("#edit .note")).to_have_count(0)


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()


async def refused(page: Page) -> None:
    """Save, and wait until the modules of the page that tells what is wrong have run."""
    await save(page)
    await expect(page.locator(".field.wrong")).to_be_visible()
    await page.wait_for_load_state("load")


async def saved(page: Page) -> None:
    await save(page)
    await expect(page.get_by_role("status").filter(has_text="The agent is saved")).to_be_visible()


async def gone(page: Page, button: str) -> None:
    """Send a form whose answer never comes: the browser shows a page of its own."""
    await page.get_by_role("button", name=button, exact=True).click()
    await page.wait_for_url("chrome-error://**")


async def test_what_was_sent_while_the_hub_was_away_is_there_when_it_is_back(browser: Browser, tmp_path: Path) -> None:
    async with HubProcess(tmp_path / "hub", demo_config()) as hub:
        context = await browser.new_context(locale="en-GB")
        try:
            page = await context.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            await Visitor(page, hub).open("/panel/agents")
            await page.get_by_role("link", name="Add an agent").click()
            await page.wait_for_url(f"**{NEW}")
            await describe(page, "patient")
            await hub.kill()
            await gone(page, "Save")
            await hub.start()
            await page.go_back()  # to the list: the browser's page stands in the place of the form
            await page.get_by_role("link", name="Add an agent").click()
            await described(page, "patient")
            await saved(page)
            assert await page.evaluate(KEPT) == 0
            await page.go_back()
            await empty(page)
        finally:
            await context.close()


async def unheard(route: Route) -> None:
    """The hub has the form, and the browser no answer."""
    asked = route.request
    headers = {name: value for name, value in (await asked.all_headers()).items() if not name.startswith(":")}
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        answer = await http.post(asked.url, content=asked.post_data_buffer, headers=headers)
    assert answer.status_code == 303
    await route.abort("connectionreset")


async def test_what_was_done_though_nobody_heard_of_it_is_not_done_again(desk: Desk) -> None:
    number = await key_of(desk, await desk.key())
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(f"/panel/keys/{number}")
        await page.get_by_label("Amount").fill("4.50")
        await page.route("**/recharge", unheard)
        await gone(page, "Recharge")
        await page.unroute("**/recharge")
        assert await done(desk, "key.recharge", f"key:{number}") == 1
        await page.go_back()
        await expect(page.get_by_label("Amount")).to_have_value("4.50")
        await page.get_by_role("button", name="Recharge").click()
        await expect(page.get_by_role("status").filter(has_text="were added")).to_be_visible()
        await expect(page.get_by_role("row").filter(has_text="+4.50")).to_have_count(1)
        await expect(page.get_by_label("Amount")).to_have_value("")
        sitting.errors.clear()  # the browser itself tells of what never came


async def test_who_looks_elsewhere_has_it_when_they_come_back(desk: Desk) -> None:
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(NEW)
        await describe(page, "looked-elsewhere")
        await page.locator(".nav").get_by_role("link", name="Models").click()
        await expect(page.locator("h1")).to_have_text("Models")
        await page.go_back()
        await described(page, "looked-elsewhere")
        await page.reload()
        await described(page, "looked-elsewhere")
        await page.locator(".nav").get_by_role("link", name="Agents").click()
        await page.get_by_role("link", name="Add an agent").click()
        await empty(page)


async def test_what_one_left_nobody_else_finds_and_no_secret_is_kept(desk: Desk) -> None:
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open("/panel/models/new")
        await page.locator("#f-name").fill("my-model")
        await page.locator("#f-api_key").fill("sk-hush")
        await page.locator(".nav").get_by_role("link", name="Agents").click()
        await expect(page.locator("h1")).to_have_text("Agents")
        kept: str = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, history.state])")
        assert "my-model" in kept
        assert "sk-hush" not in kept
        other: Any = {
            "name": COOKIE,
            "value": await desk.login(await desk.key("admin")),
            "url": desk.here.url + "/panel",
        }
        await page.context.add_cookies([other])
        await page.go_back()
        await expect(page.locator("#f-name")).to_have_value("")
        assert await page.evaluate(KEPT) == 0


async def test_another_language_and_other_colours_take_nothing_away(desk: Desk) -> None:
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(NEW)
        await describe(page, "in-two-languages")
        await page.locator(".preferences [lang=zh-CN]").click()
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        await expect(page.locator("#edit .note")).to_contain_text("您填写的内容已恢复")
        await expect(page.locator("#f-name")).to_have_value("in-two-languages")
        await page.locator(".preferences [lang=en]").click()
        await described(page, "in-two-languages")
        await page.locator(".preferences").get_by_title("Dark").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await described(page, "in-two-languages")
        assert await sitting.violations() == []
        await saved(page)


async def test_back_leads_to_the_form_that_was_refused_at_first(desk: Desk) -> None:
    name = f"mended-{secrets.token_hex(4)}"
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(NEW)
        await describe(page, name)
        await page.get_by_label("Temperature", exact=True).fill("9")
        await refused(page)
        await page.reload()
        await described(page, name)
        await expect(page.get_by_label("Temperature", exact=True)).to_have_value("9")
        await refused(page)
        await page.get_by_label("Temperature", exact=True).fill("0.9")
        await saved(page)
        answer = await page.go_back()
        assert answer is not None
        assert answer.status == 200
        await expect(page.locator("h1")).to_have_text("Add an agent")
        await empty(page)
        sitting.errors.clear()  # the browser itself tells of the status


async def test_the_address_of_a_form_that_was_refused_is_that_of_its_page(desk: Desk) -> None:
    number = await key_of(desk, await desk.key())
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(f"/panel/keys/{number}")
        await page.get_by_label("Amount").fill("nothing")
        await page.get_by_role("button", name="Recharge").click()
        await expect(page.locator(".field.wrong")).to_be_visible()
        await expect(page).to_have_url(f"{desk.here.url}/panel/keys/{number}")
        await page.locator(".preferences [lang=zh-CN]").click()
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        await expect(page.locator("[name=balance]")).to_have_value("nothing")
        sitting.errors.clear()  # the browser itself tells of the status


async def test_without_javascript_a_form_that_was_refused_still_leads_to_its_page_in_another_language(
    desk: Desk,
) -> None:
    number = await key_of(desk, await desk.key())
    async with desk.sit(javascript=False) as sitting:
        page = sitting.page
        await sitting.open(f"/panel/keys/{number}")
        await page.get_by_label("Amount").fill("nothing")
        await page.get_by_role("button", name="Recharge").click()
        await expect(page.locator(".field.wrong")).to_be_visible()
        await page.locator(".preferences [lang=zh-CN]").click()
        await expect(page).to_have_url(f"{desk.here.url}/panel/keys/{number}")
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        sitting.errors.clear()  # the browser itself tells of the status
