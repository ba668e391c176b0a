"""Dead letters: messages that ended dead and want somebody to retry or discard them; nothing is ever deleted."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select, update

from hub import chats
from hub.accounts.audit import Act, By
from hub.bus import AlreadyThere, Bus, Publish
from hub.delivery import deliveries
from hub.errors import Conflict, RequestError
from hub.message import Delivery, File, Message, Part, Text, Value, channel_inbox, next_try
from hub.records import counts
from hub.store import listing
from hub.store.lanes import CLOSED
from hub.store.tables import lanes, messages

Closing = Literal["retried", "discarded"]
EXPIRES = 24 * 3600.0
"""A delivery that is tried again gets this long if its time is over, in seconds."""


class DeadLetter(Value, frozen=True, kw_only=True):
    """A message that ended dead; `at` is when it came, `died_at` when it was given up (Unix seconds)."""

    inbox: str
    lane: str
    """Where it stood; empty for what was stored aside because it could not be read."""
    id: str
    body: bytes
    at: float
    died_at: float
    attempts: int
    reason: str | None
    error: str | None

    @property
    def open(self) -> bool:
        """Nobody has looked at it yet."""
        return self.reason not in CLOSED

    @property
    def can_edit(self) -> bool:
        """Its text may be another one: it can be read, and is no reaction."""
        said = self.said
        return bool(self.lane) and said is not None and not (isinstance(said, Delivery) and said.reaction is not None)

    @property
    def said(self) -> Message | Delivery | None:
        """What it says, None when it cannot be read."""
        kind = Delivery if self.inbox.startswith("channel:") else Message
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.MsgspecError:
            return None

    @property
    def place(self) -> str:
        """The address, or the lane where the body does not tell it."""
        return self.lane if self.said is None else str(self.said.address)


def newest(connection: Connection, inbox: str | None, limit: int) -> list[DeadLetter]:
    """A unit: the open ones that died last, of one inbox or of all, in the order they died."""
    query = select(*_COLUMNS).join(lanes, lanes.c.id == messages.c.lane_id).where(_OPEN, *_of(inbox))
    rows = connection.execute(query.order_by(messages.c.settled_at.desc(), messages.c.seq.desc()).limit(limit)).all()
    return [_letter(row) for row in reversed(rows)]


def count(connection: Connection, inbox: str | None) -> int:
    """A unit: how many are open."""
    return connection.execute(select(func.count()).select_from(messages).where(_OPEN, *_of(inbox))).scalar() or 0


def places(connection: Connection, inbox: str | None) -> list[tuple[str, str]]:
    """A unit: inbox and id of every open one, in the order they came to their lanes."""
    query = select(messages.c.inbox, messages.c.mid).where(_OPEN, *_of(inbox))
    rows = connection.execute(query.order_by(messages.c.lane_id, messages.c.seq))
    return [(row.inbox, row.mid) for row in rows]


def find(connection: Connection, id: str, inbox: str | None = None) -> list[DeadLetter]:
    """A unit: the dead messages with this id, at most one an inbox; also those that somebody closed."""
    query = select(*_COLUMNS).join(lanes, lanes.c.id == messages.c.lane_id)
    rows = connection.execute(query.where(messages.c.outcome == "dead", messages.c.mid == id, *_of(inbox)))
    return [_letter(row) for row in rows]


def close(connection: Connection, inbox: str, id: str, reason: Closing, now: float) -> bool:
    """A unit: take one off the list; False when it is not on it (any more). Its id stays known as long as any."""
    statement = (
        update(messages)
        .where(_OPEN, messages.c.inbox == inbox, messages.c.mid == id)
        .values(reason=reason, settled_at=now)
    )
    return connection.execute(statement).rowcount > 0


def list_incoming(connection: Connection, inbox: str | None, part: listing.Part) -> listing.Page[DeadLetter]:
    """A unit: open ones that no channel was to send, those that died last first; of one inbox or of all."""
    known = counts.names(connection) if inbox is None else [inbox]
    incoming = [name for name in known if not name.startswith(channel_inbox("")) and name != counts.SINGLETONS]
    rows = select(*_COLUMNS).join(lanes, lanes.c.id == messages.c.lane_id).where(_OPEN)
    streams = [rows.where(messages.c.inbox == name) for name in incoming]
    return listing.merged(connection, streams, _DIED, part, _letter)


async def retry(bus: Bus, letter: DeadLetter, by: By) -> str:
    """Publish it again at the tail of its lane, and return its id there; raises Conflict where that cannot be.

    What the platform took of a delivery is not sent again.
    """
    return await _again(bus, letter, "dead.retry", _fresh(letter, bus.clock()), by)


async def resend(bus: Bus, letter: DeadLetter, text: str, by: By) -> str:
    """Publish it with another text, at the tail of its lane, and return its id there; raises Conflict, RequestError.

    Files and buttons stay. It is a message of its own, which the platform has seen nothing of, so all of it is sent,
    once; what it took of the old one stays in the chat. Where that is only a preview, it becomes the new text.
    """
    said = letter.said
    if said is None:
        raise Conflict(f"'{letter.id}' cannot be read, so its text cannot be edited.")
    if isinstance(said, Delivery) and said.reaction is not None:
        raise Conflict(f"'{letter.id}' is a reaction, which has no text.")
    if not text.strip():
        raise RequestError("text is missing.", param="text", code="missing_parameter")
    changed = {"id": next_try(letter.id), "parts": _worded(said.parts, text)}
    if isinstance(said, Message):
        return await _again(
            bus, letter, "dead.resend", msgspec.json.encode(msgspec.structs.replace(said, **changed)), by
        )
    # One that only was to end a preview would not be sent where there is none.
    edited = msgspec.structs.replace(said, **changed, closes=False, expires_at=_expires_at(said, bus.clock()))
    return await _again(bus, letter, "dead.resend", msgspec.json.encode(edited), by, (said.id, edited.id))


async def _again(
    bus: Bus, letter: DeadLetter, what: str, body: bytes, by: By, renamed: tuple[str, str] | None = None
) -> str:
    """Close it and publish a body in its stead, in one commit: it goes on once, whoever else does the same.

    A chat that was gone is one no more: whether it still is, the platform tells.
    """
    if not letter.lane:
        raise Conflict(f"'{letter.id}' could not be read when it came, so it cannot be tried again; discard it.")
    now = bus.clock()
    again = Publish(inbox=letter.inbox, lane=letter.lane, id=next_try(letter.id), body=body, once=True)

    def note(connection: Connection) -> None:
        _close(Act(connection=connection, what=what, now=now, by=by), letter, "retried", again=again.id)
        if isinstance(said := letter.said, Delivery):
            chats.came_back(connection, said.address.channel, said.address.chat_id)
        if renamed is not None:
            deliveries.hand_on(connection, *renamed)

    try:
        await bus.commit(again, also=note)
    except AlreadyThere:
        raise Conflict(f"'{letter.id}' was retried already, as '{again.id}'.") from None
    return again.id


def discard(act: Act, letter: DeadLetter) -> None:
    """A unit: take it off the list; raises Conflict when it is not on it any more."""
    _close(act, letter, "discarded")


def _close(act: Act, letter: DeadLetter, reason: Closing, **told: str) -> None:
    """A unit that undoes all it is part of when somebody else was first."""
    if not close(act.connection, letter.inbox, letter.id, reason, act.now):
        raise Conflict(f"Somebody else has just seen to '{letter.id}'.")
    act.note(letter.place or letter.inbox, after={"inbox": letter.inbox, "message": letter.id, **told})


def _worded(parts: tuple[Part, ...], text: str) -> tuple[Part, ...]:
    """The parts with one text in place of theirs: where the first of these stood, else before the files."""
    at = next((index for index, part in enumerate(parts) if isinstance(part, Text)), 0)
    before, after = (tuple(part for part in some if isinstance(part, File)) for some in (parts[:at], parts[at:]))
    return (*before, Text(text=text), *after)


def _fresh(letter: DeadLetter, now: float) -> bytes:
    """The body to publish again."""
    said = letter.said
    if not isinstance(said, Delivery) or (expires_at := _expires_at(said, now)) == said.expires_at:
        return letter.body
    return msgspec.json.encode(msgspec.structs.replace(said, expires_at=expires_at))


def _expires_at(delivery: Delivery, now: float) -> float | None:
    """One whose time is over gets another day, or it would be dead at once."""
    over = delivery.expires_at is not None and delivery.expires_at <= now
    return now + EXPIRES if over else delivery.expires_at


def _of(inbox: str | None) -> list[ColumnElement[bool]]:
    return [] if inbox is None else [messages.c.inbox == inbox]


def _letter(row: Any) -> DeadLetter:
    return DeadLetter(
        inbox=row.inbox,
        lane=row.lane,
        id=row.mid,
        body=row.body,
        at=row.at,
        died_at=row.settled_at,
        attempts=row.attempts,
        reason=row.reason,
        error=row.error,
    )


_COLUMNS = (
    lanes.c.lane,
    messages.c.lane_id,
    messages.c.seq,
    messages.c.inbox,
    messages.c.mid,
    messages.c.body,
    messages.c.at,
    messages.c.settled_at,
    messages.c.attempts,
    messages.c.reason,
    messages.c.error,
)
_DIED = (messages.c.settled_at, messages.c.lane_id, messages.c.seq)
# A message may die without a reason: NULL is in no list.
_OPEN = (messages.c.outcome == "dead") & func.coalesce(messages.c.reason, "").not_in(CLOSED)
