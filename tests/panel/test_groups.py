"""Groups in the panel: made, renamed, granted models in the matrix, deleted."""

from __future__ import annotations

import pytest
from openai import PermissionDeniedError
from playwright.async_api import expect

from hub.accounts import keyring
from tests.granting import grant
from tests.panel.desk import Desk, Sitting
from tests.panel.test_keys import key_of, posted, sdk
from tests.panel.test_models import press

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def asks_demo(desk: Desk, secret: str) -> str:
    """What the model answers to a key."""
    async with sdk(desk, secret) as client:
        return (await client.responses.create(model="demo", input="Hello")).output_text


async def without_grants(desk: Desk) -> tuple[str, int]:
    """A key of a user that is granted nothing."""
    secret = await desk.key()
    number = (await key_of(desk, secret)).id
    await desk.here.store.write(lambda connection: grant(connection, number, models=["demo"], wanted=False))
    return secret, number


async def make(sitting: Sitting, name: str) -> int:
    """Add a group, and return its id."""
    await sitting.open("/panel/groups")
    await sitting.page.get_by_label("Name", exact=True).fill(name)
    await press(sitting, "Add")
    link = sitting.page.get_by_role("link", name=name, exact=True)
    return int((await link.get_attribute("href") or "").rpartition("/")[2])


async def test_what_a_group_is_granted_in_the_matrix_its_keys_may_use(desk: Desk) -> None:
    secret, number = await without_grants(desk)
    now = desk.here.engine.clock()
    async with desk.sit("admin") as sitting:
        group = await make(sitting, "readers")
        await desk.here.store.write(lambda connection: keyring.change(connection, number, {"group_id": group}, now))
        with pytest.raises(PermissionDeniedError):
            await asks_demo(desk, secret)
        place = sitting.page.get_by_label("demo for readers")
        await place.check()
        await press(sitting, "Save grants")
        await expect(sitting.page.get_by_role("status").filter(has_text="1 grant is changed.")).to_be_visible()
        await expect(place).to_be_checked()
        assert await asks_demo(desk, secret) == "You said: Hello"
        assert await sitting.violations() == []
        await place.uncheck()
        await press(sitting, "Save grants")
        await expect(sitting.page.get_by_role("status").filter(has_text="changed")).to_be_visible()
        with pytest.raises(PermissionDeniedError):
            await asks_demo(desk, secret)
        await sitting.open(f"/panel/groups/{group}")
        await press(sitting, "Delete")
        await expect(sitting.page.locator("#delete")).to_contain_text("1 key loses")
        await sitting.page.locator("#delete").get_by_role("button", name="Delete").click()
        await expect(sitting.page.get_by_role("status").filter(has_text="deleted")).to_be_visible()


async def test_a_group_is_called_in_the_matrix_as_it_is_called_anywhere(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        await make(sitting, "#ops")
        await expect(sitting.page.get_by_role("columnheader", name="#ops", exact=True)).to_be_visible()
        await expect(sitting.page.locator('td[data-label="#ops"]').first).to_be_visible()


async def test_a_key_is_granted_a_model_on_its_page(desk: Desk) -> None:
    secret, number = await without_grants(desk)
    async with desk.sit("admin", javascript=False) as sitting:
        await sitting.open(f"/panel/keys/{number}")
        await sitting.page.get_by_label("demo for").check()
        await press(sitting, "Save grants")
        await expect(sitting.page.get_by_label("demo for")).to_be_checked()
    assert await asks_demo(desk, secret) == "You said: Hello"


async def test_a_name_that_is_taken_is_told_beside_it(desk: Desk) -> None:
    async with desk.sit("admin", javascript=False) as sitting:
        group = await make(sitting, "<b>staff</b>")
        await sitting.page.get_by_label("Name", exact=True).fill("<b>staff</b>")
        await press(sitting, "Add")
        await expect(sitting.page.locator(".field.wrong .error")).to_contain_text("which no other group has")
        await expect(sitting.page.get_by_label("Name", exact=True)).to_have_value("<b>staff</b>")
        sitting.errors.clear()  # the browser itself tells of the status
        await sitting.open(f"/panel/groups/{group}")
        await sitting.page.get_by_label("Name", exact=True).fill("crew")
        await press(sitting, "Save")
        await expect(sitting.page.locator("tbody").first).to_contain_text("crew")


async def test_a_user_grants_nothing(desk: Desk) -> None:
    secret, number = await without_grants(desk)
    async with desk.sit(secret=secret) as sitting:
        await sitting.open("/panel/keys")
        sent = await posted(sitting, "/panel/groups/grants", grant=f"key:{number}:model:1")
        assert sent.status == 403
        await sitting.open("/panel/groups", 403)
    with pytest.raises(PermissionDeniedError):
        await asks_demo(desk, secret)
