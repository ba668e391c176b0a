"""What happened to one message from end to end, told by the rows that are stored; nothing of what was said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from hub import memory, tracing
from hub.accounts import turns
from hub.accounts.turns import TurnRecord
from hub.errors import Ambiguous, NotFound
from hub.memory import Said, Stepped
from hub.message import API, Message, agent_inbox, first_try, next_try, turn_of
from hub.model import Pace, Usage
from hub.records.timeline.deliveries import carriers, delivery_of, posts_of, receipts_of, sent_of
from hub.records.timeline.events import Event, Sent, Timeline, Tokens, between
from hub.store.tables import entries, lanes, messages, receipts
from hub.store.tables import turns as turn_rows

__all__ = ["Event", "Sent", "Timeline", "Tokens", "find"]
CANDIDATES = 10
"""How many are named where an id may mean several."""
MOST_JOINED = 100


def find(connection: Connection, given: str) -> Timeline:
    """A unit: what happened to what an id means; raises NotFound, Ambiguous where it may mean several.

    It is that of a message, a turn (also as `chatcmpl-...`, `resp_...`), a delivery, an HTTP request, or what a
    platform calls something it was sent.
    """
    id = given.removeprefix("chatcmpl-").removeprefix("resp_")  # noqa: A001 - the word of the bus
    for search in (_by_id, _by_request, _by_platform):
        found = list(dict.fromkeys(search(connection, id)))
        if len(found) > 1:
            some = found[:CANDIDATES]
            names = ", ".join(some) + (", ..." if len(found) > CANDIDATES else "")
            raise Ambiguous(f"'{given}' may be each of these: {names}. Name one of them.", some, param="id")
        if found:
            subject = found[0]
            return _turn(connection, subject) if _is_turn(connection, subject) else _posted(connection, subject)
    raise NotFound(
        f"Nothing is known of '{given}': it is the id of no message, turn, delivery or request, "
        "and no platform calls a message so that it was sent."
    )


# What an id means.


def _by_id(connection: Connection, id: str) -> Iterator[str]:
    if _is_turn(connection, id):
        row = _message(connection, id)
        reason = "" if row is None else row.reason or ""
        yield reason.removeprefix("merged:") if reason.startswith("merged:") else id
    elif carriers(connection, [id]) or receipts_of(connection, [first_try(id)]):
        yield _owner(connection, id)


def _by_request(connection: Connection, id: str) -> Iterator[str]:
    query = select(turn_rows.c.id).where(turn_rows.c.request_id == id).order_by(turn_rows.c.created_at.desc())
    yield from connection.execute(query.limit(CANDIDATES + 1)).scalars()


def _by_platform(connection: Connection, id: str) -> Iterator[str]:
    query = select(receipts.c.delivery).where(receipts.c.platform_id == id).order_by(receipts.c.at.desc())
    found = connection.execute(query.limit(CANDIDATES + 1)).scalars().all()
    yield from found if len(set(found)) > 1 else (_owner(connection, each) for each in found)


def _owner(connection: Connection, delivery: str) -> str:
    """The turn that posted something, or else the delivery itself."""
    turn = turn_of(delivery)
    return turn if turn is not None and _is_turn(connection, turn) else first_try(delivery)


def _is_turn(connection: Connection, id: str) -> bool:
    asked = select(turn_rows.c.id).where(turn_rows.c.id == id)
    begun = select(entries.c.turn).where(entries.c.turn == id).limit(1)
    known = any(connection.execute(query).first() is not None for query in (asked, begun))
    return known or _message(connection, id) is not None


def _message(connection: Connection, id: str) -> Any:
    """The row of a message for an agent."""
    query = (
        select(messages, lanes.c.leased, lanes.c.head)
        .join_from(messages, lanes, lanes.c.id == messages.c.lane_id)
        .where(messages.c.mid == id, messages.c.inbox.startswith(agent_inbox("")))
        .order_by(messages.c.at)
    )
    return connection.execute(query).first()


# A turn.


def _turn(connection: Connection, id: str) -> Timeline:
    record, row = turns.find(connection, id), _message(connection, id)
    journal = connection.execute(select(entries).where(entries.c.turn == id).order_by(entries.c.ordinal)).all()
    steps = [(each.at, entry) for each in journal if isinstance(entry := memory.decode(each.body), Stepped | Said)]
    said = None if row is None else _said(row)
    calls = [len(entry.calls) for _, entry in steps if isinstance(entry, Stepped)]
    calls += [len(stage.calls) for stage in (record.stages if record else ())]
    events = [
        *_begun(record, row, said),
        *_joined(connection, id, row),
        *(event for number, (at, entry) in enumerate(steps, 1) for event in _step(number, at, entry)),
        *(_stages(record) if record is not None and row is None and not journal else ()),
        *_ended(record, row),
    ]
    sent = sent_of(connection, posts_of(id, calls), events)
    from_row = record or TurnRecord(id=id, address=str(said.address) if said else "", status="queued", created_at=0.0)
    return Timeline(
        id=id,
        kind="turn",
        status=_status(record, row),
        outcome=row and row.outcome,
        reason=row and row.reason,
        error=from_row.error or (row and row.error),
        address=from_row.address or None,
        agent=from_row.agent or (row and row.inbox.partition(":")[2]),
        model=from_row.model,
        session=from_row.session or next((each.session for each in journal), None),
        session_id=from_row.session_id,
        key_id=from_row.key_id,
        request_id=from_row.request_id or (said and said.request_id),
        trace_id=from_row.trace_id or (said and tracing.trace_id(said.trace)),
        usage=Tokens.of(from_row.usage) if record is not None and record.over else None,
        retried_as=next_try(id) if row is not None and row.reason == "retried" else None,
        deliveries=sent,
        events=_in_order(events),
    )


def _said(row: Any) -> Message | None:
    try:
        return msgspec.json.decode(row.body, type=Message)
    except msgspec.MsgspecError:
        return None


def _status(record: TurnRecord | None, row: Any) -> str:
    if record is not None and (record.over or row is None):
        return record.status
    if row is None:
        return "completed"
    if row.outcome is not None:
        return row.outcome
    return "running" if row.leased and row.seq == row.head + 1 else "queued"


def _begun(record: TurnRecord | None, row: Any, said: Message | None) -> Iterator[Event]:
    accepted = row.at if row is not None else record and (record.accepted_at or record.created_at)
    address = record.address if record is not None else str(said.address) if said is not None else ""
    at = record.created_at if record is not None else said.at if said is not None else None
    if at is not None and accepted is not None and not address.startswith(f"{API}:"):
        yield Event(at=at, what="said", name=address)
    if accepted is not None:
        inbox = row.inbox if row is not None else record and record.agent and agent_inbox(record.agent)
        yield Event(at=accepted, what="accepted", name=inbox or (record and record.model))
    if accepted is None:
        return
    if record is not None and record.tries and record.started_at:
        waited = between(accepted, record.started_at)
        yield Event(at=record.started_at, what="claimed", seconds=waited, tries=record.tries)
    elif row is not None and row.claimed_at:
        waited = between(accepted, row.claimed_at)
        yield Event(at=row.claimed_at, what="claimed", seconds=waited, tries=row.attempts)


def _joined(connection: Connection, id: str, row: Any) -> Iterator[Event]:
    """What was said meanwhile and taken up by the same turn."""
    if row is None:
        return
    query = select(messages.c.mid, messages.c.at).where(
        messages.c.lane_id == row.lane_id,
        messages.c.seq.between(row.seq + 1, row.seq + MOST_JOINED),
        messages.c.reason == f"merged:{id}",
    )
    for each in connection.execute(query.order_by(messages.c.seq)):
        yield Event(at=each.at, what="joined", name=each.mid)


def _step(number: int, at: float, entry: Stepped | Said) -> Iterator[Event]:
    """A model call and the calls of tools; of one from before there were times only when it was stored."""
    if entry.pace is None and entry.usage == Usage() and not entry.model:
        return
    yield _asked(number, entry.pace or Pace(at=at, seconds=0.0), entry.model, entry.usage, timed=entry.pace is not None)
    if isinstance(entry, Stepped):
        yield from _used(number, at, entry.pace, [call.name for call in entry.calls], entry.took)


def _asked(number: int, pace: Pace, model: str, usage: Usage, *, timed: bool = True) -> Event:
    seconds = pace.seconds if timed else None
    return Event(
        at=pace.at, what="model", seconds=seconds, first=pace.first, name=model, usage=Tokens.of(usage), step=number
    )


def _used(number: int, at: float, pace: Pace | None, names: Sequence[str], took: Sequence[float]) -> Iterator[Event]:
    began = at if pace is None else pace.at + pace.seconds
    for index, name in enumerate(names):
        seconds = took[index] if index < len(took) else None
        yield Event(at=began, what="tool", seconds=seconds, name=name, step=number)


def _stages(record: TurnRecord) -> Iterator[Event]:
    """What a turn did that has no entries: its steps, and the call that answered."""
    began, left = record.started_at or record.created_at, record.usage
    for number, stage in enumerate(record.stages, 1):
        pace = stage.pace or Pace(at=began, seconds=0.0)
        yield _asked(number, pace, stage.model, stage.usage)
        yield from _used(number, began, pace, stage.calls, stage.took)
        began = pace.at + pace.seconds + max(stage.took, default=0.0)
        left = _without(left, stage.usage)
    first = record.first_token_at
    pace = Pace(
        at=began,
        first=between(began, first) if first is not None and first >= began else None,
        seconds=between(began, record.finished_at or began),
    )
    yield _asked(len(record.stages) + 1, pace, record.model or "", left, timed=record.finished_at is not None)


def _without(usage: Usage, other: Usage) -> Usage:
    counted = {name: getattr(usage, name) - getattr(other, name) for name in ("prompt", "completion")}
    return Usage(**counted, estimated=usage.estimated)


def _ended(record: TurnRecord | None, row: Any) -> Iterator[Event]:
    at = (record and record.finished_at) or (row and row.settled_at)
    if not at:
        return
    began = row.at if row is not None else record and (record.accepted_at or record.created_at)
    yield Event(
        at=at,
        what="ended",
        seconds=between(began or at, at),
        outcome=(row and row.outcome) or (record and record.status),
        reason=row and row.reason,
        error=(record and record.error) or (row and row.error),
    )


def _posted(connection: Connection, id: str) -> Timeline:
    events: list[Event] = []
    [sent] = sent_of(connection, [id], events)
    body = next((delivery_of(row) for row in carriers(connection, [id])), None)
    return Timeline(
        id=id,
        kind="delivery",
        status=sent.outcome or ("delivered" if sent.attempts is None else "queued"),
        outcome=sent.outcome,
        reason=sent.reason,
        error=sent.error,
        address=sent.address,
        agent=body.author.id if body is not None and body.author.kind == "agent" else None,
        request_id=body and body.request_id,
        trace_id=body and tracing.trace_id(body.trace),
        deliveries=(sent,),
        events=_in_order(events),
    )


def _in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: event.at))
