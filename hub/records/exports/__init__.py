"""What can be exported, a page at a time: what was said, which turns there were, what was used. Functions are units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select, tuple_

from hub.accounts import money
from hub.message import API, Address
from hub.records import search
from hub.records.exports.formats import Format, Row
from hub.records.search import Sought
from hub.store.tables import entries, keys, sessions, turns

What = Literal["sessions", "turns", "usage"]
DAY = 86_400
PAGE = 500
"""Rows that are read at a time."""


class Wanted(Sought, frozen=True, kw_only=True):
    """What to export: of all there is, what fits. Of sessions, what was said in the time that is asked for."""

    what: What
    format: Format = "jsonl"


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some rows; `after` is where the next page begins, None where there is none. `done` counts what was looked at."""

    rows: Sequence[Row]
    done: int
    after: Any


@dataclass(frozen=True, kw_only=True)
class Source:
    """How one of them is read; a mark is what JSON can hold."""

    columns: Sequence[str]
    count: Callable[[Connection, Wanted], int]
    page: Callable[[Wanted, Any, Connection], Page]


def _in_time(at: ColumnElement[float], wanted: Wanted) -> list[ColumnElement[bool]]:
    since = [] if wanted.since is None else [at >= wanted.since]
    return since + ([] if wanted.until is None else [at < wanted.until])


# Sessions: a row is an entry, in the order in which they were said.


def _of_entries(connection: Connection, wanted: Wanted) -> list[ColumnElement[bool]]:
    whose = search.of_sessions(connection, msgspec.structs.replace(wanted, since=None, until=None))
    inside = [entries.c.session.in_(select(sessions.c.id).where(*whose))] if whose else []
    return _in_time(entries.c.at, wanted) + inside


def _count_entries(connection: Connection, wanted: Wanted) -> int:
    counted = select(func.count()).select_from(entries).where(*_of_entries(connection, wanted))
    return connection.execute(counted).scalar_one()


def _entries(wanted: Wanted, after: Any, connection: Connection) -> Page:
    query = select(entries).where(*_of_entries(connection, wanted))
    if after is not None:
        query = query.where(tuple_(entries.c.session, entries.c.id) > tuple_(*after))
    rows = connection.execute(query.order_by(entries.c.session, entries.c.id).limit(PAGE)).all()
    of = select(sessions).where(sessions.c.id.in_({row.session for row in rows}))
    known = {row.id: row for row in connection.execute(of)}
    last = [rows[-1].session, rows[-1].id] if len(rows) == PAGE else None
    return Page(rows=[_entry(row, known[row.session]) for row in rows], done=len(rows), after=last)


def _key_of(session: Any) -> int | None:
    here = Address.parse(session.address)
    return int(here.chat_id) if here.channel == API and here.chat_id.isdecimal() else None


def _entry(row: Any, session: Any) -> Row:
    body: dict[str, Any] = msgspec.json.decode(row.body)
    here = Address.parse(session.address)
    said_by = row.author or body.pop("author", None)
    return {
        "session": session.id,
        "session_id": here.thread_id if here.channel == API else None,
        "agent": session.agent,
        "address": session.address,
        "key_id": _key_of(session),
        "title": session.title,
        "person": session.person,
        "started_at": session.started_at,
        "entry": row.id,
        "turn": row.turn,
        "ordinal": row.ordinal,
        "at": row.at,
        "kind": body.pop("kind"),
        "author": said_by,
        "text": body.pop("text", ""),
        "details": body or None,
    }


# Turns: a row each, in the order of time.

_TURN = (
    *("id", "agent", "model", "address", "session", "session_id", "key_id", "payer_id", "status", "finish"),
    *("response", "error", "error_code", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *("estimated", "fee", "uncollected", "created_at", "started_at", "first_token_at", "finished_at", "tries"),
    *("request_id", "trace_id"),
)
_MONEY = ("fee", "uncollected")


def _count_turns(connection: Connection, wanted: Wanted) -> int:
    counted = select(func.count()).select_from(turns).where(*search.of_turns(connection, wanted, None))
    return connection.execute(counted).scalar_one()


def _turns(wanted: Wanted, after: Any, connection: Connection) -> Page:
    query = select(*(turns.c[name] for name in _TURN)).where(*search.of_turns(connection, wanted, None))
    if after is not None:
        query = query.where(tuple_(turns.c.created_at, turns.c.id) > tuple_(*after))
    rows = connection.execute(query.order_by(turns.c.created_at, turns.c.id).limit(PAGE)).all()
    last = [rows[-1].created_at, rows[-1].id] if len(rows) == PAGE else None
    return Page(rows=[_turn(row) for row in rows], done=len(rows), after=last)


def _turn(row: Any) -> Row:
    return {**row._mapping, **{name: money.shown(getattr(row, name)) for name in _MONEY}}


# Usage: what each agent, model and key used, day by day (UTC). A page is a day.

_SUMS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "fee")


def _days(connection: Connection, wanted: Wanted) -> int:
    first, last = connection.execute(
        select(func.min(turns.c.created_at), func.max(turns.c.created_at)).where(*_in_time(turns.c.created_at, wanted))
    ).one()
    return 0 if first is None else int(last // DAY - first // DAY) + 1


def _usage(wanted: Wanted, after: Any, connection: Connection) -> Page:
    fitting = search.of_turns(connection, wanted, None)
    later = fitting if after is None else [*fitting, turns.c.created_at >= after]
    first = connection.execute(select(turns.c.created_at).where(*later).order_by(turns.c.created_at).limit(1)).scalar()
    if first is None:
        return Page(rows=[], done=0, after=None)
    day = first // DAY * DAY
    by = (turns.c.agent, turns.c.model, turns.c.key_id)
    sums = [func.sum(turns.c[name]).label(name) for name in _SUMS]
    failed = func.count().filter(turns.c.status == "failed").label("failed")
    query = select(*by, func.count().label("turns"), failed, *sums).group_by(*by).order_by(*by)
    today = [turns.c.created_at >= day, turns.c.created_at < day + DAY]
    rows = connection.execute(query.where(*fitting, *today)).all()
    of = select(keys.c.id, keys.c.name).where(keys.c.id.in_({row.key_id for row in rows}))
    names = {row.id: row.name for row in connection.execute(of)}
    passed = 1 if after is None else int((day - after) // DAY) + 1
    return Page(rows=[_used(row, day, names) for row in rows], done=passed, after=day + DAY)


def _used(row: Any, day: float, names: dict[int, str]) -> Row:
    sums = {name: int(getattr(row, name)) for name in _SUMS}
    counts = {"turns": row.turns, "failed": row.failed}
    of = {"agent": row.agent, "model": row.model, "key_id": row.key_id, "key_name": names.get(row.key_id)}
    return {
        "day": f"{datetime.fromtimestamp(day, UTC):%Y-%m-%d}",
        **of,
        **counts,
        **sums,
        "fee": money.shown(sums["fee"]),
    }


SOURCES: dict[What, Source] = {
    "sessions": Source(
        columns=(
            *("session", "session_id", "agent", "address", "key_id", "title", "person", "started_at", "entry", "turn"),
            *("ordinal", "at", "kind", "author", "text", "details"),
        ),
        count=_count_entries,
        page=_entries,
    ),
    "turns": Source(columns=_TURN, count=_count_turns, page=_turns),
    "usage": Source(
        columns=("day", "agent", "model", "key_id", "key_name", "turns", "failed", *_SUMS), count=_days, page=_usage
    ),
}
