"""What goes out: messages, changes to them, and signs of life."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import discord
from discord.ui import Button as Pressable
from discord.ui import View

from channels.discord.errors import DEAD_TOKEN, NO_HISTORY, NO_PERMISSION, UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK
from channels.discord.memory import Deferred, Memory
from channels.discord.read import LABELLED
from channels.discord.render import render
from hub.channel import Sending
from hub.errors import MessageRefused
from hub.message import Address, Button, Buttons, Text
from hub.text import size

ROWS, IN_ROW, LABEL, VALUE = 5, 5, 80, 100
"""What Discord has room for below a message."""
NONCE = 25
"""The longest key that Discord takes."""
COPIES = 3
"""How often a message may be deleted while it is being sent."""
LENGTH = 2000
"""The longest text of a message, in UTF-16."""


async def send(speaker: discord.Client, memory: Memory, sending: Sending) -> str:
    """Send one message; a repeated key within a few minutes is the same message. Returns its id."""
    found = memory.deferred(sending)
    if found is not None:
        name, command = found
        if await _answer(speaker, command, sending):
            memory.waiting.pop(name, None)
            memory.answered.put(str(command.message), command)
            return str(command.message)
    place = _place(speaker, sending.address)
    reference = _reference(place.id, sending.reply_to)
    try:
        return await _post(place, sending, reference)
    except discord.HTTPException as error:
        if error.code == NO_PERMISSION and not isinstance(sending.part, Text):
            # Perhaps only files are forbidden: that must not end the whole chat.
            raise MessageRefused("Discord refuses: the bot may not send files there.") from None
        if error.code != NO_HISTORY or not reference:
            raise
    return await _post(place, sending, {})


async def _post(place: discord.PartialMessageable, sending: Sending, more: dict[str, Any]) -> str:
    """Send, unless this key was sent before; if that was with another text, or was deleted since, see to it."""
    for number in range(COPIES):
        try:
            return await _post_once(place, sending, more, f"{sending.key}#{number}")
        except discord.NotFound as error:
            if error.code != UNKNOWN_MESSAGE or number == COPIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


async def _post_once(place: discord.PartialMessageable, sending: Sending, more: dict[str, Any], key: str) -> str:
    """discord.py asks Discord to enforce the nonce: then what comes back may be what was sent before."""
    what = _content(sending)
    nonce = hashlib.blake2b(key.encode(), digest_size=NONCE // 2).hexdigest()
    posted: discord.Message = await place.send(**what, **more, nonce=nonce)
    same = posted.content == str(what.get("content", "")).strip() and bool(posted.components) == ("view" in what)
    if not same:
        await place.get_partial_message(posted.id).edit(**_change(sending))
    return str(posted.id)


async def edit(speaker: discord.Client, memory: Memory, sending: Sending, platform_id: str) -> None:
    """Put a part in the place of what was sent; raises MessageRefused's cause when it is not there any more."""
    command = memory.answered.get(platform_id)
    if command is not None and command.open and await _answer(speaker, command, sending):
        return
    await _message(speaker, sending.address, platform_id).edit(**_change(sending))


async def delete(speaker: discord.Client, address: Address, platform_id: str) -> None:
    """Take a message back; what is not there any more is no error."""
    try:
        await _message(speaker, address, platform_id).delete()
    except discord.NotFound as error:
        if error.code != UNKNOWN_MESSAGE:
            raise


async def react(speaker: discord.Client, address: Address, platform_id: str, emoji: str) -> None:
    await _message(speaker, address, platform_id).add_reaction(emoji)


async def typing(speaker: discord.Client, address: Address) -> None:
    await _place(speaker, address).typing()


async def _answer(speaker: discord.Client, command: Deferred, sending: Sending) -> bool:
    """Fill in the answer to a command; done twice it is the same. False when it is too late for that."""
    hook = discord.Webhook.partial(command.application, command.token, client=speaker)
    try:
        await hook.edit_message(command.message, **_change(sending))
    except discord.HTTPException as error:
        if error.code not in (DEAD_TOKEN, UNKNOWN_WEBHOOK, UNKNOWN_MESSAGE):
            raise
        return False
    return True


def _place(speaker: discord.Client, address: Address) -> discord.PartialMessageable:
    """Threads are channels of their own in Discord."""
    return speaker.get_partial_messageable(int(address.thread_id or address.chat_id))


def _message(speaker: discord.Client, address: Address, platform_id: str) -> discord.PartialMessage:
    return _place(speaker, address).get_partial_message(int(platform_id))


def _content(sending: Sending) -> dict[str, Any]:
    what: dict[str, Any] = {}
    if isinstance(sending.part, Text):
        rendered = render(sending.part.text)
        what["content"] = rendered if size(rendered) <= LENGTH else sending.part.text
    else:
        what["file"] = discord.File(io.BytesIO(sending.content), filename=sending.part.name)
    if sending.buttons:
        what["view"] = _view(sending.buttons)
    return what


def _change(sending: Sending) -> dict[str, Any]:
    """Everything a message is to be from now on."""
    what: dict[str, Any] = {"content": None, "view": None, "attachments": [], **_content(sending)}
    file = what.pop("file", None)
    return {**what, "attachments": [file]} if file else what


def _reference(place: int, reply_to: str | None) -> dict[str, Any]:
    """The question above its answer; it may have been deleted meanwhile."""
    if reply_to is None or not reply_to.isdecimal():
        return {}
    return {"reference": discord.MessageReference(message_id=int(reply_to), channel_id=place, fail_if_not_exists=False)}


def _view(rows: Buttons) -> View:
    """The buttons, in as many rows as there are; discord.py is not to keep them, pressing is told anyway."""
    view, taken = View(timeout=None), set[str]()
    lines = [row[start : start + IN_ROW] for row in rows for start in range(0, len(row), IN_ROW)]
    for index, line in enumerate(lines[:ROWS]):
        for column, button in enumerate(line):
            said = _id(button, taken, f"{LABELLED}{index}.{column}")
            taken.add(said)
            view.add_item(Pressable[View](label=_label(button), custom_id=said, row=index))
    view.stop()
    return view


def _label(button: Button) -> str:
    label = button.text.strip() or button.value.strip() or "…"
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"


def _id(button: Button, taken: set[str], spare: str) -> str:
    """The value, where Discord has room for it; else pressing says the label."""
    fits = 0 < len(button.value) <= VALUE and not button.value.startswith(LABELLED)
    return button.value if fits and button.value not in taken else spare
