"""The page of what happened to one message: found by any of its ids, told step by step, live while it goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from hub import logs
from tests.e2e.here import running_hub
from tests.e2e.hub import demo_config, telegram_channel
from tests.panel.desk import NARROW, Desk, Sitting
from tests.panel.talking import Talk
from tests.platforms.openai import Answer, Call, Upstream
from tests.platforms.telegram import PRIVATE, TelegramServer

pytestmark = pytest.mark.asyncio(loop_scope="package")
PAGE = "/panel/trace"
ATTACK = "<img src=x onerror='window.pwned=1'>"
ON = "main[data-live-state=on]"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def telegram() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        server.state.last_id = 700_000  # what it calls messages nobody else does
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def desk(
    browser: Browser, telegram: TelegramServer, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Desk]:
    """A hub whose platforms call messages by names that are no others' here, and whose model has a price."""
    config = demo_config(bus={})
    config["models"]["up"] = {"provider": "openai", "base_url": upstream.base_url, "api_key": "k", "model": "gpt-test"}
    config["agents"]["upper"] = {"model": "up", "tools": ["message"], "posts_to": ["*"]}
    config["models"]["demo"] |= {"price_in": 200, "price_out": 800}
    config["channels"]["support"] = telegram_channel(telegram.base_url, telegram.token)
    async with running_hub(tmp_path_factory.mktemp("trace"), config) as here:
        desk = Desk(here, browser, {"admin": here.key})
        desk.secrets["user"] = await desk.key()
        yield desk


async def ask(desk: Desk, text: str, agent: str = "assistant", **headers: str) -> str:
    """What the answer to a program is called."""
    body = {"model": agent, "messages": [{"role": "user", "content": text}]}
    async with desk.here.http(**headers) as http:
        answer = await http.post("/v1/chat/completions", json=body)
    return f"chatcmpl-{answer.headers['X-Turn-Id']}"


