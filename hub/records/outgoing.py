"""Deliveries as a list shows them: how each stands, which of them somebody asks for, how many there are of each kind.

A message that was retried is not shown, for the one that carries its delivery on is. Functions that take a connection
are units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select

from hub.delivery import deliveries
from hub.message import Address, Delivery, Value, channel_inbox, last_try, reply_id
from hub.records import counts
from hub.store import listing
from hub.store.lanes import CLOSED
from hub.store.listing import Page, Part
from hub.store.tables import lanes, messages, receipts
from hub.store.tables.bus import is_delivery

State = Literal["waiting", "failing", "sending", "delivered", "dead", "discarded"]
"""`failing` waits for its next try after one that failed; `dead` was given up and wants somebody."""
STATES: tuple[State, ...] = get_args(State)
MOST_TRIES = 50
MOST_LANES = 500
"""So many threads of a chat are looked at, those that were written to first."""
Conditions = Sequence[ColumnElement[bool]]


class Wanted(Value, frozen=True, kw_only=True):
    """What to list; None: whatever it is.

    `address` is a chat, with all its threads, or a thread; `id` that of a delivery, of the turn whose answer it is, or
    what the platform calls a part of it.
    """

    state: State | None = None
    channel: str | None = None
    address: str | None = None
    id: str | None = None


class Outgoing(Value, frozen=True, kw_only=True):
    """A delivery and how it stands; `id` is that of the message that carries it, `ended_at` when it got its outcome.

    `arrived` is how many of its parts the platform took for good. None for a `delivery` that cannot be read.
    """

    id: str
    inbox: str
    delivery: Delivery | None
    state: State
    reason: str | None
    error: str | None
    attempts: int
    at: float
    ended_at: float | None
    arrived: int = 0

    @property
    def channel(self) -> str:
        return self.inbox.partition(":")[2]


def list_deliveries(connection: Connection, wanted: Wanted, part: Part) -> Page[Outgoing]:
    """A unit: deliveries, the newest first; raises RequestError for an address that is none."""
    page = listing.merged(connection, _selected(connection, wanted), _KEY, part, _outgoing)
    ids = [one.delivery.id for one in page.items if one.delivery is not None]
    arrived = _arrived(connection, ids)
    items = [_with(one, arrived) for one in page.items]
    return Page(items=items, total=page.total, next=page.next)


def count(connection: Connection, wanted: Wanted) -> Mapping[State, int]:
    """A unit: how many there are of each state, `listing.COUNTED` at the most; raises what a list raises."""
    asked: dict[State, Wanted] = {state: msgspec.structs.replace(wanted, state=state) for state in STATES}
    return {state: listing.total(connection, _selected(connection, one), _KEY) for state, one in asked.items()}


def tries(connection: Connection, id: str) -> Sequence[Outgoing]:
    """A unit: a delivery as each of its tries left it, the newest first; empty where there is none.

    One that was retried or edited is `<id>#2`, then `<id>#3`; the oldest are forgotten after some time.
    """
    carrier = deliveries.carrier(connection, id)
    ids = [carrier]
    while (earlier := last_try(ids[-1])) is not None and len(ids) <= MOST_TRIES:
        ids.append(earlier)
    found = {row.mid: _outgoing(row) for row in connection.execute(_ROWS.where(messages.c.mid.in_(ids), is_delivery))}
    arrived = _arrived(connection, [one.delivery.id for one in found.values() if one.delivery is not None])
    return [_with(found[each], arrived) for each in ids if each in found]


def _with(one: Outgoing, arrived: Mapping[str, int]) -> Outgoing:
    if one.delivery is None:
        return one
    return msgspec.structs.replace(one, arrived=arrived.get(one.delivery.id, 0))


def _selected(connection: Connection, wanted: Wanted) -> Sequence[Select[Any]]:
    """Statements of which each has an index that knows its order, or reads no more than a chat."""
    how = _ALL if wanted.state is None else (_OF[wanted.state],)
    if wanted.id is not None or wanted.address is not None:
        where = [*_of_id(connection, wanted), *_at(connection, wanted), *_of_channel(wanted)]
        return [_ROWS.where(or_(*how), *where)]
    known = (name for name in counts.names(connection) if name.startswith(channel_inbox("")))
    inboxes = known if wanted.channel is None else [channel_inbox(wanted.channel)]
    return [_ROWS.where(is_delivery, messages.c.inbox == inbox, state) for inbox in inboxes for state in how]


def _of_channel(wanted: Wanted) -> Conditions:
    return [] if wanted.channel is None else [messages.c.inbox == channel_inbox(wanted.channel)]


def _at(connection: Connection, wanted: Wanted) -> Conditions:
    if wanted.address is None:
        return []
    to = Address.parse(wanted.address)
    there = (lanes.c.lane == str(to)) | lanes.c.lane.startswith(f"{to}:", autoescape=True)
    chats = select(lanes.c.id).where(lanes.c.inbox == channel_inbox(to.channel), there).limit(MOST_LANES)
    return [messages.c.lane_id.in_(connection.execute(chats).scalars().all())]


def _of_id(connection: Connection, wanted: Wanted) -> Conditions:
    if wanted.id is None:
        return []
    taken = select(receipts.c.delivery).where(receipts.c.platform_id == wanted.id).limit(MOST_LANES)
    asked = {wanted.id, reply_id(wanted.id), *connection.execute(taken).scalars()}
    carriers = {deliveries.carrier(connection, one) for one in asked}
    return [messages.c.mid.in_(carriers), messages.c.inbox.startswith(channel_inbox(""))]


def _arrived(connection: Connection, ids: Sequence[str]) -> Mapping[str, int]:
    final = select(receipts.c.delivery, func.count().label("parts")).where(receipts.c.delivery.in_(ids))
    rows = connection.execute(final.where(receipts.c.final).group_by(receipts.c.delivery))
    return {row.delivery: row.parts for row in rows}


def _outgoing(row: Any) -> Outgoing:
    try:
        delivery = msgspec.json.decode(row.body, type=Delivery)
    except msgspec.MsgspecError:
        delivery = None
    return Outgoing(
        id=row.mid,
        inbox=row.inbox,
        delivery=delivery,
        state=_state(row),
        reason=row.reason,
        error=row.error,
        attempts=row.attempts,
        at=row.at,
        ended_at=row.settled_at,
    )


def _state(row: Any) -> State:
    if row.outcome == "delivered":
        return "delivered"
    if row.outcome is not None:
        return "discarded" if row.reason == "discarded" else "dead"
    if row.held:
        return "sending"
    return "waiting" if row.error is None else "failing"


_KEY = (messages.c.at, messages.c.lane_id, messages.c.seq)
_HELD = exists().where(lanes.c.id == messages.c.lane_id, lanes.c.leased, lanes.c.head + 1 == messages.c.seq)
_ROWS = select(messages, _HELD.label("held"))
_OPEN = messages.c.outcome.is_(None)
_DELIVERED = messages.c.outcome == "delivered"
_DEAD = messages.c.outcome == "dead"
_OF: Mapping[State, ColumnElement[bool]] = {
    "waiting": _OPEN & ~_HELD & messages.c.error.is_(None),
    "failing": _OPEN & ~_HELD & messages.c.error.is_not(None),
    "sending": _OPEN & _HELD,
    "delivered": _DELIVERED,
    "dead": _DEAD & func.coalesce(messages.c.reason, "").not_in(CLOSED),
    "discarded": _DEAD & (messages.c.reason == "discarded"),
}
_ALL = (_DELIVERED, _OPEN, _DEAD & (func.coalesce(messages.c.reason, "") != "retried"))
