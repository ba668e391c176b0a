"""The page of the log: lines that are there, lines that come, and what one may ask for."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from playwright.async_api import Locator, expect

from hub import logs
from tests.api.asking import Events
from tests.panel.desk import Desk, Sitting
from tests.patience import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="package")


def write(event: str, level: str = "info", **fields: Any) -> None:
    logs.BOOK.keep(None, level, {"event": event, "level": level, **fields})


def line(sitting: Sitting, text: str) -> Locator:
    return sitting.page.locator(".log-line", has_text=text)


async def follow(sitting: Sitting, query: str = "") -> None:
    """Open the page and wait until it is told of what comes."""
    await sitting.open(f"/panel/logs{query}")
    await expect(sitting.page.locator("[data-log-state=on]")).to_be_attached()


async def test_lines_that_are_there_stand_below_those_that_come(desk: Desk) -> None:
    write("here before", id="one.1", address="web:lobby")
    async with desk.sit() as sitting:
        await follow(sitting)
        await expect(line(sitting, "here before")).to_contain_text("web:lobby")
        write("came later", "warning", error="not so good")
        first = sitting.page.locator(".log-line").first
        await expect(first).to_contain_text("came later")
        await expect(first).to_contain_text("Warning")
        await expect(first).to_contain_text("not so good")


async def test_what_was_raised_can_be_unfolded(desk: Desk) -> None:
    try:
        raise ValueError("no such tea")
    except ValueError as error:
        write("unfolded", "error", exc_info=error)
    async with desk.sit(javascript=False) as sitting:
        await sitting.open("/panel/logs?q=unfolded")
        await sitting.page.get_by_text("ValueError: no such tea").first.click()
        await expect(sitting.page.get_by_text("Traceback (most recent call last)")).to_be_visible()


async def test_lines_are_asked_for_by_level_channel_agent_message_and_text(desk: Desk) -> None:
    write("a turn of tea", id="tea.7.3", address="tea:7", agent="brewer")
    write("tea is away", "error", channel="tea", error="cold")
    async with desk.sit() as sitting:
        for query, there, away in (
            ("?level=error&q=tea", "tea is away", "a turn of tea"),
            ("?agent=brewer", "a turn of tea", "tea is away"),
            ("?message=tea.7.3", "a turn of tea", "tea is away"),
            ("?channel=tea&q=COLD", "tea is away", "a turn of tea"),
        ):
            await follow(sitting, query)
            await expect(line(sitting, there)).to_have_count(1)
            await expect(line(sitting, away)).to_have_count(0)
        write("not of tea")
        write("tea again", channel="tea", error="cold")
        await expect(sitting.page.locator(".log-line").first).to_contain_text("tea again")
        await expect(line(sitting, "not of tea")).to_have_count(0)


async def test_an_id_leads_to_all_lines_of_its_message(desk: Desk) -> None:
    write("asked", id="led.1.1", address="web:led")
    write("answered", id="led.1.1.reply", address="web:led")
    async with desk.sit() as sitting:
        await follow(sitting, "?q=led.1.1")
        await line(sitting, "asked").get_by_role("link", name="led.1.1", exact=True).click()
        await expect(sitting.page.get_by_label("Message id")).to_have_value("led.1.1")
        await expect(sitting.page.locator(".log-line")).to_have_count(2)


async def test_a_reader_may_stop_the_lines_and_loses_none(desk: Desk) -> None:
    async with desk.sit() as sitting:
        await follow(sitting, "?q=held")
        await expect(sitting.page.get_by_text("No line fits")).to_be_visible()
        await sitting.page.get_by_role("button", name="Pause").click()
        write("held 1")
        write("held 2")
        await expect(sitting.page.get_by_role("button", name="Go on 2")).to_be_visible()
        await expect(sitting.page.locator("[data-log-icon=play] svg")).to_be_visible()
        await expect(sitting.page.locator("[data-log-icon=pause] svg")).to_be_hidden()
        await expect(sitting.page.locator(".log-line")).to_have_count(0)
        await sitting.page.get_by_role("button", name="Go on").click()
        await expect(sitting.page.locator(".log-event")).to_have_text(["held 2", "held 1"])
        await expect(sitting.page.get_by_text("No line fits")).to_be_hidden()


async def test_what_is_logged_is_shown_as_it_is_and_nothing_of_it_runs(desk: Desk) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\">"
    write(f"before {attack}", id=attack)
    async with desk.sit() as sitting:
        await follow(sitting, "?q=onerror")
        write(f"after {attack}", agent=attack)
        await expect(sitting.page.locator(".log-event")).to_have_text([f"after {attack}", f"before {attack}"])
        await expect(sitting.page.locator(".log img")).to_have_count(0)
        assert "owned" not in await sitting.page.title()


async def test_a_reader_is_told_that_the_hub_was_started_anew(desk: Desk) -> None:
    write("the first line")
    cookies = {"bothub_panel": await desk.login(desk.here.key)}
    async with (
        httpx.AsyncClient(base_url=desk.here.url, cookies=cookies, timeout=PATIENCE) as client,
        client.stream("GET", "/panel/logs/tail?after=7") as answer,
    ):
        told: str = msgspec.json.decode((await _named(Events(answer), "lines"))["data"])
    assert "started anew: what stands above came after it" in told
    assert "log-line" not in told, "its lines come later, and above"


async def _named(events: Events, name: str) -> dict[str, str]:
    while (fields := await events.next()).get("event") != name:
        pass
    return fields


@pytest.mark.parametrize("path", ["/panel/logs", "/panel/logs/tail"])
async def test_it_is_for_admins(desk: Desk, path: str) -> None:
    async with desk.sit("user", javascript=False) as sitting:
        await sitting.open(path, 403)


async def test_a_question_that_makes_no_sense_is_told_so(desk: Desk) -> None:
    async with desk.sit(javascript=False) as sitting:
        await sitting.open("/panel/logs?level=loud", 400)
        await expect(sitting.page.locator("main")).to_contain_text("level")
