"""Deliveries as they stand in the store: a message of a channel's inbox and the receipts of its parts."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.message import Delivery, Value, channel_inbox, next_try
from hub.store.tables import lanes, messages, receipts

Status = Literal["waiting", "sending", "delivered", "failed", "discarded"]


class PartReceipt(Value, frozen=True, kw_only=True):
    """The platform's id of one part, and when it gave it (Unix seconds); not `final` while it shows a preview.

    A draft is a preview that has no id. `began_at` is when the call began by which the platform took it first, and
    `edits` how often it was changed since.
    """

    part: int
    platform_id: str
    at: float
    final: bool = True
    began_at: float | None = None
    edits: int = 0


class DeliveryRecord(Value, frozen=True, kw_only=True):
    """One delivery and what became of it; times are Unix seconds."""

    delivery: Delivery
    status: Status
    reason: str | None
    attempts: int
    parts: tuple[PartReceipt, ...]
    last_error: str | None
    created_at: float


def find(connection: Connection, id: str) -> DeliveryRecord | None:
    """A unit: the delivery with this id, or None; one that was dead and retried is as its newest try left it."""
    row = _newest(connection, id)
    if row is None:
        return None
    record = _record(row)
    # Receipts belong to the delivery, whichever message carries it.
    sent = tuple(part for part in parts(connection, record.delivery.id) if part.platform_id)
    return msgspec.structs.replace(record, parts=sent)


def carrier(connection: Connection, id: str) -> str:
    """A unit: the id of the message that carries a delivery: its own, or `<id>#2` after a retry."""
    row = _newest(connection, id)
    return id if row is None else row.mid


def _newest(connection: Connection, id: str) -> Any:
    row = _row(connection, id)
    while row is not None and row.reason == "retried":
        again = _row(connection, next_try(row.mid))
        if again is None:
            break
        row = again
    return row


def _row(connection: Connection, id: str) -> Any:
    query = (
        select(messages, lanes.c.leased, lanes.c.head)
        .join_from(messages, lanes, lanes.c.id == messages.c.lane_id)
        .where(messages.c.mid == id, messages.c.inbox.startswith("channel:"))
    )
    return connection.execute(query).first()


def parts(connection: Connection, id: str) -> tuple[PartReceipt, ...]:
    """A unit: the receipts of a delivery, by part."""
    query = select(receipts).where(receipts.c.delivery == id).order_by(receipts.c.part)
    return tuple(receipt(row) for row in connection.execute(query))


def receipt(row: Any) -> PartReceipt:
    """A receipt as it is stored."""
    return PartReceipt(**{name: getattr(row, name) for name in PartReceipt.__struct_fields__})


def overdue(connection: Connection, channel: str, now: float) -> list[str]:
    """A unit: deliveries of a channel that still wait after their time."""
    query = select(messages.c.mid, messages.c.body).where(
        messages.c.inbox == channel_inbox(channel), messages.c.outcome.is_(None)
    )
    late: list[str] = []
    for row in connection.execute(query):
        expires_at = msgspec.json.decode(row.body, type=Delivery).expires_at
        if expires_at is not None and expires_at <= now:
            late.append(row.mid)
    return late


def add_receipt(connection: Connection, id: str, receipt: PartReceipt) -> None:
    """A unit: remember that the platform took a part; a final part stays as it is."""
    row = {"delivery": id, **msgspec.structs.asdict(receipt)}
    connection.execute(_receipt(connection.dialect.name), row)


def hand_on(connection: Connection, id: str, to: str) -> None:
    """A unit: what one delivery shows as a preview becomes another's, unless something of it arrived for good."""
    if not any(part.final for part in parts(connection, id)):
        connection.execute(update(receipts).where(receipts.c.delivery == id).values(delivery=to))


def drop_receipt(connection: Connection, id: str, part: int) -> None:
    """A unit: forget a preview that was taken back."""
    connection.execute(delete(receipts).where(receipts.c.delivery == id, receipts.c.part == part))


@cache
def _receipt(dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = insert(receipts)
    columns = ("platform_id", "at", "final", "edits")
    return into.on_conflict_do_update(
        index_elements=["delivery", "part"],
        set_={name: into.excluded[name] for name in columns},
        where=receipts.c.final.is_(False),
    )


def _record(row: Any) -> DeliveryRecord:
    return DeliveryRecord(
        delivery=msgspec.json.decode(row.body, type=Delivery),
        status=_status(row),
        reason=row.reason,
        attempts=row.attempts,
        parts=(),
        last_error=row.error,
        created_at=row.at,
    )


def _status(row: Any) -> Status:
    if row.outcome == "delivered":
        return "delivered"
    if row.outcome == "dead":
        return "discarded" if row.reason == "discarded" else "failed"
    return "sending" if row.leased and row.seq == row.head + 1 else "waiting"
