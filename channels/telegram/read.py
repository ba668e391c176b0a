"""What an update tells (pure)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from aiogram.types import CallbackQuery, ChatMemberUpdated, MessageGenerationStopped, Update, User
from aiogram.types import Message as Said

from channels.telegram.buttons import pressed
from channels.telegram.client import Raw
from channels.telegram.files import Attachment, attachment, instead
from channels.telegram.words import marks_of, names, words, written
from hub.message import Address, Author, Message, Text

ALLOWED = ["message", "callback_query", "my_chat_member", "stopped_message_generation"]
"""The kinds of updates that are read here."""
OUT = {"kicked": "the bot was blocked or removed", "left": "the bot is not in the group any more"}


@dataclass(frozen=True, kw_only=True)
class Heard:
    """Something was said; `files` are still to be fetched, `press` is to be answered."""

    message: Message
    files: tuple[Attachment, ...] = ()
    press: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stale:
    """A button was pressed that says nothing any more."""

    press: str


@dataclass(frozen=True, kw_only=True)
class Left:
    """The bot cannot write to a chat any more."""

    chat_id: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A group became a supergroup."""

    chat_id: str
    to: str


Event = Heard | Stale | Left | Moved


def read(raw: Raw, channel: str, me: User, *, bots: bool = False) -> Event | None:
    """What happened, or None if nothing that concerns us; `bots` may speak too. Raises on an unreadable update."""
    update = Update.model_validate(raw)
    if update.message:
        return _read_message(update.message, channel, me, bots=bots)
    if update.callback_query:
        return _read_press(update.callback_query, channel)
    if update.my_chat_member:
        return _read_membership(update.my_chat_member)
    if update.stopped_message_generation:
        return _read_stop(update.stopped_message_generation, update.update_id, channel)
    return None


def joined(heard: Sequence[Heard]) -> Heard:
    """The messages of an album as one, under the id of the first."""
    messages = [each.message for each in heard]
    message = msgspec.structs.replace(
        messages[0],
        parts=tuple(part for each in messages for part in each.parts),
        mentioned=any(each.mentioned for each in messages),
        quoted=next((each.quoted for each in messages if each.quoted), None),
    )
    return Heard(message=message, files=tuple(file for each in heard for file in each.files))


def _read_message(said: Said, channel: str, me: User, *, bots: bool) -> Event | None:
    if said.migrate_to_chat_id:
        return Moved(chat_id=str(said.chat.id), to=str(said.migrate_to_chat_id))
    if said.migrate_from_chat_id:
        return Moved(chat_id=str(said.migrate_from_chat_id), to=str(said.chat.id))
    file = attachment(said)
    texts = tuple(_texts(said, file, me))
    if not (texts or file) or (_is_bot(said) and not bots):
        return None
    direct = said.chat.type == "private"
    message = Message(
        id=f"{channel}.{said.chat.id}.{said.message_id}",
        address=Address(channel, str(said.chat.id), _thread(said)),
        author=_author(said),
        parts=tuple(Text(text=text) for text in texts),
        at=said.date.timestamp(),
        direct=direct,
        mentioned=direct or _mentions(said, me),
        reply_to=str(said.message_id),
        quoted=_quoted(said, me),
    )
    return Heard(message=message, files=(file,) if file and not file.too_large else ())


def _read_press(query: CallbackQuery, channel: str) -> Event:
    """A press is said in the chat of the message with the button; in a group, to the bot."""
    value = pressed(query)
    if value is None or query.message is None:
        return Stale(press=query.id)
    below = query.message
    thread = _thread(below) if isinstance(below, Said) else None
    message = Message(
        id=f"{channel}.press.{query.id}",
        address=Address(channel, str(below.chat.id), thread),
        author=Author(id=str(query.from_user.id), name=query.from_user.full_name),
        parts=(Text(text=value),),
        at=time.time(),
        direct=below.chat.type == "private",
        reply_to=str(below.message_id),
    )
    return Heard(message=message, press=query.id)


def _read_membership(change: ChatMemberUpdated) -> Event | None:
    why = OUT.get(change.new_chat_member.status)
    return Left(chat_id=str(change.chat.id), why=f"Telegram says: {why}.") if why else None


def _read_stop(stopped: MessageGenerationStopped, update: int, channel: str) -> Event:
    """The stop button of a draft says what its command says; drafts are shown in private chats only."""
    thread = str(stopped.message_thread_id) if stopped.message_thread_id else None
    message = Message(
        id=f"{channel}.stop.{update}",
        address=Address(channel, str(stopped.chat.id), thread),
        author=Author(id=str(stopped.chat.id), name=stopped.chat.full_name),
        parts=(Text(text="/stop"),),
        at=time.time(),
    )
    return Heard(message=message)


def _texts(said: Said, file: Attachment | None, me: User) -> Iterator[str]:
    """What was written, and words for what cannot be had; nothing for a notice."""
    text = written(said, me)
    if text:
        yield text
    if file and file.too_large:
        yield instead(file, "too large for a bot to fetch")
    if not text and not file and (word := words(said)):
        yield word


def _is_bot(said: Said) -> bool:
    """Someone who speaks as a chat is shown under the name of a bot of Telegram's, and is none."""
    return said.sender_chat is None and said.from_user is not None and said.from_user.is_bot


def _author(said: Said) -> Author:
    speaker = said.sender_chat or said.from_user or said.chat
    return Author(id=str(speaker.id), name=speaker.full_name, kind="bot" if _is_bot(said) else "person")


def _thread(said: Said) -> str | None:
    """The forum topic; replies in other groups have a thread id too, to which nothing can be sent."""
    return str(said.message_thread_id) if said.is_topic_message and said.message_thread_id else None


def _mentions(said: Said, me: User) -> bool:
    text = said.text or said.caption or ""
    asked = _asked(said)
    replies = asked is not None and asked.from_user is not None and asked.from_user.id == me.id
    return replies or any(names(mark, text, me) for mark in marks_of(said))


def _asked(said: Said) -> Said | None:
    """What a message answers; everything in a topic "answers" the notice that opened it."""
    asked = said.reply_to_message
    return None if asked is None or asked.forum_topic_created is not None else asked


def _quoted(said: Said, me: User) -> str | None:
    if said.quote:
        return said.quote.text
    asked = _asked(said)
    return asked and (written(asked, me) or words(asked))
