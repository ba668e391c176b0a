"""API keys in the panel: made, used with the SDK, rotated, recharged, revoked; and whose they are."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
from openai import AsyncOpenAI, AuthenticationError
from playwright.async_api import APIResponse, Page, expect

from hub.accounts import keys
from hub.accounts.keys import Key
from hub.store import Connection
from tests.panel.desk import Desk, Sitting
from tests.patience import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="package")
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


async def key_of(desk: Desk, secret: str) -> Key:
    now = desk.here.engine.clock()
    found = await desk.here.store.read(lambda connection: keys.find(connection, secret, now))
    assert found is not None
    return found


@asynccontextmanager
async def sdk(desk: Desk, secret: str) -> AsyncGenerator[AsyncOpenAI]:
    """The official SDK with a key."""
    url = f"{desk.here.url}/v1"
    async with AsyncOpenAI(base_url=url, api_key=secret, max_retries=0, timeout=PATIENCE) as client:
        yield client


async def said(desk: Desk, secret: str, text: str = "Hello") -> str:
    async with sdk(desk, secret) as client:
        return (await client.responses.create(model="assistant", input=text)).output_text


async def make(sitting: Sitting, name: str, **more: str) -> str:
    """Create a key on the page, and return its secret."""
    await sitting.open("/panel/keys")
    await sitting.page.locator(".head").get_by_role("link", name="Create Key").click()
    await sitting.page.get_by_label("Name", exact=True).fill(name)
    for label, value in more.items():
        await sitting.page.get_by_label(label, exact=True).fill(value)
    await sitting.page.get_by_role("button", name="Create Key").click()
    return await secret_on(sitting.page)


async def secret_on(page: Page) -> str:
    await expect(page.locator("h1")).to_contain_text("The secret of")
    return await page.locator(".code code").first.inner_text()


async def posted(sitting: Sitting, path: str, **fields: str) -> APIResponse:
    """The answer to a form that the page may not have."""
    token = await sitting.page.locator("form[action='/panel/logout'] [name=token]").input_value()
    form: dict[str, str | float | bool] = {"token": token, **fields}
    return await sitting.page.request.post(sitting.here.url + path, form=form)


async def press(page: Page, dialog: str, button: str) -> None:
    """Open a dialog, and agree."""
    await page.locator(f'[popovertarget="{dialog}"]').first.click()
    await page.locator(f"#{dialog}").get_by_role("button", name=button).click()


class TestLife:
    async def test_made_on_the_page_it_works_with_the_sdk_and_its_turn_is_counted(self, desk: Desk) -> None:
        async with desk.sit("admin") as sitting:
            secret = await make(sitting, "made here", **{"Quota a month": "12.50"})
            code = await sitting.page.locator(".code code").last.inner_text()
            assert f'api_key="{secret}"' in code
            assert f'base_url="{desk.here.url}/v1"' in code
            assert code.count("\n") == 2
            assert await said(desk, secret) == "You said: Hello"
            await sitting.page.get_by_role("link", name="Done").click()
            await expect(sitting.page.locator("main")).to_contain_text("1 turn")
            await expect(sitting.page.get_by_text("of 12.50")).to_have_count(1)
            assert secret not in await sitting.page.content()
            assert await sitting.violations() == []

    async def test_a_rotated_key_has_another_secret_and_the_one_before_for_a_day(self, desk: Desk) -> None:
        async with desk.sit("admin") as sitting:
            secret = await make(sitting, "rotated")
            await sitting.page.get_by_role("link", name="Done").click()
            await press(sitting.page, "rotate", "Rotate")
            second = await secret_on(sitting.page)
            assert await said(desk, second) == await said(desk, secret)
            await sitting.page.get_by_role("link", name="Done").click()
            await press(sitting.page, "rotate-now", "Rotate at once")
            third = await secret_on(sitting.page)
            assert len({secret, second, third}) == 3
            assert await said(desk, third) == "You said: Hello"
            for old in (secret, second):
                with pytest.raises(AuthenticationError):
                    await said(desk, old)

    async def test_a_revoked_key_is_refused_at_once_and_gone_from_the_list(self, desk: Desk) -> None:
        async with desk.sit("admin") as sitting:
            secret = await make(sitting, "revoked soon")
            await sitting.page.get_by_role("link", name="Done").click()
            await press(sitting.page, "revoke", "Revoke")
            await expect(sitting.page.get_by_role("status").filter(has_text="revoked")).to_be_visible()
            await expect(sitting.page.locator("main")).not_to_contain_text("revoked soon")
        with pytest.raises(AuthenticationError):
            await said(desk, secret)

    async def test_a_switched_off_key_is_refused_until_it_is_on_again(self, desk: Desk) -> None:
        secret = await desk.key()
        number = (await key_of(desk, secret)).id
        async with desk.sit("admin") as sitting:
            await sitting.open(f"/panel/keys/{number}/edit")
            await sitting.page.get_by_label("Switched on").uncheck()
            await sitting.page.get_by_role("button", name="Save").click()
            await expect(sitting.page.locator(".state")).to_contain_text("Switched off")
            with pytest.raises(AuthenticationError):
                await said(desk, secret)
            await sitting.page.get_by_role("link", name="Edit").click()
            await sitting.page.get_by_label("Switched on").check()
            await sitting.page.get_by_role("button", name="Save").click()
            await expect(sitting.page.locator(".state")).to_contain_text("Works")
        assert await said(desk, secret) == "You said: Hello"


class TestList:
    async def test_a_group_that_there_cannot_be_is_told(self, desk: Desk) -> None:
        async with desk.sit("admin", language="zh-CN", javascript=False) as sitting:
            await sitting.open(f"/panel/keys?group={10**20}", 400)
            await expect(sitting.page.locator("main")).to_contain_text("没有这个分组")


class TestMoney:
    async def test_a_recharge_is_on_the_balance_and_in_the_history(self, desk: Desk) -> None:
        secret = await desk.key()
        number = (await key_of(desk, secret)).id
        async with desk.sit("admin") as sitting:
            await sitting.open(f"/panel/keys/{number}")
            await expect(sitting.page.get_by_text("Never recharged")).to_be_visible()
            await sitting.page.get_by_label("Amount").fill("12.50")
            await sitting.page.get_by_role("button", name="Recharge").click()
            row = sitting.page.get_by_role("row").filter(has_text="+12.50")
            await expect(row).to_contain_text("bootstrap")
            await expect(sitting.page.locator(".stats")).to_contain_text("12.50")
        async with desk.sit(secret=secret) as sitting:
            await sitting.open("/panel/keys")
            await expect(sitting.page.locator(".stats")).to_contain_text("12.50")

    @pytest.mark.parametrize("amount", ["0", "-1", "much", "1.0000000001", "1_000", "1e3", "٣"])
    async def test_what_is_no_amount_is_told_beside_it(self, desk: Desk, amount: str) -> None:
        number = (await key_of(desk, await desk.key())).id
        async with desk.sit("admin", javascript=False) as sitting:
            await sitting.open(f"/panel/keys/{number}")
            await sitting.page.get_by_label("Amount").fill(amount)
            await sitting.page.get_by_role("button", name="Recharge").click()
            await expect(sitting.page.locator(".error")).to_have_text("An amount above 0, such as 12.50.")
            await expect(sitting.page.get_by_label("Amount")).to_have_value(amount)
            await expect(sitting.page.get_by_text("Never recharged")).to_be_visible()
            sitting.errors.clear()  # the browser itself tells of the status

    @pytest.mark.parametrize("amount", ["1000000001", "99999999999"])
    async def test_what_is_too_much_is_called_so(self, desk: Desk, amount: str) -> None:
        number = (await key_of(desk, await desk.key())).id
        async with desk.sit("admin", javascript=False) as sitting:
            await sitting.open(f"/panel/keys/{number}")
            await sitting.page.get_by_label("Amount").fill(amount)
            await sitting.page.get_by_role("button", name="Recharge").click()
            await expect(sitting.page.locator(".error")).to_contain_text("This is too much")
            await expect(sitting.page.get_by_text("Never recharged")).to_be_visible()
            sitting.errors.clear()  # the browser itself tells of the status

    async def test_one_form_recharges_once(self, desk: Desk) -> None:
        number = (await key_of(desk, await desk.key())).id
        async with desk.sit("admin") as sitting:
            await sitting.open(f"/panel/keys/{number}")
            once = await sitting.page.locator("form[action$='/recharge'] [name=once]").input_value()
            for _ in range(2):
                assert (await posted(sitting, f"/panel/keys/{number}/recharge", once=once, balance="3")).ok
            await sitting.open(f"/panel/keys/{number}")
            await expect(sitting.page.get_by_role("row").filter(has_text="+3.00")).to_have_count(1)


class TestForm:
    async def test_nothing_typed_is_lost_on_an_error_and_each_stands_beside_its_field(self, desk: Desk) -> None:
        async with desk.sit("admin", javascript=False) as sitting:
            await sitting.open("/panel/keys/new")
            await sitting.page.get_by_label("Name", exact=True).fill(EVIL)
            await sitting.page.get_by_label("Quota a month").fill("lots")
            await sitting.page.get_by_label("Post to chats").check()
            await sitting.page.get_by_label("Only to these chats").fill("support:* web:lobby")
            await sitting.page.get_by_role("button", name="Create Key").click()
            await expect(sitting.page.locator(".wrong .error")).to_have_text(
                "An amount such as 12.50, or nothing for no limit."
            )
            await expect(sitting.page.get_by_label("Name", exact=True)).to_have_value(EVIL)
            await sitting.page.get_by_label("Quota a month").fill("3")
            await sitting.page.get_by_role("button", name="Create Key").click()
            made = await key_of(desk, await secret_on(sitting.page))
            assert made.scopes == ("chat", "read", "deliver=support:*", "deliver=web:lobby")
            sitting.errors.clear()

    async def test_what_is_edited_comes_back_as_it_was(self, desk: Desk) -> None:
        secret = await desk.key(scopes=("chat", "deliver=web:*"), expires_at=desk.here.engine.clock() + 90_000.5)
        before = await key_of(desk, secret)
        async with desk.sit("admin") as sitting:
            await sitting.open(f"/panel/keys/{before.id}/edit")
            await sitting.page.get_by_role("button", name="Save").click()
            await expect(sitting.page.get_by_role("status").filter(has_text="saved")).to_be_visible()
        assert await key_of(desk, secret) == before

    async def test_a_name_is_text_wherever_it_stands(self, desk: Desk) -> None:
        async with desk.sit("admin") as sitting:
            evil = f"{EVIL}{secrets.token_hex(4)}"
            await make(sitting, evil)
            assert evil in await sitting.page.locator("h1").inner_text()
            await sitting.page.get_by_role("link", name="Done").click()
            await expect(sitting.page.locator("h1")).to_have_text(evil)
            await sitting.open(f"/panel/keys?{urlencode({'q': evil})}")
            await expect(sitting.page.locator("main tbody strong")).to_have_text([evil])


class TestWhose:
    async def test_a_user_makes_rotates_and_revokes_keys_that_are_theirs(self, desk: Desk) -> None:
        async with desk.sit(secret=await desk.key()) as sitting:
            secret = await make(sitting, "my laptop")
            assert secret.startswith("sk-")
            assert await said(desk, secret) == "You said: Hello"
            await sitting.page.get_by_role("link", name="Done").click()
            await press(sitting.page, "rotate-now", "Rotate at once")
            second = await secret_on(sitting.page)
            await sitting.page.get_by_role("link", name="Done").click()
            await expect(sitting.page.get_by_role("link", name="Edit")).to_have_count(0)
            await press(sitting.page, "revoke", "Revoke")
            await expect(sitting.page.get_by_text("No keys for programs yet")).to_be_visible()
        for ended in (secret, second):
            with pytest.raises(AuthenticationError):
                await said(desk, ended)

    async def test_keys_of_others_do_not_exist_for_a_user(self, desk: Desk) -> None:
        other, mine = await desk.key(), await desk.key()
        theirs = await self._owned(desk, other)
        other_id, mine_id = (await key_of(desk, other)).id, (await key_of(desk, mine)).id
        async with desk.sit(secret=mine) as sitting:
            await sitting.open("/panel/keys")
            body = await sitting.page.locator("main").inner_text()
            assert (await key_of(desk, other)).name not in body
            for number in (1, other_id, theirs):
                await sitting.open(f"/panel/keys/{number}", 404)
                await sitting.open(f"/panel/keys/{number}/edit", 404)
                for what in ("rotate", "revoke", "recharge", "edit"):
                    given = {"balance": "5", "grace": "0", "name": "mine now"}
                    sent = await posted(sitting, f"/panel/keys/{number}/{what}", **given)
                    assert sent.status in (403, 404), (number, what)
            for what in ("rotate", "revoke", "recharge", "edit"):
                sent = await posted(sitting, f"/panel/keys/{mine_id}/{what}", balance="5", role="admin")
                assert sent.status in (403, 404), what
            sitting.errors.clear()
        assert await said(desk, other) == await said(desk, mine)
        assert (await key_of(desk, mine)).role == "user"

    async def test_a_key_that_was_made_with_another_one_makes_none(self, desk: Desk) -> None:
        owner = await desk.key()
        secret = keys.new_secret("sk-")
        await self._owned(desk, owner, secret)
        async with desk.sit(secret=secret) as sitting:
            await sitting.open("/panel/keys")
            await expect(sitting.page.get_by_role("link", name="Create Key")).to_have_count(0)
            await sitting.open("/panel/keys/new", 403)
            await sitting.open(f"/panel/keys/{(await key_of(desk, owner)).id}", 404)

    async def _owned(self, desk: Desk, owner: str, secret: str | None = None) -> int:
        """A key that was made with another one."""
        number, now = (await key_of(desk, owner)).id, desk.here.engine.clock()

        def unit(connection: Connection) -> int:
            return keys.create(connection, secret or keys.new_secret("sk-"), name="theirs", now=now, owner_id=number).id

        return await desk.here.store.write(unit)

    async def test_the_first_admin_key_stays(self, desk: Desk) -> None:
        async with desk.sit("admin") as sitting:
            await sitting.open("/panel/keys/1")
            await expect(sitting.page.locator("[popovertarget=revoke]")).to_have_count(0)
            sent = await posted(sitting, "/panel/keys/1/revoke")
            assert "so there always is one" in await sent.text()
        assert await said(desk, desk.secrets["admin"]) == "You said: Hello"
