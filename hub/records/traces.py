"""What people leave in the store: how it is told whose something is, how it is shown, how it is erased.

A person is `channel:sender`, over HTTP `api:` and the key's id. Functions that take a connection are units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, func, or_, select, tuple_, update

from hub.errors import RequestError
from hub.memory import Heard
from hub.message import API, Address, Author, Delivery, Message, Text
from hub.records import deadletters
from hub.records.rooms import OUTBOX
from hub.store import Store, search
from hub.store.lanes import CLOSED
from hub.store.tables import (
    conversations,
    entries,
    facts,
    idempotency,
    messages,
    pairings,
    posts,
    responses,
    schedules,
    sessions,
    turns,
)

PAGE = 200
"""Rows that are read or written at a time."""
ERASED = "(erased)"
"""What stands where a person's words were."""
WORDS = ("prompt", "response", "error", "fingerprint", "session", "request_id", "stages")
"""What the row of a turn tells beside what it used."""
STOP_WAIT = 15.0
"""How long an erase waits for a turn that it stopped, in seconds."""
_JSON = msgspec.json.Decoder()
Shown = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """Somebody, by the channel and their id in it; `chats` are those they have in private, as `Address.chat`."""

    channel: str
    sender: str
    chats: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.channel}:{self.sender}"

    @property
    def key(self) -> int | None:
        """The id of the key that this is."""
        return int(self.sender) if self.channel == API and self.sender.isdecimal() else None

    @classmethod
    def parse(cls, text: str) -> Person:
        """Read `channel:sender`; raises RequestError when it has not that form."""
        channel, _, sender = text.partition(":")
        person = cls(channel, sender)
        if not channel or not sender:
            raise RequestError(f"'{text}' is nobody: write CHANNEL:SENDER, e.g. support:4242.", param="person")
        if channel == API and person.key is None:
            raise RequestError(f"'{text}' is nobody: over HTTP a person is a key, by its id.", param="person")
        return person

    def wrote(self, channel: str, author: Author) -> bool:
        """Whether they are the author of something in a channel."""
        return (self.channel, self.sender) == (API if author.kind == "api" else channel, author.id)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A table that has to be gone through: whose a row is, stands in its body."""

    table: Table
    theirs: Callable[[Person, Any], bool]
    erase: Callable[[Connection, Sequence[Any], float], int]
    """A unit: erase some rows, at a time; returns how many."""


def page(connection: Connection, table: Table, after: Any, where: Any) -> Sequence[Any]:
    """The next rows of a table, after one of them, in the order of their key."""
    key = tuple(table.primary_key)
    beyond = () if after is None else (tuple_(*key) > tuple_(*(getattr(after, column.name) for column in key)),)
    wanted = () if where is None else (where,)
    return connection.execute(select(table).where(*wanted, *beyond).order_by(*key).limit(PAGE)).all()


# Messages of the bus: what they said, and what goes to their private chats.


def read(row: Any) -> Message | Delivery | None:
    """What a message of the bus says; None where it is neither, or cannot be read."""
    kind = {"agent": Message, "channel": Delivery}.get(row.inbox.partition(":")[0])
    try:
        return None if kind is None else msgspec.json.decode(row.body, type=kind)
    except msgspec.MsgspecError:
        return None


def confides(person: Person, row: Any) -> str | None:
    """The private chat that a message of theirs was said in."""
    said = read(row)
    mine = isinstance(said, Message) and said.private and person.wrote(said.address.channel, said.author)
    return said.address.chat if mine and said is not None else None


def _exchanged(person: Person, row: Any) -> bool:
    said = read(row)
    if said is None:
        return False
    return person.wrote(said.address.channel, said.author) or said.address.chat in person.chats


def _blank(connection: Connection, rows: Sequence[Any], now: float) -> int:
    done = 0
    for row in rows:
        said = read(row)
        if said is None or (said == (blank := _blanked(said)) and row.error is None):
            continue
        here = (messages.c.lane_id == row.lane_id, messages.c.seq == row.seq)
        connection.execute(update(messages).where(*here).values(body=msgspec.json.encode(blank), error=None))
        if row.outcome == "dead" and row.reason not in CLOSED:
            deadletters.close(connection, row.inbox, row.mid, "discarded", now)
        done += 1
    return done


def _blanked(said: Message | Delivery) -> Message | Delivery:
    """Without words; ids and address stay, by which it is known not to come again."""
    author = msgspec.structs.replace(said.author, name=ERASED)
    parts = (Text(text=ERASED),) if said.parts else ()
    if isinstance(said, Delivery):
        return msgspec.structs.replace(said, author=author, parts=parts, buttons=())
    return msgspec.structs.replace(
        said, author=author, parts=parts, quoted=None, params={}, instructions=None, tools=[], results={}
    )


# Web rooms: what they said there, also what the hub has still to hear.


def _posted(person: Person, row: Any) -> bool:
    body = _JSON.decode(row.body)
    channel = body["address"]["channel"] if row.channel == OUTBOX else row.channel
    return person.wrote(channel, msgspec.convert(body["author"], Author))


def _drop_posts(connection: Connection, rows: Sequence[Any], _now: float) -> int:
    return connection.execute(delete(posts).where(posts.c.id.in_([row.id for row in rows]))).rowcount


# Turns: what they used is the accounts' and stays.


def _has_words(row: Any) -> bool:
    return any(value is not None for value in (row.prompt, row.response, row.error, row.fingerprint))


def _blank_turns(connection: Connection, rows: Sequence[Any], _now: float) -> int:
    return silence(connection, [row.id for row in rows])


def silence(connection: Connection, ids: Sequence[str]) -> int:
    """A unit: take the words out of some turns; returns how many there are."""
    return connection.execute(update(turns).where(turns.c.id.in_(ids)).values(dict.fromkeys(WORDS))).rowcount


# Schedules: those of their private chats.


def _awaits(person: Person, row: Any) -> bool:
    return address_of(row) in person.chats


def _drop_schedules(connection: Connection, rows: Sequence[Any], _now: float) -> int:
    return connection.execute(delete(schedules).where(schedules.c.id.in_([row.id for row in rows]))).rowcount


SCHEDULES = Trace(table=schedules, theirs=_awaits, erase=_drop_schedules)
MESSAGES = Trace(table=messages, theirs=_exchanged, erase=_blank)
POSTS = Trace(table=posts, theirs=_posted, erase=_drop_posts)
TURNS = Trace(
    table=turns,
    theirs=lambda person, row: row.key_id is not None and row.key_id == person.key and _has_words(row),
    erase=_blank_turns,
)


# What an index finds: each unit does a page of it and says how much that was; 0 is the end.


def drop_facts(connection: Connection, person: Person) -> int:
    """Forget what they had remembered."""
    some = select(facts.c.id).where(remembered(person)).limit(PAGE)
    return connection.execute(delete(facts).where(facts.c.id.in_(some))).rowcount


def blank_said(connection: Connection, person: Person) -> int:
    """Take their words out of groups; that they said something stays, or the answers would hang in the air."""
    some = select(entries.c.id).where(entries.c.author == str(person)).limit(PAGE)
    ids = connection.execute(some).scalars().all()
    if ids:
        blank = {"body": msgspec.json.encode(Heard(text=ERASED)), "author": None}
        connection.execute(update(entries).where(entries.c.id.in_(ids)).values(blank))
        search.forget(connection, ids)
    return len(ids)


def drop_entries(connection: Connection, person: Person) -> int:
    """Erase what was said in their private chats by either side, with what the turns' rows have of it."""
    some = select(entries.c.id, entries.c.turn).join(sessions, sessions.c.id == entries.c.session)
    rows = connection.execute(some.where(sessions.c.person == str(person)).limit(PAGE)).all()
    silence(connection, drop(connection, rows))
    return len(rows)


