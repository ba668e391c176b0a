"""The audit, for tests: acts of nobody in particular, and what is written down."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from hub.accounts import audit
from hub.accounts.audit import Act, Record
from hub.store import Store
from hub.store.listing import Part


def act(connection: Connection, now: float = 0.0, what: str = "test") -> Act:
    """A change that somebody makes at the command line."""
    return Act(connection=connection, what=what, now=now)


async def audited(store: Store, what: str | None = None) -> Sequence[Record]:
    """What is in the audit, the oldest first."""
    found = await store.read(lambda connection: audit.listed(connection, Part(limit=1000), what=what))
    return found.items[::-1]
