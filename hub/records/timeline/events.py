"""What a timeline is made of."""

from __future__ import annotations

from typing import Literal

import msgspec

from hub.message import Value
from hub.model import Usage

What = Literal[
    "said", "accepted", "joined", "claimed", "model", "tool", "ended", "posted", "sending", "part", "settled"
]


class Tokens(Usage, frozen=True, kw_only=True):
    """Tokens of a model call, or of a whole turn."""

    @classmethod
    def of(cls, usage: Usage) -> Tokens:
        """The same numbers."""
        return cls(**msgspec.structs.asdict(usage))


class Event(Value, frozen=True, kw_only=True):
    """One thing that happened; `at` is when it began (Unix seconds), `seconds` how long it took.

    Of `claimed` and `sending` the seconds are those it had waited, of `ended` those of the whole.
    """

    at: float
    what: What
    seconds: float | None = None
    name: str | None = None
    """The inbox, model, tool, message or address."""
    step: int | None = None
    first: float | None = None
    """Seconds until the model's first word."""
    usage: Tokens | None = None
    delivery: str | None = None
    part: int | None = None
    platform_id: str | None = None
    edits: int | None = None
    tries: int | None = None
    outcome: str | None = None
    reason: str | None = None
    error: str | None = None


class Sent(Value, frozen=True, kw_only=True, omit_defaults=False):
    """One of its deliveries; what was settled two days ago is only known by the receipts of its parts."""

    id: str
    address: str | None = None
    outcome: str | None = None
    reason: str | None = None
    attempts: int | None = None
    error: str | None = None
    parts: int = 0


class Timeline(Value, frozen=True, kw_only=True, omit_defaults=False):
    """A turn or, where there is none, a delivery; `events` are in the order in which they began."""

    id: str
    kind: Literal["turn", "delivery"]
    status: str
    """`queued`, `running` or how it ended: of a turn `completed`, `cancelled`, `failed`; else the outcome."""
    outcome: str | None = None
    reason: str | None = None
    error: str | None = None
    address: str | None = None
    agent: str | None = None
    model: str | None = None
    session: int | None = None
    session_id: str | None = None
    key_id: int | None = None
    request_id: str | None = None
    trace_id: str | None = None
    usage: Tokens | None = None
    retried_as: str | None = None
    deliveries: tuple[Sent, ...] = ()
    events: tuple[Event, ...] = ()


def between(since: float, until: float) -> float:
    """The seconds from a time to a later one."""
    return round(max(until - since, 0.0), 4)
