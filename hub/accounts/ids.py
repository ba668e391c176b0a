"""The ids of agents, by which programs call them as assistants: from config, else made of the store's namespace."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID, uuid4, uuid5

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from hub.store.tables import settings

NAMESPACE = "namespace"
"""The setting that holds it."""


def namespace(connection: Connection) -> UUID:
    """A unit: the store's namespace, made when it is asked for the first time; the same in all processes."""
    connection.execute(_make(connection.dialect.name), {"name": NAMESPACE, "value": str(uuid4())})
    return UUID(connection.execute(_FIND).scalar_one())


def agent_id(namespace: UUID, name: str) -> UUID:
    """The id of an agent that config gives none."""
    return uuid5(namespace, name)


_FIND = select(settings.c.value).where(settings.c.name == NAMESPACE)


@cache
def _make(dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(settings).on_conflict_do_nothing(index_elements=["name"])
