"""Lists, a part at a time: some of them in the order of a key, and how many there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    any_,
    bindparam,
    func,
    select,
    tuple_,
)

T = TypeVar("T")
COUNTED = 10_000
"""How many a list counts: where there are more, its total says so many."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """So many items of a list, past the first `offset`, or from behind the one with the key `after`.

    What comes by `after` costs the same on every page; an `offset` costs what it leaves out.
    """

    limit: int
    offset: int = 0
    after: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """Part of a list: `total` is how many there are in all, COUNTED at the most, `next` where the next part begins."""

    items: Sequence[T]
    total: int
    next: tuple[Any, ...] | None = None


def listed(
    connection: Connection,
    rows: Select[*tuple[Any, ...]],
    key: Sequence[ColumnElement[Any]],
    part: Part,
    read: Callable[[Any], T],
    *,
    newest: bool = False,
) -> Page[T]:
    """A unit: part of what a statement selects, `key` among it, in the order of the key or with `newest` against it."""
    counted = total(connection, [rows], key)
    found = _slice(connection, rows, key, part, newest=newest)
    kept = found[: part.limit]
    following = _place(kept[-1], key) if len(found) > part.limit else None
    return Page(items=[read(row) for row in kept], total=counted, next=following)


def merged(
    connection: Connection,
    streams: Sequence[Select[*tuple[Any, ...]]],
    key: Sequence[ColumnElement[Any]],
    part: Part,
    read: Callable[[Any], T],
) -> Page[T]:
    """A unit: the newest of what several statements select, by `after`: for where an index has the order of each alone.

    The key is of numbers, so that no database orders it otherwise than Python.
    """
    counted = total(connection, streams, key)
    all_ = (row for rows in streams for row in _slice(connection, rows, key, part, newest=True))
    found = sorted(all_, key=lambda row: _place(row, key), reverse=True)
    kept = found[: part.limit]
    following = _place(kept[-1], key) if len(found) > part.limit else None
    return Page(items=[read(row) for row in kept], total=counted, next=following)


def total(
    connection: Connection, streams: Sequence[Select[*tuple[Any, ...]]], key: Sequence[ColumnElement[Any]]
) -> int:
    """A unit: how many rows some statements select together, COUNTED at the most."""
    planned(connection)
    seen = 0
    for rows in streams:
        counted = rows.with_only_columns(*key).limit(COUNTED - seen).subquery()
        seen += connection.execute(select(func.count()).select_from(counted)).scalar_one()
        if seen >= COUNTED:
            break
    return seen


def _slice(
    connection: Connection,
    rows: Select[*tuple[Any, ...]],
    key: Sequence[ColumnElement[Any]],
    part: Part,
    *,
    newest: bool,
) -> Sequence[Any]:
    """The rows of a part, and one more if there is one."""
    page = rows.order_by(*(column.desc() if newest else column for column in key))
    if part.after:
        here, there = tuple_(*key), tuple_(*(map(_value, key, part.after)))
        page = page.where(here < there if newest else here > there)
    return connection.execute(page.limit(part.limit + 1).offset(part.offset)).all()


def _value(column: ColumnElement[Any], value: object) -> ColumnElement[Any]:
    """A part of a key, to be compared with its column; whoever asks may name a number that the column cannot hold."""
    return bindparam(None, value, type_=BigInteger() if isinstance(column.type, Integer) else column.type)


def _place(row: Any, key: Sequence[ColumnElement[Any]]) -> tuple[Any, ...]:
    return tuple(row._mapping[column] for column in key)


def among(connection: Connection, column: ColumnElement[T], found: Select[*tuple[Any, ...]]) -> ColumnElement[bool]:
    """Which rows have a column that a statement finds; it is run here, once for all that a list asks."""
    planned(connection)
    values = sorted(set(connection.execute(found).scalars()))
    if connection.dialect.name == "postgresql":
        return column == any_(bindparam(None, values, type_=ARRAY(column.type)))
    each = func.json_each(json.dumps(values)).table_valued("value")
    return column.in_(select(each.c.value))


def planned(connection: Connection) -> None:
    """Have each statement of this unit planned for what it asks.

    PostgreSQL would make one plan of a statement that it was sent a few times, whatever is looked for.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")


def sliced(all_: Sequence[T], key: Callable[[T], int], part: Part) -> Page[T]:
    """Part of what is at hand in the order of its key."""
    rest = [one for one in all_ if not part.after or key(one) > part.after[0]][part.offset :]
    kept = rest[: part.limit]
    return Page(items=kept, total=len(all_), next=(key(kept[-1]),) if len(rest) > part.limit else None)
