"""What people sent, in words (pure): their text without the bot's name, and a word for what is no text."""

from __future__ import annotations

import re

from aiogram.types import Location, MessageEntity, User
from aiogram.types import Message as Said

NOT_TEXT = {
    "animation": "animation",
    "audio": "audio",
    "checklist": "checklist",
    "contact": "contact",
    "dice": "dice",
    "document": "document",
    "game": "game",
    "gift": "gift",
    "unique_gift": "gift",
    "invoice": "invoice",
    "live_photo": "live photo",
    "location": "location",
    "paid_media": "paid media",
    "photo": "photo",
    "poll": "poll",
    "rich_message": "formatted message",
    "sticker": "sticker",
    "story": "story",
    "unknown": "message of an unknown kind",
    "venue": "venue",
    "video": "video",
    "video_note": "video message",
    "voice": "voice message",
}
"""How things that people send are called; what is missing here are notices of Telegram's ("joined", "pinned")."""
_HOLE = "\0"
_LEADING = re.compile(rf"^(?:\s*{_HOLE}[\s,:]*)+")
_INSIDE = re.compile(rf",?\s*{_HOLE}(?=[,.!?;:]|\s*$)|\s*{_HOLE}(?=\W)|{_HOLE}\s*")


def marks_of(said: Said) -> list[MessageEntity]:
    """What is marked in a message's text or caption."""
    return said.entities or said.caption_entities or []


def written(said: Said, me: User) -> str | None:
    """What was written: without the names of this bot, hidden links written out. None where nothing was."""
    text = said.text if said.text is not None else said.caption
    if text is None or not marks_of(said):
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    pieces: list[str] = []
    at = 0
    for mark in sorted(marks_of(said), key=lambda mark: mark.offset):
        start, end = 2 * mark.offset, 2 * (mark.offset + mark.length)
        instead = _instead(mark, text, me) if start >= at else None
        if instead is not None:
            pieces += [_text(units[at:start]), instead]
            at = end
    without = _INSIDE.sub("", _LEADING.sub("", "".join([*pieces, _text(units[at:])])))
    return without if without.strip() else text


def names(mark: MessageEntity, text: str, me: User) -> bool:
    """Whether a marked piece of a text (`@our_bot`, a linked name, `/new@our_bot`) means this bot."""
    if mark.type == "text_mention":
        return mark.user is not None and mark.user.id == me.id
    if mark.type not in ("mention", "bot_command"):
        return False
    name = mark.extract_from(text).partition("@")[2]
    return name.casefold() == (me.username or "").casefold() != ""


def words(said: Said) -> str | None:
    """What was sent instead of a text; None for a notice."""
    if said.sticker and said.sticker.emoji:
        return said.sticker.emoji
    if said.dice:
        return f"{said.dice.emoji} {said.dice.value}"
    if said.poll:
        return "\n".join([f"[poll] {said.poll.question}", *(f"- {option.text}" for option in said.poll.options)])
    return _told(_details(said), NOT_TEXT.get(said.content_type))


def _instead(mark: MessageEntity, text: str, me: User) -> str | None:
    """What stands in the place of a marked piece; None where it stays."""
    if mark.type == "text_link" and mark.url:
        shown = mark.extract_from(text)
        return None if shown.rstrip("/") in mark.url else f"{shown} ({mark.url})"
    if not names(mark, text, me):
        return None
    return mark.extract_from(text).partition("@")[0] if mark.type == "bot_command" else _HOLE


def _told(details: str, word: str | None) -> str | None:
    return word and f"[{word} {details}]".replace(" ]", "]")


def _details(said: Said) -> str:
    if said.venue:
        return f"{said.venue.title}, {said.venue.address} ({_point(said.venue.location)})"
    if said.location:
        return _point(said.location)
    if said.contact:
        name = " ".join(filter(None, [said.contact.first_name, said.contact.last_name]))
        return f"{name}, {said.contact.phone_number}"
    file = said.animation or said.document or said.audio or said.video
    return (file and file.file_name) or ""


def _point(location: Location) -> str:
    return f"{location.latitude}, {location.longitude}"


def _text(units: bytes) -> str:
    return units.decode("utf-16-le", "surrogatepass")