async def post(desk: Desk, path: str, **body: Any) -> dict[str, Any]:
    async with desk.here.http() as http:
        answer = await http.post(path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def rows(sitting: Sitting) -> Locator:
    """What happened, in its order."""
    return sitting.page.locator(".trace-row")


def row(sitting: Sitting, title: str) -> Locator:
    heading = sitting.page.get_by_role("heading", name=title, exact=True)
    return rows(sitting).filter(has=heading)


async def seek(sitting: Sitting, id: str) -> None:
    """Look for an id with the field of the page."""
    await sitting.page.get_by_role("searchbox").fill(id)
    await sitting.page.get_by_role("button", name="Show").click()


def call(name: str, **arguments: str) -> str:
    given = ", ".join(f'"{key}": "{value}"' for key, value in arguments.items())
    return f"call {name} {{{given}}}"


async def test_a_turn_with_a_post_is_found_by_each_of_its_ids_and_told_in_order(
    desk: Desk, telegram: TelegramServer
) -> None:
    answer = await ask(desk, call("message", content="Deployed.", channel="support", chat_id=str(PRIVATE)))
    sent = await telegram.wait_text("Deployed.")
    turn = answer.removeprefix("chatcmpl-")
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(PAGE)
        for id_ in (answer, turn, f"{turn}.0.0", str(sent["message_id"])):
            await seek(sitting, id_)
            await expect(page.locator(".trace-head code")).to_have_text(turn)
        await expect(row(sitting, "Settled")).to_contain_text("Sent")
        titles = await rows(sitting).get_by_role("heading").all_inner_texts()
        assert titles[:4] == ["Accepted", "Claimed", "Model 1", "Tool 1"]
        assert sorted(titles[4:]) == ["Ended", "Model 2", "Part 1", "Posted", "Sending", "Settled"]
        await expect(row(sitting, "Model 1")).to_contain_text(
            re.compile(r"demo.*\d+ tokens read, \d+ written.*cost 0\.\d+")
        )
        await expect(row(sitting, "Model 1").locator(".trace-took")).to_contain_text(re.compile(r"took [\d.]+ m?s"))
        await expect(row(sitting, "Claimed")).to_contain_text(re.compile(r"waited [\d.]+ m?s"))
        await expect(row(sitting, "Part 1")).to_contain_text(f"the platform calls it {sent['message_id']}")
        await expect(row(sitting, "Posted")).to_contain_text(f"to support:{PRIVATE}")
        await expect(row(sitting, "Ended")).to_contain_text("Answered")
        await expect(page.locator(".trace-bar rect")).to_have_count(10)
        await row(sitting, "Tool 1").get_by_text("What message was given and returned").click()
        await expect(row(sitting, "Tool 1").locator(".step-inside")).to_contain_text("Deployed.")
        assert await sitting.violations() == []
        await page.set_viewport_size(NARROW)  # pyright: ignore[reportArgumentType] - a TypedDict
        assert await sitting.overflow() is None


async def test_without_an_id_the_newest_turns_are_offered(desk: Desk) -> None:
    await ask(desk, "is there a kettle?")
    async with desk.sit() as sitting:
        await sitting.open(PAGE)
        await sitting.page.get_by_role("link", name="is there a kettle?").click()
        await expect(row(sitting, "Ended")).to_contain_text("Answered")
        await sitting.page.get_by_role("link", name="Session", exact=True).click()
        asked = sitting.page.locator(".bubble", has_text="You said: is there a kettle?")
        await asked.get_by_role("link", name="Trace").click()
        await expect(row(sitting, "Ended")).to_contain_text("Answered")


async def test_an_id_that_may_be_several_things_leads_to_each_and_one_of_nothing_is_told(desk: Desk) -> None:
    turns = [(await ask(desk, "hello", **{"X-Request-Id": "twice"})).removeprefix("chatcmpl-") for _ in range(2)]
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(f"{PAGE}?id=twice")
        await expect(page.locator(".candidates a")).to_have_text(list(reversed(turns)))
        assert await sitting.violations() == []
        await page.get_by_role("link", name=turns[0]).click()
        await expect(page.locator(".trace-head code")).to_have_text(turns[0])
        await seek(sitting, f"no {ATTACK}")
        await expect(page.get_by_role("heading", name="Nobody knows this id")).to_be_visible()
        await expect(page.locator(".empty p")).to_contain_text(f"“no {ATTACK}”")
        await sitting.open(f"{PAGE}?id=%00")
        await expect(page.get_by_role("heading", name="Newest turns")).to_be_visible()


async def test_a_turn_that_goes_on_is_followed_to_its_end(desk: Desk) -> None:
    said = await post(desk, "/api/v1/web/kettle", text="slowly 600 one two three")
    async with desk.sit() as sitting:
        await sitting.open(f"{PAGE}?id={said['message_id']}")
        await expect(row(sitting, "The agent is at work")).to_be_visible()
        await expect(row(sitting, "Ended")).to_have_count(0)
        await sitting.page.evaluate("window.stayed = true")
        await post(desk, "/api/v1/web/kettle", text="/stop")
        await expect(row(sitting, "Ended")).to_contain_text("it was stopped")
        await expect(row(sitting, "The agent is at work")).to_have_count(0)
        assert await sitting.page.evaluate("window.stayed")


async def test_the_tries_of_a_delivery_are_told_while_it_waits_and_when_it_arrived(
    desk: Desk, telegram: TelegramServer
) -> None:
    telegram.fail("sendMessage", 502, times=None)
    sent = await post(desk, "/v1/deliveries", channel="support", chat_id=str(PRIVATE), text="at last")
    async with desk.sit() as sitting:
        await sitting.open(f"{PAGE}?id={sent['id']}")
        waits = row(sitting, f"The delivery to support:{PRIVATE} waits")
        await expect(waits).to_contain_text(re.compile(r"tried \d times?"))
        await expect(waits.locator(".trace-error")).not_to_be_empty()
        telegram.heal()
        await expect(row(sitting, "Settled")).to_contain_text("Sent")
        await expect(row(sitting, "Sending").locator(".trace-again")).to_have_text(re.compile(r"try \d"))
        await expect(waits).to_have_count(0)
        await expect(sitting.page.locator(".trace-head h2")).to_contain_text("Delivery")


async def test_a_delivery_that_is_refused_says_why(desk: Desk, telegram: TelegramServer) -> None:
    telegram.fail("sendMessage", 403, "Forbidden: bot was blocked by the user", chat=4242)
    sent = await post(desk, "/v1/deliveries", channel="support", chat_id="4242", text="are you there?", wait=True)
    async with desk.sit() as sitting:
        await sitting.open(f"{PAGE}?id={sent['id']}")
        await expect(row(sitting, "Settled")).to_have_class(re.compile("bad"))
        await expect(row(sitting, "Settled").locator(".trace-error")).to_contain_text("bot was blocked")
        await expect(sitting.page.locator(".trouble")).to_contain_text("bot was blocked")
        assert await sitting.violations() == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_tool_that_failed_is_told_in_words_that_do_nothing(desk: Desk, upstream: Upstream, theme: str) -> None:
    upstream.script(Answer(calls=(Call(ATTACK, f'{{"why": "{ATTACK}"}}'),)))
    answer = await ask(desk, ATTACK, "upper")
    async with desk.sit(theme=theme, size=NARROW) as sitting:
        for path in (PAGE, f"{PAGE}?id={answer}"):
            await sitting.open(path)
            await expect(sitting.page.locator(ON)).to_be_attached()
            await expect(sitting.page.locator("main :is(img, script, [onerror])")).to_have_count(0)
            assert await sitting.overflow() is None
        failed = row(sitting, "Tool 1")
        await expect(failed).to_have_class(re.compile("bad"))
        await expect(failed.locator(".trace-facts")).to_contain_text(ATTACK)
        await expect(failed.locator(".trace-error")).to_contain_text(f"There is no tool '{ATTACK}'")
        await failed.locator("summary").click()
        await expect(failed.locator(".step-inside")).to_contain_text(ATTACK)
        assert await sitting.page.evaluate("window.pwned") is None
        assert await sitting.violations() == []


async def test_a_turn_that_failed_says_why(desk: Desk) -> None:
    answer = await ask(desk, "fail")
    async with desk.sit(javascript=False) as sitting:
        await sitting.open(f"{PAGE}?id={answer}")
        await expect(sitting.page.locator(".trouble")).to_have_text(
            re.compile("The demo model failed, as it was told to.")
        )
        await expect(row(sitting, "Ended")).to_contain_text("Dead")


async def test_what_is_unfolded_stays_so_while_the_page_is_kept_up_to_date(desk: Desk, upstream: Upstream) -> None:
    gate = asyncio.Event()
    given = f'{{"content": "Brewing.", "channel": "support", "chat_id": "{PRIVATE}"}}'
    upstream.script(Answer(calls=(Call("message", given),)), Answer(text=("Done.",), gate=gate))
    asked = asyncio.create_task(ask(desk, "brew", "upper"))
    async with desk.sit() as sitting:
        await sitting.open(PAGE)
        await sitting.page.get_by_role("link", name="brew").click()
        tool = row(sitting, "Tool 1")
        await tool.locator("summary").focus()
        await sitting.page.keyboard.press("Enter")
        await expect(tool.locator(".step-inside")).to_contain_text("Brewing.")
        gate.set()
        await expect(row(sitting, "Ended")).to_contain_text("Answered")
        await expect(tool.locator(".step-inside")).to_contain_text("Brewing.")
        await expect(tool.locator(".step-inside")).to_be_visible()
        await expect(tool.locator("summary")).to_be_focused()
    await asked


async def test_chat_and_log_lead_to_the_trace_and_the_trace_to_the_log(desk: Desk) -> None:
    async with desk.sit() as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.ask("where is the kettle", "You said: where is the kettle")
        await talk.said("You said: where is the kettle").get_by_role("link", name="Trace").click()
        await expect(row(sitting, "Settled")).to_contain_text("Sent")
        turn = await sitting.page.locator(".trace-head code").inner_text()
        logs.BOOK.keep(None, "info", {"event": "poured", "level": "info", "id": turn})
        await sitting.page.locator("main").get_by_role("link", name="Logs").click()
        poured = sitting.page.locator(".log-line", has_text="poured")
        await poured.get_by_role("link", name="Trace").click()
        await expect(sitting.page.locator(".trace-head code")).to_have_text(turn)


async def test_a_user_sees_none_of_it(desk: Desk) -> None:
    answer = await ask(desk, "hello")
    async with desk.sit("user") as sitting:
        for path in (PAGE, f"{PAGE}?id={answer}"):
            await sitting.open(path, 403)
        live = await sitting.page.request.get(f"{desk.here.url}{PAGE}/live?id={answer}")
        assert live.status == 403
        talk = Talk(sitting)
        await talk.open()
        await talk.ask("mine", "You said: mine")
        await expect(sitting.page.get_by_role("link", name="Trace")).to_have_count(0)


async def test_it_speaks_chinese(desk: Desk) -> None:
    answer = await ask(desk, call("message", content="好", channel="web", chat_id="zh"))
    async with desk.sit(language="zh-CN", size=NARROW) as sitting:
        await sitting.open(f"{PAGE}?id={answer}")
        await expect(row(sitting, "已了结")).to_contain_text("已发送")
        await expect(row(sitting, "模型 1")).to_contain_text("token")
        assert await sitting.overflow() is None
