"""A form that is sent twice, by a reload or both at once, is done once; a secret is shown the first time only."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect
from sqlalchemy import func, select

from hub.accounts.audit import audit
from hub.accounts.keys import Key
from tests.panel.desk import Desk, Sitting
from tests.panel.test_keys import key_of, make, posted, press, said, secret_on

pytestmark = pytest.mark.asyncio(loop_scope="package")
SHOWN = "The secret was shown then"


async def done(desk: Desk, what: str, target: str | None = None) -> int:
    """How often the audit has it."""
    wanted = select(func.count()).where(audit.c.what == what)
    if target is not None:
        wanted = wanted.where(audit.c.target == target)
    return await desk.here.store.read(lambda connection: connection.execute(wanted).scalar_one())


async def both(sitting: Sitting, path: str, **fields: str) -> list[str]:
    """What two equal forms that are sent at once lead to."""
    answers = await asyncio.gather(*(posted(sitting, path, **fields) for _ in range(2)))
    assert [answer.status for answer in answers] == [200, 200]
    return [await answer.text() for answer in answers]


async def a_key(desk: Desk) -> tuple[str, Key]:
    secret = await desk.key()
    return secret, await key_of(desk, secret)


async def test_a_reload_of_a_new_secret_makes_no_other_key(desk: Desk) -> None:
    async with desk.sit() as sitting:
        secret = await make(sitting, "made once")
        made = await key_of(desk, secret)
        before = await done(desk, "key.create")
        await sitting.page.reload()
        await expect(sitting.page.get_by_role("status").filter(has_text=SHOWN)).to_be_visible()
        await expect(sitting.page.locator("h1")).to_have_text("made once")
        assert sitting.page.url.endswith(f"/panel/keys/{made.id}")
        assert secret not in await sitting.page.content()
        assert await sitting.violations() == []
        assert await done(desk, "key.create") == before


async def test_a_reload_of_a_rotated_secret_rotates_no_more(desk: Desk) -> None:
    first, key = await a_key(desk)
    async with desk.sit(language="zh-CN") as sitting:
        await sitting.open(f"/panel/keys/{key.id}")
        await press(sitting.page, "rotate", "轮换")
        await expect(sitting.page.locator("h1")).to_contain_text("的密钥值")
        second = await sitting.page.locator(".code code").first.inner_text()
        await sitting.page.reload()
        await expect(sitting.page.get_by_role("status").filter(has_text="密钥值当时已显示")).to_be_visible()
    assert await said(desk, first) == await said(desk, second)
    assert await done(desk, "key.rotate", f"key:{key.id}") == 1


async def test_two_equal_forms_at_once_rotate_once_and_one_of_them_has_the_secret(desk: Desk) -> None:
    _, key = await a_key(desk)
    async with desk.sit() as sitting:
        await sitting.open(f"/panel/keys/{key.id}")
        once = await sitting.page.locator("#rotate [name=once]").input_value()
        told = await both(sitting, f"/panel/keys/{key.id}/rotate", grace="86400", once=once)
        assert sorted(SHOWN in text for text in told) == [False, True]
        assert sorted("The secret of" in text for text in told) == [False, True]
        assert await done(desk, "key.rotate", f"key:{key.id}") == 1
        await sitting.open(f"/panel/keys/{key.id}")
        await press(sitting.page, "rotate", "Rotate")
        await secret_on(sitting.page)
        assert await done(desk, "key.rotate", f"key:{key.id}") == 2


async def test_a_user_who_sends_a_form_twice_has_one_key(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        await sitting.open("/panel/keys/new")
        once = await sitting.page.locator("main [name=once]").input_value()
        told = await both(sitting, "/panel/keys/new", name="for my laptop", scope="chat", once=once)
        assert sorted(SHOWN in text for text in told) == [False, True]
        await sitting.open("/panel/keys")
        await expect(sitting.page.get_by_role("row").filter(has_text="for my laptop")).to_have_count(1)


async def test_a_double_click_shows_the_secret(desk: Desk) -> None:
    async with desk.sit() as sitting:
        await sitting.open("/panel/keys/new")
        await sitting.page.get_by_label("Name", exact=True).fill("clicked twice")
        await sitting.page.get_by_role("button", name="Create Key").dblclick()
        assert (await key_of(desk, await secret_on(sitting.page))).name == "clicked twice"


async def test_a_form_that_was_wrong_is_sent_again_mended(desk: Desk) -> None:
    _, key = await a_key(desk)
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(f"/panel/keys/{key.id}")
        for amount in ("nothing", "4.50"):
            await page.get_by_label("Amount").fill(amount)
            await page.get_by_role("button", name="Recharge").click()
        await expect(page.get_by_role("status").filter(has_text="were added")).to_be_visible()
        await expect(page.get_by_role("row").filter(has_text="+4.50")).to_have_count(1)
        sitting.errors.clear()  # the browser itself tells of the status


@pytest.mark.parametrize(
    ("page", "path", "what"),
    [
        ("/panel/settings/backup", "/panel/settings/backup", "backup.create"),
        ("/panel/sessions", "/panel/sessions/export", "export.create"),
    ],
)
async def test_work_that_is_asked_for_twice_by_one_form_is_done_once(
    desk: Desk, page: str, path: str, what: str
) -> None:
    secret = await desk.key()
    await said(desk, secret)  # so that there is something to export
    async with desk.sit() as sitting:
        await sitting.open(page)
        before = await done(desk, what)
        once = await sitting.page.locator(f"form[action='{path}'] [name=once]").input_value()
        await both(sitting, path, once=once)
        assert await done(desk, what) == before + 1
        await sitting.open(page)
        fresh = await sitting.page.locator(f"form[action='{path}'] [name=once]").input_value()
        await both(sitting, path, once=fresh)
        assert await done(desk, what) == before + 2
