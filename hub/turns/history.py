"""Reads what a session held: for what a model sees, and for a summary of its oldest part. Every function is a unit.

A session's summaries are entries of a turn of their own, numbered one after the other. Nothing is rewritten: what a
summary covers is left out of the view, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, select

from hub import memory
from hub.memory import Entry, Summary
from hub.store.tables import entries
from hub.turns import view
from hub.turns.view import Past

PAGE = 64
"""How many entries are read at a time."""


@dataclass(frozen=True, kw_only=True)
class Oldest:
    """The oldest turns that no summary covers: their entries, up to the id `upto`; `number` is their summary's."""

    number: int
    before: Summary | None
    entries: tuple[Entry, ...]
    upto: int


def past(connection: Connection, session: int, room: int, without: str, first: Entry | None = None) -> Past:
    """The newest turns that `room` tokens hold with their tool results shortened, leaving out the turn `without`.

    What the `first` entry of that turn tells of the turn before is left out, too.
    """
    turns: dict[str, list[Entry]] = {}
    summary: Summary | None = None
    for row, entry in _newest_first(connection, session, first):
        if summary is not None and row.id <= summary.upto:
            break
        if isinstance(entry, Summary):
            summary = summary or (entry if entry.text else None)
        elif row.turn != without:
            room -= view.least(entry)
            if room < 0:
                turns.pop(row.turn, None)  # no answer without its question
                break
            turns.setdefault(row.turn, []).append(entry)
    if room < 0 and summary is None:  # it is further back than was read
        summary = latest(connection, session)[1]
    return Past(summary=summary, turns=tuple(tuple(reversed(turn)) for turn in reversed(turns.values())))


def oldest(connection: Connection, session: int, keep: int, most: int) -> Oldest | None:
    """Turns for the next summary, about `most` tokens of them; None where all are among the newest `keep` tokens."""
    number, before = latest(connection, session)
    upto = 0 if before is None else before.upto
    until = _first_kept(connection, session, upto, keep)
    turns: dict[str, list[Entry]] = {}
    turn: list[Entry] = []
    for row in _oldest_first(connection, session, upto):
        entry = memory.decode(row.body)
        if isinstance(entry, Summary):
            continue
        if turn and view.is_told_by(turn[-1], entry):
            turn.pop()
        if row.id >= until or (most < 0 and row.turn not in turns):
            break
        most -= view.least(entry)
        turn = turns.setdefault(row.turn, [])
        turn.append(entry)
        upto = row.id
    found = tuple(chain(*turns.values()))
    return Oldest(number=number + 1, before=before, entries=found, upto=upto) if found else None


def _first_kept(connection: Connection, session: int, after: int, keep: int) -> int:
    """The id of the first entry of the newest turns that `keep` tokens hold; the newest is always among them."""
    newest = turn = ""
    first = lowest = 2**62
    for row, entry in _newest_first(connection, session):
        if row.id <= after:
            break
        if isinstance(entry, Summary):
            continue
        if row.turn != turn:  # the one before is whole, and there was room for it
            newest, turn, first = newest or row.turn, row.turn, lowest
        keep -= view.size([entry])
        if keep < 0 and turn != newest:
            return first
        lowest = row.id
    return lowest


def latest(connection: Connection, session: int) -> tuple[int, Summary | None]:
    """The session's newest summary and its number; (-1, None) where there is none.

    One that was forgotten has only its number left, after which the next is counted.
    """
    row = connection.execute(_LATEST, {"turn_": memory.summaries(session)}).first()
    if row is None:
        return -1, None
    summary = memory.decode(row.body)
    assert isinstance(summary, Summary)
    return row.ordinal, summary if summary.text else None


def keep_summary(connection: Connection, session: int, number: int, summary: Summary, now: float) -> None:
    """Store a summary; the same number again is nothing new."""
    memory.append(connection, session, memory.summaries(session), number, [summary], now)


def _newest_first(connection: Connection, session: int, newer: Entry | None = None) -> Iterator[tuple[Any, Entry]]:
    """Rows with their entries, but for those that the next entry tells again; `newer` is not among them yet."""
    before = 2**62
    while True:
        rows = connection.execute(_NEWEST, {"session_": session, "before": before}).all()
        for row in rows:
            entry = memory.decode(row.body)
            if isinstance(entry, Summary):
                yield row, entry
                continue
            if not view.is_told_by(entry, newer):
                yield row, entry
            newer = entry
        if len(rows) < PAGE:
            return
        before = rows[-1].id


def _oldest_first(connection: Connection, session: int, after: int) -> Iterator[Any]:
    while True:
        rows: Sequence[Any] = connection.execute(_OLDEST, {"session_": session, "after": after}).all()
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1].id


_ENTRIES = (
    select(entries.c.id, entries.c.turn, entries.c.ordinal, entries.c.body)
    .where(entries.c.session == bindparam("session_"))
    .limit(bindparam("page", PAGE, type_=Integer))
)
_NEWEST = _ENTRIES.where(entries.c.id < bindparam("before")).order_by(entries.c.id.desc())
_OLDEST = _ENTRIES.where(entries.c.id > bindparam("after")).order_by(entries.c.id)
_LATEST = (
    select(entries.c.ordinal, entries.c.body)
    .where(entries.c.turn == bindparam("turn_"))
    .order_by(entries.c.ordinal.desc())
    .limit(1)
)
