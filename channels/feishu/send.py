"""What goes out: cards, plain texts, images and files; edits and recalls."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, cast

import structlog

from channels.feishu import render
from channels.feishu.api import Api, part
from channels.feishu.cards import Cards
from channels.feishu.emoji import name_of
from channels.feishu.errors import BAD_CARD, BAD_IMAGE, LOST_CARD, NO_SCOPE, NOT_THIS_KIND, RECALLED, Refusal
from channels.feishu.hear import Ears
from channels.feishu.post import Post, written_as
from hub.channel import Sending
from hub.errors import MessageRefused
from hub.message import File, Text

log = structlog.get_logger()

Json = dict[str, Any]
IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/x-icon"}
IMAGE_SIZE = 10 * 2**20
TYPES = {
    ".opus": "opus",
    ".mp4": "mp4",
    ".pdf": "pdf",
    ".doc": "doc",
    ".docx": "doc",
    ".xls": "xls",
    ".xlsx": "xls",
    ".ppt": "ppt",
    ".pptx": "ppt",
}
"""What Feishu calls the types of files it knows; the others are a `stream`."""
SHOWN = {"opus": "audio", "mp4": "media"}
"""Types that are messages of their own kind."""
NO_TEXT = "…"
QUOTED = 300
"""Characters of a text of ours that are remembered: Feishu does not tell what is in a card that somebody quotes."""


class Mouth:
    """What one app says."""

    def __init__(self, name: str, api: Api, ears: Ears) -> None:
        self._name = name
        self._api = api
        self._ears = ears
        self._post = Post(api, ears)
        self._cards = Cards(api)
        self._streams = True

    async def send(self, sending: Sending) -> str:
        """Send one part; returns its message id."""
        match sending.part:
            case Text(text=text):
                message = await (self._text if sending.final else self._preview)(sending, text)
                self._ears.said.note(message, text[:QUOTED])
                return message
            case File() as file:
                return await self._file(sending, file)

    async def edit(self, sending: Sending, message: str) -> None:
        """Put a text in the place of what a message says."""
        if not isinstance(sending.part, Text):
            raise MessageRefused("A file cannot take the place of a message in Feishu.")
        text = sending.part.text or NO_TEXT
        self._ears.said.note(message, text[:QUOTED])
        if await self._cards.change(message, text, sending.buttons, final=sending.final):
            return
        path = f"/im/v1/messages/{part(message)}"
        try:
            await self._api.call("PATCH", path, {"content": written_as(render.card(text, sending.buttons))})
        except Refusal as refusal:
            if refusal.code != NOT_THIS_KIND and refusal.code not in BAD_CARD:
                raise
            content = written_as({"text": render.plain(text, sending.buttons)})
            await self._api.call("PUT", path, {"msg_type": "text", "content": content})

    async def delete(self, message: str) -> None:
        try:
            await self._api.call("DELETE", f"/im/v1/messages/{part(message)}")
        except Refusal as refusal:
            if refusal.code not in RECALLED:
                raise

    async def react(self, message: str, emoji: str) -> None:
        name = name_of(emoji)
        if name is None:
            raise MessageRefused(f"Feishu has no reaction {emoji}.")
        body = {"reaction_type": {"emoji_type": name}}
        await self._api.call("POST", f"/im/v1/messages/{part(message)}/reactions", body)

    async def _text(self, sending: Sending, text: str) -> str:
        """As a card; once more as plain text where Feishu does not take the card."""
        try:
            posted = await self._post.send(sending, "interactive", render.card(text, sending.buttons))
        except Refusal as refusal:
            if refusal.code not in BAD_CARD:
                raise
            log.warning("a card was refused and goes out as plain text", channel=self._name, error=str(refusal))
            posted = await self._post.send(sending, "text", {"text": render.plain(text, sending.buttons)})
        if posted.earlier:
            await self.edit(sending, posted.id)
        return posted.id

    async def _preview(self, sending: Sending, text: str) -> str:
        """A card that streams; a usual one, which can be edited too, where the app may not make such cards."""
        if not self._streams:
            return await self._text(sending, text or NO_TEXT)
        try:
            card = await self._cards.create(text or NO_TEXT, sending.buttons)
            posted = await self._post.send(sending, "interactive", {"type": "card", "data": {"card_id": card}})
        except Refusal as refusal:
            if refusal.code not in BAD_CARD | LOST_CARD | {NO_SCOPE}:
                raise
            self._streams = refusal.code != NO_SCOPE
            log.warning("a card that streams was refused", channel=self._name, error=str(refusal))
            return await self._text(sending, text or NO_TEXT)
        if posted.earlier:
            await self.edit(sending, posted.id)
        else:
            self._cards.shown(posted.id, card, sending.buttons)
        return posted.id

    async def _file(self, sending: Sending, file: File) -> str:
        """Upload a file and send it as what it is."""
        if not sending.content:
            raise MessageRefused(f"'{file.name}' is empty, and Feishu takes no empty files.")
        if file.media_type in IMAGES and len(sending.content) <= IMAGE_SIZE:
            try:
                return await self._image(sending, file)
            except Refusal as refusal:
                if refusal.code not in BAD_IMAGE:
                    raise
                log.warning("a picture was refused and goes out as a file", channel=self._name, error=str(refusal))
        kind = TYPES.get(PurePath(file.name.lower()).suffix, "stream")
        found = await self._api.upload(
            "/im/v1/files", "file", file.name, sending.content, file_type=kind, file_name=file.name[-255:]
        )
        content = {"file_key": cast(Json, found["data"])["file_key"]}
        return (await self._post.send(sending, SHOWN.get(kind, "file"), content)).id

    async def _image(self, sending: Sending, file: File) -> str:
        found = await self._api.upload("/im/v1/images", "image", file.name, sending.content, image_type="message")
        content = {"image_key": cast(Json, found["data"])["image_key"]}
        return (await self._post.send(sending, "image", content)).id
