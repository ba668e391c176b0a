"""Stored chat rooms: what people say in them and what agents send, in one order.

A room is an address without its thread; it exists once something was said in it. Row ids are the order, so a reader
goes on after the newest id it has seen. What people say is stored together with a note that the hub has still to
hear it (an outbox: rows of the nameless channel), so a crash in between loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import structlog
from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, text

from hub.channel import Sending
from hub.errors import HubError
from hub.message import OWN, Address, Author, Buttons, File, Message, Part, Value, text_of
from hub.signals import Signals
from hub.store import Store
from hub.store.tables import posts

log = structlog.get_logger()
OUTBOX = ""
"""The channel of notes about what the hub has still to hear; no configured channel has this name."""
_ANSWER = re.compile(r"sent:[^:]*:(.+)\.reply\.0")
"""The key of the first message of an answer, which names its turn."""


class Post(Value, frozen=True, kw_only=True):
    """One message in a room; `at` is a Unix time in seconds."""

    id: int
    address: Address
    author: Author
    parts: tuple[Part, ...]
    at: float
    buttons: Buttons = ()
    turn: str | None = None
    """The turn whose answer begins with it."""

    @property
    def text(self) -> str:
        return text_of(self.parts)

    @property
    def files(self) -> tuple[File, ...]:
        return tuple(part for part in self.parts if isinstance(part, File))


class _Body(Value, frozen=True, kw_only=True):
    author: Author
    parts: tuple[Part, ...]
    buttons: Buttons = ()


class _New(NamedTuple):
    """A post on its way into its room; the same `key` again is the same post."""

    key: str
    address: Address
    body: _Body
    at: float


class Told(Value, frozen=True, kw_only=True):
    """A room in a list: what was said there first, and when something was said last."""

    room: str
    text: str
    at: float


def topic(channel: str, chat_id: str) -> str:
    """The signal that something was said in a room: `room.<channel>.<chat_id>`, the chat as one plain word."""
    return f"room.{channel}.{quote(chat_id, safe='').replace('.', '%2E')}"


class StoredRooms:
    """Rooms in the store."""

    def __init__(self, store: Store, signals: Signals, clock: Callable[[], float]) -> None:
        self._store = store
        self._signals = signals
        self._clock = clock

    async def post(self, sending: Sending) -> str:
        """Put what an agent or a program sends into the room, once per key; returns the post's id."""
        address = sending.address
        body = _Body(author=sending.author, parts=(sending.part,), buttons=sending.buttons)
        new = _New(f"sent:{address.channel}:{sending.key}", address, body, self._clock())
        return await self._write(address, lambda connection: _put(connection, new))

    async def say(self, message: Message) -> str:
        """Put what a person says into the room, once per message id, and note that the hub has still to hear it.

        Whoever calls it has the hub accept the message and then says `heard`, or `take_back` when it was refused.
        """

        def unit(connection: Connection) -> int:
            body = _Body(author=message.author, parts=message.parts)
            post = _put(connection, _New(f"said:{message.id}", message.address, body, message.at))
            _note(connection, message)
            return post

        return await self._write(message.address, unit)

    async def heard(self, message_id: str) -> None:
        """The hub has accepted the message."""
        await self._store.write(lambda connection: connection.execute(_DROP, {"keys": [_outbox_key(message_id)]}))

    async def take_back(self, message_id: str) -> None:
        """The hub refused the message: it is not said any more."""
        keys = [_outbox_key(message_id), f"said:{message_id}"]
        await self._store.write(lambda connection: connection.execute(_DROP, {"keys": keys}))

    async def unheard(self, older_than: float, limit: int = 100) -> list[Message]:
        """What was said before a time and is still to be heard: somebody was cut off in between."""
        row = {"channel_": OUTBOX, "before": older_than, "limit_": limit}

        def unit(connection: Connection) -> list[Message]:
            return [msgspec.json.decode(body, type=Message) for body in connection.execute(_UNHEARD, row).scalars()]

        return await self._store.read(unit)

    async def hand_over(self, accept: Callable[[Message], Awaitable[None]], older_than: float) -> int:
        """Have the hub hear what is unheard since before a time, as far as it takes it; returns how much it took."""
        taken = 0
        for message in await self.unheard(older_than):
            try:
                await accept(message)
            except HubError as error:
                log.warning("still unheard", id=message.id, address=str(message.address), error=str(error))
            else:
                await self.heard(message.id)
                taken += 1
        return taken

    async def read(self, channel: str, chat_id: str, after: int, limit: int) -> list[Post]:
        """Up to `limit` posts of a room that follow the post `after`, the oldest first; 0 is before the first."""
        row = {"channel_": channel, "chat_": chat_id, "after": after, "limit_": limit}
        return await self._store.read(lambda connection: [_post(found) for found in connection.execute(_READ, row)])

    async def before(self, channel: str, chat_id: str, post: int | None, limit: int) -> list[Post]:
        """Up to `limit` posts of a room that come before the post, the oldest first; None: its newest."""
        row = {"channel_": channel, "chat_": chat_id, "before": post or LATEST, "limit_": limit}
        found = await self._store.read(lambda connection: connection.execute(_BEFORE, row).all())
        return [_post(each) for each in reversed(found)]

    async def owned(self, channel: str, key: int, limit: int) -> list[Told]:
        """The own rooms of a key, those where something was said last first."""
        begin = f"{OWN}{key}."
        return await self._store.read(lambda connection: _told(connection, channel, [_begun(begin)], limit))

    async def shared(self, channel: str, limit: int) -> list[Told]:
        """The rooms that everybody may enter, in the same order."""
        first, last = _begun(OWN)
        others = [("", first), (last, LAST)]
        return await self._store.read(lambda connection: _told(connection, channel, others, limit))

    async def find(self, id: int) -> Post | None:
        """A post of any room, by its id."""
        row = {"id_": id, "outbox": OUTBOX}
        found = await self._store.read(lambda connection: connection.execute(_BY_ID, row).first())
        return None if found is None else _post(found)

    async def newest(self, channel: str, chat_id: str) -> int:
        """The id of a room's newest post, 0 when nothing was said."""
        row = {"channel_": channel, "chat_": chat_id}
        return await self._store.read(lambda connection: connection.execute(_NEWEST, row).scalar() or 0)

    async def _write(self, address: Address, unit: Callable[[Connection], int]) -> str:
        post = await self._store.write(unit)
        self._signals.send(topic(address.channel, address.chat_id))
        return str(post)


