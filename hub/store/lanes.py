"""The bus's statements, built once a dialect; what they mean together is in hub/bus.py."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    Executable,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    null,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from hub.store.tables import Big, Time, lanes, messages

ENTER = ("inbox", "lane", "tail", "head", "taken", "stop", "ready_at", "leased", "token", "tries")

CLOSED = ("discarded", "retried", "told")
"""Reasons of dead messages that nobody has to look at any more."""


def p(name: str, type_: Any = None) -> Any:
    return bindparam(name, type_=type_)


this_lane = lanes.c.id == p("lane_id_")
named = and_(lanes.c.inbox == p("inbox_"), lanes.c.lane == p("lane_"))
these = lanes.c.id.in_(bindparam("ids", expanding=True))
held = and_(this_lane, lanes.c.token == p("token_"), lanes.c.leased)
fenced = and_(tuple_(lanes.c.id, lanes.c.token).in_(bindparam("fences", expanding=True)), lanes.c.leased)
unheld = select(lanes.c.id).where(fenced).with_for_update(skip_locked=True).cte("free")
extended = update(lanes).values(ready_at=p("until")).returning(lanes.c.id, lanes.c.token, lanes.c.stop)
after = (
    select(messages)
    .where(messages.c.lane_id == p("lane_id_"), messages.c.seq > p("after"), messages.c.outcome.is_(None))
    .order_by(messages.c.seq)
)


def _enter(insert: Any, *, settled: bool) -> Executable:
    """Insert the lane with its first place taken, or move its tail on, unless the message is there already."""
    is_there = exists().where(messages.c.inbox == p("inbox_", Text), messages.c.mid == p("mid_", Text))
    first = literal(1 if settled else 0, Big)
    ready_at = null() if settled else p("now", Time)
    new_lane = select(
        p("inbox_", Text),
        p("lane_", Text),
        literal(1, Big),
        first,
        first,
        literal(0, Big),
        ready_at,
        literal(False, Boolean),
        literal(0, Big),
        literal(0, Integer),
    ).where(~is_there)
    into = insert(lanes).from_select(ENTER, new_lane)
    moved = {"tail": lanes.c.tail + 1}
    if settled:
        moved |= {"head": lanes.c.head + 1, "taken": lanes.c.taken + 1}
    else:
        moved |= {"ready_at": func.coalesce(lanes.c.ready_at, into.excluded.ready_at)}
    not_full = lanes.c.tail - lanes.c.head < p("limit_", Big)
    return into.on_conflict_do_update(index_elements=["inbox", "lane"], set_=moved, where=not_full).returning(
        lanes.c.id, lanes.c.tail
    )


def _size() -> Executable:
    busy = (
        select((lanes.c.tail - lanes.c.head).label("waiting"))
        .where(lanes.c.inbox == p("inbox_"), lanes.c.ready_at.is_not(None))
        .limit(p("limit_", Integer))
        .subquery()
    )
    return select(func.sum(busy.c.waiting))


def _claim() -> Executable:
    pick = (
        select(lanes.c.id)
        .where(lanes.c.inbox == p("inbox_"), lanes.c.ready_at <= p("now"), lanes.c.ready_at >= p("floor"))
        .order_by(lanes.c.ready_at)
        .limit(p("limit_", Integer))
        .with_for_update(skip_locked=True)
        .cte("pick")
    )
    return (
        update(lanes)
        .where(lanes.c.id.in_(select(pick.c.id)))
        .values(
            leased=True,
            token=lanes.c.token + 1,
            tries=lanes.c.tries + 1,
            taken=lanes.c.head + 1,
            ready_at=p("until"),
        )
        .returning(lanes.c.id, lanes.c.lane, lanes.c.head, lanes.c.token, lanes.c.tries, lanes.c.stop)
    )


def _forgettable() -> Any:
    open_dead = and_(messages.c.outcome == "dead", messages.c.reason.not_in(CLOSED))
    return (
        select(messages.c.lane_id, messages.c.seq)
        .where(messages.c.settled_at < p("before"), messages.c.outcome.is_not(None), ~open_dead)
        .order_by(messages.c.settled_at)
        .limit(p("limit_", Integer))
        .with_for_update(skip_locked=True)
    )


def _residue() -> Executable:
    """Count messages without an outcome that no claim will find: behind their lane's head, or in an idle lane."""
    found = and_(lanes.c.ready_at.is_not(None), messages.c.seq.between(lanes.c.head + 1, lanes.c.tail))
    return (
        select(func.count())
        .select_from(messages.outerjoin(lanes, lanes.c.id == messages.c.lane_id))
        .where(
            messages.c.outcome.is_(None), messages.c.at >= p("since"), ~func.coalesce(found, literal(False, Boolean))
        )
    )


