"""The `fetch_url` tool reads pages of a real server; only the rule of what is public is another one here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web

from agents.tools.fetch_url import MOST_TEXT, FetchUrlTool
from hub.errors import FetchRefused
from hub.fetch import Fetcher
from tests.agents.fake_turn import FakeTurn

PAGE = """<!doctype html><html><head><title>Opening hours</title><style>p { color: red }</style></head>
<body><nav><a href="/">Home</a></nav><main><h2>Bakery</h2><p>Open <b>daily</b>, see <a href="/map">the map</a>.</p>
<script>alert("no")</script><ul><li>Bread</li><li>Cake</li></ul></main></body></html>"""
PAGES = {
    "/page": (PAGE.encode(), "text/html; charset=utf-8"),
    "/latin": ("<p>Größe</p>".encode("latin-1"), "text/html; charset=iso-8859-1"),
    "/meta": ('<meta charset="windows-1252"><p>Größe</p>'.encode("cp1252"), "text/html"),
    "/odd": ("Größe".encode(), "text/plain; charset=no-such"),
    "/deep": (b"<div>" * 5000 + b"bottom" + b"</div>" * 5000, "text/html"),
    "/data": (b'{"a": 1}', "application/json"),
    "/feed": (b"<?xml version='1.0'?><feed/>", "application/atom+xml"),
    "/image": (b"\x89PNG", "image/png"),
    "/binary": (b"\x00\x01", ""),
    "/long": (b"x" * MOST_TEXT + b"the end", "text/plain"),
    "/empty": (b"<body> </body>", "text/html"),
}


@pytest.fixture
async def site() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        body, media_type = PAGES[request.path]
        return web.Response(body=body, headers={"Content-Type": media_type} if media_type else {})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def read(url: str, **more: object) -> str:
    tool = FetchUrlTool(Fetcher(allow=lambda address: address.is_loopback))
    return await tool.call(FakeTurn(), "0", {"url": url, **more})


async def test_a_page_is_markdown_without_what_nobody_reads(site: str) -> None:
    expected = "# Opening hours\n\n## Bakery\n\nOpen **daily**, see [the map](/map).\n\n- Bread\n- Cake"
    assert await read(f"{site}/page") == expected


@pytest.mark.parametrize("path", ["/latin", "/meta", "/odd"])
async def test_the_letters_are_right_whoever_says_how_they_are_written(site: str, path: str) -> None:
    assert await read(site + path) == "Größe"


async def test_elements_without_end_are_text(site: str) -> None:
    assert await read(f"{site}/deep") == "bottom"


async def test_other_text_comes_as_it_is(site: str) -> None:
    assert await read(f"{site}/data") == '{"a": 1}'
    assert await read(f"{site}/feed") == "<?xml version='1.0'?><feed/>"


async def test_what_is_no_text_is_refused_with_a_sentence(site: str) -> None:
    for path, media_type in (("/image", "image/png"), ("/binary", "application/octet-stream")):
        why = msgspec.json.decode(await read(site + path))["error"]
        assert f"a file of type {media_type}, not text" in why


async def test_a_long_text_is_cut_with_a_note_and_goes_on_where_it_was_cut(site: str) -> None:
    first = await read(f"{site}/long")
    note = f"(Cut here: {MOST_TEXT + 7} characters in all; the next begin at start={MOST_TEXT}.)"
    assert first == "x" * MOST_TEXT + "\n\n" + note
    assert await read(f"{site}/long", start=MOST_TEXT) == "the end"
    assert "nothing at 99999" in await read(f"{site}/long", start=99999)


async def test_a_page_without_text_says_so(site: str) -> None:
    assert await read(f"{site}/empty") == "(The page holds no text.)"


async def test_as_it_is_shipped_it_reaches_no_machine_of_ours(site: str) -> None:
    with pytest.raises(FetchRefused):
        await FetchUrlTool().call(FakeTurn(), "0", {"url": f"{site}/page"})
