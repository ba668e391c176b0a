"""Which sessions and turns a list shows: what is asked for, as conditions of the statements that read them.

Each condition has an index, or reads no more than what fits it; where several are given, one index is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, false, func, or_, select

from hub.accounts.turns import Status
from hub.message import API, OWN, WEB, Value
from hub.records.traces import Person
from hub.store import listing, search
from hub.store.tables import conversation_grants as grants
from hub.store.tables import entries, keys, places, sessions, turns

FOUND = 10_000
"""How many texts a search looks at, and turns of a status: where there are more, it finds the newest."""
ROOMS = 1000
"""In how many conversations of its own in web rooms a key's words are looked for: where there are more, the newest."""
Conditions = list[ColumnElement[bool]]
_ANY_ROOM = f"{WEB}:{OWN}"
"""What the addresses of web rooms begin with that are somebody's own."""


class Sought(Value, frozen=True, kw_only=True):
    """What to list; None: whatever it is. Times are Unix seconds: from `since` on, before `until`.

    `text` is looked for in what was said, every word of it, and in names; `person` is `channel:sender`; `session` the
    number of a session, or the name that its key gave it.
    """

    text: str | None = None
    since: float | None = None
    until: float | None = None
    channel: str | None = None
    agent: str | None = None
    key_id: int | None = None
    person: str | None = None
    status: Status | None = None
    session: str | None = None


Own = Sequence[int]
"""The ids of the keys whose records somebody may see; the first one is who asks."""


def of_sessions(connection: Connection, sought: Sought, chats: Sequence[str] | None = None) -> Conditions:
    """Conditions of `sessions`; raises RequestError for a person that names nobody.

    A text is looked for in some chats, with all their threads, or with None in all; keys are such chats (`of_keys`).
    """
    where = _exactly(sessions, agent=sought.agent, channel=sought.channel)
    if sought.key_id is not None:
        where.append(_of([sought.key_id], _ANY_ROOM))
    if sought.since is not None:
        where.append(func.coalesce(sessions.c.updated_at, sessions.c.started_at) >= sought.since)
    if sought.until is not None:
        where.append(sessions.c.started_at < sought.until)
    if sought.session is not None:
        where.append(_called(sought.session))
    if sought.status is not None:
        newest = select(turns.c.session).where(turns.c.status == sought.status, turns.c.session.is_not(None))
        order = (turns.c.created_at.desc(), turns.c.id.desc())
        where.append(listing.among(connection, sessions.c.id, newest.order_by(*order).limit(FOUND)))
    if sought.person is not None:
        where.append(_with(Person.parse(sought.person)))
    if sought.text is not None:
        where.append(_about(connection, sought.text, chats if sought.key_id is None else of_keys([sought.key_id])))
    return where


def _about(connection: Connection, query: str, chats: Sequence[str] | None) -> ColumnElement[bool]:
    """Sessions where something was said, or that are called so."""
    hits = _hits(connection, query, chats, entries.c.session)
    named = _called(query) | func.lower(sessions.c.title).contains(query.lower(), autoescape=True)
    return listing.among(connection, sessions.c.id, _either(hits, select(sessions.c.id).where(named)))


def of_turns(connection: Connection, sought: Sought, own: Own | None) -> Conditions:
    """Conditions of `turns`, with `own` of those keys alone; raises RequestError for a person that names nobody."""
    where = _exactly(turns, agent=sought.agent, channel=sought.channel, key_id=sought.key_id, status=sought.status)
    if own is not None:
        where.append(_asked_by(connection, own))
    if sought.since is not None:
        where.append(turns.c.created_at >= sought.since)
    if sought.until is not None:
        where.append(turns.c.created_at < sought.until)
    if sought.person is not None:
        where.append(_from(Person.parse(sought.person)))
    asking = own if sought.key_id is None else [sought.key_id]
    chats = None if asking is None else of_keys(asking)
    if sought.session is not None:
        called = _called(sought.session) if chats is None else _called(sought.session) & sessions.c.person.in_(chats)
        where.append(turns.c.session.in_(select(sessions.c.id).where(called)))
    if sought.text is not None:
        hits = _hits(connection, sought.text, chats, entries.c.turn)
        found = _either(hits, select(turns.c.id).where(turns.c.id == sought.text))
        where.append(listing.among(connection, turns.c.id, found))
    return where


