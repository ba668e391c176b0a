"""Agents in the panel: made, edited, tried out beside the form, deleted."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.panel.desk import Desk, Sitting
from tests.panel.test_models import press

pytestmark = pytest.mark.asyncio(loop_scope="package")
GONE = "What was said stays in the records. This cannot be undone."
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


async def make(sitting: Sitting, name: str, prompt: str = "Be brief.") -> None:
    """Save a new agent."""
    await sitting.open("/panel/agents/new")
    await sitting.page.get_by_label("Name", exact=True).fill(name)
    await sitting.page.get_by_label("Prompt", exact=True).fill(prompt)
    await press(sitting, "Save")
    await expect(sitting.page.get_by_role("status").filter(has_text="saved")).to_be_visible()


async def ask(sitting: Sitting, text: str) -> None:
    await sitting.page.get_by_label("Message", exact=True).fill(text)
    await press(sitting, "Ask")


async def test_an_agent_is_made_its_prompt_edited_and_tried_out(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        await make(sitting, "clerk")
        prompt = sitting.page.get_by_label("Prompt", exact=True)
        answers = sitting.page.locator("#talk .bubble:not(.mine) .bubble-text")
        await prompt.fill("You sell maps.")
        await ask(sitting, "system")
        await expect(answers.last).to_contain_text("Be brief.")
        await expect(prompt).to_have_value("You sell maps.")
        await press(sitting, "Save")
        await expect(sitting.page.get_by_role("status").filter(has_text="saved")).to_be_visible()
        await ask(sitting, "system")
        await expect(answers.last).to_contain_text("You sell maps.")
        await ask(sitting, "what did I say")
        await expect(answers).to_have_count(2)
        await expect(answers.last).to_contain_text("system")
        assert await sitting.violations() == []


async def test_without_javascript_it_is_tried_out_too_and_nothing_typed_is_lost(desk: Desk) -> None:
    async with desk.sit("admin", javascript=False) as sitting:
        await make(sitting, "porter")
        await sitting.page.get_by_label("Prompt", exact=True).fill(EVIL)
        await sitting.page.get_by_label("Every key may ask it").uncheck()
        await ask(sitting, f"say **{EVIL}**")
        talk = sitting.page.locator("#talk")
        await expect(talk.locator(".bubble:not(.mine)")).to_contain_text("You said: say")
        await expect(talk.locator("script, img")).to_have_count(0)
        await expect(sitting.page.get_by_label("Prompt", exact=True)).to_have_value(EVIL)
        await expect(sitting.page.get_by_label("Every key may ask it")).not_to_be_checked()


async def test_a_failure_is_told_in_words(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        await make(sitting, "faulty")
        await ask(sitting, "fail")
        await expect(sitting.page.locator("#talk .note")).not_to_be_empty()
        await expect(sitting.page.get_by_role("button", name="Ask")).to_be_enabled()


async def test_all_that_is_said_of_it_is_kept(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        await make(sitting, "scribe")
        said = {
            "Temperature": "0.5",
            "Other parameters": "top_p = 0.9\nstop = END",
            "Routes": "channel=web chat_id=scribes\ncommand=scribe",
            "Where it may post": "web:*\nweb:lobby",
            "Model calls": "4",
            "Wait for more, in seconds": "1.5",
            "Quota a month": "12.5",
        }
        for label, value in said.items():
            await sitting.page.get_by_label(label, exact=True).fill(value)
        await sitting.page.get_by_label("memory", exact=True).check()
        for _ in range(2):
            await press(sitting, "Save")
            await expect(sitting.page.get_by_role("status").filter(has_text="saved")).to_be_visible()
            for label, value in said.items():
                await expect(sitting.page.get_by_label(label, exact=True)).to_have_value(value)
            await expect(sitting.page.get_by_label("memory", exact=True)).to_be_checked()
    kept = desk.here.engine.cast.config.agents["scribe"]
    assert kept.params == {"top_p": 0.9, "stop": "END", "temperature": 0.5}
    assert [route.command for route in kept.routes] == [None, "scribe"]
    assert (kept.tools, kept.posts_to, kept.limits.steps) == (("memory",), ("web:*", "web:lobby"), 4)


@pytest.mark.parametrize(
    ("label", "value", "says"),
    [
        ("Temperature", "3", "A number from 0 to 2, or nothing."),
        ("Routes", "support", "One on each line, such as channel=support"),
        ("Other parameters", "hot", "One on each line, such as top_p = 0.9."),
        ("Where it may post", "everywhere", "Addresses such as support:12345"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(desk: Desk, label: str, value: str, says: str) -> None:
    async with desk.sit("admin", javascript=False) as sitting:
        await sitting.open("/panel/agents/new")
        await sitting.page.get_by_label("Name", exact=True).fill("unfit")
        await sitting.page.get_by_label("Prompt", exact=True).fill("Stay.")
        await sitting.page.get_by_label(label, exact=True).fill(value)
        await press(sitting, "Save")
        field = sitting.page.locator(".field.wrong")
        await expect(field.locator(".error")).to_contain_text(says)
        await expect(field.get_by_label(label, exact=True)).to_have_value(value)
        await expect(sitting.page.get_by_label("Prompt", exact=True)).to_have_value("Stay.")
        sitting.errors.clear()  # the browser itself tells of the status


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "X", "只能用小写字母"),
        ("name", "assistant", "不能与其他智能体或模型重名"),
        ("name", "x" * 201, "最多 200 个字符"),
        ("fallback", "nobody", "请输入存在且已启用的模型名称"),
        ("params", "hot", "每行一个"),
        ("routes", "abc", "每行一条"),
        ("routes", "channel=nowhere", "渠道必须存在"),
    ],
)
async def test_it_is_said_in_chinese_too(desk: Desk, field: str, value: str, says: str) -> None:
    async with desk.sit("admin", language="zh-CN", javascript=False) as sitting:
        await sitting.open("/panel/agents/new")
        await sitting.page.locator("#f-name").fill("unfit")
        await sitting.page.locator(f"#f-{field}").fill(value)
        await sitting.page.locator("#edit button.primary").click()
        await expect(sitting.page.locator(f"#f-{field}-error")).to_contain_text(says)
        await expect(sitting.page.locator(f"#f-{field}")).to_have_value(value)
        sitting.errors.clear()  # the browser itself tells of the status


async def test_each_of_several_errors_stands_beside_its_own_field(desk: Desk) -> None:
    said = {"Name": "X<script>", "Temperature": "hot", "Quota a month": "much", "Wait for more, in seconds": "-1"}
    async with desk.sit("admin", javascript=False) as sitting:
        await sitting.open("/panel/agents/new")
        for label, value in said.items():
            await sitting.page.get_by_label(label, exact=True).fill(value)
        await press(sitting, "Save")
        wrong = sitting.page.locator(".field.wrong")
        for label, told in {
            "Name": "Small letters, digits, - and _",
            "Temperature": "A number from 0 to 2, or nothing.",
            "Quota a month": "An amount such as 12.50",
            "Wait for more, in seconds": "Seconds, 0 or more.",
        }.items():
            error = wrong.filter(has=sitting.page.get_by_label(label, exact=True)).locator(".error")
            await expect(error).to_contain_text(told)
            await expect(error).not_to_contain_text("temperature:")
        sitting.errors.clear()  # the browser itself tells of the status


async def test_deleting_says_how_many_conversations_it_concerns(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        await make(sitting, "guest")
        await expect(sitting.page.locator("#delete-says")).to_have_text(GONE)
        await ask(sitting, "Hello")
        await expect(sitting.page.locator("#talk .bubble")).to_have_count(2)
        await sitting.page.reload()
        await press(sitting, "Delete")
        dialog = sitting.page.locator("#delete")
        await expect(dialog).to_contain_text("It has 1 conversation,")
        await dialog.get_by_role("button", name="Delete").click()
        await expect(sitting.page.get_by_role("status").filter(has_text="deleted")).to_be_visible()
        assert "guest" not in desk.here.engine.cast.config.agents


async def test_an_agent_of_config_yaml_says_where_to_change_it_and_can_be_tried(desk: Desk) -> None:
    async with desk.sit("admin") as sitting:
        await sitting.open("/panel/agents")
        await sitting.page.get_by_role("link", name="assistant", exact=True).click()
        await expect(sitting.page.locator(".note")).to_contain_text("agents.assistant")
        await ask(sitting, "Hello")
        await expect(sitting.page.locator("#talk .bubble:not(.mine)")).to_contain_text("You said: Hello")


async def test_a_user_has_none_of_it(desk: Desk) -> None:
    async with desk.sit("user", javascript=False) as sitting:
        for path in ("agents", "agents/new", "agents/1", "models", "models/new", "models/1"):
            await sitting.open(f"/panel/{path}", 403)
