"""What a process remembers of the bus's inboxes, so that claims and bounds cost little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from sqlalchemy import Connection

from hub.store.lanes import statements

FLOOR_SECONDS = 1.0
"""How long the floor of an inbox's claims is believed."""
FLOOR_MARGIN = 5.0
"""A floor stays this far behind, for transactions that were slow to commit and clocks that differ."""
SWEEP_SECONDS = 30.0
"""How often a claim looks below its floor all the same."""
SIZE_SECONDS = 1.0
"""How long an inbox's counted size is believed."""


@dataclass
class _Inbox:
    floor: float = 0.0
    floored_at: float = -inf
    swept_at: float = -inf
    size: int = 0
    sized_at: float = -inf


class Inboxes:
    """Figures of inboxes that may be a moment old; both are asked for inside a unit."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, _Inbox] = {}

    def floor(self, connection: Connection, name: str) -> float:
        """No lane is ready below it; a claim that starts here does not wade through what claims left behind."""
        inbox, now = self._of(name), self._clock()
        if 0 <= now - inbox.floored_at < FLOOR_SECONDS:
            return inbox.floor
        if not 0 <= now - inbox.swept_at < SWEEP_SECONDS:
            inbox.floor, inbox.swept_at = 0.0, now
        q = statements(connection.dialect.name)
        lowest = connection.execute(q.lowest, {"inbox_": name, "floor": inbox.floor}).scalar()
        inbox.floor = min(now, now if lowest is None else lowest) - FLOOR_MARGIN
        inbox.floored_at = now
        return inbox.floor

    def size(self, connection: Connection, name: str, limit: int) -> int:
        """How many messages wait in an inbox, counted up to `limit`."""
        inbox, now = self._of(name), self._clock()
        if not 0 <= now - inbox.sized_at < SIZE_SECONDS:
            q = statements(connection.dialect.name)
            inbox.size = connection.execute(q.size, {"inbox_": name, "limit_": limit}).scalar() or 0
            inbox.sized_at = now
        return inbox.size

    def _of(self, name: str) -> _Inbox:
        return self._known.setdefault(name, _Inbox())
