"""What was said: found, read, taken along, erased; a user has their own, and nothing that was said does anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import expect

from hub.accounts.audit import audit
from hub.memory import Heard, Said
from hub.message import Address, Own
from tests.panel.desk import NARROW, Desk, Sitting
from tests.panel.past import STEP, SUMMARY, key_of, of_key, past, talk
from tests.panel.talking import png

pytestmark = pytest.mark.asyncio(loop_scope="package")
PAGE = "/panel/sessions"
IMG = "<img src=x onerror='window.pwned=1'>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.pwned=1'><script>window.pwned=1</script></svg>"


async def names(sitting: Sitting) -> list[str]:
    """What the sessions of the list are called."""
    return await sitting.page.locator(".session-name").all_inner_texts()


async def test_a_session_is_found_by_its_words_its_key_and_its_day(desk: Desk) -> None:
    secret = await desk.key()
    await of_key(desk, secret, talk("where is the samovar", "In the kitchen."))
    await of_key(desk, secret, talk("hello", "Good day."), title="Greetings at the samovar")
    await past(desk, Address("web", "lobby"), talk("a samovar for all", "Here.", author="Ann"))
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(PAGE)
        await page.get_by_role("searchbox").fill("samovar")
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator(".session-name")).to_have_text(
            ["a samovar for all", "Greetings at the samovar", "where is the samovar"]
        )
        await page.get_by_text("Filters").click()
        await page.get_by_label("Channel").select_option("web")
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator(".session-name")).to_have_text(["a samovar for all"])
        await expect(page.locator(".narrow")).to_have_attribute("open", "")
        await sitting.open(f"{PAGE}?q=samovar&until=2001-01-01")
        await expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
        await sitting.open(f"{PAGE}?key=nobody")
        await expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()


async def test_days_go_to_the_last_one_that_there_is(desk: Desk) -> None:
    secret = await desk.key()
    await of_key(desk, secret, talk("a barometer", "It falls."))
    async with desk.sit(secret=secret) as sitting:
        await sitting.open(f"{PAGE}?since=0001-01-01&until=9999-12-31")
        assert await names(sitting) == ["a barometer"]


@pytest.mark.parametrize("query", ["since=soon", "status=odd", "since=2026-02-02&until=2026-02-01", "person=x"])
async def test_a_filter_that_means_nothing_is_told_in_words(desk: Desk, query: str) -> None:
    async with desk.sit() as sitting:
        await sitting.open(f"{PAGE}?{query}", 400)
        await expect(sitting.page.locator("main h1")).to_have_text("Something went wrong")
        await expect(sitting.page.locator(".empty p")).not_to_be_empty()


async def test_the_list_goes_on_by_pages(desk: Desk) -> None:
    secret = await desk.key()
    for number in range(27):
        await of_key(desk, secret, talk(f"question {number}", "yes"))
    async with desk.sit(secret=secret) as sitting:
        await sitting.open(PAGE)
        first = await names(sitting)
        await sitting.page.get_by_role("link", name="Next page").click()
        await expect(sitting.page.locator(".session-name")).to_have_count(2)
        rest = await names(sitting)
        assert [*first, *rest] == [f"question {number}" for number in reversed(range(27))]


async def test_a_transcript_tells_who_said_what_what_was_done_and_what_it_took(desk: Desk) -> None:
    secret = await desk.key()
    asked = talk("what **tea** is there?", "Green `tea`.", STEP)
    failed = [Heard(text="and cake?"), Said(text="", mark="failed")]
    one = await of_key(desk, secret, asked)
    other = await of_key(desk, secret, [SUMMARY], failed, status="failed", error="The model is away.")
    async with desk.sit(secret=secret) as sitting:
        page = sitting.page
        await sitting.open(f"{PAGE}/{one}")
        await expect(page.locator(".bubble.mine strong")).to_contain_text(["key-", "tea"])
        await expect(page.locator(".bubble:not(.mine) code")).to_have_text("tea")
        await expect(page.locator(".took li")).to_have_text(
            ["demo", "1,200 tokens read, 34 written", "cost 0.0025", "first word after 240 ms", "3.2 s in all"]
        )
        await page.get_by_text("called recall, 240 ms").click()
        await expect(page.locator(".step-inside")).to_contain_text("green tea")
        await expect(page.locator(".day")).to_have_count(1)
        await sitting.open(f"{PAGE}/{other}")
        await expect(page.locator(".outcome")).to_have_text("Failed The model is away.")
        await page.get_by_text("A summary stands for").click()
        await expect(page.locator(".summary strong")).to_have_text("tea")
        assert await sitting.violations() == []


async def test_a_long_one_is_read_backwards(desk: Desk) -> None:
    secret = await desk.key()
    one = await of_key(desk, secret, *(talk(f"question {number}", f"answer {number}") for number in range(40)))
    async with desk.sit(secret=secret) as sitting:
        page = sitting.page
        await sitting.open(f"{PAGE}/{one}")
        await expect(page.locator(".bubble")).to_have_count(50)
        await expect(page.locator(".bubble").last).to_contain_text("answer 39")
        await page.get_by_role("link", name="Earlier").click()
        await expect(page.locator(".bubble")).to_have_count(30)
        await expect(page.locator(".bubble").first).to_contain_text("question 0")
        await page.get_by_role("link", name="To the end").click()
        await expect(page.locator(".bubble").last).to_contain_text("answer 39")


async def test_nothing_that_was_said_does_anything(desk: Desk) -> None:
    files = desk.here.engine.files
    given = (
        await files.keep(f"{IMG}.svg", "image/svg+xml", SVG),
        await files.keep("cat.png", "image/png", png(64, 48)),
    )
    said = talk(f"{IMG} [a](javascript:window.pwned=1)", f"<script>window.pwned=1</script>{IMG}", STEP, files=given)
    said[0] = Heard(text=f"{IMG} [a](javascript:window.pwned=1)", author=IMG, files=given)
    one = await past(desk, Address("web", IMG), said, title=IMG, error=IMG, status="failed", model=IMG)
    async with desk.sit(size=NARROW) as sitting:
        page = sitting.page
        for path in (f"{PAGE}?q={one}", PAGE, f"{PAGE}/{one}"):
            await sitting.open(path)
            assert await page.evaluate("window.pwned") is None
            await expect(page.locator("main :is(script, iframe, [onerror], [href^='javascript:'])")).to_have_count(0)
            assert await sitting.overflow() is None
        await expect(page.locator("main img")).to_have_count(1)
        await expect(page.get_by_role("img", name="cat.png")).to_have_js_property("naturalWidth", 64)
        async with page.expect_download():
            await page.locator(".chip").click()
        assert await page.evaluate("window.pwned") is None


async def test_a_user_has_nothing_of_others(desk: Desk) -> None:
    owner, other = await desk.key(), await desk.key()
    file = await desk.here.engine.files.keep("secret.txt", "text/plain", b"secret")
    one = await of_key(desk, owner, talk("my secret zeppelin", "safe", files=(file,)))
    mine = await of_key(desk, other, talk("nothing", "nothing"))
    async with desk.sit(secret=owner) as sitting:
        answer = await sitting.page.request.get(f"{desk.here.url}{PAGE}/{one}/export")
        first = json.loads((await answer.text()).splitlines()[0])
        assert (first["content"], first["turn"][:4]) == ("my secret zeppelin", "api:")
        entry = first["id"]
        own = await sitting.page.request.get(f"{desk.here.url}{PAGE}/{one}/files/{entry}/0")
        assert (await own.text(), own.headers["content-disposition"][:10]) == ("secret", "attachment")
    async with desk.sit(secret=other) as sitting:
        request, url = sitting.page.request, f"{desk.here.url}{PAGE}"
        for path in ("", "/export", "/erase", f"/files/{entry}/0"):
            assert (await request.get(f"{url}/{one}{path}")).status == 404
        assert (await request.get(f"{url}/{mine}/files/{entry}/0")).status == 404
        await sitting.open(f"{PAGE}?q=zeppelin&key=1&person=api:1")
        await expect(sitting.page.get_by_role("heading", name="Nothing fits")).to_be_visible()
        token = await sitting.page.locator("[name=token]").first.get_attribute("value")
        posted: dict[str, str | float | bool] = {"token": token or ""}
        assert (await request.post(f"{url}/{one}/erase", form=posted)).status == 404
        assert (await request.post(f"{url}/export", form=posted)).status == 403
        assert (await request.get(f"{url}/exports/1")).status == 403
        assert (await request.get(f"{desk.here.url}/panel/settings/jobs/1/file")).status == 403
    async with desk.sit(secret=owner) as sitting:
        await sitting.open(f"{PAGE}/{one}")
        await expect(sitting.page.locator(".bubble")).to_have_count(2)


async def test_a_key_that_may_not_read_is_told_so(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key(scopes=("chat",))) as sitting:
        await sitting.open(PAGE, 403)
        await expect(sitting.page.locator(".empty p")).to_contain_text("it lacks the scope 'read'")


async def test_what_is_found_is_exported_in_the_background(desk: Desk, tmp_path: Path) -> None:
    secret = await desk.key()
    await of_key(desk, secret, talk("a theremin", "It sings."), talk("again", "It sings again."))
    await of_key(desk, secret, talk("a drum", "It booms."))
    async with desk.sit() as sitting:
        page = sitting.page
        await sitting.open(f"{PAGE}?q=theremin")
        await page.get_by_role("button", name="Export these").click()
        async with page.expect_download() as found:
            await page.get_by_role("link", name="Download").click()
        await (await found.value).save_as(tmp_path / "export.jsonl")
        rows = [json.loads(line) for line in (tmp_path / "export.jsonl").read_text().splitlines()]
        assert [row["text"] for row in rows] == ["a theremin", "It sings.", "again", "It sings again."]
        assert await sitting.violations() == []


async def test_an_erase_says_what_goes_and_what_stays(desk: Desk) -> None:
    secret = await desk.key()
    file = await desk.here.engine.files.keep("a.txt", "text/plain", b"a")
    one = await of_key(desk, secret, talk("my ocarina", "Yes.", files=(file,)))
    async with desk.sit(secret=secret) as sitting:
        page = sitting.page
        await sitting.open(f"{PAGE}/{one}")
        await page.get_by_role("link", name="Erase…").click()
        await expect(page.locator(".goes")).to_contain_text("2 messages and steps and 1 file.")
        await expect(page.locator(".goes")).to_contain_text("What 1 turn used and cost stays")
        await page.get_by_role("link", name="Cancel").click()
        await page.get_by_role("link", name="Erase…").click()
        await page.get_by_role("button", name="Erase").click()
        await expect(page.get_by_role("status").filter(has_text="The session is erased.")).to_be_visible()
        await sitting.open(f"{PAGE}?q=ocarina")
        await expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    rows = await desk.here.store.read(
        lambda connection: connection.execute(audit.select().where(audit.c.target == f"session:{one}")).all()
    )
    assert [row.what for row in rows] == ["session.erase"]


async def test_who_talks_in_the_panel_is_called_by_their_key(desk: Desk) -> None:
    secret = await desk.key()
    number = await key_of(desk, secret)
    room = Address("web", Own(number, "assistant", "named").room)
    one = await past(desk, room, talk("hello", "Good day."), person=f"web:{number}", key_id=number)
    async with desk.sit() as sitting:
        await sitting.open("/panel/keys/" + str(number))
        name = await sitting.page.locator("h1").inner_text()
        await sitting.open(f"{PAGE}/{one}")
        await expect(sitting.page.locator(".bubble.mine strong")).to_have_text(name)
        await sitting.open(f"{PAGE}?key={number}")
        assert await names(sitting) == ["hello"]
    async with desk.sit(secret=secret) as sitting:
        await sitting.open(PAGE)
        assert await names(sitting) == ["hello"]
        await sitting.open("/panel/overview")
        await expect(sitting.page.locator("[data-live=past] .stat").first).to_contain_text("Turns")
        await expect(sitting.page.locator("[data-live=past] .stat").first).to_contain_text("1")
        await expect(sitting.page.get_by_text("Messages", exact=True)).to_have_count(0)


async def test_everybody_who_spoke_in_a_room_is_called_by_their_own_name(desk: Desk) -> None:
    async with desk.here.http() as http:
        number = await key_of(desk, await desk.key())
        own = Own(number, "assistant", "visited").room
        for room, body in (("ops2", {"text": "hello from Ada", "name": "Ada"}), (own, {"text": "I look into it"})):
            (await http.post(f"/api/v1/web/{room}", json=body)).raise_for_status()
        admin = (await http.get("/user/api-key/mine")).json()["data"]["name"]

        async def answered() -> bool:
            found = [await http.get("/admin/session/list", params={"q": text}) for text in ("Ada", "look into")]
            return all(one.json()["data"]["items"] and one.json()["data"]["items"][0]["turns"] for one in found)

        await desk.here.store.until(answered)
    async with desk.sit() as sitting:
        for text, name in (("hello from Ada", "Ada"), ("I look into it", admin)):
            await sitting.open(f"{PAGE}?q={text}")
            await sitting.page.locator(".session-name").first.click()
            await expect(sitting.page.locator(".bubble.mine strong")).to_have_text(name)
        await sitting.open(f"/panel/chat/{own}")
        await expect(sitting.page.locator(".chat-head p")).to_contain_text("A conversation of key-")
