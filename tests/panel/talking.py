"""Somebody who talks to an agent on the page."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Protocol

from playwright.async_api import Locator, Page, expect

CHAT = "/panel/chat"
LOBBY = f"{CHAT}/lobby"


class Sits(Protocol):
    """Somebody before a browser."""

    @property
    def page(self) -> Page: ...

    async def open(self, path: str) -> None: ...


class Talk:
    """The room that is open in a sitting."""

    def __init__(self, sitting: Sits) -> None:
        self.sitting = sitting
        self.page = sitting.page
        self.text = self.page.locator("[data-text]")
        self.posts = self.page.locator("[data-post]")
        self.draft = self.page.locator(".draft .bubble-text")

    async def open(self, path: str = CHAT) -> None:
        """Enter a room; it follows what happens from here on."""
        await self.sitting.open(path)
        await self.connected()

    async def connected(self) -> None:
        """Wait until the room is followed."""
        await expect(self.page.locator("[data-room][data-state=on]")).to_be_visible()

    async def say(self, text: str) -> None:
        """Write it and press Enter."""
        await self.text.fill(text)
        await self.text.press("Enter")

    def said(self, text: str) -> Locator:
        """The messages with this text."""
        return self.posts.filter(has_text=text)

    async def ask(self, text: str, answer: str) -> None:
        """Say something, and wait for the answer."""
        await self.say(text)
        await expect(self.said(answer).last).to_be_visible()

    async def room(self) -> str:
        """The name of the room."""
        path = await self.page.locator("[data-room]").get_attribute("data-room")
        assert path is not None
        return path.rpartition("/")[2]

    async def drop(self, *files: tuple[str, str, bytes]) -> None:
        """Drag files over the room, and let go of them."""
        given = [[name, kind, list(content)] for name, kind, content in files]
        await self.page.evaluate(_DRAG, given)
        await expect(self.page.locator(".drop")).to_be_visible()
        await self.page.evaluate(_DROP)
        await expect(self.page.locator(".drop")).to_be_hidden()

    async def texts(self) -> list[str]:
        """What each message says, in their order."""
        return [text.strip() for text in await self.page.locator("[data-post] .bubble-text").all_inner_texts()]


_DRAG = """(files) => {
  const carried = new DataTransfer();
  for (const [name, type, bytes] of files) carried.items.add(new File([new Uint8Array(bytes)], name, { type }));
  window.carried = carried;
  const over = new DragEvent("dragenter", { dataTransfer: carried, bubbles: true });
  document.querySelector("[data-log]").dispatchEvent(over);
}"""
_DROP = """() => document.querySelector("[data-log]").dispatchEvent(
  new DragEvent("drop", { dataTransfer: window.carried, bubbles: true, cancelable: true }))"""


def png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def upload(name: str, content: bytes, kind: str = "text/plain") -> Any:
    """A file as playwright takes it."""
    return {"name": name, "mimeType": kind, "buffer": content}
