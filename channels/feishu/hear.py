"""What comes in, whichever way: events as messages for the hub, each stored before this returns."""

from __future__ import annotations

import asyncio
import hashlib
import json
import mimetypes
import time
from typing import Any, cast

import msgspec
import structlog

from channels.feishu.api import Api, Json, part
from channels.feishu.config import Feishu
from channels.feishu.errors import TooBig, translated
from channels.feishu.known import Known
from channels.feishu.names import Names
from channels.feishu.read import Attachment, Left, Mention, Pressed, Received, Said, content_of
from hub.channel import Intake
from hub.errors import ChannelError, HubError, RateLimited, Unreachable
from hub.message import Address, Author, File, Message, Text

log = structlog.get_logger()

RECEIVED, PRESSED = "im.message.receive_v1", "card.action.trigger"
LEFT = {
    "im.chat.member.bot.deleted_v1": "The bot was removed from the group.",
    "im.chat.disbanded_v1": "The group was dissolved.",
}
MOST = 50 * 2**20
"""The largest file that is taken in, in bytes."""
TRIES = 3
"""How often a file is asked for while Feishu is slow or busy."""
PATIENCE = 1.5
"""How long the text of a quoted message may take, in seconds: Feishu waits three for us."""
UNTYPED = "application/octet-stream"
IMAGES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


class Ears:
    """What one app hears, and what it remembers of chats: their kind, the names of people, the threads of messages."""

    def __init__(self, name: str, config: Feishu, api: Api) -> None:
        self.name = name
        self.api = api
        self.chats = Known[str]()
        """chat id -> `p2p` or `group`"""
        self.threads = Known[str]()
        """message id -> thread id, and thread id -> its last message"""
        self.said = Known[str]()
        """message id -> how a text of our own begins"""
        self._config = config
        self._names = Names(name, api)
        self._bot = ""

    async def bot(self) -> str:
        """The bot's own open_id."""
        if not self._bot:
            found = await self.api.call("GET", "/bot/v3/info")
            self._bot = str(cast(Json, found.get("bot") or {}).get("open_id") or "")
        return self._bot

    async def hear(self, raw: bytes, intake: Intake) -> None:
        """Store what an event says; what cannot be read is a dead letter. Raises HubError if it cannot be stored."""
        number = hashlib.sha256(raw).hexdigest()[:32]
        try:
            event = _object(raw)
            header = cast(Json, event.get("header") or {})
            number = str(header.get("event_id") or number)
            await self._take(str(header.get("event_type") or ""), number, event.get("event"), intake)
        except HubError:
            raise
        except (msgspec.ValidationError, ValueError) as error:
            await intake.reject(self._letter(number), raw, str(error))
        except Exception as error:
            log.exception("an event cannot be handled", channel=self.name, id=number)
            await intake.reject(self._letter(number), raw, f"{type(error).__name__}: {error}")

    def _letter(self, number: str) -> str:
        return f"{self.name}.event.{number}"

    async def _take(self, kind: str, number: str, event: Any, intake: Intake) -> None:
        if kind == RECEIVED:
            message = await self._message(msgspec.convert(event, Received), intake)
        elif kind == PRESSED:
            message = await self._press(msgspec.convert(event, Pressed), number)
        elif kind in LEFT:
            await intake.gone(msgspec.convert(event, Left).chat_id, LEFT[kind])
            return
        else:
            return
        if message is not None:
            await intake.accept(message)

    async def _message(self, received: Received, intake: Intake) -> Message | None:
        sender, said = received.sender, received.message
        who = (sender.sender_id and sender.sender_id.open_id) or ""
        bot = await self._asked_bot(said)
        if sender.sender_type != "user" and (self._config.bots != "allow" or who == await self.bot()):
            return None
        direct = said.chat_type == "p2p"
        self.chats.note(said.chat_id, "p2p" if direct else "group")
        self._remember(said)
        content = content_of(said.message_type, said.content, said.mentions, bot)
        name = await self._names.of(who, said.chat_id, direct=direct)
        message = Message(
            id=f"{self.name}.{said.chat_id}.{said.message_id}",
            address=Address(self.name, said.chat_id, said.thread_id or None),
            author=Author(id=who or "unknown", name=name, kind="person" if sender.sender_type == "user" else "bot"),
            parts=(Text(text=content.text),) if content.text or not content.files else (),
            at=int(said.create_time) / 1000,
            direct=direct,
            mentioned=direct or any(mention.open_id == bot for mention in said.mentions if bot),
            reply_to=said.message_id,
            quoted=await self._quoted(said),
        )
        if not content.files:
            return message
        wanted = await intake.admits(message)
        files = [
            await self._file(said.message_id, file, intake) if wanted else Text(text=f"[{file.name}: not fetched]")
            for file in content.files
        ]
        return msgspec.structs.replace(message, parts=(*message.parts, *files))

    async def _asked_bot(self, said: Said) -> str:
        """The bot's own id where it matters: without it nobody can tell whether a mention means the bot."""
        if not said.mentions:
            return ""
        with translated(self.name):
            return await self.bot()

    def _remember(self, said: Said) -> None:
        self._names.note(said.mentions)
        if said.thread_id:
            self.threads.note(said.message_id, said.thread_id)
            self.threads.note(said.thread_id, said.message_id)

    async def _file(self, message: str, file: Attachment, intake: Intake) -> File | Text:
        """A file of a message, kept; or a sentence that says why it is not."""
        path = f"/im/v1/messages/{part(message)}/resources/{part(file.key)}"
        for attempt in range(1, TRIES + 1):
            try:
                with translated(self.name):
                    told, content = await self.api.download(path, MOST, type=file.kind)
                return await intake.keep(*_typed(file, told, content), content)
            except TooBig:
                return Text(text=f"[{file.name}: larger than {MOST // 2**20} MB]")
            except (Unreachable, RateLimited) as error:
                if attempt == TRIES:
                    return self._missing(file, error)
                await asyncio.sleep(min(getattr(error, "retry_after", 0.2 * attempt), 2.0))
            except ChannelError as error:
                return self._missing(file, error)
        raise AssertionError("the last try returns")

    def _missing(self, file: Attachment, error: ChannelError) -> Text:
        log.warning("a file could not be loaded", channel=self.name, error=str(error))
        return Text(text=f"[{file.name}: could not be loaded]")

    async def _quoted(self, said: Said) -> str | None:
        """The text of the message that this one answers, if Feishu tells it soon; a thread knows how it began."""
        if not said.parent_id or (said.thread_id and said.parent_id == said.root_id):
            return None
        if said.parent_id in self.said:
            return self.said[said.parent_id]
        try:
            async with asyncio.timeout(PATIENCE):
                item = await self.item(said.parent_id)
            body = cast(Json, item.get("body") or {})
            mentions = msgspec.convert(item.get("mentions") or [], list[Mention])
            return content_of(str(item["msg_type"]), str(body["content"]), mentions).text or None
        except (ChannelError, TimeoutError, KeyError, ValueError, msgspec.ValidationError):
            return None

    async def item(self, message: str) -> Json:
        """A message as Feishu has it; raises a ChannelError."""
        with translated(self.name):
            found = await self.api.call("GET", f"/im/v1/messages/{part(message)}")
        items = cast(list[Json], cast(Json, found.get("data") or {}).get("items") or [{}])
        return items[0]

    async def _press(self, pressed: Pressed, number: str) -> Message | None:
        """A button's value, said by who pressed it."""
        value = _value(pressed)
        if not value:
            return None
        chat, message = pressed.context.open_chat_id, pressed.context.open_message_id
        who = pressed.operator.open_id or "unknown"
        direct = await self.is_direct(chat)
        return Message(
            id=f"{self.name}.{chat}.{number}",
            address=Address(self.name, chat, await self._thread(message)),
            author=Author(id=who, name=await self._names.of(who, chat, direct=direct)),
            parts=(Text(text=value),),
            at=time.time(),
            direct=direct,
            mentioned=True,
            reply_to=message or None,
        )

    async def is_direct(self, chat: str) -> bool:
        """Whether a chat is private, as Feishu says if nobody has spoken there; one it does not tell of is none."""
        if chat not in self.chats:
            try:
                async with asyncio.timeout(PATIENCE):
                    with translated(self.name):
                        found = await self.api.call("GET", f"/im/v1/chats/{part(chat)}")
            except (Unreachable, RateLimited, TimeoutError):
                return False
            except ChannelError:
                found = Json()
            mode = cast(Json, found.get("data") or {}).get("chat_mode")
            self.chats.note(chat, "p2p" if mode == "p2p" else "group")
        return self.chats[chat] == "p2p"

    async def _thread(self, message: str) -> str | None:
        if not message or message in self.threads:
            return self.threads.get(message) or None
        try:
            async with asyncio.timeout(PATIENCE):
                thread = str((await self.item(message)).get("thread_id") or "")
        except (ChannelError, TimeoutError):
            return None
        self.threads.note(message, thread)
        return thread or None


