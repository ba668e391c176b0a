"""Models in the panel: saved, tested, kept secret, deleted."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI
from playwright.async_api import expect

from tests.panel.desk import Desk, Sitting
from tests.patience import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="package")
NOWHERE = "http://127.0.0.1:9/v1"
"""The port of a service that nobody runs."""
SECRET = "sk-upstream-0123456789abcdef"


async def describe(sitting: Sitting, name: str, provider: str, **more: str) -> None:
    """Fill in the form of a new model."""
    await sitting.open("/panel/models/new")
    await sitting.page.get_by_label("Name", exact=True).fill(name)
    await sitting.page.get_by_label("Provider", exact=True).select_option(provider)
    for label, value in more.items():
        await sitting.page.get_by_label(label, exact=True).fill(value)


async def press(sitting: Sitting, button: str) -> None:
    await sitting.page.get_by_role("button", name=button, exact=True).click()


async def test_a_model_is_saved_tested_asked_and_deleted(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        await describe(sitting, "mine", "demo", **{"Price in": "0.25"})
        await press(sitting, "Save and test")
        result = sitting.page.locator("#test")
        await expect(result.get_by_role("status")).to_contain_text("You said: Say hello")
        await expect(result).to_contain_text("in, ")
        async with AsyncOpenAI(
            base_url=f"{desk.here.url}/v1", api_key=desk.here.key, max_retries=0, timeout=PATIENCE
        ) as client:
            answer = await client.responses.create(model="mine", input="Hello")
        assert answer.output_text == "You said: Hello"
        assert await sitting.violations() == []
        await press(sitting, "Delete")
        await expect(sitting.page.locator("#delete")).to_contain_text("No agent asks it.")
        await sitting.page.locator("#delete").get_by_role("button", name="Delete").click()
        await expect(sitting.page.get_by_role("status").filter(has_text="deleted")).to_be_visible()
        await expect(sitting.page.locator("main tbody")).not_to_contain_text("mine")


async def test_a_wrong_url_is_told_in_words_with_what_to_mend(desk: Desk) -> None:
    async with desk.sit("admin", javascript=False) as sitting:
        more = {"Base URL": NOWHERE, "The provider's name for it": "gpt"}
        await describe(sitting, "nowhere", "openai", **more)
        await press(sitting, "Save and test")
        alert = sitting.page.locator("#test").get_by_role("alert")
        await expect(alert).to_contain_text("Check the base URL, and whether the server runs.")
        await expect(sitting.page.get_by_label("Base URL")).to_have_value(NOWHERE)


async def test_a_secret_is_never_shown_and_an_empty_one_stays_as_it_was(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        more = {"Base URL": NOWHERE, "The provider's name for it": "gpt", "API key": SECRET}
        await describe(sitting, "hidden", "openai", **more)
        await press(sitting, "Save")
        await expect(sitting.page.get_by_role("status").filter(has_text="saved")).to_be_visible()
        assert SECRET not in await sitting.page.content()
        await sitting.page.get_by_label("The provider's name for it").fill("gpt-2")
        await press(sitting, "Save")
        await expect(sitting.page.get_by_label("The provider's name for it")).to_have_value("gpt-2")
        await expect(sitting.page.get_by_label("API key", exact=True)).to_have_value("")
    kept = desk.here.engine.cast.config.models["hidden"]
    assert (kept.model, kept.api_key.get_secret_value()) == ("gpt-2", SECRET)


async def test_an_api_key_can_be_forgotten(desk: Desk) -> None:
    async with desk.sit("admin", javascript=False) as sitting:
        more = {"Base URL": NOWHERE, "The provider's name for it": "gpt", "API key": SECRET}
        await describe(sitting, "keyless", "openai", **more)
        await press(sitting, "Save")
        await sitting.page.get_by_label("Forget the API key").check()
        await press(sitting, "Save")
        await expect(sitting.page.get_by_role("status").filter(has_text="saved")).to_be_visible()
        await expect(sitting.page.get_by_label("Forget the API key")).to_have_count(0)
    assert desk.here.engine.cast.config.models["keyless"].api_key.get_secret_value() == ""


@pytest.mark.parametrize(
    ("label", "value", "says"),
    [
        ("Base URL", "ftp://example.com", "An address that begins with http:// or https://"),
        ("Price in", "much", "An amount such as 0.25."),
        ("Context, in tokens", "many", "A whole number of tokens, or nothing where it is not known."),
        ("Name", "Not A Name", "Small letters, digits, - and _"),
        ("Name", "assistant", "no other agent or model is called so"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    desk: Desk, label: str, value: str, says: str
) -> None:
    async with desk.sit("admin", javascript=False) as sitting:
        await describe(sitting, "wrong", "demo", **{label: value})
        await press(sitting, "Save")
        field = sitting.page.locator(".field.wrong")
        await expect(field.locator(".error")).to_contain_text(says)
        await expect(field.get_by_label(label, exact=True)).to_have_value(value)
        await expect(sitting.page.get_by_label("Provider", exact=True)).to_have_value("demo")
        sitting.errors.clear()  # the browser itself tells of the status


@pytest.mark.parametrize(
    ("provider", "field", "value", "says"),
    [
        ("demo", "name", "x" * 201, "最多 200 个字符"),
        ("openai", "model", "", "请输入提供商的模型名称"),
        ("openai", "api_key", "", "缺少密钥"),
        ("demo", "base_url", "ftp://example.com", "请输入以 http:// 或 https:// 开头的地址"),
        ("demo", "max_output", "many", "请输入 token 数"),
    ],
)
async def test_it_is_said_in_chinese_too(desk: Desk, provider: str, field: str, value: str, says: str) -> None:
    async with desk.sit("admin", language="zh-CN", javascript=False) as sitting:
        await sitting.open("/panel/models/new")
        await sitting.page.locator("#f-name").fill("unfit")
        await sitting.page.locator("#f-provider").select_option(provider)
        await sitting.page.locator(f"#f-{field}").fill(value)
        await sitting.page.locator("#edit button.primary").click()
        await expect(sitting.page.locator(f"#f-{field}-error")).to_contain_text(says)
        sitting.errors.clear()  # the browser itself tells of the status


async def test_a_model_of_config_yaml_says_where_to_change_it_and_can_be_tested(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        await sitting.open("/panel/models")
        await sitting.page.get_by_role("link", name="demo", exact=True).click()
        await expect(sitting.page.locator(".note")).to_contain_text("models.demo")
        await expect(sitting.page.get_by_role("button", name="Save")).to_have_count(0)
        await press(sitting, "Test")
        await expect(sitting.page.locator("#test").get_by_role("status")).to_contain_text("You said: Say hello")
