"""What an agent remembers: conversations, their sessions, and the entries that are a session's history.

A session's entries are also the journal of its turns: appended step by step, never changed, unique by turn and ordinal.
Every function here is a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.agent import Found, Step
from hub.message import Address, File, Message, Value
from hub.model import Pace, ToolCall, Usage
from hub.store import search
from hub.store.listing import COUNTED
from hub.store.tables import conversations, entries, places, sessions


class Stepped(Step, frozen=True, kw_only=True, tag_field="kind", tag="step"):
    """A finished step."""


class Heard(Value, frozen=True, kw_only=True, tag_field="kind", tag="heard"):
    """A message that a turn answers, or that was only listened to; `author` is a name where several people talk.

    `sender` is `channel:id` of who said it where others read along, or may speak, as admins may in somebody's own web
    room: by it what somebody said is found again.
    `returned` is the end of the turn before, where that called functions of the asker's, with what they returned: a
    call and its result stand in one entry, wherever a history is cut.
    """

    text: str
    author: str | None = None
    sender: str | None = None
    files: tuple[File, ...] = ()
    returned: Stepped | None = None


class Said(Value, frozen=True, kw_only=True, tag_field="kind", tag="said"):
    """The end of a turn, and the tokens of the call that said it; `mark` tells why there is no more.

    `calls` are functions of the asker's: what they return is heard next (`Heard.returned`), if it comes at all.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    mark: Literal["stopped", "failed"] | None = None
    usage: Usage = Usage()
    model: str = ""
    pace: Pace | None = None


class Summary(Value, frozen=True, kw_only=True, tag_field="kind", tag="summary"):
    """What was said up to the entry with the id `upto`, in few words; it takes its place in what a model sees."""

    text: str
    upto: int
    usage: Usage = Usage()
    model: str = ""


Entry = Heard | Stepped | Said | Summary
UNKNOWN = "(nothing is known of what it returned)"
"""Stands for the result of a call that nobody told."""


def first_session(
    connection: Connection, agent: str, address: Address, turn: str, now: float, person: str | None = None
) -> int:
    """The session of a turn that found none when it began: the conversation's first, in private with `person`.

    It is not the current one when `/new` came meanwhile.
    """
    begun, _ = journal(connection, turn)
    if begun is not None:  # a write that was cut off got through
        return begun
    if current_session(connection, agent, address) is None:
        return new_session(connection, agent, address, now, person)
    return _begin(connection, agent, address, now, person)


def opened(connection: Connection, agent: str, address: Address, now: float, person: str | None = None) -> int:
    """The current session of a conversation of several people, or in private with `person`; begun where there is none.

    Unlike `first_session` it minds that others may begin one at the same moment.
    """
    session = current_session(connection, agent, address)
    if session is not None:
        return session
    session = _begin(connection, agent, address, now, person)
    row = {"agent": agent, "address": str(address), "session": session}
    if connection.execute(_claim(connection.dialect.name), row).first() is not None:
        return session
    # Somebody else began one at the same moment.
    connection.execute(delete(sessions).where(sessions.c.id == session))
    return connection.execute(_CURRENT, {"agent_": agent, "address_": str(address)}).scalar_one()


def overhear(connection: Connection, agent: str, message: Message, heard: Heard, now: float) -> None:
    """Remember what was said in a group, though not to the agent; it is no turn."""
    append(connection, opened(connection, agent, message.address, now), message.id, 0, [heard], now)


def current_session(connection: Connection, agent: str, address: Address) -> int | None:
    """The current session of a conversation, or None before its first turn."""
    return connection.execute(_CURRENT, {"agent_": agent, "address_": str(address)}).scalar()


def conversations_of(connection: Connection, agent: str) -> int:
    """A unit: how many conversations an agent has, counted to listing.COUNTED."""
    return connection.execute(_MANY, {"agent_": agent}).scalar_one()


def new_session(connection: Connection, agent: str, address: Address, now: float, person: str | None = None) -> int:
    """Begin the next session of a conversation, in private with `person`; the old ones stay."""
    session = _begin(connection, agent, address, now, person)
    row = {"agent": agent, "address": str(address), "session": session}
    connection.execute(_move(connection.dialect.name), row)
    return session


def _begin(connection: Connection, agent: str, address: Address, now: float, person: str | None) -> int:
    here = {"agent": agent, "chat": address.chat}
    place = next(iter(_places(connection, agent, address)), None)
    if place is None:
        place = connection.execute(insert(places).returning(places.c.id), here).scalar_one()
    row = {"agent": agent, "address": str(address), "channel": address.channel, "started_at": now}
    row |= {"place": place, "person": person}
    return connection.execute(insert(sessions).returning(sessions.c.id), row).scalar_one()


def _places(connection: Connection, agent: str, address: Address) -> Sequence[int]:
    """Under which ids an agent's conversations in a chat, with all its threads, are searched."""
    return connection.execute(_PLACES, {"agent_": agent, "chat_": address.chat}).scalars().all()


def append(connection: Connection, session: int, turn: str, first: int, new: Sequence[Entry], now: float) -> None:
    """Add a turn's entries, numbered from `first`, to be read and searched; one that is there stays as it is."""
    rows = [
        {
            "session": session,
            "turn": turn,
            "ordinal": first + index,
            "body": msgspec.json.encode(entry),
            "at": now,
            "author": entry.sender if isinstance(entry, Heard) else None,
        }
        for index, entry in enumerate(new)
    ]
    if not rows:
        return
    connection.execute(_append(connection.dialect.name), rows)
    connection.execute(_SPOKEN, {"session_": session, "now": now})
    # What is summed up is found as it was said.
    said = [(turn, first + index, entry.text) for index, entry in enumerate(new) if not isinstance(entry, Summary)]
    search.index(connection, said)


