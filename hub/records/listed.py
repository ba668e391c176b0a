"""Sessions and turns as lists and pages show them: what they used added up, and what was said with what it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from hub import memory
from hub.accounts.turns import TurnRecord, record_of
from hub.memory import Entry, Heard
from hub.message import WEB, Address, File, Value
from hub.records import search
from hub.records.search import Own, Sought
from hub.records.sessions import SessionRecord, Written, record_of_session
from hub.records.traces import Person
from hub.store import listing
from hub.store.listing import COUNTED, Page, Part
from hub.store.tables import entries, keys, sessions, turns

HIGHEST = 2**31 - 1
"""Of the ids that keys may have; a room's name may say a greater one."""


class SessionTotals(Value, frozen=True, kw_only=True):
    """A session, and what its turns used: `fee` is an integer of 1e-9 of the currency's unit.

    `person` is who it is private with, `key_id` and `key_name` those of the key whose it is, in its own web rooms too.
    """

    session: SessionRecord
    person: str | None
    key_id: int | None
    key_name: str | None
    turns: int = 0
    prompt: int = 0
    completion: int = 0
    fee: int = 0


class Asked(Value, frozen=True, kw_only=True):
    """A turn with what was asked, and the files that came with it."""

    record: TurnRecord
    key_name: str | None
    prompt: str | None
    files: tuple[File, ...] = ()


class Line(Value, frozen=True, kw_only=True):
    """An entry of a session, and the turn that it belongs to; None: nobody asked for it, it was only heard."""

    written: Written
    turn: Asked | None


def list_sessions(connection: Connection, sought: Sought, own: Own | None, part: Part) -> Page[SessionTotals]:
    """A unit: sessions, the newest first; with `own` those of some keys alone. Raises RequestError."""
    where = [] if own is None else [search.own_sessions(connection, own)]
    chats = None if own is None else search.of_keys(own)
    rows = select(sessions).where(*where, *search.of_sessions(connection, sought, chats))
    page = listing.listed(connection, rows, [sessions.c.id], part, lambda row: row, newest=True)
    return Page(items=_totals(connection, page.items), total=page.total, next=page.next)


def find_session(connection: Connection, id: int, own: Own | None) -> SessionTotals | None:
    """A unit: one session, or None; with `own` that of one of some keys alone."""
    mine = [sessions.c.id == id] if own is None else [sessions.c.id == id, search.own_sessions(connection, own)]
    return next(iter(_totals(connection, connection.execute(select(sessions).where(*mine)).all())), None)


def asker(session: SessionTotals) -> str:
    """Who speaks where only one does: a key by its name, a person as the platform calls them."""
    return session.key_name or (session.person or session.session.address).partition(":")[2]


def speakers(connection: Connection, lines: Sequence[Line]) -> dict[str, str]:
    """A unit: what those are called who spoke in web rooms, by `channel:id`: by the name they gave, or their key's."""
    heard = [line.written.entry for line in lines if isinstance(line.written.entry, Heard)]
    senders = {one.sender for one in heard if one.sender and one.sender.startswith(f"{WEB}:")}
    said = {sender: sender.removeprefix(f"{WEB}:").partition("/") for sender in senders}
    numbers = {key: int(key) for key, _, _ in said.values() if search.is_number(key)}
    called = names(connection, numbers.values())
    return {sender: name or called.get(numbers.get(key), key) for sender, (key, _, name) in said.items()}


def list_turns(connection: Connection, sought: Sought, own: Own | None, part: Part) -> Page[Asked]:
    """A unit: turns, the newest first; with `own` those of some keys alone. Raises RequestError."""
    rows = select(turns).where(*search.of_turns(connection, sought, own))
    page = listing.listed(connection, rows, [turns.c.created_at, turns.c.id], part, record_of, newest=True)
    return Page(items=_asked(connection, page.items), total=page.total, next=page.next)


def find_turn(connection: Connection, id: str, own: Own | None) -> Asked | None:
    """A unit: one turn, or None; with `own` that of one of some keys alone."""
    rows = select(turns).where(turns.c.id == id, *search.of_turns(connection, Sought(), own))
    return next(iter(_asked(connection, [record_of(row) for row in connection.execute(rows)])), None)


def openings(connection: Connection, ids: Sequence[int]) -> dict[int, Entry]:
    """A unit: what some sessions begin with, where there is anything."""
    first = select(entries.c.id).where(entries.c.session == sessions.c.id).order_by(entries.c.id).limit(1)
    begins = select(first.scalar_subquery()).where(sessions.c.id.in_(ids))
    rows = connection.execute(select(entries.c.session, entries.c.body).where(entries.c.id.in_(begins)))
    return {row.session: memory.decode(row.body) for row in rows}


