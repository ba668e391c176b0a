"""Parts of messages as clients send them, and a server that stands for the internet."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from hub.fetch import IP
from hub.message import Text
from tests.api.facade import Facade

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG, GIF, WEBP = b"\xff\xd8\xff\xe0 jpeg", b"GIF89a gif", b"RIFF\x10\x00\x00\x00WEBPVP8 webp"
PDF = b"%PDF-1.7 \xe2\xe3 a document"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(**fields: Any) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def audio(data: str, kind: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}


def doc(value: Any, name: str = "plan", kind: str = "pdf") -> dict[str, Any]:
    return {"type": "doc", "doc": {"name": name, "format": kind, "size": 9, "source": {"bytes": value}}}


class Site:
    """A server on loopback that stands for the internet; `paths` is what was asked of it."""

    def __init__(self) -> None:
        self.root = ""
        self.paths: list[str] = []
        self.pages = {
            "/cat.png": (PNG, "image/png"),
            "/typeless": (WEBP, "application/octet-stream"),
            "/page": (b"<html>", "text/html"),
            "/drawing": (b"<svg/>", "image/svg+xml"),
            "/huge": (b"x" * (1 * 2**20 + 1), "image/png"),
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        if request.path == "/inside":
            return web.Response(status=302, headers={"Location": f"http://127.0.0.2:{request.url.port}/cat.png"})
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/cat.png"})
        if request.path not in self.pages:
            return web.Response(status=404)
        content, kind = self.pages[request.path]
        return web.Response(body=content, content_type=kind)


@asynccontextmanager
async def serving() -> AsyncGenerator[Site]:
    """The server on a free port."""
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    site.root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


def allowed(address: IP) -> bool:
    """Only loopback's first address is the internet of these tests."""
    return address == ip_address("127.0.0.1")


async def told(facade: Facade) -> list[Any]:
    """What the agent was told: texts, and files as (name, type, content)."""
    [asked] = facade.fake.turns.asks
    return [
        part.text if isinstance(part, Text) else (part.name, part.media_type, await facade.fake.files.read(part))
        for part in asked.parts
    ]
