"""/api/v1/messages: LettaBot's way to post to a chat, and what was said in a web room. Times: whole Unix seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta
from quart import Blueprint, Response

from api import current, downloads, posting, rooms, uploads
from api.auth import require
from api.deliveries import OPEN, WAIT, check, post
from api.document import Content, FileField, document
from api.errors import FlatError
from api.openai.parts import Piece, attached, posted
from api.openai.parts import file as one_file
from api.openai.parts import read as content
from api.repeats import once
from api.uploads import Upload
from api.wire import answer, query
from hub.delivery.deliveries import DeliveryRecord
from hub.errors import NotFound, RequestError
from hub.inline import ANY
from hub.message import File, Part
from hub.records.rooms import Post

routes = Blueprint("messages", __name__)
Kind = Literal["image", "audio", "video", "file"]
LIMIT = 50
MOST = 200
DIGITS = 18
"""A cursor is a number that a database can hold."""


class InlineFile(msgspec.Struct):
    """A file inline, or one that was uploaded to /v1/files."""

    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class NewMessage(msgspec.Struct):
    """The body of POST /api/v1/messages, in LettaBot's names or ours."""

    channel: str | None = None
    chat_id: str | int | None = None
    chatId: str | int | None = None  # noqa: N815 - LettaBot's name
    thread_id: str | int | None = None
    threadId: str | int | None = None  # noqa: N815
    text: str | None = None
    file: str | InlineFile | None = None
    """Inline: a `data:` URL, or a name and one."""
    kind: Kind | None = None
    """How the file shall be taken; `file` is one to save, whatever it is."""


class MessageForm(msgspec.Struct):
    """The same as a form."""

    channel: str | None = None
    chat_id: str | None = None
    chatId: str | None = None  # noqa: N815
    thread_id: str | None = None
    threadId: str | None = None  # noqa: N815
    text: str | None = None
    file: FileField | None = None
    kind: Kind | None = None


NOTE = {"channel": "web", "chatId": "lobby", "text": "The build is done."}


class Posted(TypedDict):
    """What the platform took; `messageId` is its own id."""

    success: Literal[True]
    messageId: str | None
    status: str
    id: str


class Waiting(TypedDict):
    """That it is on its way."""

    success: Literal[True]
    status: Literal["waiting"]
    reason: str | None
    id: str


class NotPosted(FlatError):
    """That it could not be delivered."""

    id: str


class Speaker(TypedDict):
    """Who said something."""

    id: str
    name: str
    kind: Literal["person", "bot", "agent", "api"]


class RoomFile(TypedDict):
    """A file of a message; `size` in bytes."""

    name: str
    media_type: str
    size: int
    url: str


class RoomButton(TypedDict):
    """A button below a message."""

    text: str
    value: str


class RoomMessage(TypedDict):
    """A message of a web room."""

    id: str
    channel: str
    chat_id: str
    thread_id: str | None
    author: Speaker
    text: str
    files: list[RoomFile]
    buttons: list[list[RoomButton]]
    at: int


class RoomMessages(TypedDict):
    """Messages, the oldest first; `next` is what `after` shall be to go on."""

    messages: list[RoomMessage]
    next: str | None


class Since(msgspec.Struct):
    """Which messages of a room."""

    channel: str
    chat_id: str
    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = LIMIT


@routes.post("/api/v1/messages")
@require("deliver")
@document(
    {200: Posted, 202: Waiting, 502: NotPosted},
    body=NewMessage,
    example=NOTE,
    form=MessageForm,
    errors=(429,),
    once=True,
)
async def create() -> Response:
    """Post to a chat and wait 10 s for the end: 200 delivered, 202 still waiting, 502 not delivered."""
    new, files = await uploads.read(NewMessage)
    to = posting.address(
        new.channel, new.chatId if new.chat_id is None else new.chat_id, new.thread_id or new.threadId, chat="chatId"
    )
    check(current.key(), to)
    said = await _said(new, files)

    async def act(id: str) -> tuple[int, Any]:
        return _outcome(await post(f"dlv_{id}", to, said, WAIT))

    return await once([to, said], act)


