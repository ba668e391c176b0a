"""/api/v1/web/{room}: speak into a chat room of bothub itself, and follow what is said there.

A message is put into its room first, together with a note that the hub has still to hear it, then handed to the hub;
the note goes when the hub has stored it. Cut off in between, it is handed over later (`StoredRooms.hand_over`); sent
again with the same `Idempotency-Key` it is the same message. So it is neither lost nor doubled.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, TypedDict, cast

import msgspec
from quart import Blueprint, Response, request

from api import current, posting, rates, rooms, sse, uploads
from api.auth import require
from api.document import FileField, Stream, document
from api.messages import RoomMessage, cursor, shown
from api.openai.parts import attached, posted, read
from api.ports import Hub
from api.repeats import once
from api.uploads import Upload
from hub.accounts.keys import Key
from hub.errors import InboxFull, NotFound, RequestError
from hub.message import WEB, Address, Author, Live, Message, Part
from hub.records.rooms import Post

routes = Blueprint("web", __name__)
LONGEST_NAME = 100


class Press(msgspec.Struct):
    """A button that is pressed: the id of the message above it, and what it says."""

    message: str | int
    value: str


class NewSaying(msgspec.Struct):
    """The body of POST /api/v1/web/{room}: something said, or a button pressed."""

    text: str | None = None
    name: str | None = None
    parts: list[dict[str, Any]] | None = None
    press: Press | None = None


SAYING = {"text": "count to 3", "name": "Ann"}


class SayingForm(msgspec.Struct):
    """The same as a form, with files."""

    text: str | None = None
    name: str | None = None
    files: list[FileField] | None = None


class Said(TypedDict):
    """What is stored now: `id` in the room, `message_id` for the hub."""

    id: str
    message_id: str


class Delta(TypedDict):
    """A piece of an answer that is being written, at its `offset`."""

    turn: str
    thread_id: str | None
    offset: int
    text: str


class Typing(TypedDict):
    """That an agent writes, or has stopped."""

    turn: str
    thread_id: str | None
    active: bool


class From(msgspec.Struct):
    """Where to begin."""

    after: str | None = None


@routes.post("/api/v1/web/<room>")
@require("chat")
@document(
    {202: Said},
    body=NewSaying,
    example=SAYING,
    form=SayingForm,
    errors=(429,),
    once=True,
)
async def say(room: str) -> Response:
    """Say something to the room's agent: 202 once it is stored; `id` is the message's in the room."""
    return await speak(posting.address(WEB, room, chat="room"))


async def speak(to: Address) -> Response:
    """Have the key of the request say in a room what its body says."""
    partner = await rooms.partner(to.chat_id)
    new, files = await uploads.read(NewSaying)
    author = _author(new.name)
    below = None if new.press is None else await _pressed(to, new, files)
    if below is None:
        said = await _said(new, files)
    else:
        said = posting.parts(cast(Press, new.press).value)

    async def act(id: str) -> tuple[int, Any]:
        if partner is not None:
            await rates.count()
        message = Message(
            id=f"web_{id}",
            address=to if below is None else below.address,
            author=author,
            parts=said,
            at=current.hub().clock(),
            reply_to=None if below is None else str(below.id),
            shared=partner is None,
            agent=partner and partner.name,
            payer=partner and current.key().pays,
        )
        return 202, {"id": await _speak(message), "message_id": message.id}

    return await once([to.chat_id, author, said, below and below.id], act)


@routes.get("/api/v1/web/<room>/events")
@require("read")
@document(
    {200: Stream(message=RoomMessage, delta=Delta, typing=Typing)},
    query=From,
    headers={"Last-Event-ID": "The id of the last message that was seen; browsers send it."},
)
async def events(room: str) -> Response:
    """What is said from now on, or after `Last-Event-ID` (else `after`), as server-sent events."""
    to = posting.address(WEB, room, chat="room")
    rooms.check(current.key(), to.chat_id)
    last = request.headers.get("Last-Event-ID") or request.args.get("after")
    after = cursor(last, "Last-Event-ID") if last else None
    return sse.stream(_follow(current.hub(), to, after, current.keep_alive()))


async def _said(new: NewSaying, files: Sequence[Upload]) -> tuple[Part, ...]:
    """What was said, its files stored; raises RequestError that names what is wrong, TooLarge."""
    pieces = [*read(new.text or "", "text"), *read(new.parts or [], "parts"), *attached(files)]
    return await posted(pieces)


async def _pressed(room: Address, new: NewSaying, files: Sequence[Upload]) -> Post:
    """The message whose button is pressed; raises RequestError where the room shows no such button."""
    press = cast(Press, new.press)
    if new.text or new.parts or files:
        raise RequestError("A press says what is on the button, and nothing else.", param="press", code="invalid_value")
    post = await rooms.stored(current.hub()).find(cursor(str(press.message), "press.message"))
    if post is None or (post.address.channel, post.address.chat_id) != (room.channel, room.chat_id):
        raise NotFound(f"There is no message {press.message} in this room.", param="press.message")
    if press.value not in {button.value for row in post.buttons for button in row}:
        problem = f"Message {press.message} has no button with this value."
        raise RequestError(problem, param="press.value", code="invalid_value")
    return post


def _author(name: str | None) -> Author:
    """Who speaks: the key, or somebody whom the key calls by a name."""
    key: Key = current.key()
    if not name:
        return Author(id=str(key.id), name=key.name)
    if len(name) > LONGEST_NAME:
        problem = f"name is over the limit of {LONGEST_NAME} characters."
        raise RequestError(problem, param="name", code="invalid_value")
    return Author(id=f"{key.id}/{name}", name=name)


async def _speak(message: Message) -> str:
    hub = current.hub()
    stored = rooms.stored(hub)
    post = await stored.say(message)
    try:
        await hub.accept(message)
    except (RequestError, InboxFull):
        await stored.take_back(message.id)
        raise
    await stored.heard(message.id)
    return post


async def _follow(hub: Hub, room: Address, after: int | None, keep_alive: float) -> AsyncGenerator[bytes]:
    """The room's events."""
    async with aclosing(rooms.follow(hub, room, after, keep_alive)) as happenings:
        async for happened in happenings:
            if not happened:
                yield sse.KEEP_ALIVE
            for one in happened:
                if isinstance(one, Post):
                    yield b"id: %d\n" % one.id + sse.event(shown(one), "message")
                elif one.kind in ("delta", "typing", "done"):
                    yield _live(one)


def _live(live: Live) -> bytes:
    about = {"turn": live.turn, "thread_id": live.address.thread_id}
    if live.kind == "delta":
        return sse.event({**about, "offset": live.offset, "text": live.text}, "delta")
    return sse.event({**about, "active": live.kind == "typing"}, "typing")