class Statements:
    """Each statement by what it does, for `sqlite` or `postgresql`; only their INSERT ... ON CONFLICT differs."""

    def __init__(self, dialect: str) -> None:
        insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
        self.enter = _enter(insert, settled=False)
        """Take the next place at a lane's tail; no row when the message is already there or the lane is full."""
        self.enter_settled = _enter(insert, settled=True)
        """The same where head moves along: nothing will wait at that place."""
        self.put: Executable = insert(messages).on_conflict_do_nothing().returning(messages.c.seq)
        """Write the message at its place; no row when another transaction was first with the same id."""

    undo = (
        update(lanes)
        .where(this_lane)
        .values(
            tail=lanes.c.tail - 1,
            ready_at=case((lanes.c.leased | (lanes.c.tail - 1 > lanes.c.head), lanes.c.ready_at), else_=null()),
        )
    )
    undo_settled = (
        update(lanes).where(this_lane).values(tail=lanes.c.tail - 1, head=lanes.c.head - 1, taken=lanes.c.taken - 1)
    )
    find = select(messages.c.lane_id, messages.c.seq, messages.c.outcome).where(
        messages.c.inbox == p("inbox_"), messages.c.mid == p("mid_")
    )
    size = _size()
    """Messages waiting in an inbox, counting stops at the limit."""
    lowest = select(func.min(lanes.c.ready_at)).where(lanes.c.inbox == p("inbox_"), lanes.c.ready_at >= p("floor"))
    claim = _claim()
    """Lease ready lanes, skipping those that others write to."""
    heads = select(messages).where(tuple_(messages.c.lane_id, messages.c.seq).in_(bindparam("places", expanding=True)))
    following = after.limit(1)
    """The first message after a place that has no outcome."""
    more = after.limit(p("limit_", Integer))
    drain = (
        update(lanes)
        .where(this_lane)
        .values(head=lanes.c.tail, taken=lanes.c.tail, leased=False, tries=0, ready_at=null())
    )
    advance = update(lanes).where(this_lane).values(head=p("head_", Big), taken=p("head_", Big) + 1, tries=1)
    take = update(lanes).where(this_lane).values(taken=p("taken_"))
    hold = select(lanes.c.stop).where(held).with_for_update()
    extend = extended.where(lanes.c.id.in_(select(unheld.c.id)))
    """Extend the leases that are still held, skipping lanes that others write to."""
    extend_waiting = extended.where(fenced)
    settle = (
        update(lanes)
        .where(held)
        .values(
            head=p("through", Big),
            taken=p("through", Big),
            leased=False,
            tries=0,
            ready_at=case((lanes.c.tail > p("through", Big), p("now", Time)), else_=null()),
        )
        .returning(lanes.c.tail)
    )
    release = (
        update(lanes)
        .where(held)
        .values(leased=False, taken=lanes.c.head, tries=lanes.c.tries - p("uncount", Integer), ready_at=p("at"))
        .returning(lanes.c.id)
    )
    outcome = (
        update(messages)
        .where(
            messages.c.lane_id == p("lane_id_"),
            messages.c.seq.between(p("first"), p("last")),
            messages.c.outcome.is_(None),
        )
        .values(
            outcome=p("outcome_"),
            reason=p("reason_"),
            error=func.coalesce(p("error_", Text), messages.c.error),
            settled_at=p("now"),
            claimed_at=p("claimed_", Time),
            attempts=messages.c.attempts + p("tried", Integer),
        )
    )
    attempt = (
        update(messages)
        .where(messages.c.lane_id == p("lane_id_"), messages.c.seq == p("seq_"))
        .values(attempts=messages.c.attempts + 1, error=p("error_"))
    )
    stop = update(lanes).where(named, lanes.c.tail > lanes.c.head).values(stop=lanes.c.tail).returning(lanes.c.id)
    depth = select(lanes.c.tail - lanes.c.head).where(named)
    claimed = (
        select(messages.c.seq)
        .join_from(messages, lanes, lanes.c.id == messages.c.lane_id)
        .where(
            messages.c.inbox == p("inbox_"),
            messages.c.mid == p("mid_"),
            lanes.c.leased,
            messages.c.seq > lanes.c.head,
            messages.c.seq <= lanes.c.taken,
        )
    )
    free = (
        update(lanes)
        .where(named, lanes.c.leased)
        .values(leased=False, token=lanes.c.token + 1, taken=lanes.c.head, ready_at=p("now"))
        .returning(lanes.c.id)
    )
    lock = select(lanes).where(this_lane).with_for_update()
    mark = (
        update(lanes)
        .where(this_lane)
        .values(stop=case((lanes.c.stop > p("stop_", Big), lanes.c.stop), else_=p("stop_", Big)))
    )
    hurry = update(lanes).where(this_lane, lanes.c.leased.is_(False)).values(ready_at=p("now"))
    forget = (
        delete(messages)
        .where(tuple_(messages.c.lane_id, messages.c.seq).in_(_forgettable()))
        .returning(messages.c.lane_id)
    )
    idle = select(lanes.c.id).where(these, lanes.c.ready_at.is_(None)).with_for_update(skip_locked=True)
    """Lock those of some lanes where nothing waits."""
    forget_lanes = delete(lanes).where(these, ~exists().where(messages.c.lane_id == lanes.c.id))
    residue = _residue()


statements = cache(Statements)