def drop(connection: Connection, rows: Sequence[Any]) -> list[str]:
    """A unit: erase entries by their `id` and `turn`; returns the turns."""
    ids = [row.id for row in rows]
    if ids:
        search.forget(connection, ids)
        connection.execute(delete(entries).where(entries.c.id.in_(ids)))
    return sorted({row.turn for row in rows})


def drop_sessions(connection: Connection, person: Person) -> int:
    """Erase their private sessions that are empty, and the conversations these were the current ones of.

    The newest session of all stays, empty: SQLite would give its id to the next one, which a turn that still runs may
    then take for its own.
    """
    newest = connection.execute(select(func.max(sessions.c.id))).scalar()
    mine = select(sessions.c.id).where(sessions.c.person == str(person), sessions.c.id != newest)
    empty = ~select(entries.c.id).where(entries.c.session == sessions.c.id).exists()
    ids = connection.execute(mine.where(empty).limit(PAGE).with_for_update()).scalars().all()
    connection.execute(delete(conversations).where(conversations.c.session.in_(ids)))
    return connection.execute(delete(sessions).where(sessions.c.id.in_(ids))).rowcount


def drop_responses(connection: Connection, person: Person) -> int:
    """Erase their responses: what they asked, and what models answered."""
    if person.key is None:
        return 0
    some = select(responses.c.id).where(responses.c.key_id == person.key).limit(PAGE)
    return connection.execute(delete(responses).where(responses.c.id.in_(some))).rowcount


def drop_answers(connection: Connection, person: Person) -> int:
    """Forget what their requests with an `Idempotency-Key` were answered."""
    if person.key is None:
        return 0
    mine = select(idempotency.c.key).where(idempotency.c.key_id == person.key).limit(PAGE)
    statement = delete(idempotency).where(idempotency.c.key_id == person.key, idempotency.c.key.in_(mine))
    return connection.execute(statement).rowcount


async def clean(store: Store) -> None:
    """Have the index of words forget what was taken out of it."""
    first = True
    while await store.write(partial(search.clean, first=first)):
        first = False


# How it is shown.


def of_pairing(connection: Connection, person: Person) -> Shown | None:
    """A unit: how they were let in, or ask to be."""
    mine = select(pairings).where(pairings.c.channel == person.channel, pairings.c.sender == person.sender)
    row = connection.execute(mine).first()
    return None if row is None else plain(row, "code")


def plain(row: Any, *without: str) -> Shown:
    """A row as it is, with its body read and without what is nothing."""
    shown = {name: value for name, value in row._mapping.items() if value is not None and name not in without}
    return {name: _JSON.decode(value) if isinstance(value, bytes) else value for name, value in shown.items()}


def remembered(person: Person) -> Any:
    """The facts that they had remembered, and those about their private chats."""
    return or_(facts.c.author == str(person), facts.c.owner.in_([f"chat:{chat}" for chat in person.chats]))


def in_private(person: Person) -> Any:
    """The sessions of their private chats."""
    return sessions.c.person == str(person)


def address_of(row: Any) -> str:
    """The chat of a session or schedule."""
    return Address.parse(row.address).chat
