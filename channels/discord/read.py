"""What a Discord message or interaction says, as a message of the hub (pure); its files come later."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, cast

import discord
from discord import MessageType

from hub.channel import COMMANDS
from hub.message import Address, Author, Message, Text

SPOKEN = (MessageType.default, MessageType.reply, MessageType.chat_input_command, MessageType.context_menu_command)
"""What somebody said; the other kinds are notices of Discord's ("joined", "pinned")."""
MARK = re.compile(
    r"<(?:@!?(?P<user>\d+)|@&(?P<role>\d+)|#(?P<channel>\d+)|a?:(?P<emoji>\w+):\d+|/(?P<command>[^:<>]+):\d+|t:(?P<time>-?\d+)(?::\w)?)>"
)
ASK = "ask"
ASK_OPTION = "text"
OPTIONS: dict[str, dict[str, Any]] = {
    "agent": {"type": 3, "name": "name", "description": "Who shall answer; “default” takes it back"},
    "memory": {"type": 4, "name": "forget", "description": "The number of what to forget", "min_value": 1},
}
"""What may follow a command: a number is said as `/memory forget 2`, a text as `/agent sales`."""


def read(said: discord.Message, channel: str, me: discord.ClientUser, *, direct: bool, bots: bool) -> Message | None:
    """What was said, without its files, or None if nothing was that concerns us; `bots` may speak too."""
    if said.author.id == me.id or said.type not in SPOKEN:
        return None
    if not bots and (said.author.bot or said.webhook_id is not None):
        return None
    text = _words(said, me)
    if not text and not files_of(said):
        text = f"@{me.name}" if said.content else ""
        if not text:
            return None
    place = str(said.channel.id)
    return Message(
        id=f"{channel}.{place}.{said.id}",
        address=Address(channel, place),
        author=_author(said.author, bot=said.webhook_id is not None),
        parts=(Text(text=text),) if text else (),
        at=said.created_at.timestamp(),
        direct=direct,
        mentioned=direct or _is_mentioned(said, me),
        reply_to=str(said.id),
        quoted=_quoted(said, me),
    )


def read_interaction(asked: discord.Interaction[Any], channel: str) -> Message | None:
    """A command or a pressed button, as if it had been typed; None for what we did not offer."""
    data, place = cast(dict[str, Any], asked.data or {}), asked.channel_id
    pressed = asked.type is discord.InteractionType.component
    text = _pressed(asked, data) if pressed else _command(data)
    if place is None or not text:
        return None
    return Message(
        id=f"{channel}.{place}.{asked.id}",
        address=Address(channel, str(place)),
        author=_author(asked.user),
        parts=(Text(text=text),),
        at=asked.created_at.timestamp(),
        direct=asked.guild_id is None,
        mentioned=True,
        waited_for=not pressed,
        reply_to=str(asked.message.id) if pressed and asked.message else reply_to(asked),
        quoted=asked.message.content or None if pressed and asked.message else None,
    )


def reply_to(asked: discord.Interaction[Any]) -> str:
    """What an answer to a command names, since there is no message to reply to."""
    return f"interaction:{asked.id}"


def files_of(said: discord.Message) -> list[discord.Attachment]:
    """The files of a message, and of what it forwards."""
    return [*said.attachments, *(file for snapshot in said.message_snapshots for file in snapshot.attachments)]


def file_name(file: discord.Attachment) -> str:
    """The name that it was given; Discord's own leaves out what is not plain."""
    ending = file.filename.rpartition(".")[2] if "." in file.filename else ""
    return f"{file.title}.{ending}" if file.title and ending else file.title or file.filename


def _author(speaker: discord.User | discord.Member, *, bot: bool = False) -> Author:
    return Author(id=str(speaker.id), name=speaker.display_name, kind="bot" if bot or speaker.bot else "person")


