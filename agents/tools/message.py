"""The `message` tool: post to any chat."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.tools.media import DESCRIPTION, Media
from agents.tools.tool import failure
from hub.agent import Receipt, Turn
from hub.message import API, Address, Button, Buttons, Text

_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "content": {"type": "string", "description": "The text, in Markdown."},
        "channel": {"type": "string", "description": "The channel's name. Leave out for the chat you are in."},
        "chat_id": {"type": "string", "description": "The chat's id there. Leave out for the chat you are in."},
        "thread_id": {"type": "string", "description": "A thread or topic of that chat, if it has some."},
        "media": {"type": "array", "items": {"type": "string"}, "description": DESCRIPTION},
        "buttons": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "string"}},
            "description": "Rows of buttons below the text; pressing one says its text.",
        },
    },
    "required": ["content"],
    "additionalProperties": False,
}


class _Arguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Ids may be numbers: models write them so."""

    content: str
    channel: str | None = None
    chat_id: str | int | None = None
    thread_id: str | int | None = None
    media: str | list[str] | None = None
    buttons: list[list[str]] | None = None


class MessageTool:
    """Sends a message now, apart from the reply."""

    name = "message"
    description = (
        "Send a message to a chat right now, in addition to your reply. Name `channel` and `chat_id` to write to"
        " another chat. The result tells whether it was delivered."
    )
    parameters = _PARAMETERS

    def __init__(self, media: Media | None = None) -> None:
        self._media = media or Media()

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:
        """Post and return what became of it, as JSON; nothing that was asked for is left out in silence."""
        wanted = msgspec.convert(arguments, _Arguments)
        target = target_of(wanted.channel, wanted.chat_id, wanted.thread_id, turn.address)
        if problem := _problem(wanted, target):
            return failure(problem)
        assert target is not None
        files = await self._media.bring(turn, _named(wanted.media))
        parts = (Text(text=wanted.content), *files) if wanted.content.strip() else files
        return _report(await turn.post(key, target, parts, _buttons(wanted.buttons or [])))


def _named(media: str | list[str] | None) -> list[str]:
    """The files a model names: models write a single one without its list."""
    return [name for name in ([media] if isinstance(media, str) else media or []) if name.strip()]


def _buttons(rows: list[list[str]]) -> Buttons:
    """Buttons that say what is on them; blank ones are none."""
    made = (tuple(Button(text=text, value=text) for text in row if text.strip()) for row in rows)
    return tuple(row for row in made if row)


def _problem(wanted: _Arguments, target: Address | None) -> str | None:
    if not wanted.content.strip() and not _named(wanted.media):
        return "Nothing was sent: content is empty."
    if target is None:
        return "Nothing was sent: name both channel and chat_id, because there is no chat to default to."
    return None


def target_of(
    channel: str | None, chat_id: str | int | None, thread_id: str | int | None, asking: Address
) -> Address | None:
    """The chat a tool is to act on; the thread one is asked in is kept only for the same chat."""
    here = None if asking.channel == API else asking
    channel = channel or (here and here.channel)
    same = here if here and channel == here.channel else None
    chat = str(chat_id) if chat_id not in (None, "") else same and same.chat_id
    if not channel or not chat:
        return None
    if thread_id not in (None, ""):
        return Address(channel, chat, str(thread_id))
    return same if same and same.chat_id == chat else Address(channel, chat)


def _report(receipt: Receipt) -> str:
    report = {
        "status": receipt.status,
        "id": receipt.id,
        "platform_ids": receipt.platform_ids,
        "reason": receipt.reason,
    }
    return msgspec.json.encode(report).decode()
