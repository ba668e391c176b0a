"""A login that ends while somebody fills in a form: they are told, led back, and have what they typed."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from api.panel.guard import COOKIE
from hub.accounts import logins
from hub.store import Connection
from tests.panel.desk import Desk, Language, Sitting
from tests.panel.talking import Talk

pytestmark = pytest.mark.asyncio(loop_scope="package")
NEW = "/panel/keys/new"
LOGIN = "**/panel/login?next=**"
TOLD = "You were logged out; log in to go on."
HERE_AGAIN = "what you typed is here again"


async def token_of(page: Page) -> str:
    """The cookie of the login."""
    return next(one.get("value", "") for one in await page.context.cookies() if one.get("name") == COOKIE)


async def end(desk: Desk, page: Page) -> None:
    """As if they logged out in another tab."""
    token = await token_of(page)

    def unit(connection: Connection) -> None:
        logins.end(connection, token)

    await desk.here.store.write(unit)
    await page.context.clear_cookies(name=COOKIE)


async def log_in(page: Page, secret: str, button: str = "Log in") -> None:
    await page.locator("#f-key").fill(secret)
    await page.get_by_role("button", name=button).click()


async def fill(sitting: Sitting, name: str) -> None:
    """What somebody types into the form of a new key."""
    await sitting.open(NEW)
    await sitting.page.locator("#f-name").fill(name)
    await sitting.page.locator("#f-month_quota").fill("12.50")
    await sitting.page.locator("#f-scope-read").uncheck()
    await sitting.page.locator("#f-role").select_option("admin")


async def save(page: Page) -> None:
    await page.locator("main form[method=post] button.primary").click()


@pytest.mark.parametrize(
    ("language", "told", "again", "button"),
    [("en", TOLD, HERE_AGAIN, "Log in"), ("zh-CN", "您已退出登录", "您填写的内容已恢复", "登录")],
)
async def test_what_was_typed_is_there_again_after_the_login(
    desk: Desk, language: Language, told: str, again: str, button: str
) -> None:
    name = f"typed-{secrets.token_hex(4)}"
    async with desk.sit(language=language) as sitting:
        page = sitting.page
        await fill(sitting, name)
        await end(desk, page)
        await save(page)
        await page.wait_for_url(LOGIN)
        await expect(page.locator(".note")).to_contain_text(told)
        assert await sitting.violations() == []
        await log_in(page, desk.secrets["admin"], button)
        await page.wait_for_url(f"**{NEW}")
        await expect(page.locator("form .note")).to_contain_text(again)
        await expect(page.locator("#f-name")).to_have_value(name)
        await expect(page.locator("#f-month_quota")).to_have_value("12.50")
        await expect(page.locator("#f-scope-read")).not_to_be_checked()
        await expect(page.locator("#f-scope-chat")).to_be_checked()
        await expect(page.locator("#f-role")).to_have_value("admin")
        assert await sitting.violations() == []
        await save(page)
        await expect(page.locator("h1")).to_contain_text(name)
        await sitting.open(NEW)
        await expect(page.locator("#f-name")).to_have_value("")
        await expect(page.locator("form .note")).to_have_count(0)


async def test_a_secret_is_typed_again_and_kept_nowhere(desk: Desk) -> None:
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open("/panel/models/new")
        await page.locator("#f-name").fill("my-model")
        await page.locator("#f-api_key").fill("sk-hush")
        await end(desk, page)
        await page.locator("#f-name").evaluate("one => one.form.noValidate = true")
        await save(page)
        await page.wait_for_url(LOGIN)
        kept: str = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
        assert "my-model" in kept
        assert "sk-hush" not in kept
        await log_in(page, desk.secrets["admin"])
        await expect(page.locator("#f-name")).to_have_value("my-model")
        await expect(page.locator("#f-api_key")).to_have_value("")
        assert await page.evaluate("sessionStorage.length") == 0


async def test_a_form_of_the_login_before_is_refused_and_nothing_typed_is_lost(desk: Desk) -> None:
    async with desk.sit() as sitting:
        page = sitting.page
        await fill(sitting, "of the login before")
        await end(desk, page)
        given: Any = {"name": COOKIE, "value": await desk.login(desk.secrets["admin"]), "url": f"{desk.here.url}/panel"}
        await page.context.add_cookies([given])
        await save(page)
        await expect(page.get_by_text("This form is from another login.")).to_be_visible()
        await sitting.open(NEW)
        await expect(page.locator("#f-name")).to_have_value("of the login before")
        sitting.errors.clear()  # the browser itself tells of the status


async def test_somebody_else_who_logs_in_sees_nothing_of_it(desk: Desk) -> None:
    async with desk.sit() as sitting:
        page = sitting.page
        await fill(sitting, "private")
        await end(desk, page)
        await save(page)
        await page.wait_for_url(LOGIN)
        await log_in(page, desk.secrets["user"])
        await page.wait_for_url(f"**{NEW}")
        await expect(page.locator("#f-name")).to_have_value("")
        assert await page.evaluate("sessionStorage.length") == 0


async def test_who_types_on_a_page_that_leads_to_the_login_by_itself_has_it_again(desk: Desk) -> None:
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open("/panel/channels")
        path = await page.locator("main tbody a").first.get_attribute("href")
        assert path is not None
        await sitting.open(path)
        await expect(page.locator("[data-live-state=on]")).to_be_attached()
        await page.get_by_label("To the chat").fill("lobby")
        await end(desk, page)
        await page.wait_for_url(LOGIN)
        await expect(page.get_by_text(TOLD)).to_be_visible()
        await log_in(page, desk.secrets["admin"])
        await page.wait_for_url(f"**{path}")
        await expect(page.get_by_label("To the chat")).to_have_value("lobby")


async def test_without_javascript_it_is_told_and_leads_back(desk: Desk) -> None:
    async with desk.sit(javascript=False) as sitting:
        page = sitting.page
        await fill(sitting, "gone")
        await end(desk, page)
        await save(page)
        await expect(page.get_by_text(TOLD)).to_be_visible()
        await log_in(page, "br-wrong")
        await expect(page.locator(".error")).to_contain_text("This key is not valid")
        await log_in(page, desk.secrets["admin"])
        await page.wait_for_url(f"**{NEW}")
        sitting.errors.clear()  # the browser itself tells of the status


async def test_a_message_of_a_chat_that_is_not_sent_leads_to_the_login_and_back(desk: Desk) -> None:
    async def nothing(route: Route) -> None:
        await route.abort()

    secret = await desk.key()
    async with desk.sit(secret=secret) as sitting:
        page, talk = sitting.page, Talk(sitting)
        await page.route("**/events?*", nothing)  # which would lead to the login by itself
        await sitting.open("/panel/chat")
        await end(desk, page)
        await talk.say("are you there?")
        refused = page.locator(".bubble.failed")
        await expect(refused).to_contain_text(TOLD)
        await refused.get_by_role("link", name="Log in").click()
        await page.wait_for_url(LOGIN)
        await page.unroute("**/events?*")
        await log_in(page, secret)
        await page.wait_for_url("**/panel/chat**")
        await page.locator(".bubble.failed").get_by_role("button", name="Send again").click()
        await expect(talk.said("You said: are you there?")).to_be_visible()
        sitting.errors.clear()  # the browser itself tells of what was refused
