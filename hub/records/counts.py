"""How much waits where: read-only units for `/metrics` and `bothub inbox`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Float, and_, bindparam, case, func, select

from hub.message import Value
from hub.store.tables import lanes, messages

MOST = 10_000
"""How many lanes of an inbox, and how many dead messages, are looked at: past it a count is a lower bound."""
SINGLETONS = "run"
"""The inbox of what runs once in all processes: nothing in it is a message of anybody."""
CLOSED = ("discarded", "retried", "told")
"""Dead messages that nobody has to look at any more (as in hub/bus.py)."""


class InboxCount(Value, frozen=True, kw_only=True):
    """What one inbox holds; `oldest_at` is when its oldest message without an outcome came, in Unix seconds.

    `running` is in somebody's hands, `backing_off` waits for its next try (with all that stands behind it in its
    lane), `waiting` is the rest. `dead` ones want somebody to retry or discard them. `partial`: there is more.
    """

    inbox: str
    waiting: int
    running: int
    backing_off: int
    dead: int
    oldest_at: float | None
    partial: bool

    @property
    def open(self) -> int:
        """Messages that have no outcome yet."""
        return self.waiting + self.running + self.backing_off


def inboxes(connection: Connection, now: float) -> list[InboxCount]:
    """A unit: every inbox by name; its cost is bounded however much waits."""
    return [_count(connection, name, now) for name in names(connection) if name != SINGLETONS]


def names(connection: Connection) -> Iterator[str]:
    """One step in the index a name, instead of a walk over all lanes."""
    name = ""
    while (following := connection.execute(_NEXT, {"after": name}).scalar()) is not None:
        name = following
        yield name


def _count(connection: Connection, inbox: str, now: float) -> InboxCount:
    row: Any = connection.execute(_OPEN, {"inbox_": inbox, "now": now}).one()
    dead = connection.execute(_DEAD, {"inbox_": inbox}).scalar() or 0
    total, running, backing_off = row.total or 0, row.running or 0, row.backing_off or 0
    return InboxCount(
        inbox=inbox,
        waiting=total - running - backing_off,
        running=running,
        backing_off=backing_off,
        dead=dead,
        oldest_at=row.oldest,
        partial=row.lanes >= MOST or dead >= MOST,
    )


_NEXT = select(func.min(lanes.c.inbox)).where(lanes.c.inbox > bindparam("after"))
_BUSY = (
    select(lanes)
    .where(lanes.c.inbox == bindparam("inbox_"), lanes.c.ready_at.is_not(None))
    .order_by(lanes.c.ready_at)
    .limit(MOST)
    .subquery()
)
_HELD = and_(_BUSY.c.leased, _BUSY.c.ready_at > bindparam("now", type_=Float(53)))
_BACK = and_(_BUSY.c.leased.is_(False), _BUSY.c.ready_at > bindparam("now", type_=Float(53)))
_HEAD = and_(messages.c.lane_id == _BUSY.c.id, messages.c.seq == _BUSY.c.head + 1)
_OPEN = select(
    func.count().label("lanes"),
    func.sum(_BUSY.c.tail - _BUSY.c.head).label("total"),
    func.sum(case((_HELD, _BUSY.c.taken - _BUSY.c.head), else_=0)).label("running"),
    func.sum(case((_BACK, _BUSY.c.tail - _BUSY.c.head), else_=0)).label("backing_off"),
    func.min(messages.c.at).label("oldest"),
).select_from(_BUSY.join(messages, _HEAD, isouter=True))
_DEAD_ROWS = (
    select(messages.c.mid)
    .where(
        messages.c.inbox == bindparam("inbox_"),
        messages.c.outcome == "dead",
        func.coalesce(messages.c.reason, "").not_in(CLOSED),  # a turn may fail without a reason
    )
    .limit(MOST)
    .subquery()
)
_DEAD = select(func.count()).select_from(_DEAD_ROWS)
