"""/admin/group: groups of keys, whose keys may use what the group is granted."""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec
from msgspec import UNSET, UnsetType
from quart import Blueprint, Response

from api.acts import change
from api.auth import require
from api.document import document
from api.envelope import Done, Id, Listed, Paging, Text, done, listing
from api.keys import Name
from api.wire import query, read
from hub.accounts import groups
from hub.accounts.audit import Act
from hub.accounts.groups import Group
from hub.errors import RequestError

routes = Blueprint("admin-groups", __name__)


class SavedGroup(msgspec.Struct, kw_only=True):
    """A group to make, or with `id` what to change of it; `key` is what other systems call it."""

    id: Id | None = None
    name: Name | UnsetType = UNSET
    key: Text | UnsetType | None = UNSET


class GroupId(msgspec.Struct, kw_only=True):
    """A group."""

    id: Id


class GroupQuery(Paging, kw_only=True):
    """Which groups to list; `q` is looked for in their names."""

    q: Text | None = None


class GroupShown(TypedDict):
    """A group, and how many keys are in it; `created_at` a Unix time."""

    id: int
    name: str
    key: str | None
    keys: int
    created_at: int


@routes.post("/admin/group/save")
@require("admin")
@document({200: Done[GroupShown]}, body=SavedGroup, errors=(404, 409), example={"name": "family"})
async def put() -> Response:
    """Make a group, or with `id` change it."""
    said = await read(SavedGroup)
    values = {name: value for name, value in msgspec.structs.asdict(said).items() if value is not UNSET}
    del values["id"]
    if said.id is None and "name" not in values:
        raise RequestError("name: is missing", param="name", code="missing_parameter")

    what = "group.create" if said.id is None else "group.update"
    return done(shown(await change(what, lambda act: keep(act, said.id, values))))


@routes.post("/admin/group/delete")
@require("admin")
@document({200: Done[bool]}, body=GroupId, errors=(404,))
async def delete() -> Response:
    """Forget a group; its keys stay, without a group and what they had from it."""
    wanted = (await read(GroupId)).id
    await change("group.delete", lambda act: forget(act, wanted))
    return done()


@routes.get("/admin/group/list")
@require("admin")
@document({200: Listed[GroupShown]}, query=GroupQuery)
async def index() -> Response:
    """Groups, in the order they were made."""
    asked = query(GroupQuery)
    return await listing(asked, lambda connection, part: groups.listed(connection, asked.q, part), shown)


def shown(group: Group) -> GroupShown:
    """A group as admins see it."""
    return {
        "id": group.id,
        "name": group.name,
        "key": group.key,
        "keys": group.size,
        "created_at": int(group.created_at),
    }


def keep(act: Act, id: int | None, values: dict[str, Any]) -> Group:
    """A unit: make a group, or with its id change it; raises NotFound, Conflict."""
    before = None if id is None else told(groups.find(act.connection, id))
    group = groups.save(act.connection, id, values, act.now)
    act.note(f"group:{group.id}", before, told(group))
    return group


def forget(act: Act, id: int) -> Group:
    """A unit: forget a group; raises NotFound."""
    group = groups.remove(act.connection, id)
    act.note(f"group:{id}", before=told(group))
    return group


def told(group: Group) -> dict[str, Any]:
    """What can be changed of a group, as the audit has it."""
    return {"name": group.name, "key": group.key}
