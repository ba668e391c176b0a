"""What goes out: messages, their edits, and signs of life."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramNotFound
from aiogram.methods import DeleteMessage, SendMessageDraft, SetMessageReaction
from aiogram.types import LinkPreviewOptions, ReactionTypeEmoji, ReactionTypeUnion, ReplyParameters

from channels.telegram.buttons import keyboard
from channels.telegram.client import ChangeMessage, PostMessage
from channels.telegram.errors import is_about_chat
from channels.telegram.render import Rendered, plain, render
from hub.channel import Sending
from hub.errors import MessageRefused
from hub.message import Address, Text

T = TypeVar("T")
log = structlog.get_logger()


async def send(bot: Bot, sending: Sending) -> str:
    """Send a text; returns its message id."""
    text = _text(sending)

    async def post(rendered: Rendered) -> str:
        message = PostMessage(
            chat_id=sending.address.chat_id,
            message_thread_id=thread_of(sending.address),
            text=rendered.text,
            entities=rendered.entities or None,
            reply_parameters=quote_of(sending),
            reply_markup=keyboard(sending.buttons),
            link_preview_options=_preview(sending),
        )
        return str((await bot(message)).message_id)

    return await _marked(text, post)


async def draft(bot: Bot, sending: Sending, text: str) -> bool:
    """Show a text as a draft, with a button that stops it; False where the server shows none."""

    async def show(rendered: Rendered) -> None:
        await bot(
            SendMessageDraft(
                chat_id=int(sending.address.chat_id),
                draft_id=zlib.crc32(sending.key.encode()) or 1,
                message_thread_id=thread_of(sending.address),
                text=rendered.text,
                entities=rendered.entities or None,
                can_stop=True,
                keep_on_stop=True,
            )
        )

    try:
        await _marked(text, show)
    except (TelegramNotFound, TelegramBadRequest) as error:
        if is_about_chat(error.message):
            raise
        log.info("no drafts on this server", error=error.message)
        return False
    return True


async def edit(bot: Bot, sending: Sending, platform_id: str) -> None:
    """Put a text in the place of an earlier one; the same again changes nothing."""
    text = _text(sending)

    async def change(rendered: Rendered) -> None:
        message = ChangeMessage(
            chat_id=sending.address.chat_id,
            message_id=int(platform_id),
            text=rendered.text,
            entities=rendered.entities or None,
            reply_markup=keyboard(sending.buttons),
            link_preview_options=_preview(sending),
        )
        try:
            await bot(message)
        except TelegramBadRequest as error:
            if "message is not modified" not in error.message:
                raise

    await _marked(text, change)


async def delete(bot: Bot, address: Address, platform_id: str) -> None:
    """Take a message back, if it is still there."""
    try:
        await bot(DeleteMessage(chat_id=address.chat_id, message_id=int(platform_id)))
    except TelegramBadRequest as error:
        if "message to delete not found" not in error.message:
            raise


async def react(bot: Bot, address: Address, platform_id: str, emoji: str) -> None:
    reaction: list[ReactionTypeUnion] = [ReactionTypeEmoji(emoji=emoji)] if emoji else []
    await bot(SetMessageReaction(chat_id=address.chat_id, message_id=int(platform_id), reaction=reaction))


async def typing(bot: Bot, address: Address) -> None:
    await bot.send_chat_action(chat_id=address.chat_id, message_thread_id=thread_of(address), action="typing")


def thread_of(address: Address) -> int | None:
    return None if address.thread_id is None else int(address.thread_id)


def quote_of(sending: Sending) -> ReplyParameters | None:
    """The question above its answer, where others talk too; it may have been deleted meanwhile."""
    if sending.reply_to is None or is_private(sending.address):
        return None
    return ReplyParameters(message_id=int(sending.reply_to), allow_sending_without_reply=True)


def is_private(address: Address) -> bool:
    """Whether a chat is one person's: the ids of all others are negative, or names."""
    return address.chat_id.isdecimal()


async def _marked(text: str, call: Callable[[Rendered], Awaitable[T]]) -> T:
    """Do it with the text's marks; as it was written if Telegram refuses them."""
    rendered = render(text)
    try:
        return await call(rendered)
    except TelegramBadRequest as error:
        if not rendered.entities or "entit" not in error.message.lower():
            raise
        log.warning("Telegram refuses the marks of a text", error=error.message)
    return await call(plain(text))


def _preview(sending: Sending) -> LinkPreviewOptions | None:
    """No pictures of linked pages while the text is still being written."""
    return None if sending.final else LinkPreviewOptions(is_disabled=True)


def _text(sending: Sending) -> str:
    if not isinstance(sending.part, Text):
        raise MessageRefused(f"'{sending.part.name}' is a file, and cannot stand in the place of a text.")
    return sending.part.text
