"""Groups of keys: what is granted to a group, its keys may use."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from hub.errors import Conflict, NotFound
from hub.message import Value
from hub.store import listing
from hub.store.listing import Page, Part
from hub.store.tables import grants, groups, keys


class Group(Value, frozen=True, kw_only=True):
    """A group; `key` is what other systems call it, `size` how many keys are in it."""

    id: int
    name: str
    key: str | None
    size: int
    created_at: float


def find(connection: Connection, id: int) -> Group:
    """A unit: one group; raises NotFound."""
    row = connection.execute(_GROUPS.where(groups.c.id == id)).first()
    if row is None:
        raise NotFound(f"There is no group {id}.", code="group_not_found")
    return _group(row)


def hold(connection: Connection, id: int) -> None:
    """A unit: have other changes of a group wait until this one is done."""
    connection.execute(select(groups.c.id).where(groups.c.id == id).with_for_update())


def save(connection: Connection, id: int | None, values: dict[str, Any], now: float) -> Group:
    """A unit: make a group, or write columns of one; raises NotFound, and Conflict for a name that is taken."""
    try:
        if id is None:
            made = insert(groups).values(created_at=now, **values).returning(groups.c.id)
            return find(connection, connection.execute(made).scalar_one())
        find(connection, id)
        connection.execute(update(groups).where(groups.c.id == id).values(values))
        return find(connection, id)
    except IntegrityError as error:
        raise Conflict(f"There is already a group '{values.get('name')}'.", param="name", code="exists") from error


def remove(connection: Connection, id: int) -> Group:
    """A unit: forget a group and its grants; its keys stay, without a group. Raises NotFound."""
    hold(connection, id)
    before = find(connection, id)
    connection.execute(update(keys).where(keys.c.group_id == id).values(group_id=None))
    connection.execute(delete(grants).where(grants.c.group_id == id))
    connection.execute(delete(groups).where(groups.c.id == id))
    return before


def listed(connection: Connection, text: str | None, part: Part) -> Page[Group]:
    """A unit: groups in the order they were made; `text` is looked for in their names, in upper or lower case."""
    fitting = [func.lower(groups.c.name).contains(text.lower(), autoescape=True)] if text else []
    return listing.listed(connection, _GROUPS.where(*fitting), [groups.c.id], part, _group)


def _group(row: Any) -> Group:
    return Group(id=row.id, name=row.name, key=row.key, size=row.size, created_at=row.created_at)


_SIZE = select(func.count()).where(keys.c.group_id == groups.c.id, keys.c.deleted_at.is_(None)).scalar_subquery()
_GROUPS = select(groups, _SIZE.label("size"))