def find_entry(connection: Connection, session: int, id: int) -> Entry | None:
    """A unit: something that was said in a session, or None."""
    body = connection.execute(select(entries.c.body).where(entries.c.id == id, entries.c.session == session)).scalar()
    return None if body is None else memory.decode(body)


def holds(connection: Connection, session: int) -> tuple[int, int]:
    """A unit: how many entries a session has, COUNTED at the most, and how many files came with these."""
    rows = connection.execute(select(entries.c.body).where(entries.c.session == session).limit(COUNTED)).scalars().all()
    files = sum(len(entry.files) for entry in map(memory.decode, rows) if isinstance(entry, Heard))
    return len(rows), files


def transcript(connection: Connection, session: int, part: Part, *, newest: bool = False) -> Page[Line]:
    """A unit: what was said in a session, the oldest first; with `newest` the other way round."""
    rows = select(entries).where(entries.c.session == session)
    page = listing.listed(connection, rows, [entries.c.id], part, _written, newest=newest)
    ids = {written.turn for written in page.items}
    records = [record_of(row) for row in connection.execute(select(turns).where(turns.c.id.in_(ids)))]
    found = {turn.record.id: turn for turn in _asked(connection, records)}
    lines = [Line(written=written, turn=found.get(written.turn)) for written in page.items]
    return Page(items=lines, total=page.total, next=page.next)


def steps(connection: Connection, turn: str) -> Sequence[Written]:
    """A unit: what was said in a turn, in its order."""
    rows = connection.execute(select(entries).where(entries.c.turn == turn).order_by(entries.c.ordinal))
    return [_written(row) for row in rows]


def owned(connection: Connection, key: int) -> Own:
    """A unit: a key and those that were made with it, gone or not."""
    return [key, *connection.execute(select(keys.c.id).where(keys.c.owner_id == key)).scalars()]


def _totals(connection: Connection, rows: Sequence[Any]) -> list[SessionTotals]:
    sums = [func.coalesce(func.sum(turns.c[name]), 0).label(name) for name in _SUMS]
    mine = turns.c.session.in_([row.id for row in rows])
    used = {
        row.session: {of: int(getattr(row, name)) for name, of in _SUMS.items()} | {"turns": row.turns}
        for row in connection.execute(
            select(turns.c.session, func.count().label("turns"), *sums).where(mine).group_by(turns.c.session)
        )
    }
    ids = {row.id: _key(row) for row in rows}
    called = names(connection, ids.values())
    return [
        SessionTotals(
            session=record_of_session(row),
            person=row.person,
            key_id=ids.get(row.id),
            key_name=called.get(ids.get(row.id)),
            **used.get(row.id, {}),
        )
        for row in rows
    ]


def _key(row: Any) -> int | None:
    """The key that a session is one of, over HTTP or in a web room of its own."""
    room = Address.parse(row.address).own_room
    if room is not None:
        return room.key
    return Person.parse(row.person).key if row.person else None


def _asked(connection: Connection, records: Sequence[TurnRecord]) -> list[Asked]:
    first = select(entries.c.turn, entries.c.body).where(
        entries.c.turn.in_([record.id for record in records]), entries.c.ordinal == 0
    )
    heard = {row.turn: memory.decode(row.body) for row in connection.execute(first)}
    called = names(connection, [record.key_id for record in records])
    found: list[Asked] = []
    for record in records:
        entry, name = heard.get(record.id), called.get(record.key_id)
        if isinstance(entry, Heard):
            found.append(Asked(record=record, key_name=name, prompt=entry.text, files=entry.files))
        else:
            found.append(Asked(record=record, key_name=name, prompt=record.prompt))
    return found


def names(connection: Connection, ids: Iterable[int | None]) -> dict[int | None, str]:
    """A unit: what some keys are called, gone or not."""
    rows = connection.execute(
        select(keys.c.id, keys.c.name).where(keys.c.id.in_({one for one in ids if one and one <= HIGHEST}))
    )
    return {row.id: row.name for row in rows}


def _written(row: Any) -> Written:
    return Written(id=row.id, turn=row.turn, at=row.at, entry=memory.decode(row.body))


_SUMS = {"prompt_tokens": "prompt", "completion_tokens": "completion", "fee": "fee"}
