"""Edit forms that another change overtook: nobody's change is lost, and nobody's typing either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Locator, Page, expect

from hub.accounts import groups, keyring
from hub.accounts.keyring import Account
from tests.panel.desk import NARROW, Desk, Sitting
from tests.panel.test_agents import make
from tests.panel.test_groups import make as make_group
from tests.panel.test_keys import key_of
from tests.panel.test_models import NOWHERE, SECRET, describe, press

pytestmark = pytest.mark.asyncio(loop_scope="package")
OVERTAKEN = "Somebody else changed this while you did"


@asynccontextmanager
async def two(sitting: Sitting, path: str) -> AsyncGenerator[tuple[Page, Page]]:
    """The same form in two tabs."""
    await sitting.open(path)
    other = await sitting.page.context.new_page()
    await other.goto(sitting.here.url + path)
    yield sitting.page, other
    await other.close()
    sitting.errors.clear()  # the browser itself tells of the status


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status").filter(has_text="saved")).to_be_visible()


async def make_model(sitting: Sitting, name: str) -> None:
    """Add a model with a secret."""
    more = {"Base URL": NOWHERE, "The provider's name for it": "gpt", "API key": SECRET}
    await describe(sitting, name, "openai", **more)
    await save(sitting.page)


async def overtaken(page: Page) -> Locator:
    """Save, and see that nothing is."""
    await page.get_by_role("button", name="Save", exact=True).click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text(OVERTAKEN)
    return alert


async def account(desk: Desk, number: int) -> Account:
    now = desk.here.engine.clock()
    return await desk.here.store.read(lambda connection: keyring.account(connection, number, now))


class TestAgents:
    async def test_what_another_tab_saved_is_told_and_stays(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            await make(sitting, "shared", "Old.")
            async with two(sitting, sitting.page.url.removeprefix(desk.here.url)) as (one, other):
                await one.get_by_label("Prompt", exact=True).fill("Line one.\nLine <two>.")
                await one.get_by_label("Temperature", exact=True).fill("0.5")
                await one.get_by_label("memory", exact=True).check()
                await one.get_by_label("Every key may ask it").uncheck()
                await one.get_by_label("What is said while it answers").select_option("steer")
                await save(one)
                await other.get_by_label("Temperature", exact=True).fill("0.9")
                await other.get_by_label("Quota a month", exact=True).fill("3")
                alert = await overtaken(other)
                for name, value in {
                    "Prompt": "Line one.\nLine <two>.",
                    "Temperature": "0.5You typed something else there.",
                    "Tools": "memory",
                    "Every key may ask it": "off",
                    "What is said while it answers": "Hand it on to the running answer",
                }.items():
                    row = alert.locator("dl > div").filter(has=other.get_by_text(name, exact=True))
                    await expect(row.locator("dd")).to_have_text(value)
                await expect(alert.locator("dt")).to_have_count(5)
                await expect(other.get_by_label("Temperature", exact=True)).to_have_value("0.9")
                await expect(other.get_by_label("Prompt", exact=True)).to_have_value("Line one.\nLine <two>.")
                await expect(other.get_by_label("memory", exact=True)).to_be_checked()
                await expect(other.get_by_label("Every key may ask it")).not_to_be_checked()
                kept = desk.here.engine.cast.config.agents["shared"]
                assert (kept.temperature, kept.month_quota) == (0.5, None)
                await save(other)
        kept = desk.here.engine.cast.config.agents["shared"]
        assert (kept.temperature, kept.system_prompt, kept.busy) == (0.9, "Line one.\nLine <two>.", "steer")
        assert (str(kept.month_quota), kept.tools, kept.public) == ("3", ("memory",), False)

    async def test_it_is_told_in_chinese_and_fits_a_phone(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            await make(sitting, "geteilt", "Old.")
            path = sitting.page.url.removeprefix(desk.here.url)
            async with desk.sit(language="zh-CN", size=NARROW) as late:
                await late.open(path)
                await sitting.page.get_by_label("Prompt", exact=True).fill("New. " * 80 + "x" * 80)
                await save(sitting.page)
                await late.page.locator("[name=system_prompt]").fill("Newer.")
                await late.page.locator("#edit button.primary").click()
                await expect(late.page.get_by_role("alert")).to_contain_text("其他人已修改此内容")
                assert (await late.overflow(), await late.violations()) == (None, [])
                late.errors.clear()  # the browser itself tells of the status

    async def test_what_both_said_alike_is_no_trouble(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            await make(sitting, "alike")
            async with two(sitting, sitting.page.url.removeprefix(desk.here.url)) as (one, other):
                for page in (one, other):
                    await page.get_by_label("Temperature", exact=True).fill("0.5")
                    await save(page)

    async def test_an_error_between_does_not_hide_it(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            await make(sitting, "between")
            async with two(sitting, sitting.page.url.removeprefix(desk.here.url)) as (one, other):
                await other.get_by_label("Temperature", exact=True).fill("9")
                await press(Sitting(other, sitting.here, ""), "Save")
                await expect(other.locator(".field.wrong")).to_be_visible()
                await one.get_by_label("Quota a month", exact=True).fill("3")
                await save(one)
                await other.get_by_label("Temperature", exact=True).fill("0.9")
                await expect((await overtaken(other)).locator("dt")).to_have_text("Quota a month")


class TestModels:
    async def test_what_another_tab_saved_is_told_and_stays(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            await make_model(sitting, "shared-model")
            async with two(sitting, sitting.page.url.removeprefix(desk.here.url)) as (one, other):
                await one.get_by_label("Price in", exact=True).fill("0.25")
                await one.get_by_label("Takes images and files beside text").check()
                await save(one)
                await other.get_by_label("Context, in tokens", exact=True).fill("8000")
                alert = await overtaken(other)
                await expect(alert.locator("dt")).to_have_text(["Price in", "Takes images and files beside text"])
                await expect(alert).to_contain_text("0.25")
                await save(other)
        kept = desk.here.engine.cast.config.models["shared-model"]
        assert (float(kept.price_in), kept.context, kept.multiple) == (0.25, 8000, True)
        assert kept.api_key.get_secret_value() == SECRET

    async def test_a_secret_is_not_written_over_unseen_and_shown_to_nobody(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            await make_model(sitting, "shared-secret")
            async with two(sitting, sitting.page.url.removeprefix(desk.here.url)) as (one, other):
                for page, secret in ((one, "sk-first-0123"), (other, "sk-second-0123")):
                    await page.get_by_label("API key", exact=True).fill(secret)
                await save(one)
                alert = await overtaken(other)
                await expect(alert).to_contain_text("or a secret, which nobody is shown")
                await expect(alert).to_contain_text("Give the secret that you typed once more")
                assert "sk-first" not in await other.content()
                assert "sk-second" not in await other.content()
                kept = desk.here.engine.cast.config.models["shared-secret"]
                assert kept.api_key.get_secret_value() == "sk-first-0123"
                await other.get_by_label("API key", exact=True).fill("sk-second-0123")
                await save(other)
        kept = desk.here.engine.cast.config.models["shared-secret"]
        assert kept.api_key.get_secret_value() == "sk-second-0123"


class TestKeys:
    async def test_a_quota_survives_a_tab_that_changed_the_address(self, desk: Desk) -> None:
        number = (await key_of(desk, await desk.key())).id
        async with desk.sit() as sitting, two(sitting, f"/panel/keys/{number}/edit") as (one, other):
            await one.get_by_label("Quota a month", exact=True).fill("12.50")
            await one.get_by_label("Post to chats").check()
            await save(one)
            await other.get_by_label("E-mail", exact=True).fill("ann@example.org")
            alert = await overtaken(other)
            row = alert.locator("dl > div")
            await expect(row.filter(has_text="Quota a month").locator("dd")).to_have_text("12.5")
            await expect(row.filter(has_text="Scopes").locator("dd")).to_contain_text("Post to chats")
            await expect(other.get_by_label("E-mail", exact=True)).to_have_value("ann@example.org")
            await save(other)
        kept = await account(desk, number)
        assert (kept.email, kept.month_quota) == ("ann@example.org", 12_500_000_000)
        assert "deliver" in kept.key.scopes

    async def test_of_two_that_are_sent_at_once_one_is_told(self, desk: Desk) -> None:
        number = (await key_of(desk, await desk.key())).id
        async with desk.sit() as sitting, two(sitting, f"/panel/keys/{number}/edit") as (one, other):
            await one.get_by_label("Quota a month", exact=True).fill("12.50")
            await other.get_by_label("E-mail", exact=True).fill("ann@example.org")
            pages = (one, other)
            await asyncio.gather(*(page.get_by_role("button", name="Save", exact=True).click() for page in pages))
            for page in pages:
                await expect(page.get_by_text("The key is saved.").or_(page.get_by_text(OVERTAKEN))).to_be_visible()
            late = [page for page in pages if await page.get_by_text(OVERTAKEN).count()]
            assert len(late) == 1
            await save(late[0])
        kept = await account(desk, number)
        assert (kept.email, kept.month_quota) == ("ann@example.org", 12_500_000_000)


async def test_channels_are_no_exception(desk: Desk) -> None:
    async with desk.sit() as sitting:
        await sitting.open("/panel/channels/new/web")
        await sitting.page.get_by_label("Name", exact=True).fill("shared-room")
        await sitting.page.get_by_role("button", name="Add it").click()
        await expect(sitting.page.get_by_text("The channel is added")).to_be_visible()
        path = f"{sitting.page.url.removeprefix(desk.here.url)}/edit"
        async with two(sitting, path) as (one, other):
            await one.get_by_label("In groups it answers").select_option("mention")
            await save(one)
            await other.get_by_label("May write without being approved").fill("77")
            alert = await overtaken(other)
            await expect(alert.locator("dt")).to_have_text("In groups it answers")
            await expect(alert.locator("dd")).to_have_text("When it is mentioned")
            await save(other)
    settings = desk.here.engine.config.channels["shared-room"]
    assert (settings.groups, settings.allow) == ("mention", ("77",))


async def test_of_a_group_one_renames_and_another_says_what_it_is_known_as(desk: Desk) -> None:
    async with desk.sit() as sitting:
        number = await make_group(sitting, "shared-group")
        async with two(sitting, f"/panel/groups/{number}") as (one, other):
            await one.get_by_label("Name", exact=True).fill("renamed-group")
            await save(one)
            await other.get_by_label("Known elsewhere as", exact=True).fill("crm-7")
            alert = await overtaken(other)
            await expect(alert.locator("dt")).to_have_text("Name")
            await expect(alert.locator("dd")).to_have_text("renamed-group")
            await save(other)
    kept = await desk.here.store.read(lambda connection: groups.find(connection, number))
    assert (kept.name, kept.key) == ("renamed-group", "crm-7")


class TestGone:
    async def test_what_was_written_for_a_deleted_agent_is_shown_and_leads_to_the_list(self, desk: Desk) -> None:
        async with desk.sit(javascript=False) as sitting:
            await make(sitting, "gone-soon")
            async with two(sitting, sitting.page.url.removeprefix(desk.here.url)) as (one, other):
                await one.locator("form[action$='/delete'] [type=submit]").evaluate("(button) => button.form.submit()")
                await expect(one.get_by_role("status").filter(has_text="deleted")).to_be_visible()
                await other.get_by_label("Prompt", exact=True).fill("Written <with> care.")
                await other.get_by_role("button", name="Save", exact=True).click()
                await expect(other.locator("h1")).to_have_text("It is not there any more")
                await expect(other.locator(".code code")).to_have_text("Written <with> care.")
                await other.locator("main").get_by_role("link", name="Agents").click()
                await expect(other.locator("h1")).to_have_text("Agents")

    async def test_a_secret_is_not(self, desk: Desk) -> None:
        async with desk.sit() as sitting:
            await describe(sitting, "gone-model", "demo")
            await press(sitting, "Save")
            async with two(sitting, sitting.page.url.removeprefix(desk.here.url)) as (one, other):
                await press(Sitting(one, sitting.here, ""), "Delete")
                await one.locator("#delete").get_by_role("button", name="Delete").click()
                await expect(one.get_by_role("status").filter(has_text="deleted")).to_be_visible()
                await other.get_by_label("API key", exact=True).fill(SECRET)
                await other.get_by_role("button", name="Save", exact=True).click()
                await expect(other.locator("main").get_by_role("link", name="Models")).to_be_visible()
                assert SECRET not in await other.content()
