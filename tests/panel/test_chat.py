"""Talking to an agent: what comes while it is written, what tools did, what survives a reload."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Route, expect

from hub.channel import Sending
from hub.message import Address, Author, Own, Text
from tests.panel.desk import NARROW, Desk, Sitting
from tests.panel.talking import LOBBY, Talk

pytestmark = pytest.mark.asyncio(loop_scope="package")
AGENT = Author(id="assistant", name="assistant", kind="agent")
STAY = 200
"""Messages that stay on a page while nobody reads further up."""
SLOW = "slowly 60 " + " ".join(f"w{n}." for n in range(120))
"""Half a second a word."""


async def answered_slowly(sitting: Sitting) -> Talk:
    """Somebody whose answer is being written."""
    talk = Talk(sitting)
    await talk.open()
    await talk.say(SLOW)
    await expect(talk.draft).to_contain_text("w1.")
    return talk


async def test_an_answer_grows_while_it_is_written_and_is_stopped_beside_it(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = await answered_slowly(sitting)
        await expect(talk.draft).to_contain_text("w3.")
        await expect(talk.posts).to_have_count(1)
        await talk.page.get_by_role("button", name="Stop").click()
        await expect(talk.posts.last).to_contain_text("(stopped)")
        await expect(talk.page.locator(".draft")).to_have_count(0)
        await expect(talk.posts).to_have_count(2)


async def test_escape_stops_it_too(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = await answered_slowly(sitting)
        await talk.text.press("Escape")
        await expect(talk.posts.last).to_contain_text("(stopped)")


async def test_whoever_comes_while_it_is_written_sees_it_grow(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = await answered_slowly(sitting)
        await talk.page.reload()
        await expect(talk.draft).to_contain_text("w0. w1.")
        await talk.page.get_by_role("button", name="Stop").click()
        await expect(talk.posts.last).to_contain_text(re.compile(r"w0\..*\(stopped\)", re.DOTALL))


async def test_a_new_conversation_gets_an_address_and_a_place_in_the_list(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await expect(talk.page.get_by_text("Say something")).to_be_visible()
        await talk.page.get_by_role("button", name="count to 20").click()
        await expect(talk.text).to_have_value("count to 20")
        await talk.text.press("Enter")
        await expect(talk.said("1 2 3 4 5")).to_be_visible()
        await expect(talk.page).to_have_url(re.compile(r"/panel/chat/own\.\d+\.assistant\."))
        await expect(talk.page.locator("[data-rooms] [aria-current=page]")).to_contain_text("count to 20")
        await expect(talk.page.get_by_text("Say something")).to_be_hidden()
        await expect(talk.page.locator(".day")).to_have_text(["Today"])


async def test_the_list_of_rooms_grows_around_who_is_in_it(desk: Desk) -> None:
    async with desk.sit() as sitting:
        talk = Talk(sitting)
        await talk.open(LOBBY)
        link = talk.page.locator("[data-rooms]").get_by_role("link", name="Lobby")
        await link.focus()
        async with desk.here.http() as client:
            for room in ("new-room", "lobby"):
                (await client.post(f"/api/v1/web/{room}", json={"text": "come over"})).raise_for_status()
        added = talk.page.locator("[data-rooms]").get_by_role("link", name="new-room")
        await expect(added).to_be_visible()
        await expect(link).to_be_focused()


async def test_a_tool_is_a_folded_line_and_its_post_arrives_live_in_the_lobby(desk: Desk) -> None:
    async with desk.sit("user") as reader, desk.sit(secret=await desk.key()) as sitting:
        lobby, talk = Talk(reader), Talk(sitting)
        await lobby.open(LOBBY)
        await talk.open()
        await talk.ask('call message {"content": "tea is *ready*", "channel": "web", "chat_id": "lobby"}', "delivered")
        await expect(lobby.said("tea is ready").locator("em")).to_have_text("ready")
        for _ in range(2):
            step = talk.page.locator("details.step")
            await expect(step.locator("summary")).to_have_text(re.compile(r"called message, \d"))
            await expect(step.locator(".step-inside")).to_be_hidden()
            await step.locator("summary").click()
            given, returned = step.locator(".step-inside > dl").nth(0), step.locator(".step-inside > dl").nth(1)
            await expect(given).to_contain_text("tea is *ready*")
            await expect(returned).to_contain_text("delivered")
            await talk.page.reload()  # and so it is afterwards
        await expect(lobby.page.locator("details.step")).to_have_count(0)


async def test_a_tool_that_runs_is_shown_before_the_answer(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.say('call message {"content": "hello", "channel": "nowhere", "chat_id": "x"}')
        await expect(talk.page.locator("details.step.bad summary")).to_have_text(re.compile("message failed"))


async def test_a_button_is_pressed_as_people_do(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.say('call message {"content": "Tea?", "buttons": [["Yes, please", "No"]]}')
        await talk.page.get_by_role("button", name="Yes, please").click()
        await expect(talk.said("You said: Yes, please")).to_be_visible()
        mine = talk.page.locator("[data-post].mine").filter(has_text="Yes, please")
        await expect(mine.last).to_be_visible()


async def test_commands_are_offered_and_the_hubs_answer_is_a_notice(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.text.press_sequentially("/st")
        offered = talk.page.get_by_role("option")
        await expect(offered.filter(visible=True)).to_have_count(2)
        await talk.text.press("ArrowDown")
        await talk.text.press("Enter")
        await expect(talk.text).to_have_value("/status")
        await talk.text.press("Enter")
        await expect(talk.page.locator(".bubble.notice")).to_contain_text("I am assistant")


async def test_shift_and_enter_begin_a_line(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.text.press_sequentially("one")
        await talk.text.press("Shift+Enter")
        await talk.text.press_sequentially("two")
        await expect(talk.posts).to_have_count(0)
        await talk.text.press("Enter")
        await expect(talk.said("You said: one")).to_have_text(re.compile("one\\s+two"))


async def test_a_reload_keeps_the_draft_and_the_history(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.text.fill("not yet")
        await talk.page.reload()
        await expect(talk.text).to_have_value("not yet")
        await talk.ask("hi", "You said: hi")
        await talk.text.fill("half a thou")
        await talk.page.reload()
        await expect(talk.text).to_have_value("half a thou")
        assert await talk.texts() == ["hi", "You said: hi"]


async def test_what_could_not_be_sent_is_said_so_and_sent_again_once(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.ask("hi", "You said: hi")
        tries: list[str] = []

        async def lose(route: Route) -> None:
            """The answer gets lost on the way; what was said had arrived."""
            tries.append(route.request.headers["idempotency-key"])
            if len(tries) == 1:
                await route.fetch()
            await route.abort()

        await talk.page.route("**/say", lose)
        await talk.say("do not lose me")
        failed = talk.page.locator(".bubble.failed")
        await expect(failed).to_contain_text("Not sent: the hub cannot be reached.")
        await talk.page.reload()
        await expect(failed).to_contain_text("do not lose me")
        await talk.page.unroute("**/say")
        sitting.errors.clear()  # of what was lost
        await failed.get_by_role("button", name="Send again").click()
        await expect(failed).to_have_count(0)
        await expect(talk.said("You said: do not lose me")).to_be_visible()
        await expect(talk.page.locator(".unsent")).to_have_count(0)
        assert await talk.texts() == ["hi", "You said: hi", "do not lose me", "You said: do not lose me"]


async def test_of_several_that_could_not_be_sent_none_is_forgotten(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.page.route("**/say", lambda route: route.abort())
        failed = talk.page.locator(".bubble.failed")
        for number, text in enumerate(("the first", "the second", "the third"), 1):
            await talk.say(text)
            await expect(failed).to_have_count(number)
        await talk.page.unroute("**/say")
        sitting.errors.clear()  # of what was lost
        await failed.filter(has_text="the second").get_by_role("button", name="Send again").click()
        await expect(talk.said("You said: the second")).to_be_visible()
        await failed.filter(has_text="the third").get_by_role("button", name="Discard").click()
        await talk.page.reload()
        await expect(failed.locator(".bubble-text")).to_have_text(["the first"])
        await failed.get_by_role("button", name="Send again").click()
        await expect(talk.said("You said: the first")).to_be_visible()


async def post(desk: Desk, room: str, text: str) -> None:
    """Have the agent say something on its own."""
    address = Address("web", room)
    await desk.here.engine.rooms.post(Sending(address=address, part=Text(text=text), author=AGENT, key=room + text))


async def test_older_messages_come_while_one_scrolls_up(desk: Desk) -> None:
    key = await desk.key()
    many = [f"message {n}" for n in range(100)]
    async with desk.sit(secret=key) as sitting:
        talk = Talk(sitting)
        await talk.open()
        room = await talk.room()
        for text in many:
            await post(desk, room, text)
        await talk.open(f"/panel/chat/{room}")
        await expect(talk.posts.last).to_be_in_viewport()
        await read_up(talk, "message 0")
        assert await talk.texts() == many
        await expect(talk.page.locator("[data-older]")).to_be_hidden()


async def test_a_room_that_stays_open_does_not_grow_without_end(desk: Desk) -> None:
    many = [f"message {n}" for n in range(STAY + 5)]
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        room = await talk.room()
        for text in many:
            await post(desk, room, text)
        await expect(talk.said(many[-1])).to_be_in_viewport()
        assert await talk.texts() == many[-STAY:]
        await read_up(talk, "message 0")
        assert await talk.texts() == many


async def read_up(talk: Talk, text: str) -> None:
    """Scroll up until a message is there."""
    while not await talk.said(text).count():
        before = await talk.posts.count()
        await talk.page.locator("[data-log]").evaluate(_TO_THE_TOP)
        await expect(talk.posts).not_to_have_count(before)


_TO_THE_TOP = """log => new Promise((done) => {
  log.addEventListener("scroll", () => requestAnimationFrame(done), { once: true });
  log.scrollTop = 0;
})"""


async def test_whoever_reads_further_up_is_left_there(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.ask("long 6000", "assistant")
        await talk.page.locator("[data-log]").evaluate(_TO_THE_TOP)
        await post(desk, await talk.room(), "by the way")
        newer = talk.page.get_by_role("button", name="Newer messages below")
        await newer.click()
        await expect(talk.said("by the way")).to_be_in_viewport()
        await expect(newer).to_be_hidden()


async def test_a_talk_fits_a_phone_and_everybody_can_use_it(desk: Desk) -> None:
    key = await desk.key()
    async with desk.sit(secret=key) as sitting:
        talk = Talk(sitting)
        await talk.open()
        room = await talk.room()
        await talk.ask("long 3000", "assistant")
        await talk.ask('call message {"content": "' + "x" * 200 + '", "buttons": [["Yes", "No"]]}', "delivered")
    for theme in ("light", "dark"):
        async with desk.sit(secret=key, size=NARROW, theme=theme) as sitting:
            talk = Talk(sitting)
            await talk.open(f"/panel/chat/{room}")
            await talk.page.locator("details.step summary").click()
            assert await sitting.overflow() is None
            page = "document.documentElement.scrollHeight - document.documentElement.clientHeight"
            assert await talk.page.evaluate(page) == 0, "the talk scrolls, not the page"
            assert await sitting.violations() == []
            await talk.page.get_by_role("button", name="Conversations").click()
            await expect(talk.page.get_by_role("link", name="Lobby")).to_be_in_viewport()
            assert await sitting.violations() == []


async def test_it_works_without_modules(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key(), javascript=False) as sitting:
        await sitting.open("/panel/chat")
        await expect(sitting.page.get_by_text("load it again to see the answer")).to_be_visible()
        await expect(sitting.page.get_by_text("Esc stops the answer")).to_have_count(0)
        await sitting.page.locator("[data-text]").fill("hi")
        await sitting.page.get_by_role("button", name="Send").click()
        await expect(sitting.page).to_have_url(re.compile(r"/panel/chat/own\."))
        await expect(sitting.page.locator("[data-post]").first).to_contain_text("hi")


async def test_a_conversation_is_with_the_agent_that_was_chosen(desk: Desk) -> None:
    """One that is not there, or not for this key, is none: what was said stays readable."""
    key = await desk.key()
    async with desk.sit(secret=key) as sitting:
        await sitting.open("/panel/chat?agent=nobody", 404)
        talk = Talk(sitting)
        await talk.open()
        _, owner, _, _ = (await talk.room()).split(".")
        room = Own(int(owner), "nobody", "x").room
        await post(desk, room, "long ago")
        await sitting.open(f"/panel/chat/{room}")
        await expect(talk.said("long ago")).to_be_visible()
        await expect(sitting.page.get_by_text("This agent is not there any more")).to_be_visible()
        await expect(talk.text).to_have_count(0)
