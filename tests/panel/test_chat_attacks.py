"""What somebody may try in a talk: scripts in names and texts, and rooms of others."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import expect

from api.panel import guard
from hub.accounts import keyring, keys
from hub.channel import Sending
from hub.message import Address, Author, Button, File, Own, Text
from hub.store import Connection
from tests.api.asking import Events
from tests.panel.desk import Desk
from tests.panel.talking import Talk
from tests.patience import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="package")
IMG = "<img src=x onerror='window.pwned=1'>"
TEXTS = [
    "<script>window.pwned=1</script>",
    IMG,
    "[a](javascript:window.pwned=1)",
    "[b](data:text/html,<script>window.pwned=1</script>)",
    "![c](javascript:window.pwned=1)",
    "<javascript:window.pwned=1>",
    "```x' onload='window.pwned=1\ncode\n```",
    "[d](https://example.org/ 'title' onclick='window.pwned=1')",
    "<svg onload=window.pwned=1>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
]


async def named(desk: Desk, name: str) -> str:
    """The secret of a user who calls himself so."""
    secret, now = keys.new_secret(), desk.here.engine.clock()

    def make(connection: Connection) -> None:
        keys.create(connection, secret, name=name, now=now, scopes=keys.USER_SCOPES)

    await desk.here.store.write(make)
    return secret


async def test_no_script_runs_that_somebody_wrote(desk: Desk) -> None:
    async with desk.sit(secret=await named(desk, f"eve {IMG}")) as sitting:
        talk = Talk(sitting)
        await talk.open()
        address = Address("web", await talk.room())
        author = Author(id=IMG, name=f"<b>{IMG}</b>", kind="agent")
        button = Button(text=IMG, value=IMG)
        for number, text in enumerate(TEXTS):
            await desk.here.engine.rooms.post(
                Sending(
                    address=address, part=Text(text=text), author=author, key=f"{address}{number}", buttons=((button,),)
                )
            )
        await talk.ask(IMG, "You said: <img")
        await talk.say("/status")
        for _ in range(2):
            await expect(talk.posts).to_have_count(len(TEXTS) + 4)
            assert await talk.page.evaluate("window.pwned") is None
            links = talk.page.locator(".bubble-text a")
            for href in [await link.get_attribute("href") for link in await links.all()]:
                assert href is None or href.startswith("https://"), href
            await expect(
                talk.page.locator(".chat-log :is(script, img, svg:not(.icon), iframe, [onerror])")
            ).to_have_count(0)
            await talk.page.reload()


async def test_anothers_conversation_is_not_there(desk: Desk) -> None:
    """Neither on the page nor by its parts, and nothing can be said or stopped in it."""
    owner = await desk.key()
    async with desk.sit(secret=owner) as sitting:
        talk = Talk(sitting)
        await talk.open()
        await talk.ask("my secret is tea", "You said: my secret")
        room = await talk.room()
    file = await desk.here.engine.files.keep("secret.txt", "text/plain", b"secret")
    given = await desk.here.engine.rooms.post(
        Sending(address=Address("web", room), part=file, author=Author(id="a", name="a", kind="agent"), key=f"{room}f")
    )
    async with desk.sit(secret=await desk.key()) as sitting:
        await sitting.open(f"/panel/chat/{room}", 404)
        await sitting.open("/panel/chat")
        await expect(sitting.page.get_by_text("my secret is tea")).to_have_count(0)
        token = await sitting.page.locator("[data-compose] [name=token]").get_attribute("value") or ""
        headers = {guard.HEADER: token, "Accept": "application/json"}
        tried = [
            ("GET", f"/panel/chat/{room}/events"),
            ("GET", f"/panel/chat/{room}/older"),
            ("GET", f"/panel/chat/files/{given}/0"),
            ("POST", f"/panel/chat/{room}/say"),
            ("POST", f"/panel/chat/{room}/stop"),
        ]
        for method, path in tried:
            said = {"text": "x"} if method == "POST" else None
            url = desk.here.url + path
            answer = await sitting.page.request.fetch(url, method=method, headers=headers, data=said)
            assert answer.status == 404, (path, await answer.text())


@pytest.mark.parametrize("path", ["lobby/say", "lobby/stop"])
async def test_what_another_site_sends_is_refused(desk: Desk, path: str) -> None:
    async with desk.sit("user") as sitting:
        await sitting.open("/panel/chat/lobby")
        answer = await sitting.page.request.post(
            f"{desk.here.url}/panel/chat/{path}", data={"text": "x"}, headers={"Accept": "application/json"}
        )
        assert answer.status == 403
        await expect(sitting.page.locator("[data-post]").filter(has_text="x")).to_have_count(0)


async def test_a_key_that_may_not_talk_is_told_so(desk: Desk) -> None:
    async with desk.sit(secret=await desk.key(scopes=("read",))) as sitting:
        await sitting.open("/panel/chat")
        await expect(sitting.page.get_by_text("This key may not talk")).to_be_visible()
        for path in ("lobby", "lobby/events", "lobby/older"):
            answer = await sitting.page.request.get(f"{desk.here.url}/panel/chat/{path}")
            assert answer.status == 403


async def test_a_revoked_key_reads_nothing_more_however_lively_the_room_is(desk: Desk) -> None:
    secret, room = await desk.key(), "lively"
    cookies = {guard.COOKIE: await desk.login(secret)}

    async def post(text: str) -> None:
        await desk.here.engine.rooms.post(
            Sending(address=Address("web", room), part=Text(text=text), author=Author(id="a", name="a"), key=text)
        )

    def revoke(connection: Connection) -> None:
        now = desk.here.engine.clock()
        keyring.delete(connection, keyring.find_id(connection, secret, now), now)

    await post("before")
    async with (
        httpx.AsyncClient(base_url=desk.here.url, cookies=cookies, timeout=PATIENCE) as client,
        client.stream("GET", f"/panel/chat/{room}/events?after=0") as answer,
    ):
        events = Events(answer)
        assert "before" in (await events.named("message"))["html"]
        await desk.here.store.write(revoke)
        await post("after")
        names: list[str | None] = []
        while "ended" not in names and "message" not in names:
            names.append((await events.next()).get("event"))
        assert names[-1] == "ended"


async def test_an_admin_reads_along_and_a_file_of_no_message_is_not_there(desk: Desk) -> None:
    secret = await desk.key()
    room = Own(10**6, "assistant", "x").room
    file: File = await desk.here.engine.files.keep("a.txt", "text/plain", b"a")
    given = await desk.here.engine.rooms.post(
        Sending(address=Address("web", room), part=file, author=Author(id="a", name="a", kind="agent"), key=room)
    )
    for key, status in ((desk.secrets["admin"], 200), (secret, 404)):
        async with desk.sit(secret=key) as sitting:
            for path in (f"/panel/chat/{room}/older", f"/panel/chat/files/{given}/0"):
                assert (await sitting.page.request.get(desk.here.url + path)).status == status
            assert (await sitting.page.request.get(f"{desk.here.url}/panel/chat/files/{given}/1")).status == 404
            assert (await sitting.page.request.get(f"{desk.here.url}/panel/chat/files/{10**25}/0")).status == 404