def _put(connection: Connection, new: _New) -> int:
    _lock(connection, new.address)
    if (there := connection.execute(_FIND, {"key_": new.key}).scalar()) is not None:
        return int(there)
    row = {"key": new.key, "body": msgspec.json.encode(new.body), "at": new.at, **_place(new.address)}
    return int(connection.execute(insert(posts).returning(posts.c.id), row).scalar_one())


def _lock(connection: Connection, address: Address) -> None:
    """One writer a room: ids become visible in their order, so that no reader steps over one.

    SQLite has one writer anyhow.
    """
    if connection.dialect.name == "postgresql":
        room = f"{address.channel}:{address.chat_id}"
        connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:room, 0))"), {"room": room})


def _note(connection: Connection, message: Message) -> None:
    key = _outbox_key(message.id)
    if connection.execute(_FIND, {"key_": key}).scalar() is None:
        row = {"key": key, "channel": OUTBOX, "chat_id": "", "thread_id": None, "at": message.at}
        connection.execute(insert(posts), {**row, "body": msgspec.json.encode(message)})


def _outbox_key(message_id: str) -> str:
    return f"unheard:{message_id}"


def _place(address: Address) -> dict[str, str | None]:
    return {"channel": address.channel, "chat_id": address.chat_id, "thread_id": address.thread_id}


def _post(row: Any) -> Post:
    body = _BODY.decode(row.body)
    address = Address(row.channel, row.chat_id, row.thread_id)
    answer = _ANSWER.fullmatch(row.key)
    return Post(
        id=row.id,
        address=address,
        author=body.author,
        parts=body.parts,
        at=row.at,
        buttons=body.buttons,
        turn=answer and answer[1],
    )


def _begun(begin: str) -> tuple[str, str]:
    """From which name on, and before which one, all begin so."""
    return begin, begin[:-1] + chr(ord(begin[-1]) + 1)


def _told(connection: Connection, channel: str, ranges: Sequence[tuple[str, str]], limit: int) -> list[Told]:
    """A unit: the rooms with some names, and their first words; it costs what these rooms are, not what was said."""
    found: list[Any] = []
    for first, last in ranges:
        row = {"channel_": channel, "from_": first, "before_": last, "limit_": limit}
        found += connection.execute(_ROOMS, row).all()
    newest = sorted(found, key=lambda row: -row.id)[:limit]
    return [Told(room=row.chat_id, text=text_of(_BODY.decode(row.body).parts), at=row.at) for row in newest]


def _rooms() -> Select[*tuple[Any, ...]]:
    """Those whose names are in a range, one step in the index a name, and of these where something was said last."""
    here, begun, said = posts.c.channel == bindparam("channel_"), posts.alias(), posts.alias()
    next_ = select(func.min(posts.c.chat_id).label("room")).where(here, posts.c.chat_id < bindparam("before_"))
    named = next_.where(posts.c.chat_id >= bindparam("from_")).cte("named", recursive=True)
    after = next_.where(posts.c.chat_id > named.c.room).correlate(named).scalar_subquery()
    named = named.union_all(select(after).where(named.c.room.is_not(None)))
    there = (here, posts.c.chat_id == named.c.room)
    newest = select(func.max(posts.c.id)).where(*there).correlate(named).scalar_subquery()
    rooms = select(named.c.room, newest.label("newest")).where(named.c.room.is_not(None))
    found = rooms.order_by(newest.desc()).limit(bindparam("limit_")).subquery("found")
    first = select(func.min(posts.c.id)).where(here, posts.c.chat_id == found.c.room).correlate(found)
    return (
        select(said.c.id, begun.c.chat_id, begun.c.body, said.c.at)
        .join_from(found, said, said.c.id == found.c.newest)
        .join(begun, begun.c.id == first.scalar_subquery())
    )


_ROOMS = _rooms()
LAST = "\U0010ffff"
"""After the name of any room."""
LATEST = 10**18
"""Greater than the id of any post."""
_BODY = msgspec.json.Decoder(_Body)
_ROOM = (posts.c.channel == bindparam("channel_"), posts.c.chat_id == bindparam("chat_"))
_FIND = select(posts.c.id).where(posts.c.key == bindparam("key_"))
_READ = select(posts).where(*_ROOM, posts.c.id > bindparam("after")).order_by(posts.c.id).limit(bindparam("limit_"))
_BEFORE = (
    select(posts).where(*_ROOM, posts.c.id < bindparam("before")).order_by(posts.c.id.desc()).limit(bindparam("limit_"))
)
_BY_ID = select(posts).where(posts.c.id == bindparam("id_"), posts.c.channel != bindparam("outbox"))
_NEWEST = select(func.max(posts.c.id)).where(*_ROOM)
_DROP = delete(posts).where(posts.c.key.in_(bindparam("keys", expanding=True)))
_UNHEARD = (
    select(posts.c.body)
    .where(posts.c.channel == bindparam("channel_"), posts.c.at < bindparam("before"))
    .order_by(posts.c.id)
    .limit(bindparam("limit_"))
)
