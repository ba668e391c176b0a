"""/api/v1/web/{room}: speak into a chat room of bothub itself, and follow what is said there.

A message is put into its room first, together with a note that the hub has still to hear it, then handed to the hub;
the note goes when the hub has stored it. Cut off in between, it is handed over later (`StoredRooms.hand_over`); sent
again with the same `Idempotency-Key` it is the same message. So it is neither lost nor doubled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self, TypedDict, cast

import msgspec
from quart import Blueprint, Response, request

from api import current, posting, sse, uploads
from api.auth import require
from api.document import FileField, Stream, document
from api.messages import RoomMessage, cursor, shown
from api.openai.parts import attached, read
from api.ports import Hub
from api.repeats import once
from api.uploads import Upload
from hub.accounts.keys import Key
from hub.errors import InboxFull, NotFound, RequestError
from hub.message import Address, Author, Live, Message, Part
from hub.records.rooms import Post, StoredRooms, topic
from hub.signals import POLL, Listener

routes = Blueprint("web", __name__)
WEB = "web"
"""The channel whose rooms these are."""
LONGEST_NAME = 100
PAGE = 50
"""Messages read at once for a reader."""
BACKLOG = 256
"""Signs of life kept for a reader that is slow; older ones are lost, messages are not."""


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
    to = posting.address(WEB, room, chat="room")
    new, files = await uploads.read(NewSaying)
    author = _author(new.name)
    below = None if new.press is None else await _pressed(to, new, files)
    if below is None:
        said = await _said(new, files)
    else:
        said = posting.parts(cast(Press, new.press).value)

    async def act(id: str) -> tuple[int, Any]:
        message = Message(
            id=f"web_{id}",
            address=to if below is None else below.address,
            author=author,
            parts=said,
            at=current.hub().clock(),
            reply_to=None if below is None else str(below.id),
            shared=True,
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
    last = request.headers.get("Last-Event-ID") or request.args.get("after")
    after = cursor(last, "Last-Event-ID") if last else None
    return sse.stream(_follow(current.hub(), to, after, current.keep_alive()))


async def _said(new: NewSaying, files: Sequence[Upload]) -> tuple[Part, ...]:
    """What was said, its files stored; raises RequestError that names what is wrong, TooLarge."""
    pieces = [*read(new.text or "", "text"), *read(new.parts or [], "parts"), *attached(files)]
    return await posting.said(pieces)


async def _pressed(room: Address, new: NewSaying, files: Sequence[Upload]) -> Post:
    """The message whose button is pressed; raises RequestError where the room shows no such button."""
    press = cast(Press, new.press)
    if new.text or new.parts or files:
        raise RequestError("A press says what is on the button, and nothing else.", param="press", code="invalid_value")
    post = await _rooms(current.hub()).find(cursor(str(press.message), "press.message"))
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
    rooms = _rooms(hub)
    post = await rooms.say(message)
    try:
        await hub.accept(message)
    except (RequestError, InboxFull):
        await rooms.take_back(message.id)
        raise
    await rooms.heard(message.id)
    return post


async def _follow(hub: Hub, room: Address, after: int | None, keep_alive: float) -> AsyncIterator[bytes]:
    """The room's events; messages come from the store, so a lost signal only delays them."""
    rooms, loop = _rooms(hub), asyncio.get_running_loop()
    with _Ears(hub, room) as ears:
        seen = await rooms.newest(room.channel, room.chat_id) if after is None else after
        yield sse.KEEP_ALIVE
        spoke = looked = loop.time()
        ears.news = True
        while True:
            for live in ears.take():
                spoke = loop.time()
                yield _live(live)
            if ears.news or loop.time() - looked >= POLL:
                ears.news, looked = False, loop.time()
                posts = await rooms.read(room.channel, room.chat_id, seen, PAGE)
                ears.news = ears.news or len(posts) == PAGE
                for post in posts:
                    seen, spoke = post.id, loop.time()
                    yield b"id: %d\n" % post.id + sse.event(shown(post), "message")
            if loop.time() - spoke >= keep_alive:
                spoke = loop.time()
                yield sse.KEEP_ALIVE
            await ears.wait(min(POLL, keep_alive))


class _Ears:
    """What a reader has not looked at: whether its room has news, and the newest signs of life."""

    def __init__(self, hub: Hub, room: Address) -> None:
        self.news = False
        self._room = room
        self._lives: deque[Live] = deque(maxlen=BACKLOG)
        self._woken = asyncio.Event()
        self._posts = hub.signals.listen(topic(room.channel, room.chat_id))
        self._live = hub.signals.listen(f"live.{room.channel}")
        self._tasks: list[asyncio.Task[None]] = []

    async def wait(self, seconds: float) -> None:
        """Wait until there is something, at most so long."""
        if self.news:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def take(self) -> list[Live]:
        """The signs of life since the last time."""
        lives = list(self._lives)
        self._lives.clear()
        return lives

    async def _hear_posts(self, posts: Listener) -> None:
        while True:
            await posts.next()
            self.news = True
            self._woken.set()

    async def _hear_live(self, lives: Listener) -> None:
        while True:
            payload = await lives.next()
            live = None if payload is None else _LIVE.decode(payload)
            if live is not None and live.kind != "reasoning" and live.address.chat_id == self._room.chat_id:
                self._lives.append(live)
                self._woken.set()

    def __enter__(self) -> Self:
        posts, lives = self._posts.__enter__(), self._live.__enter__()
        self._tasks = [asyncio.create_task(self._hear_posts(posts)), asyncio.create_task(self._hear_live(lives))]
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self._posts.__exit__(None, None, None)
        self._live.__exit__(None, None, None)


def _live(live: Live) -> bytes:
    about = {"turn": live.turn, "thread_id": live.address.thread_id}
    if live.kind == "delta":
        return sse.event({**about, "offset": live.offset, "text": live.text}, "delta")
    return sse.event({**about, "active": live.kind == "typing"}, "typing")


def _rooms(hub: Hub) -> StoredRooms:
    return StoredRooms(hub.store, hub.signals, hub.clock)


_LIVE = msgspec.json.Decoder(Live)
