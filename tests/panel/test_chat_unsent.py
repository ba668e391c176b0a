"""What somebody wrote and the hub does not have: kept for them alone, in its place, until it is sent or thrown away."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Locator, Page, Route, expect

from api.panel.guard import COOKIE
from api.posting import LONGEST_TEXT
from tests.panel.desk import NARROW, Desk
from tests.panel.talking import CHAT, LOBBY, Talk

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def lose(route: Route) -> None:
    """The hub is away for what is said."""
    await route.abort()


def failed(page: Page) -> Locator:
    """The texts of what could not be sent."""
    return page.locator(".bubble.failed .bubble-text")


async def again(page: Page, text: str) -> None:
    """Send one of them once more."""
    await page.locator(".bubble.failed").filter(has_text=text).get_by_role("button", name="Send again").click()


async def become(desk: Desk, context: BrowserContext, secret: str) -> None:
    """Somebody else logs in with this browser."""
    given: Any = {"name": COOKIE, "value": await desk.login(secret), "url": f"{desk.here.url}/panel", "httpOnly": True}
    await context.add_cookies([given])


async def act(admin: httpx.AsyncClient, does: str, given: Any) -> Any:
    """What an admin does to an agent."""
    answer = (await admin.post(f"/admin/agent/{does}", json=given)).raise_for_status()
    return answer.json()["data"]


@pytest.mark.parametrize("room", [CHAT, LOBBY])
async def test_the_next_one_at_the_browser_sees_nothing_of_it(desk: Desk, room: str) -> None:
    first, second = await desk.key(), await desk.key()
    async with desk.sit(secret=first) as sitting:
        talk = Talk(sitting)
        await talk.open(room)
        await talk.page.route("**/say", lose)
        await talk.say("my secret")
        await expect(failed(talk.page)).to_have_text(["my secret"])
        await talk.text.fill("half a secret")
        await become(desk, talk.page.context, second)
        await talk.open(room)
        await expect(talk.text).to_have_value("")
        await expect(failed(talk.page)).to_have_count(0)
        await become(desk, talk.page.context, first)
        await talk.open(room)
        await expect(talk.text).to_have_value("half a secret")
        await expect(failed(talk.page)).to_have_text(["my secret"])
        sitting.errors.clear()  # of what was lost


async def test_all_that_could_not_be_sent_is_offered_until_it_is_sent(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        page = talk.page
        await talk.open()
        await page.route("**/say", lose)
        for text in ("one", "two", "three"):
            await talk.say(text)
            await expect(failed(page).last).to_have_text(text)
        await talk.open()
        await expect(failed(page)).to_have_text(["one", "two", "three"])
        await page.unroute("**/say")
        await again(page, "one")
        await expect(talk.said("You said: one")).to_be_visible()
        await page.reload()  # the conversation has an address by now
        await expect(failed(page)).to_have_text(["two", "three"])
        await page.locator(".bubble.failed").filter(has_text="three").get_by_role("button", name="Discard").click()
        await page.reload()
        await expect(failed(page)).to_have_text(["two"])
        await again(page, "two")
        await expect(talk.said("You said: two")).to_be_visible()
        await page.reload()
        await talk.connected()
        await expect(page.locator(".unsent")).to_have_count(0)
        assert await talk.texts() == ["one", "You said: one", "two", "You said: two"]
        sitting.errors.clear()  # of what was lost


async def test_what_is_said_later_stands_below_and_takes_nothing_away(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        page = talk.page
        await talk.open()
        await talk.ask("before", "You said: before")
        await page.route("**/say", lose)
        await talk.say("in between")
        await expect(failed(page)).to_have_text(["in between"])
        await page.unroute("**/say")
        await talk.ask("after", "You said: after")
        said = await page.locator(".talk .bubble-text").all_inner_texts()
        assert [text.strip() for text in said] == [
            "before",
            "You said: before",
            "in between",
            "after",
            "You said: after",
        ]
        await expect(talk.said("after").first.locator(".bubble-who")).to_be_visible()
        await page.reload()
        await expect(failed(page)).to_have_text(["in between"])
        sitting.errors.clear()  # of what was lost


async def test_what_can_never_be_sent_is_edited(desk: Desk) -> None:
    """It is not shown at its whole length either."""
    async with desk.sit(secret=await desk.key(), size=NARROW) as sitting:
        talk = Talk(sitting)
        page = talk.page
        await talk.open()
        await talk.say("word " * (LONGEST_TEXT // 5) + "more")
        for _ in range(2):
            await expect(page.locator(".bubble.failed .error")).to_contain_text("over the limit of 100000 characters")
            await expect(page.get_by_role("button", name="Send again")).to_have_count(0)
            assert await failed(page).evaluate("text => text.clientHeight < innerHeight / 2")
            assert await sitting.overflow() is None
            assert await sitting.violations() == []
            await page.reload()
        await talk.text.fill("by the way")
        await page.get_by_role("button", name="Edit").click()
        assert (await talk.text.input_value()).endswith("word more\nby the way")
        await expect(failed(page)).to_have_count(0)
        await page.reload()
        await talk.connected()
        await expect(failed(page)).to_have_count(0)
        assert (await talk.text.input_value()).endswith("word more\nby the way")
        await talk.ask("shorter", "You said: shorter")
        sitting.errors.clear()  # the browser tells of the status


async def test_files_that_a_reload_takes_away_are_told_of(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        page = talk.page
        await talk.open()
        await talk.drop(("notes.txt", "text/plain", b"one"))
        await page.route("**/say", lose)
        await talk.say("look")
        await expect(page.get_by_role("button", name="Send again")).to_be_visible()
        await page.reload()
        await expect(page.locator(".bubble.failed")).to_contain_text("Its files have to be added again.")
        await expect(failed(page)).to_contain_text("notes.txt")
        await page.get_by_role("button", name="Edit").click()
        await expect(talk.text).to_have_value("look")
        sitting.errors.clear()  # of what was lost


async def test_an_agent_that_is_deleted_meanwhile_is_said_to_be_gone(desk: Desk) -> None:
    async with desk.here.http() as admin, desk.sit() as sitting:
        given = {"name": "passing", "model": "demo", "system_prompt": "Be brief."}
        made = await act(admin, "save", given)
        talk = Talk(sitting)
        page = talk.page
        await talk.open(f"{CHAT}?agent=passing")
        await talk.ask("hi", "You said: hi")
        await act(admin, "delete", {"id": made["id"]})
        await talk.say("still there?")
        await expect(page.get_by_text("This agent is not there any more")).to_be_visible()
        await expect(page.locator(".bubble.failed .error")).to_have_text("Not sent.")
        await expect(talk.text).to_be_hidden()
        assert await sitting.violations() == []
        made = await act(admin, "save", given)
        await again(page, "still there?")
        await expect(talk.said("You said: still there?")).to_be_visible()
        await expect(talk.text).to_be_visible()
        await expect(page.get_by_text("This agent is not there any more")).to_be_hidden()
        await act(admin, "delete", {"id": made["id"]})
        sitting.errors.clear()  # the browser tells of the status


async def test_an_answer_that_is_said_anew_is_shown_once_it_is_as_long_as_before(desk: Desk) -> None:
    """The hub was started again in the midst of it."""
    told = [("one two three", 13), ("one", 3), ("one two three four", 18)]
    connections = iter(told)

    async def tell(route: Route) -> None:
        """Each connection tells of one state, then breaks."""
        words, length = next(connections, told[-1])
        steps = f'<p class=\\"told\\">{length}</p>'
        data = f'{{"turn": "t", "agent": "a", "words": "<p>{words}</p>", "length": {length}, "steps": "{steps}"}}'
        body = f"retry: 10\nevent: draft\ndata: {data}\n\n"
        await route.fulfill(content_type="text/event-stream", body=body)

    async with desk.sit(secret=await desk.key()) as sitting:
        page = sitting.page
        await page.add_init_script(_SEEN)
        await page.route("**/events?*", tell)
        await sitting.open(LOBBY)
        await expect(page.locator(".draft .bubble-text")).to_have_text("one two three four")
        assert await page.evaluate("seen") == ["13 one two three", "3 one two three", "18 one two three four"]
        sitting.errors.clear()  # of connections that broke


_SEEN = """window.seen = [];
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const draft = document.querySelector(".draft");
  const [told, words] = [".told", ".bubble-text"].map((part) => draft?.querySelector(part)?.textContent.trim());
  if (told && window.seen.at(-1) !== `${told} ${words}`) window.seen.push(`${told} ${words}`);
}).observe(document.body, { childList: true, subtree: true }));"""
