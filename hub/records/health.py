"""How channels are, as their holders last said: units for whoever looks from outside."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from hub.channel import State
from hub.message import Value
from hub.store.tables import health


class Health(Value, frozen=True, kw_only=True):
    """How a channel is; `since` is a Unix time in seconds."""

    state: State
    since: float
    error: str | None = None
    reconnects: int = 0


def record(connection: Connection, channel: str, now: Health) -> None:
    """A unit: remember how a channel is."""
    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"state": now.state, "error": now.error, "since": now.since, "reconnects": now.reconnects}
    into = insert(health).values(channel=channel, **row)
    connection.execute(into.on_conflict_do_update(index_elements=["channel"], set_=row))


def of_channels(connection: Connection) -> dict[str, Health]:
    """A unit: every channel that was ever held, by name."""
    return {
        row.channel: Health(state=row.state, since=row.since, error=row.error, reconnects=row.reconnects)
        for row in connection.execute(select(health))
    }
