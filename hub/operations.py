"""What can be done on the bus: operations that are committed together, and the lease they hold to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hub.errors import HubError

Outcome = Literal["answered", "silent", "refused", "delivered", "dead"]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A message that has no outcome yet."""

    seq: int
    id: str
    body: bytes
    at: float
    attempts: int


@dataclass(kw_only=True)
class Lease:
    """The right to handle the messages at the head of a lane, until it expires and another one takes it.

    `messages` starts with the head and grows by `take`; `stop` is the mark of the newest cancel.
    """

    lane_id: int
    inbox: str
    lane: str
    token: int
    tries: int
    stop: int
    messages: list[Waiting]
    claimed_at: float = 0.0

    @property
    def head(self) -> Waiting:
        return self.messages[0]

    @property
    def stopped(self) -> bool:
        """A cancel was asked for after the head was sent."""
        return self.head.seq <= self.stop


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Put a message at the tail of a lane; the same inbox and id again is the same message.

    `bounded` refuses when lane or inbox are full. With an `outcome` it is stored settled and waits for nobody. With
    `once`, a message that is already there undoes the whole commit (AlreadyThere).
    """

    inbox: str
    lane: str
    id: str
    body: bytes
    bounded: bool = False
    once: bool = False
    outcome: Outcome | None = None
    reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class OfLease:
    """An operation on the lane that a lease holds; raises LeaseLost when it holds it no more."""

    lease: Lease

    @property
    def inbox(self) -> str:
        return self.lease.inbox

    @property
    def lane(self) -> str:
        return self.lease.lane


@dataclass(frozen=True, kw_only=True)
class Settle(OfLease):
    """Give everything the lease took its outcome and free the lane; further messages become part of the head's."""

    outcome: Outcome
    reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Release(OfLease):
    """Give everything back, to be claimed again at `at`, the head first; `counted` uses up one of its tries."""

    at: float
    error: str | None = None
    counted: bool = True


@dataclass(frozen=True, kw_only=True)
class Hold(OfLease):
    """Commit only if the lease still holds its lane."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Cancel everything that is in the lane now, and nothing that comes later."""

    inbox: str
    lane: str


@dataclass(frozen=True, kw_only=True)
class Free:
    """Take the lane away from whoever holds it, and have it claimed anew."""

    inbox: str
    lane: str


Operation = Free | Publish | Settle | Release | Hold | Stop


class AlreadyThere(HubError):
    """A message that was to be published `once` was published before."""