@routes.get("/api/v1/messages")
@require("read")
@document({200: RoomMessages}, query=Since, errors=(404,))
async def index() -> Response:
    """What was said in a web room after a cursor, the oldest first; `next` is the cursor to go on with."""
    since = query(Since)
    asked, after = posting.address(since.channel, since.chat_id), cursor(since.after, "after")
    hub = current.hub()
    room = await hub.posts.room(asked)
    rooms.check(current.key(), room.chat_id)
    posts = await rooms.stored(hub).read(room.channel, room.chat_id, after, since.limit)
    following = str(posts[-1].id) if posts else since.after
    return answer({"messages": [shown(post) for post in posts], "next": following})


@routes.get(f"/api/v1/messages/<int(max={10**DIGITS - 1}):id>/files/<int(max={10**DIGITS - 1}):index>")
@require("read")
@document({200: Content("*/*")})
async def file(id: int, index: int) -> Response:
    """What is in a file of a message in a web room; a browser shows only what cannot run there."""
    return await download(await rooms.stored(current.hub()).find(id), id, index)


async def download(post: Post | None, id: int, index: int) -> Response:
    """A file of a post as its reader gets it; raises NotFound, also where the post is in a room of somebody else."""
    gone = NotFound(f"There is no file {index} of a message {id}.", code="unknown_file")
    if post is None or index >= len(post.files):
        raise gone
    try:
        rooms.check(current.key(), post.address.chat_id)
    except NotFound:
        raise gone from None
    return await downloads.stored(post.files[index])


def cursor(value: str | None, param: str, *, of: str = "a message") -> int:
    """A cursor from a request, 0 for none; raises RequestError."""
    if not value:
        return 0
    if not (value.isascii() and value.isdecimal() and len(value) <= DIGITS):
        raise RequestError(f"{param} must be the id of {of}.", param=param, code="invalid_value")
    return int(value)


def shown(post: Post) -> RoomMessage:
    """A message of a room as its readers see it."""
    author, address = post.author, post.address
    return {
        "id": str(post.id),
        "channel": address.channel,
        "chat_id": address.chat_id,
        "thread_id": address.thread_id,
        "author": {"id": author.id, "name": author.name, "kind": author.kind},
        "text": post.text,
        "files": [
            {
                "name": file.name,
                "media_type": file.media_type,
                "size": file.size,
                "url": f"/api/v1/messages/{post.id}/files/{index}",
            }
            for index, file in enumerate(post.files)
        ],
        "buttons": [[{"text": button.text, "value": button.value} for button in row] for row in post.buttons],
        "at": int(post.at),
    }


async def _said(new: NewMessage, files: Sequence[Upload]) -> tuple[Part, ...]:
    """What is posted, its files stored; raises RequestError that names what is wrong, TooLarge."""
    pieces = [*content(new.text or "", "text"), *_inline(new.file), *attached(files)]
    parts = await posted(pieces)
    return tuple(_as(new.kind, part) if isinstance(part, File) and new.kind else part for part in parts)


def _inline(file: str | InlineFile | None) -> list[Piece]:
    match file:
        case None:
            return []
        case str():
            return [Piece({}, "file", uploads.inline(file, None, "file"))]
        case InlineFile():
            return [Piece({}, "file", one_file(msgspec.structs.asdict(file), "file"))]


def _as(kind: Kind, file: File) -> File:
    """The file as it shall be taken; raises RequestError where it is something else."""
    if kind == "file":
        return msgspec.structs.replace(file, media_type=ANY)
    if not file.media_type.startswith(f"{kind}/"):
        problem = f"kind: '{file.name}' is {file.media_type}, not of the kind '{kind}'."
        raise RequestError(problem, param="kind", code="invalid_value")
    return file


def _outcome(record: DeliveryRecord) -> tuple[int, dict[str, Any]]:
    known = {"id": record.delivery.id}
    if record.status == "delivered":
        first = record.parts[0].platform_id if record.parts else None
        return 200, {"success": True, "messageId": first, "status": record.status, **known}
    if record.status in OPEN:
        reason = current.hub().posts.waiting_because(record)
        return 202, {"success": True, "status": "waiting", "reason": reason, **known}
    why = record.last_error or record.reason or record.status
    return 502, {"success": False, "error": f"Not delivered: {why}", "code": "delivery_failed", **known}