def own_sessions(connection: Connection, own: Own) -> ColumnElement[bool]:
    """The sessions of some keys, with what they said in conversations of their own in web rooms."""
    return _of(own, _rooms(connection, own))


def of_keys(own: Own) -> list[str]:
    """Some keys as the persons that their sessions are with: over HTTP, and in web rooms."""
    return [f"{channel}:{key}" for channel in (API, WEB) for key in own]


def _exactly(table: Table, **values: Any) -> Conditions:
    return [table.c[name] == value for name, value in values.items() if value is not None]


def _of(own: Own, rooms: str) -> ColumnElement[bool]:
    """Sessions of keys: over HTTP, and in the rooms whose addresses begin so."""
    mine = sessions.c.person.in_(of_keys(own))
    return mine & or_(sessions.c.channel == API, sessions.c.address.startswith(rooms, autoescape=True))


def _rooms(connection: Connection, own: Own) -> str:
    """What the addresses of the web rooms begin with that whoever looks may enter: those of the key that pays."""
    owner = connection.execute(select(keys.c.owner_id).where(keys.c.id == own[0])).scalar()
    return f"{WEB}:{OWN}{owner or own[0]}."


def _asked_by(connection: Connection, own: Own) -> ColumnElement[bool]:
    """What some keys asked; in the conversation of a chat only while who looks is granted it."""
    mine = turns.c.key_id == own[0] if len(own) == 1 else turns.c.key_id.in_(own)
    granted = select(grants.c.id).where(
        grants.c.key_id == turns.c.key_id, grants.c.agent == turns.c.agent, grants.c.address == turns.c.address
    )
    in_room = turns.c.address.startswith(_rooms(connection, own), autoescape=True)
    return mine & or_(turns.c.channel == API, in_room, and_(turns.c.key_id == own[0], granted.exists()))


def _called(name: str) -> ColumnElement[bool]:
    """A session by its number, or by the name that its key gave it."""
    named = (sessions.c.channel == API) & sessions.c.address.endswith(f":{name}", autoescape=True)
    return or_(sessions.c.id == int(name), named) if is_number(name) else named


def is_number(name: str) -> bool:
    """Whether it may be the number of a session."""
    return name.isascii() and name.isdecimal() and len(name) <= 18


def _with(person: Person) -> ColumnElement[bool]:
    """Sessions that are theirs, or where they said something while others read along."""
    alone = sessions.c.person == str(person) if person.key is None else _of([person.key], _ANY_ROOM)
    mine = select(sessions.c.id).where(alone)
    return sessions.c.id.in_(_either(mine, select(entries.c.session).where(entries.c.author == str(person))))


def _from(person: Person) -> ColumnElement[bool]:
    """Turns that answer them."""
    if person.channel == API:
        return turns.c.key_id == person.key if is_number(person.sender) else false()
    asked = turns.alias()
    mine = select(asked.c.id).join(sessions, sessions.c.id == asked.c.session).where(sessions.c.person == str(person))
    return turns.c.id.in_(_either(mine, select(entries.c.turn).where(entries.c.author == str(person))))


def _hits(
    connection: Connection, query: str, chats: Sequence[str] | None, of: ColumnElement[Any]
) -> Select[Any] | None:
    """A column of the newest entries that have the words of a query; None where it has none."""
    here = None
    if chats is not None:
        there = select(places.c.id).where(places.c.chat.in_(chats))
        rooms = select(sessions.c.place).where(sessions.c.person.in_(chats), sessions.c.channel == WEB).distinct()
        newest = rooms.where(sessions.c.place.is_not(None)).order_by(sessions.c.place.desc()).limit(ROOMS)
        found = (connection.execute(each).scalars() for each in (there, newest))
        here = sorted({place for each in found for place in each})
    matching = search.matching(connection, query, here, FOUND)
    return None if matching is None else select(of).join(matching, matching.c.id == entries.c.id)


def _either(some: Select[Any] | None, others: Select[Any]) -> Any:
    return others if some is None else some.union_all(others)
