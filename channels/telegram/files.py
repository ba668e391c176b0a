"""Files that come in: which one a message has, and what is in it. Links to files hold the token: none leaves here."""

from __future__ import annotations

from dataclasses import dataclass

from aiogram import Bot
from aiogram.methods import GetFile
from aiogram.types import Animation, Audio, Document, Video
from aiogram.types import Message as Said
from aiohttp import ClientTimeout

from channels.telegram.client import session_of
from hub.errors import MessageRefused, Unreachable

LARGEST = 20 * 2**20
"""The largest file that Telegram lets a bot fetch, in bytes."""
SLOWEST = 120.0
"""How long fetching one file may take, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file of a message that is still with Telegram; `word` is how it is called."""

    file_id: str
    name: str
    media_type: str
    size: int | None
    word: str

    @property
    def too_large(self) -> bool:
        """It will never be fetched."""
        return self.size is not None and self.size > LARGEST


def attachment(said: Said) -> Attachment | None:
    """The file of a message; a photo's largest size."""
    if said.photo:
        best = max(said.photo, key=lambda size: size.width * size.height)
        return _attached(best.file_id, "photo.jpg", "image/jpeg", best.file_size, "photo")
    if said.voice:
        kind = said.voice.mime_type or "audio/ogg"
        return _attached(said.voice.file_id, "voice.ogg", kind, said.voice.file_size, "voice message")
    if said.video_note:
        return _attached(said.video_note.file_id, "video.mp4", "video/mp4", said.video_note.file_size, "video message")
    if said.animation:
        return _named(said.animation, "animation.mp4", "video/mp4", "animation")
    if said.audio:
        return _named(said.audio, "audio.mp3", "audio/mpeg", "audio")
    if said.video:
        return _named(said.video, "video.mp4", "video/mp4", "video")
    if said.document:
        return _named(said.document, "file", "application/octet-stream", "document")
    return None


async def fetch(bot: Bot, file: Attachment) -> bytes:
    """What is in a file; raises MessageRefused when it cannot be had, Unreachable when the next try may succeed."""
    found = await bot(GetFile(file_id=file.file_id))
    if not found.file_path or (found.file_size or 0) > LARGEST:
        raise MessageRefused("Telegram does not give this file to bots.")
    session = session_of(bot)
    http = await session.create_session()
    url = session.api.file_url(bot.token, found.file_path)
    content = bytearray()
    async with http.get(url, timeout=ClientTimeout(total=SLOWEST, sock_read=session.timeout)) as response:
        if response.status != 200:
            raise Unreachable(f"Telegram answers {response.status} for a file.")
        async for chunk in response.content.iter_chunked(2**16):
            content += chunk
            if len(content) > LARGEST:
                raise MessageRefused("The file is larger than Telegram said.")
    return bytes(content)


def instead(file: Attachment, why: str) -> str:
    """What stands in a message in the place of a file."""
    name = "" if file.name.partition(".")[0] in ("photo", "voice", "video", "animation", "file") else f" {file.name}"
    size = "" if file.size is None else f", {file.size / 2**20:.1f} MB"
    return f"[{file.word}{name}{size}: {why}]"


def _attached(file_id: str, name: str, media_type: str, size: int | None, word: str) -> Attachment:
    return Attachment(file_id=file_id, name=name, media_type=media_type, size=size, word=word)


def _named(file: Animation | Audio | Document | Video, name: str, media_type: str, word: str) -> Attachment:
    return _attached(file.file_id, file.file_name or name, file.mime_type or media_type, file.file_size, word)
