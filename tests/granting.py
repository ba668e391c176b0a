"""Grants for the keys that tests make."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select, tuple_

from hub.accounts import definitions, grants
from hub.accounts.definitions import Kind
from hub.accounts.grants import Holder
from hub.store.tables import definitions as table


def grant(
    connection: Connection, key: int, *, models: Iterable[str] = (), agents: Iterable[str] = (), wanted: bool = True
) -> None:
    """A unit: let a key use what config.yaml, or a fake hub, declares, or not any more."""
    named: list[tuple[Kind, str]] = [*(("model", name) for name in models), *(("agent", name) for name in agents)]
    definitions.number(connection, named, 0.0)
    there = select(table.c.id).where(tuple_(table.c.kind, table.c.name).in_(named), table.c.deleted_at.is_(None))
    for definition in connection.execute(there).scalars().all():
        grants.bind(connection, Holder(side="key", id=key), definition, wanted, 0.0)