def recall(
    connection: Connection,
    agent: str,
    address: Address,
    query: str,
    without: str,
    most: int = 10,
    *,
    exact: bool = False,
) -> list[Found]:
    """What was said in a chat, in this session and the ones before, that fits a query best; not in the turn `without`.

    Nothing that the agent heard or said elsewhere is looked at; with `exact` no other thread of the chat either.
    """
    here = _places(connection, agent, address)
    ids = search.find(connection, here, query, most + _OWN)
    found = connection.execute(_FOUND, {"ids": ids, "turn_": without, "here": here})
    rows = {row.id: row for row in found if not exact or row.address == str(address)}
    return [_found(rows[id], query) for id in ids if id in rows][:most]  # noqa: A001 - its column


def _found(row: Any, query: str) -> Found:
    entry = _DECODER.decode(row.body)
    by = (entry.author or "user") if isinstance(entry, Heard) else "you"
    return Found(at=row.at, by=by, text=search.excerpt(entry.text, query))


def journal(connection: Connection, turn: str, first: int = 0) -> tuple[int | None, list[Entry]]:
    """The session and entries (from the number `first`) of a turn that was begun; (None, []) where there are none."""
    rows = connection.execute(_JOURNAL, {"turn_": turn, "first": first}).all()
    return (rows[0].session if rows else None), [decode(row.body) for row in rows]


def calling(connection: Connection, session: int, without: str = "") -> Said | None:
    """The end of a session's newest turn but `without`, where it called functions of the asker's."""
    _, entry = _newest(connection, session, [without])
    return entry if isinstance(entry, Said) and entry.calls else None


def wanted(connection: Connection, session: int) -> Sequence[ToolCall]:
    """The calls whose results a session waits for, as if the turns since then that came to nothing had not been.

    Who asked such a turn says the same again, because nobody answered.
    """
    failed: list[str] = []
    while len(failed) <= _PATIENT:
        turn, entry = _newest(connection, session, failed)
        if not isinstance(entry, Said):
            break
        if entry.mark is None:
            return entry.calls
        first = journal(connection, turn)[1][0]
        if isinstance(first, Heard) and first.returned is not None:
            return first.returned.calls
        failed.append(turn)
    return ()


def _newest(connection: Connection, session: int, without: Sequence[str]) -> tuple[str, Entry | None]:
    """The newest entry of a session and its turn, not one of some turns, and no summary."""
    row = connection.execute(_NEWEST, {"session_": session, "others": [*without, summaries(session)]}).first()
    return ("", None) if row is None else (row.turn, decode(row.body))


def summary(connection: Connection, session: int) -> tuple[float, int]:
    """When a session began (Unix seconds) and how many turns it has had; what was only listened to is none."""
    started_at = connection.execute(select(sessions.c.started_at).where(sessions.c.id == session)).scalar_one()
    # Each has two entries at least: what it heard, and how it ended.
    turns = connection.execute(
        select(func.count()).where(
            entries.c.session == session, entries.c.ordinal == 1, entries.c.turn != summaries(session)
        )
    ).scalar_one()
    return started_at, turns


def summaries(session: int) -> str:
    """The turn that a session's summaries are the entries of, numbered one after the other."""
    return f"summary:{session}"


def decode(body: bytes) -> Entry:
    """An entry as it was stored."""
    return _DECODER.decode(body)


def stepped(step: Step) -> Stepped:
    """A step as it is remembered."""
    return Stepped(**msgspec.structs.asdict(step))


_DECODER: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
_MANY = select(func.count()).select_from(
    select(conversations.c.id).where(conversations.c.agent == bindparam("agent_")).limit(COUNTED).subquery()
)
_CURRENT = select(conversations.c.session).where(
    conversations.c.agent == bindparam("agent_"), conversations.c.address == bindparam("address_")
)
_SPOKEN = update(sessions).where(sessions.c.id == bindparam("session_")).values(updated_at=bindparam("now"))
_OWN = 20
"""How many of what is found may be the asking turn's own."""
_PLACES = (
    select(places.c.id)
    .where(places.c.agent == bindparam("agent_"), places.c.chat == bindparam("chat_"))
    .order_by(places.c.id)
)
_FOUND = (
    select(entries.c.id, entries.c.body, entries.c.at, sessions.c.address)
    .join(sessions, sessions.c.id == entries.c.session)
    .where(
        entries.c.id.in_(bindparam("ids", expanding=True)),
        entries.c.turn != bindparam("turn_"),
        sessions.c.place.in_(bindparam("here", expanding=True)),
    )
)
_PATIENT = 20
"""After so many turns that came to nothing the calls before them are closed."""
_NEWEST = (
    select(entries.c.turn, entries.c.body)
    .where(entries.c.session == bindparam("session_"), entries.c.turn.not_in(bindparam("others", expanding=True)))
    .order_by(entries.c.id.desc())
    .limit(1)
)
_JOURNAL = (
    select(entries.c.session, entries.c.body)
    .where(entries.c.turn == bindparam("turn_"), entries.c.ordinal >= bindparam("first"))
    .order_by(entries.c.ordinal)
)


@cache
def _move(dialect: str) -> Any:
    upsert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = upsert(conversations)
    return into.on_conflict_do_update(index_elements=["agent", "address"], set_={"session": into.excluded.session})


@cache
def _claim(dialect: str) -> Any:
    upsert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = upsert(conversations)
    return into.on_conflict_do_nothing(index_elements=["agent", "address"]).returning(conversations.c.session)


@cache
def _append(dialect: str) -> Any:
    into: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return into(entries).on_conflict_do_nothing(index_elements=["turn", "ordinal"])
