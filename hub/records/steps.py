"""What agents did beside what they said: the finished steps of turns."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from hub import memory
from hub.memory import Stepped
from hub.store import Connection
from hub.store.tables import entries


def of(connection: Connection, turns: Collection[str]) -> dict[str, list[Stepped]]:
    """A unit: the finished steps of some turns in their order, of those that called tools."""
    found: dict[str, list[Stepped]] = {}
    for row in connection.execute(_ENTRIES, {"turns": list(turns)}):
        entry = memory.decode(row.body)
        if isinstance(entry, Stepped):
            found.setdefault(row.turn, []).append(entry)
    return found


_ENTRIES = (
    select(entries.c.turn, entries.c.body)
    .where(entries.c.turn.in_(bindparam("turns", expanding=True)))
    .order_by(entries.c.turn, entries.c.ordinal)
)
