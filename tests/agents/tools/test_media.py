"""The `message` tool attaches files of the turn, public URLs and data URLs."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from agents.tools.media import MOST, Media
from agents.tools.message import MessageTool
from hub.errors import FetchRefused, RequestError, TooLarge
from hub.fetch import Fetched, Fetcher
from hub.message import File, Text
from tests.agents.fake_turn import FakeTurn

PNG = b"\x89PNG\r\n\x1a\n"
PHOTO = File(ref="a" * 64, name="photo.jpg", media_type="image/jpeg", size=3)
SECOND = File(ref="b" * 64, name="photo.jpg", media_type="image/jpeg", size=4)
PAPER = File(ref="c" * 64, name="résumé.pdf", media_type="application/pdf", size=5)


class FromHere(Fetcher):
    """A fetcher that asks a server on this machine instead of the one that is named."""

    async def get(self, url: str, *, accept: str = "*/*") -> Fetched:
        port = int(url.partition("port=")[2])
        allowed = Fetcher(most=self.most, allow=lambda _: True)
        return await allowed.get(url.replace("https://example.org", f"http://127.0.0.1:{port}"), accept=accept)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server with a picture, and with something larger than is fetched."""

    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1001)

    app = web.Application()
    app.add_routes([web.get("/chart.png", picture), web.get("/large", large)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def asked(*files: File) -> FakeTurn:
    turn = FakeTurn("send these on")
    first = turn.messages[0]
    turn.messages[0] = msgspec.structs.replace(first, parts=(*first.parts, *files))
    return turn


async def use(turn: FakeTurn, media: Any, content: str = "here", fetcher: Fetcher | None = None) -> dict[str, Any]:
    tool = MessageTool(Media(fetcher))
    return msgspec.json.decode(await tool.call(turn, "0", {"content": content, "media": media}))


async def attached(turn: FakeTurn, media: Any, fetcher: Fetcher | None = None) -> list[File]:
    """The files of the one post that comes of it."""
    result = await use(turn, media, fetcher=fetcher)
    assert (result["status"], result["platform_ids"]) == ("delivered", ["p1"])
    [post] = turn.posts
    assert post.parts[0] == Text(text="here")
    return [part for part in post.parts if isinstance(part, File)]


async def test_a_file_of_the_turn_by_its_name_or_its_id() -> None:
    assert await attached(asked(PHOTO, PAPER), ["résumé.pdf"]) == [PAPER]
    assert await attached(asked(PHOTO, PAPER), [PHOTO.ref]) == [PHOTO]


async def test_several_in_their_order_and_one_without_a_list() -> None:
    assert await attached(asked(PHOTO, PAPER), ["résumé.pdf", "photo.jpg"]) == [PAPER, PHOTO]
    assert await attached(asked(PHOTO, PAPER), "photo.jpg") == [PHOTO]


async def test_two_of_one_name_are_told_apart() -> None:
    turn = asked(PHOTO, SECOND)
    assert await attached(turn, ["photo.jpg", "photo.jpg#2"]) == [PHOTO, SECOND]


async def test_media_alone_is_something_to_send() -> None:
    turn = asked(PHOTO)
    assert (await use(turn, ["photo.jpg"], content=""))["status"] == "delivered"
    assert turn.posts[0].parts == (PHOTO,)


async def test_a_data_url_is_stored_by_its_type() -> None:
    turn = FakeTurn()
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    [file] = await attached(turn, [url])
    assert (file.name, file.media_type, turn.files[file.ref]) == ("file.png", "image/png", PNG)


async def test_a_url_is_fetched_and_stored(port: int) -> None:
    turn = FakeTurn()
    [file] = await attached(turn, [f"https://example.org/chart.png?port={port}"], FromHere())
    assert (file.name, file.media_type, turn.files[file.ref]) == ("chart.png", "image/png", PNG)


async def test_a_url_that_sends_too_much_is_refused(port: int) -> None:
    turn = FakeTurn()
    with pytest.raises(TooLarge):
        await use(turn, [f"https://example.org/large?port={port}"], fetcher=FromHere(most=1000))
    assert turn.posts == []


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/latest"])
async def test_nothing_of_this_machine_or_its_network_is_fetched(url: str) -> None:
    turn = FakeTurn()
    with pytest.raises(FetchRefused):
        await use(turn, [url])
    assert turn.posts == []


@pytest.mark.parametrize(
    "media", ["other.jpg", "http://example.org/a.png", "file:///etc/passwd", "/etc/passwd", "photo.jpg#2"]
)
async def test_anything_else_is_refused_and_says_what_there_is(media: str) -> None:
    turn = asked(PHOTO)
    with pytest.raises(RequestError, match=r"there: 'photo.jpg'"):
        await use(turn, [media])
    assert turn.posts == []


async def test_so_is_a_heap() -> None:
    with pytest.raises(RequestError, match="more than 10"):
        await use(asked(PHOTO), ["photo.jpg"] * (MOST + 1))
