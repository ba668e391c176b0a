"""Models and agents that are granted to keys and to groups of keys, each by the id of its definition."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, union_all

from hub.errors import NotFound, RequestError
from hub.message import Value
from hub.store import listing
from hub.store.listing import Page, Part
from hub.store.tables import definitions, grants, groups, keys

Granted = frozenset[tuple[str, str]]
"""What somebody was granted or owns: kinds and names."""
Side = Literal["key", "group"]
Grantable = Literal["model", "agent"]


class Holder(Value, frozen=True, kw_only=True):
    """A key or a group of keys that something is granted to."""

    side: Side
    id: int


class Grant(Value, frozen=True, kw_only=True):
    """One grant: to whom, and of what."""

    id: int
    holder: Holder
    holder_name: str
    kind: Grantable
    definition_id: int
    name: str


class Sought(Value, frozen=True, kw_only=True):
    """Which grants to list; None: all."""

    kind: Grantable | None = None
    side: Side | None = None
    holder_id: int | None = None
    definition_id: int | None = None


def held(connection: Connection, key: int, group: int | None) -> Granted:
    """A unit: what a key or its group is granted, and the agents that the key owns."""
    return frozenset((row.kind, row.name) for row in connection.execute(_HELD, {"key_": key, "group_": group}))


def bind(connection: Connection, holder: Holder, definition: int, wanted: bool | None, now: float) -> bool:
    """A unit: grant something, or take it back, or with None whichever changes it; says whether it is granted now.

    Raises NotFound for a key that there is not, RequestError for such a group, and for a key that has what its owner is
    granted.
    """
    holders = keys if holder.side == "key" else groups
    connection.execute(select(holders.c.id).where(holders.c.id == holder.id).with_for_update())  # one at a time
    name_of(connection, holder)
    mine = grants.c[f"{holder.side}_id"] == holder.id
    known = connection.execute(select(grants.c.id).where(mine, grants.c.definition_id == definition)).scalar()
    if wanted is not None and wanted == (known is not None):
        return wanted
    if known is not None:
        connection.execute(delete(grants).where(grants.c.id == known))
        return False
    row = {f"{holder.side}_id": holder.id, "definition_id": definition, "created_at": now}
    connection.execute(insert(grants).values(row))
    return True


def name_of(connection: Connection, holder: Holder) -> str:
    """A unit: what a key or group is called; raises what `bind` raises."""
    if holder.side == "group":
        name = connection.execute(select(groups.c.name).where(groups.c.id == holder.id)).scalar()
        if name is None:
            raise RequestError(f"group_id: there is no group {holder.id}", param="group_id", code="group_not_found")
        return name
    wanted = select(keys.c.name, keys.c.owner_id).where(keys.c.id == holder.id, keys.c.deleted_at.is_(None))
    row = connection.execute(wanted).first()
    if row is None:
        raise NotFound(f"There is no API key {holder.id}.", param="key_id", code="key_not_found")
    if row.owner_id is not None:
        raise RequestError(f"key_id: this key has what its owner, {row.owner_id}, is granted", param="key_id")
    return row.name


def listed(connection: Connection, sought: Sought, part: Part) -> Page[Grant]:
    """A unit: grants of what is there to who is there, in the order they were made."""
    return listing.listed(connection, _THERE.where(*_fitting(sought)), [grants.c.id], part, _grant)


def _fitting(sought: Sought) -> list[ColumnElement[bool]]:
    fitting: list[ColumnElement[bool]] = []
    if sought.kind is not None:
        fitting.append(definitions.c.kind == sought.kind)
    if sought.side is not None:
        holder = grants.c[f"{sought.side}_id"]
        fitting.append(holder.is_not(None) if sought.holder_id is None else holder == sought.holder_id)
    if sought.definition_id is not None:
        fitting.append(definitions.c.id == sought.definition_id)
    return fitting


def _grant(row: Any) -> Grant:
    holder = Holder(side="key", id=row.key_id) if row.group_id is None else Holder(side="group", id=row.group_id)
    return Grant(
        id=row.id,
        holder=holder,
        holder_name=row.holder_name,
        kind=row.kind,
        definition_id=row.definition_id,
        name=row.name,
    )


_THERE = (
    select(
        *(grants.c.id, grants.c.key_id, grants.c.group_id, grants.c.definition_id),
        *(definitions.c.kind, definitions.c.name),
        func.coalesce(keys.c.name, groups.c.name).label("holder_name"),
    )
    .select_from(grants)
    .join(definitions, definitions.c.id == grants.c.definition_id)
    .join(keys, keys.c.id == grants.c.key_id, isouter=True)
    .join(groups, groups.c.id == grants.c.group_id, isouter=True)
    .where(definitions.c.deleted_at.is_(None), keys.c.deleted_at.is_(None))
)
_NAMED = select(definitions.c.kind, definitions.c.name).where(definitions.c.deleted_at.is_(None))
_GRANTED = _NAMED.join(grants, grants.c.definition_id == definitions.c.id)
_HELD = union_all(
    _GRANTED.where(grants.c.key_id == bindparam("key_")),
    _GRANTED.where(grants.c.group_id == bindparam("group_")),
    _NAMED.where(definitions.c.key_id == bindparam("key_"), definitions.c.kind == "agent"),
)
