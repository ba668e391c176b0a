"""Files in a talk: dropped, pasted and chosen; pictures are shown, everything else is saved."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from api.uploads import FILE_LIMIT
from tests.panel.desk import Desk
from tests.panel.talking import Talk, png, upload

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_files_are_dropped_shown_and_sent(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.drop(("cat.png", "image/png", png(64, 48)), ("notes.txt", "text/plain", b"one"), ("no", "", b"2"))
        await expect(talk.page.locator("[data-pending] .chip")).to_have_count(3)
        await talk.page.get_by_role("button", name="Remove no", exact=True).click()
        await talk.say("look at this")
        mine = talk.posts.first
        picture = mine.get_by_role("img", name="cat.png")
        await expect(picture).to_have_js_property("naturalWidth", 64)
        await expect(picture).to_have_js_property("clientWidth", 64)
        chip = mine.get_by_role("link", name="notes.txt")
        await expect(chip).to_contain_text("3 B")
        async with talk.page.expect_download() as found:
            await chip.click()
        assert (await found.value).suggested_filename == "notes.txt"
        await expect(talk.page.locator("[data-pending]")).to_be_hidden()


async def test_a_file_alone_is_a_message(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.page.locator("[data-files]").set_input_files(upload("a.txt", b"a"))
        await talk.page.get_by_role("button", name="Send").click()
        await expect(talk.posts.first.get_by_role("link", name="a.txt")).to_be_visible()
        await expect(talk.posts).to_have_count(2)


async def test_one_that_is_pasted_is_added(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.text.evaluate(
            """text => {
              const clipboardData = new DataTransfer();
              clipboardData.items.add(new File(["x"], "pasted.png", { type: "image/png" }));
              text.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
            }"""
        )
        await expect(talk.page.locator("[data-pending] .chip")).to_contain_text("pasted.png")


async def test_one_that_is_too_large_is_refused_in_words(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        chosen = [upload("film.bin", b"x" * (FILE_LIMIT + 1)), upload("small.txt", b"x")]
        await talk.page.locator("[data-files]").set_input_files(chosen)
        await expect(talk.page.get_by_role("alert")).to_have_text("film.bin is too large: a file may have 10.0 MB.")
        await expect(talk.page.locator("[data-pending] .chip")).to_have_count(1)


async def test_what_the_hub_refuses_is_said_in_its_words(desk: Desk) -> None:
    """Two files that are small enough, together they are more than a request may have."""
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        chosen = [upload(f"{n}.bin", b"x" * (FILE_LIMIT - 10)) for n in range(3)]
        await talk.page.locator("[data-files]").set_input_files(chosen)
        await talk.page.get_by_role("button", name="Send").click()
        await expect(talk.page.locator(".bubble.failed .error")).not_to_be_empty()
        await expect(talk.page.get_by_role("button", name="Send again")).to_have_count(0)
        await talk.page.get_by_role("button", name="Edit").click()
        await expect(talk.page.locator("[data-pending] .chip")).to_have_count(3)
        await expect(talk.page.locator(".bubble.failed")).to_have_count(0)
        sitting.errors.clear()  # the browser tells of the status


async def test_one_that_is_dropped_beside_the_room_is_not_opened_in_its_place(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        for place in (".side", "[data-rooms]", ".top"):
            for kind in ("dragover", "drop"):
                assert await talk.page.locator(place).evaluate(_CAUGHT, kind), (place, kind)
        assert not await talk.page.locator(".side").evaluate(_CAUGHT_TEXT)
        await expect(talk.page.locator("[data-pending] .chip")).to_have_count(0)


_CAUGHT = """(place, kind) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["x"], "a.txt"));
  return !place.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
}"""
_CAUGHT_TEXT = """(place) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.setData("text/plain", "words");
  return !place.dispatchEvent(new DragEvent("dragover", { dataTransfer, bubbles: true, cancelable: true }));
}"""


async def test_a_drawing_that_can_hold_scripts_is_saved_and_never_shown(desk: Desk) -> None:
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><script>window.top.pwned = 1</script></svg>'
    async with desk.sit(secret=await desk.key()) as sitting:
        talk = Talk(sitting)
        await talk.open()
        names = ("a.svg", '"><img src=x onerror=window.pwned=1>.svg')
        await talk.drop(*((name, "image/svg+xml", drawing) for name in names), ("b.html", "text/html", drawing))
        await talk.say("drawings")
        chips = talk.posts.first.locator("a.chip")
        await expect(chips).to_have_count(3)
        await expect(talk.page.locator(".chat-log img")).to_have_count(0)
        for chip in await chips.all():
            answer = await talk.page.request.get(f"{desk.here.url}{await chip.get_attribute('href')}")
            assert answer.headers["content-disposition"].startswith("attachment")
            assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert await talk.page.evaluate("window.pwned") is None