def chat_of(raw: bytes) -> str:
    """The chat that an event is about, or ""; events of one chat keep their order."""
    try:
        event = _object(raw).get("event")
    except ValueError:
        return ""
    found = cast(Json, event) if isinstance(event, dict) else {}
    for holder, name in (("message", "chat_id"), ("context", "open_chat_id")):
        inner = found.get(holder)
        if isinstance(inner, dict) and cast(Json, inner).get(name):
            return str(cast(Json, inner)[name])
    return str(found.get("chat_id") or "")


def _object(raw: bytes) -> Json:
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("an event is a JSON object")
    return cast(Json, found)


def _value(pressed: Pressed) -> str:
    """What a button of ours says; one of another program says its value as it is."""
    value = pressed.action.value
    if isinstance(value, dict):
        said = cast(Json, value).get("say")
        return said if isinstance(said, str) else json.dumps(value, ensure_ascii=False)
    return str(value or pressed.action.option or pressed.action.name)


def _typed(file: Attachment, told: str, content: bytes) -> tuple[str, str]:
    """The name and media type of a file: images come without either, and are known by how they begin."""
    if file.kind == "image":
        kind = next((kind for start, kind in IMAGES.items() if content.startswith(start)), "png")
        return f"image.{kind}", f"image/{kind}"
    guessed = mimetypes.guess_type(file.name)[0]
    if file.media_type != UNTYPED:
        return file.name, file.media_type
    return file.name, guessed or told or UNTYPED
