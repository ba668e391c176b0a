"""Messages of Feishu as CommonMark and the files they name (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import msgspec

Json = dict[str, Any]
KEY = re.compile(r"@_(?:user_\d+|all)")
EVERYONE = "@_all"
NAMED = {
    "share_chat": "shared group",
    "share_user": "shared contact",
    "share_calendar_event": "shared event",
    "calendar": "event",
    "general_calendar": "event",
    "merge_forward": "forwarded messages",
    "video_chat": "video call",
    "red_packet": "red packet",
    "hongbao": "red packet",
}
"""What messages are called that have nothing to say; the others go by Feishu's name for them."""


class UserId(msgspec.Struct):
    open_id: str | None = None


class Sender(msgspec.Struct):
    sender_id: UserId | None = None
    sender_type: str = "user"


class Mention(msgspec.Struct):
    """Somebody who is mentioned: `key` stands for them in the text."""

    key: str
    id: UserId | str = ""
    name: str = ""

    @property
    def open_id(self) -> str:
        return self.id if isinstance(self.id, str) else self.id.open_id or ""


class Said(msgspec.Struct):
    """A message as an event carries it."""

    message_id: str
    chat_id: str
    chat_type: str
    message_type: str
    content: str
    create_time: str
    parent_id: str = ""
    root_id: str = ""
    thread_id: str = ""
    mentions: list[Mention] = []


class Received(msgspec.Struct):
    """im.message.receive_v1"""

    sender: Sender
    message: Said


class Action(msgspec.Struct):
    value: Any = None
    option: str = ""
    name: str = ""


class Place(msgspec.Struct):
    open_chat_id: str
    open_message_id: str = ""


class Pressed(msgspec.Struct):
    """card.action.trigger"""

    operator: UserId
    action: Action
    context: Place


class Left(msgspec.Struct):
    """The bot left a chat, or the chat ended."""

    chat_id: str


class Attachment(msgspec.Struct, frozen=True):
    """A file that a message names: `key` is Feishu's, `kind` what it asks to be told with it."""

    key: str
    name: str
    kind: str
    media_type: str = "application/octet-stream"


class Content(msgspec.Struct, frozen=True):
    """What a message says, and the files in it."""

    text: str
    files: tuple[Attachment, ...] = ()


def content_of(kind: str, raw: str, mentions: Iterable[Mention] = (), bot: str = "") -> Content:
    """Read the content of a message of any kind; raises ValueError when it has not the form of its kind."""
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("the content of a message is no JSON object")
    said = cast(Json, found)
    names = _names(mentions, bot)
    match kind:
        case "text":
            return Content(_named(_string(said, "text"), names))
        case "post":
            return _post(said, names)
        case "image" | "file" | "audio" | "media" | "folder":
            return _file(kind, said)
        case "sticker":
            return Content("[sticker]")
        case "location":
            return Content(_location(said))
        case "interactive":
            return Content(_named("\n".join(_card_texts(said)), names) or "[card]")
        case _:
            return Content(_other(kind, said))