def _words(said: discord.Message, me: discord.ClientUser) -> str:
    """Everything in a message that is not a file."""
    words = [_plain(said.content, said, me)]
    words += [f"[sticker {sticker.name}]" for sticker in said.stickers]
    for snapshot in said.message_snapshots:
        words += [f"[forwarded] {_plain(snapshot.content, said, me)}"]
        words += [f"[sticker {sticker.name}]" for sticker in snapshot.stickers]
    if said.poll:
        words.append(f"[poll] {said.poll.question} {' / '.join(answer.text for answer in said.poll.answers)}")
    return "\n\n".join(word for word in words if word)


def _plain(text: str, said: discord.Message, me: discord.ClientUser) -> str:
    """A text without mentions of the bot, and with names in the place of everybody else's ids."""
    ours = said.guild.self_role if said.guild else None

    def name(mark: re.Match[str]) -> str:
        is_us = mark["user"] == str(me.id) or (ours is not None and mark["role"] == str(ours.id))
        return "" if is_us else _name(mark, said) or mark[0]

    return re.sub(r"[ \t]*\x00[ \t]*", _gap, MARK.sub(lambda mark: name(mark) or "\x00", text)).strip()


def _gap(mark: re.Match[str]) -> str:
    return " " if mark[0][0] in " \t" and mark[0][-1] in " \t" else ""


def _name(mark: re.Match[str], said: discord.Message) -> str | None:
    """What people see where Discord writes an id; None where we do not know it."""
    guild, number = said.guild, int(mark["user"] or mark["role"] or mark["channel"] or 0)
    if mark["user"]:
        return next((f"@{user.display_name}" for user in said.mentions if user.id == number), None)
    if mark["role"]:
        role = guild.get_role(number) if guild else None
        return role and f"@{role.name}"
    if mark["channel"]:
        place = guild.get_channel_or_thread(number) if guild else None
        return place and f"#{place.name}"
    if mark["time"]:
        return _time(int(mark["time"]))
    return f":{mark['emoji']}:" if mark["emoji"] else f"/{mark['command']}"


def _time(at: int) -> str | None:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return None


def _is_mentioned(said: discord.Message, me: discord.ClientUser) -> bool:
    """By name, by the role that Discord made for the bot, or by a reply to it; not by @everyone."""
    role = said.guild.self_role if said.guild else None
    answered = _answered(said)
    return (
        any(user.id == me.id for user in said.mentions)
        or (role is not None and role.id in said.raw_role_mentions)
        or (answered is not None and answered.author.id == me.id)
    )


def _answered(said: discord.Message) -> discord.Message | None:
    found = said.reference.resolved if said.reference and said.type is MessageType.reply else None
    return found if isinstance(found, discord.Message) else None


def _quoted(said: discord.Message, me: discord.ClientUser) -> str | None:
    """What is answered; for the first message of a forum post, its title."""
    answered = _answered(said)
    if answered is not None:
        names = [f"[file {file_name(file)}]" for file in files_of(answered)]
        return "\n\n".join(word for word in [_words(answered, me), *names] if word) or None
    place = said.channel
    if isinstance(place, discord.Thread) and place.id == said.id and isinstance(place.parent, discord.ForumChannel):
        return place.name
    return None


def _command(data: dict[str, Any]) -> str | None:
    name = data.get("name")
    options = cast(list[dict[str, Any]], data.get("options") or [])
    if name in COMMANDS:
        return " ".join([f"/{name}", *map(_said, options)])
    typed = next((option.get("value") for option in options if option.get("name") == ASK_OPTION), None)
    return str(typed or "") if name == ASK else None


def _said(option: dict[str, Any]) -> str:
    value = option["value"]
    return value if isinstance(value, str) else f"{option['name']} {value}"


def _pressed(asked: discord.Interaction[Any], data: dict[str, Any]) -> str | None:
    """The value of a button; where Discord had no room for it, its label."""
    value = str(data.get("custom_id") or "")
    if data.get("component_type") != discord.ComponentType.button.value or not value.startswith(LABELLED):
        return value or None
    rows = asked.message.components if asked.message else []
    buttons = [item for row in rows if isinstance(row, discord.ActionRow) for item in row.children]
    return next((b.label for b in buttons if isinstance(b, discord.Button) and b.custom_id == value), None)


LABELLED = "bothub:label:"
"""What the ids of buttons begin with whose value is their label."""
