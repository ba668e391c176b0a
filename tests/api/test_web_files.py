"""Web rooms carry files both ways, and buttons can be pressed in them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import downloads, uploads
from hub.channel import Sending
from hub.errors import StoreUnavailable
from hub.message import Address, Author, Button, File, Message, Text
from hub.records.rooms import StoredRooms
from tests.api.asking import Asking, open_asking

LOBBY = Address("web", "lobby")
PATH = "/api/v1/web/lobby"
AGENT = Author(id="assistant", name="Assistant", kind="agent")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
YES = ((Button(text="Yes", value="yes, please"), Button(text="No", value="no")),)


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Asking]:
    async with open_asking(tmp_path) as facade:
        yield facade


@pytest.fixture
def rooms(facade: Asking) -> StoredRooms:
    return StoredRooms(facade.store, facade.hub.signals, facade.hub.clock)


@pytest.fixture
async def client(facade: Asking) -> AsyncIterator[httpx.AsyncClient]:
    key = await facade.key("chat", "read")
    async with facade.client() as client:
        client.headers.update(key)
        yield client


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def inline(content: bytes, name: str | None = None, kind: str = "image/png") -> dict[str, Any]:
    return {"type": "file", "file": {"filename": name, "file_data": data_url(content, kind)}}


async def heard(facade: Asking) -> list[tuple[str, str, bytes]]:
    """The names, types and contents of the files that came to the hub with its one message."""
    [message] = facade.fake.accepted
    files = [part for part in message.parts if isinstance(part, File)]
    return [(file.name, file.media_type, await facade.hub.files.read(file)) for file in files]


async def post(rooms: StoredRooms, facade: Asking, name: str, kind: str, content: bytes = b"x") -> str:
    """The agent sends a file into the room; returns its URL."""
    file = await facade.hub.files.keep(name, kind, content)
    number = await rooms.post(Sending(address=LOBBY, part=file, author=AGENT, key=name + kind))
    return f"/api/v1/messages/{number}/files/0"


class TestIn:
    async def test_a_form_brings_text_and_files(self, facade: Asking, client: httpx.AsyncClient) -> None:
        files = [("a", ("résumé.pdf", b"%PDF \0\xff", "application/pdf")), ("b", ("chart.png", PNG, "image/png"))]
        said = await client.post(PATH, data={"text": "read this", "name": "Bob"}, files=files)
        assert said.status_code == 202, said.text
        [message] = facade.fake.accepted
        assert (message.text, message.author.name) == ("read this", "Bob")
        assert await heard(facade) == [
            ("résumé.pdf", "application/pdf", b"%PDF \0\xff"),
            ("chart.png", "image/png", PNG),
        ]

    async def test_parts_bring_files_inline(self, facade: Asking, client: httpx.AsyncClient) -> None:
        picture = {"type": "image_url", "image_url": {"url": data_url(PNG)}}
        parts = [{"type": "text", "text": "both"}, inline(b"a;b", "t.csv", "text/csv"), picture]
        assert (await client.post(PATH, json={"parts": parts})).status_code == 202
        assert facade.fake.accepted[0].parts[0] == Text(text="both")
        assert await heard(facade) == [("t.csv", "text/csv", b"a;b"), ("file.png", "image/png", PNG)]

    async def test_a_file_alone_is_something_said(self, facade: Asking, client: httpx.AsyncClient) -> None:
        assert (await client.post(PATH, json={"parts": [inline(PNG, "a.png")]})).status_code == 202
        assert len(facade.fake.accepted[0].parts) == 1

    @pytest.mark.parametrize(
        ("given", "kind", "kept"),
        [
            ("../../etc/passwd", "text/plain", ("passwd", "text/plain")),
            ("C:\\temp\\a.txt", "text/plain; charset=utf-8", ("a.txt", "text/plain")),
            ("a\r\nSet-Cookie: b.txt", "", ("aSet-Cookie: b.txt", "text/plain")),
            ("..", "no type", ("file.bin", "application/octet-stream")),
            ("x" * 300 + ".pdf", "APPLICATION/PDF", ("x" * 139 + ".pdf", "application/pdf")),
        ],
    )
    async def test_names_and_types_are_made_safe(
        self, facade: Asking, client: httpx.AsyncClient, given: str, kind: str, kept: tuple[str, str]
    ) -> None:
        part = {"type": "file", "file": {"filename": given, "file_data": f"data:{kind};base64,eA=="}}
        assert (await client.post(PATH, json={"parts": [part]})).status_code == 202
        [(name, media_type, _)] = await heard(facade)
        assert (name, media_type) == kept

    async def test_a_repeated_form_is_one_message_and_another_file_is_a_conflict(
        self, facade: Asking, client: httpx.AsyncClient
    ) -> None:
        def again(content: bytes) -> Any:
            files = {"f": ("a.bin", content)}
            return client.post(PATH, data={"text": "hi"}, files=files, headers={"Idempotency-Key": "k"})

        first, second, other = [await again(content) for content in (b"1", b"1", b"2")]
        assert (first.status_code, second.status_code, other.status_code) == (202, 202, 409)
        assert first.json() == second.json()
        assert len(facade.fake.accepted) == 1

    async def test_what_was_cut_off_is_handed_over_with_its_files(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient
    ) -> None:
        async def down(message: Message) -> None:
            raise StoreUnavailable("down")

        facade.hear(down)
        assert (await client.post(PATH, json={"parts": [inline(PNG, "a.png")]})).status_code == 503
        facade.hear(None)
        assert await rooms.hand_over(facade.hub.accept, older_than=facade.hub.clock() + 60) == 1
        assert await heard(facade) == [("a.png", "image/png", PNG)]

    @pytest.mark.parametrize(
        ("part", "param"),
        [
            ({"type": "video"}, "parts[0]"),
            ({"type": "file"}, "parts[0]"),
            ({"type": "file", "file": {"filename": "a"}}, "parts[0]"),
            ({"type": "file", "file": {"file_data": "https://example.org/a.png"}}, "parts[0].file.file_data"),
            ({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}, "parts[0].image_url.url"),
        ],
    )
    async def test_what_is_no_part_is_refused_by_its_place(
        self, facade: Asking, client: httpx.AsyncClient, part: Any, param: str
    ) -> None:
        said = await client.post(PATH, json={"text": "hi", "parts": [part]})
        assert (said.status_code, facade.fake.accepted) == (400, [])
        assert said.json()["success"] is False
        if param != "parts[0]":
            assert "data URL" in said.json()["error"]

    async def test_a_file_over_the_limit_is_refused(
        self, facade: Asking, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploads, "FILE_LIMIT", 2**20)
        large = b"x" * (2**20 + 1)
        form = await client.post(PATH, files={"f": ("big.bin", large)})
        body = await client.post(PATH, json={"parts": [inline(large, "big.bin")]})
        assert (form.status_code, body.status_code, facade.fake.accepted) == (413, 413, [])
        assert "over the limit of 1 MB" in form.json()["error"]
        assert "big.bin" in form.json()["error"]
        assert "over the limit of 1 MB" in body.json()["error"]

    async def test_a_body_over_the_limit_is_refused(self, facade: Asking, client: httpx.AsyncClient) -> None:
        said = await client.post(PATH, files={"f": ("big.bin", b"x" * (20 * 2**20 + 1))})
        assert (said.status_code, facade.fake.accepted) == (413, [])
        assert "20 MB" in said.json()["error"]

    async def test_too_many_files_are_refused(self, facade: Asking, client: httpx.AsyncClient) -> None:
        parts = [inline(b"x", f"{n}.txt") for n in range(uploads.MOST + 1)]
        assert (await client.post(PATH, json={"parts": parts})).status_code == 400


class TestOut:
    async def test_a_message_names_where_its_files_are(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient
    ) -> None:
        url = await post(rooms, facade, "chart.png", "image/png", PNG)
        listed = await client.get("/api/v1/messages", params={"channel": "web", "chat_id": "lobby"})
        [file] = listed.json()["messages"][0]["files"]
        assert file == {"name": "chart.png", "media_type": "image/png", "size": len(PNG), "url": url}
        got = await client.get(url)
        assert (got.status_code, got.content, got.headers["Content-Type"]) == (200, PNG, "image/png")
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in got.headers["Content-Security-Policy"]

    async def test_what_a_person_sent_can_be_fetched_too(self, client: httpx.AsyncClient) -> None:
        said = await client.post(PATH, files=[("f", ("a.txt", b"one")), ("f", ("b.txt", b"two"))])
        number = said.json()["id"]
        both = [(await client.get(f"/api/v1/messages/{number}/files/{index}")).content for index in (0, 1)]
        assert both == [b"one", b"two"]

    @pytest.mark.parametrize(
        ("name", "kind", "disposition"),
        [
            ("chart.png", "image/png", "inline; filename=chart.png; filename*=UTF-8''chart.png"),
            ("page.html", "text/html", "attachment; filename=page.html; filename*=UTF-8''page.html"),
            ("x.svg", "image/svg+xml", "attachment; filename=x.svg; filename*=UTF-8''x.svg"),
            ('a"b\r\n.txt', "text/plain", 'attachment; filename="a\\"b.txt"; filename*=UTF-8\'\'a%22b.txt'),
            ("../Ä.pdf", "application/pdf", "attachment; filename=A.pdf; filename*=UTF-8''%C3%84.pdf"),
        ],
    )
    async def test_a_browser_runs_none_of_them(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient, name: str, kind: str, disposition: str
    ) -> None:
        got = await client.get(await post(rooms, facade, name, kind))
        assert got.headers["Content-Disposition"] == disposition
        assert got.headers["Content-Type"] == kind

    async def test_a_type_that_is_none_is_not_sent(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient
    ) -> None:
        got = await client.get(await post(rooms, facade, "a.bin", "text/html\r\nX: y"))
        assert got.headers["Content-Type"] == "application/octet-stream"

    async def test_what_no_room_shows_is_not_found(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient
    ) -> None:
        url = await post(rooms, facade, "a.txt", "text/plain")
        message = url.removesuffix("/files/0")
        text = await rooms.post(Sending(address=LOBBY, part=Text(text="hi"), author=AGENT, key="t"))
        for wrong in (
            f"{message}/files/1",
            f"{message}/files/-1",
            f"{message}/files/..%2f..%2fbothub.db",
            f"/api/v1/messages/{text}/files/0",
            "/api/v1/messages/999/files/0",
            f"/api/v1/messages/{'9' * 30}/files/0",
        ):
            assert (await client.get(wrong)).status_code == 404, wrong

    async def test_what_the_hub_has_still_to_hear_is_not_shown(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient
    ) -> None:
        """The note in the outbox is a row of its own, whose files nobody is shown."""
        file = await facade.hub.files.keep("a.txt", "text/plain", b"x")
        said = Message(id="m", address=LOBBY, author=Author(id="1", name="Ann"), parts=(file,), at=0.0)
        number = int(await rooms.say(said))
        assert (await client.get(f"/api/v1/messages/{number}/files/0")).status_code == 200
        assert (await client.get(f"/api/v1/messages/{number + 1}/files/0")).status_code == 404

    async def test_a_file_that_was_removed_is_not_found(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient
    ) -> None:
        gone = File(ref="0" * 64, name="a.txt", media_type="text/plain", size=1)
        number = await rooms.post(Sending(address=LOBBY, part=gone, author=AGENT, key="k"))
        got = await client.get(f"/api/v1/messages/{number}/files/0")
        assert (got.status_code, got.json()["code"]) == (404, "not_found")

    async def test_it_takes_the_scope_read(self, facade: Asking, rooms: StoredRooms) -> None:
        url = await post(rooms, facade, "a.txt", "text/plain")
        assert (await facade.ask("GET", url, headers=await facade.key("chat")))[0] == 403
        assert (await facade.ask("GET", url))[0] == 401


class TestPresses:
    async def ask(self, rooms: StoredRooms, address: Address = LOBBY) -> str:
        return await rooms.post(
            Sending(address=address, part=Text(text="Shall I?"), author=AGENT, key="q", buttons=YES)
        )

    async def test_pressing_a_button_says_its_value(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient
    ) -> None:
        question = await self.ask(rooms)
        said = await client.post(PATH, json={"press": {"message": question, "value": "yes, please"}, "name": "Bob"})
        assert said.status_code == 202, said.text
        [message] = facade.fake.accepted
        assert (message.text, message.address, message.reply_to) == ("yes, please", LOBBY, question)
        assert (message.author.name, message.mentioned) == ("Bob", True)
        assert [post.text for post in await rooms.read("web", "lobby", 0, 9)] == ["Shall I?", "yes, please"]

    async def test_it_is_said_in_the_thread_of_the_question(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient
    ) -> None:
        question = await self.ask(rooms, Address("web", "lobby", "7"))
        assert (await client.post(PATH, json={"press": {"message": int(question), "value": "no"}})).status_code == 202
        assert facade.fake.accepted[0].address == Address("web", "lobby", "7")

    @pytest.mark.parametrize(
        ("press", "more", "status"),
        [
            ({"message": "1", "value": "maybe"}, {}, 400),
            ({"message": "1", "value": "Yes"}, {}, 400),
            ({"message": "99", "value": "no"}, {}, 404),
            ({"message": "x", "value": "no"}, {}, 400),
            ({"message": "1"}, {}, 400),
            ({"message": "1", "value": "no"}, {"text": "hi"}, 400),
        ],
    )
    async def test_a_button_that_is_not_there_cannot_be_pressed(
        self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient, press: Any, more: Any, status: int
    ) -> None:
        assert await self.ask(rooms) == "1"
        said = await client.post(PATH, json={"press": press, **more})
        assert (said.status_code, facade.fake.accepted) == (status, [])

    async def test_nor_one_of_another_room(self, facade: Asking, rooms: StoredRooms, client: httpx.AsyncClient) -> None:
        question = await self.ask(rooms, Address("web", "kitchen"))
        said = await client.post(PATH, json={"press": {"message": question, "value": "no"}})
        assert (said.status_code, facade.fake.accepted) == (404, [])


def test_a_disposition_always_has_a_name() -> None:
    assert downloads.disposition("日本.png", "image/png").startswith("inline; filename=.png;")