def _string(said: Json, name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        raise ValueError(f"a message has no {name}")
    return value


def _names(mentions: Iterable[Mention], bot: str) -> dict[str, str]:
    """What to write for each key: nothing for the bot itself."""
    return {m.key: "" if bot and m.open_id == bot else f"@{m.name or m.open_id}" for m in mentions}


def _named(text: str, names: dict[str, str]) -> str:
    """The text with people in the place of their keys."""

    def name(key: re.Match[str]) -> str:
        return names.get(key[0], "@all" if key[0] == EVERYONE else key[0])

    stripped = text
    for key in (key for key, name in names.items() if not name):
        stripped = re.sub(rf"{re.escape(key)}(?!\d)[ \u00a0]?", "", stripped)
    return KEY.sub(name, stripped).strip()


def _file(kind: str, said: Json) -> Content:
    if kind == "image":
        return Content("", (Attachment(_string(said, "image_key"), "image.png", "image", "image/png"),))
    name = str(said.get("file_name") or "")
    match kind:
        case "audio":
            return Content("", (Attachment(_string(said, "file_key"), name or "voice.opus", "file", "audio/ogg"),))
        case "media":
            return Content("", (Attachment(_string(said, "file_key"), name or "video.mp4", "file", "video/mp4"),))
        case "folder":
            return Content(f"[folder: {name}]" if name else "[folder]")
        case _:
            return Content("", (Attachment(_string(said, "file_key"), name or "file", "file"),))


def _location(said: Json) -> str:
    name, long, lat = (str(said.get(key) or "") for key in ("name", "longitude", "latitude"))
    return f"[location: {', '.join(filter(None, [name, f'{lat}, {long}' if lat and long else '']))}]"


def _other(kind: str, said: Json) -> str:
    told = [str(said[key]) for key in ("summary", "topic", "chat_name", "name", "chat_id", "user_id") if said.get(key)]
    texts = [str(said["text"])] if isinstance(said.get("text"), str) else []
    label = NAMED.get(kind, kind.replace("_", " "))
    return f"[{': '.join([label, *(told[:1] or texts)])}]"


def _card_texts(node: Any) -> Iterator[str]:
    """All that a card says, in reading order."""
    if isinstance(node, list):
        items = cast(list[Any], node)
        for item in items:
            yield from _card_texts(item)
    elif isinstance(node, dict):
        item = cast(Json, node)
        title = item.get("title")
        if isinstance(title, str) and title:
            yield title
        said = item.get("content") or item.get("text")
        if isinstance(said, str) and said and item.get("tag") not in ("img", "button"):
            yield said
        for value in item.values():
            if isinstance(value, dict | list):
                yield from _card_texts(value)


def _post(said: Json, names: dict[str, str]) -> Content:
    """Rich text; what was sent in several languages is read in the first."""
    post = said
    if "content" not in said:
        post = next((cast(Json, one) for one in said.values() if isinstance(one, dict) and "content" in one), said)
    rows = post.get("content")
    if not isinstance(rows, list):
        raise ValueError("a rich text has no content")
    lines = cast(list[list[Json]], rows)
    files = tuple(file for line in lines for run in line for file in _run_file(run))
    text = "\n".join("".join(_run(run, names) for run in line) for line in lines)
    title = str(post.get("title") or "")
    whole = "\n\n".join(filter(None, [f"**{title}**" if title else "", re.sub(r"\n{3,}", "\n\n", text).strip()]))
    return Content(_named(whole, names), files)


def _run_file(run: Json) -> Iterator[Attachment]:
    if run.get("tag") == "img" and run.get("image_key"):
        yield Attachment(str(run["image_key"]), "image.png", "image", "image/png")
    elif run.get("tag") == "media" and run.get("file_key"):
        yield Attachment(str(run["file_key"]), "video.mp4", "file", "video/mp4")


def _run(run: Json, names: dict[str, str]) -> str:
    text = str(run.get("text") or "")
    match run.get("tag"):
        case "a":
            return f"[{text}]({run.get('href') or ''})" if text and text != run.get("href") else str(run.get("href"))
        case "at":
            return _at(run, names)
        case "code_block":
            return f"```{str(run.get('language') or '').lower()}\n{text.rstrip()}\n```"
        case "emotion":
            return f":{run.get('emoji_type') or 'emoji'}:"
        case "hr":
            return "---"
        case "img" | "media":
            return ""
        case _:
            return _styled(text, cast(list[str], run.get("style") or []))


def _at(run: Json, names: dict[str, str]) -> str:
    key = str(run.get("user_id") or "")
    if key in names:
        return names[key]
    return "@all" if key in ("all", EVERYONE) else f"@{run.get('user_name') or key}"


MARKS: dict[str, Callable[[str], str]] = {
    "bold": lambda text: f"**{text}**",
    "italic": lambda text: f"*{text}*",
    "lineThrough": lambda text: f"~~{text}~~",
    "code": lambda text: f"`{text}`",
}


def _styled(text: str, styles: list[str]) -> str:
    """Marks go around the words: CommonMark takes none with a space inside."""
    words = text.strip()
    if not words:
        return text
    marked = words
    for style in styles:
        marked = MARKS[style](marked) if style in MARKS else marked
    start = text.index(words)
    return text[:start] + marked + text[start + len(words) :]
