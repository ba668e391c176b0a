"""What happened to the deliveries of a turn, or to one that has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from hub.delivery.deliveries import PartReceipt, receipt
from hub.message import Delivery, first_try, next_try, reply_id
from hub.records.timeline.events import Event, Sent, between
from hub.store.tables import messages, receipts

MOST_CALLS = 16
"""So many posts of a step that did not end are looked for."""


def posts_of(turn: str, calls: Sequence[int]) -> list[str]:
    """The ids that deliveries of a turn may have: its answer, and the posts of its tools."""
    steps = enumerate((*calls, MOST_CALLS))
    return [reply_id(turn), *(f"{turn}.{step}.{call}" for step, count in steps for call in range(count))]


def sent_of(connection: Connection, ids: Sequence[str], events: list[Event]) -> tuple[Sent, ...]:
    """The deliveries that there are of these; adds what happened to them."""
    carried: dict[str, list[Any]] = {}
    waiting = list(ids)
    while waiting:  # one that was dead and retried is carried on by <id>#2
        rows = carriers(connection, waiting)
        for row in rows:
            carried.setdefault(first_try(row.mid), []).append(row)
        waiting = [next_try(row.mid) for row in rows if row.outcome == "dead" and row.reason == "retried"]
    parts: dict[str, list[PartReceipt]] = {}
    tries = {row.mid for rows in carried.values() for row in rows}  # one that was edited has parts of its own
    for row in receipts_of(connection, sorted({*ids, *tries})):
        parts.setdefault(row.delivery if row.delivery in ids else first_try(row.delivery), []).append(receipt(row))
    found = [each for each in ids if each in carried or each in parts]
    for each in found:
        for row in carried.get(each, ()):
            events += _carried(each, row)
        events += _parts(each, parts.get(each, ()))
    return tuple(_one(each, carried.get(each, []), len(parts.get(each, ()))) for each in found)


def carriers(connection: Connection, ids: Sequence[str]) -> Sequence[Any]:
    """The messages that carry deliveries under these ids."""
    query = select(messages).where(messages.c.mid.in_(ids), messages.c.inbox.startswith("channel:"))
    return connection.execute(query).all()


def receipts_of(connection: Connection, ids: Sequence[str]) -> Sequence[Any]:
    """The receipts of deliveries, part by part."""
    query = select(receipts).where(receipts.c.delivery.in_(ids)).order_by(receipts.c.delivery, receipts.c.part)
    return connection.execute(query).all()


def delivery_of(row: Any) -> Delivery | None:
    """What a message says, or None where it cannot be read."""
    try:
        return msgspec.json.decode(row.body, type=Delivery)
    except msgspec.MsgspecError:
        return None


def _one(id: str, rows: Sequence[Any], parts: int) -> Sent:
    if not rows:
        return Sent(id=id, parts=parts)
    row, body = rows[-1], delivery_of(rows[-1])
    return Sent(
        id=id,
        address=str(body.address) if body is not None else None,
        outcome=row.outcome,
        reason=row.reason,
        attempts=row.attempts,
        error=row.error,
        parts=parts,
    )


def _carried(id: str, row: Any) -> Iterator[Event]:
    body = delivery_of(row)
    yield Event(at=row.at, what="posted", name=str(body.address) if body else row.inbox, delivery=id)
    if row.claimed_at is not None:
        waited = between(row.at, row.claimed_at)
        yield Event(at=row.claimed_at, what="sending", seconds=waited, delivery=id, tries=row.attempts)
    if row.settled_at is not None:
        how: dict[str, Any] = {"outcome": row.outcome, "reason": row.reason, "error": row.error}
        yield Event(at=row.settled_at, what="settled", seconds=between(row.at, row.settled_at), delivery=id, **how)


def _parts(id: str, sent: Iterable[PartReceipt]) -> Iterator[Event]:
    for part in sent:
        began = part.at if part.began_at is None else part.began_at
        yield Event(
            at=began,
            what="part",
            seconds=None if part.began_at is None else between(began, part.at),
            delivery=id,
            part=part.part + 1,
            platform_id=part.platform_id or None,
            edits=part.edits,
            outcome=None if part.final else "preview",
        )
