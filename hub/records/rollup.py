"""Adds up in the background what happened, by minute, hour, day and month: each turn and each message once.

A turn that is over and has no `counted_at` waits to be counted, however late its transaction came; a unit counts some
of them and marks them. Nothing is written for it with the turn, whose unit costs enough, and on PostgreSQL all turns of
an agent would queue for one row. **Whoever deletes a turn deletes one that was counted**: its `counted_at` is set.

Settled messages have no such mark: those of a time are counted that is a while ago, and the end of it is remembered.
What took longer than that to commit is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.records import histogram
from hub.records.tally import COUNTS, HISTOGRAMS, NAMES, Place, Sums, of_message, of_turn
from hub.store import Store
from hub.store.tables import messages, settings, statistics, turns

MINUTE, HOUR, DAY, MONTH = 60, 3600, 86_400, 30 * 86_400
SPANS = (MINUTE, HOUR, DAY, MONTH)
"""What rows are of, in seconds: those of minutes go, the others stay. A month is 30 days, and for long times alone."""
MINUTES_KEPT = 3 * HOUR
BATCH = 200
"""Turns, or messages, of a unit."""
BATCHES = 500
"""Units a time: what an upgrade finds there is counted over some minutes."""
SETTLED_FOR = 60.0
"""How long ago messages were settled when they are counted, in seconds."""
MARK = "messages counted until"
"""In `settings`: messages that were settled until then are counted."""
Slot = tuple[int, int, Place]
"""The key of a row: span and start, and the rest."""


async def roll_up(store: Store, now: float) -> None:
    """Count what is to be counted, or so much of it that others get their turn."""
    for unit in (count_turns, count_messages):
        for _ in range(BATCHES):
            if not await store.write(partial(unit, now=now)):
                break
    await store.write(lambda connection: forget_minutes(connection, now))


def count_turns(connection: Connection, now: float) -> bool:
    """A unit: count some turns that are over, the oldest first; says whether there may be more."""
    _alone(connection)
    rows = connection.execute(_TURNS, {"limit_": BATCH}).all()
    _add(connection, ((row.finished_at, *of_turn(row)) for row in rows), now)
    connection.execute(_COUNTED, {"ids": [row.id for row in rows], "now": now})
    return len(rows) == BATCH


def count_messages(connection: Connection, now: float) -> bool:
    """A unit: count some messages that were settled a while ago; says whether there may be more."""
    _alone(connection)
    since, until = counted_until(connection), now - SETTLED_FOR
    if until <= since:
        return False
    # All that were settled at one moment are counted at once: the mark cannot stand between them.
    last = connection.execute(_BATCH_END, {"since": since, "until": until, "passed": BATCH - 1}).scalar()
    part = {"since": since, "until": until if last is None else last}
    _add(connection, ((row.settled_at, *of_message(row)) for row in connection.execute(SETTLED, part)), now)
    if connection.execute(_MARK, {"until": repr(part["until"])}).rowcount == 0:
        connection.execute(insert(settings).values(name=MARK, value=repr(part["until"])))
    return last is not None


def counted_until(connection: Connection) -> float:
    """A unit: messages that were settled up to this time are counted."""
    return float(connection.execute(select(settings.c.value).where(settings.c.name == MARK)).scalar() or 0.0)


def forget_minutes(connection: Connection, now: float) -> None:
    """A unit: forget the rows of minutes that are too old."""
    connection.execute(_FORGET, {"before": now - MINUTES_KEPT})


def _alone(connection: Connection) -> None:
    """Let nobody else count before this unit is over; others read on. On SQLite all writers wait anyhow."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE statistics IN SHARE ROW EXCLUSIVE MODE")


def _add(connection: Connection, happened: Iterable[tuple[float, Place, Sums]], now: float) -> None:
    new = dict[Slot, Sums]()
    for at, place, sums in happened:
        for span in SPANS:
            if span != MINUTE or at > now - MINUTES_KEPT:
                new.setdefault((span, int(at // span) * span, place), Sums()).add(sums)
    if not new:
        return
    spans, starts = ({slot[number] for slot in new} for number in (0, 1))
    # Not by their whole keys: SQLite would compare each row of the table with all of them.
    for row in connection.execute(_THERE, {"spans": sorted(spans), "starts": sorted(starts)}).mappings():
        place = Place(row["channel"], row["agent"], row["model"], row["key_id"])
        if there := new.get((row["span"], row["start"], place)):
            there.add(stored(row))
    connection.execute(_write(connection.dialect.name), [_row(slot, sums) for slot, sums in new.items()])


def stored(row: Mapping[Any, Any]) -> Sums:
    """What a row says; columns that were not read count nothing."""
    counts = {name: int(row[name]) for name in COUNTS if name in row}
    return Sums(**counts, **{name: histogram.unpack(row[name]) for name in HISTOGRAMS if name in row})


def _row(slot: Slot, sums: Sums) -> dict[str, Any]:
    row: dict[str, Any] = {"span": slot[0], "start": slot[1], **slot[2]._asdict()}
    row |= {name: int(getattr(sums, name)) for name in COUNTS}
    return row | {name: histogram.pack(getattr(sums, name)) for name in HISTOGRAMS}


@cache
def _write(dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = insert(statistics)
    return into.on_conflict_do_update(
        index_elements=[column.name for column in _KEY], set_={name: into.excluded[name] for name in NAMES}
    )


_KEY = tuple(statistics.primary_key.columns)
_THERE = select(statistics).where(
    statistics.c.span.in_(bindparam("spans", expanding=True)),
    statistics.c.start.in_(bindparam("starts", expanding=True)),
)
_FORGET = delete(statistics).where(statistics.c.span == MINUTE, statistics.c.start < bindparam("before"))
UNCOUNTED = select(
    turns.c.id,
    turns.c.address,
    turns.c.agent,
    turns.c.model,
    turns.c.key_id,
    turns.c.status,
    turns.c.prompt_tokens,
    turns.c.completion_tokens,
    turns.c.cached_tokens,
    turns.c.fee,
    turns.c.created_at,
    turns.c.accepted_at,
    turns.c.first_token_at,
    turns.c.finished_at,
).where(turns.c.finished_at.is_not(None), turns.c.counted_at.is_(None))
"""Turns that are over and not counted, by an index of their own."""
_TURNS = UNCOUNTED.order_by(turns.c.finished_at).limit(bindparam("limit_"))
_COUNTED = update(turns).where(turns.c.id.in_(bindparam("ids", expanding=True))).values(counted_at=bindparam("now"))
_OF_SOMEBODY = or_(messages.c.inbox.startswith("agent:"), messages.c.inbox.startswith("channel:"))
_CLOSED = func.coalesce(messages.c.reason, "").in_(("discarded", "retried"))
_SETTLED = and_(
    messages.c.settled_at.is_not(None),
    messages.c.settled_at > bindparam("since"),
    messages.c.settled_at <= bindparam("until"),
)
SETTLED = select(messages.c.inbox, messages.c.outcome, messages.c.body, messages.c.settled_at).where(
    _SETTLED, _OF_SOMEBODY, ~and_(messages.c.outcome == "dead", _CLOSED)
)
"""Messages for agents, and deliveries, that were settled in a time; what somebody took back is no failure."""
_BATCH_END = (
    select(messages.c.settled_at).where(_SETTLED).order_by(messages.c.settled_at).limit(1).offset(bindparam("passed"))
)
_MARK = update(settings).where(settings.c.name == MARK).values(value=bindparam("until"))
