"""Files that go out, each as what it is: a photo, a voice message, audio, video, or a document."""

from __future__ import annotations

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import BufferedInputFile, InlineKeyboardMarkup, InputFile, ReplyParameters

from channels.telegram.buttons import keyboard
from channels.telegram.client import Post, session_of
from channels.telegram.send import quote_of, thread_of
from hub.channel import Sending
from hub.errors import MessageRefused
from hub.message import File

log = structlog.get_logger()
FILE_SIZE = 50 * 10**6
"""The largest file that a bot may send, in bytes."""
IMAGE_SIZE = 10 * 10**6
"""The largest image that Telegram shows as a photo, in bytes."""
SLOWEST = 50_000
"""Bytes per second that an upload is given time for."""


class PostFile(Post):
    """What all uploads have; the file stands in the field that its method calls it by."""

    chat_id: str
    message_thread_id: int | None = None
    reply_parameters: ReplyParameters | None = None
    reply_markup: InlineKeyboardMarkup | None = None


class PostPhoto(PostFile):
    __api_method__ = "sendPhoto"
    photo: InputFile


class PostVoice(PostFile):
    __api_method__ = "sendVoice"
    voice: InputFile


class PostAudio(PostFile):
    __api_method__ = "sendAudio"
    audio: InputFile


class PostVideo(PostFile):
    __api_method__ = "sendVideo"
    video: InputFile


class PostAnimation(PostFile):
    __api_method__ = "sendAnimation"
    animation: InputFile


class PostDocument(PostFile):
    __api_method__ = "sendDocument"
    document: InputFile


KINDS: dict[str, type[PostFile]] = {
    "image/jpeg": PostPhoto,
    "image/png": PostPhoto,
    "image/webp": PostPhoto,
    "image/gif": PostAnimation,
    "audio/ogg": PostVoice,
    "audio/opus": PostVoice,
    "audio/mpeg": PostAudio,
    "audio/mp3": PostAudio,
    "audio/mp4": PostAudio,
    "audio/x-m4a": PostAudio,
    "video/mp4": PostVideo,
}
"""What Telegram can show or play; everything else is a document."""


async def upload(bot: Bot, sending: Sending, file: File) -> str:
    """Send a file; as a document if Telegram cannot show what it says it is. Returns the message id."""
    if not sending.content:
        raise MessageRefused(f"The file '{file.name}' is empty; Telegram takes no empty files.")
    kind = _kind(file, len(sending.content))
    try:
        return await _post(bot, sending, file, kind)
    except TelegramBadRequest as error:
        if kind is PostDocument or not _about_content(error.message):
            raise
        log.info("a file goes out as a document", kind=kind.__name__, error=error.message)
    return await _post(bot, sending, file, PostDocument)


def _kind(file: File, size: int) -> type[PostFile]:
    kind = KINDS.get(file.media_type.partition(";")[0].strip().lower(), PostDocument)
    return PostDocument if kind is PostPhoto and size > IMAGE_SIZE else kind


def _about_content(refusal: str) -> bool:
    """Whether Telegram refuses the file as what it was sent as: a bad picture, or a person who takes no voice."""
    words = ("photo", "image", "voice", "audio", "video", "animation", "gif", "wrong type", "wrong file")
    return any(word in refusal.lower() for word in words) and "not enough rights" not in refusal


async def _post(bot: Bot, sending: Sending, file: File, kind: type[PostFile]) -> str:
    field = kind.__api_method__.removeprefix("send").lower()
    message = kind.model_validate(
        {
            "chat_id": sending.address.chat_id,
            "message_thread_id": thread_of(sending.address),
            "reply_parameters": quote_of(sending),
            "reply_markup": keyboard(sending.buttons),
            field: BufferedInputFile(sending.content, filename=file.name),
        }
    )
    patience = session_of(bot).timeout + len(sending.content) / SLOWEST
    return str((await bot(message, request_timeout=int(patience) + 1)).message_id)
