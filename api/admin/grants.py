"""/admin/.../bind-or-unbind-...: models and agents are granted to keys and groups, and taken back."""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec
from quart import Blueprint, Response

from api import current
from api.acts import change
from api.auth import require
from api.document import document
from api.envelope import Id, Listed, Paging, done, listing
from api.wire import query, read
from hub.accounts import grants
from hub.accounts.audit import Act
from hub.accounts.definitions import Definition, Shown
from hub.accounts.grants import Grant, Grantable, Holder, Side, Sought
from hub.store import Connection
from hub.store.listing import Page, Part

routes = Blueprint("admin-grants", __name__)


class Bound(TypedDict):
    """What became of a grant; with `bind` also where it was so before."""

    success: Literal[True]
    data: Literal["created", "deleted"]


class Bind(msgspec.Struct, kw_only=True):
    """Without `bind` the grant is made if it is not there, and taken back if it is."""

    bind: bool | None = None


class GroupModel(Bind, kw_only=True):
    """A model for the keys of a group."""

    group_id: Id
    model_id: Id


class KeyModel(Bind, kw_only=True):
    """A model for a key."""

    key_id: Id
    model_id: Id


class GroupAgent(Bind, kw_only=True):
    """An agent for the keys of a group."""

    group_id: Id
    agent_id: Id


class KeyAgent(Bind, kw_only=True):
    """An agent for a key."""

    key_id: Id
    agent_id: Id


class GroupGrants(Paging, kw_only=True):
    """What a group is granted, or without `group_id` each group."""

    group_id: Id | None = None


class KeyGrants(Paging, kw_only=True):
    """What a key is granted beside what its group is, or without `key_id` each key."""

    key_id: Id | None = None


class GroupModelShown(TypedDict):
    """A model that a group is granted."""

    id: int
    group_id: int
    group_name: str
    model_id: int
    model_name: str


class KeyModelShown(TypedDict):
    """A model that a key is granted."""

    id: int
    key_id: int
    key_name: str
    model_id: int
    model_name: str


class GroupAgentShown(TypedDict):
    """An agent that a group is granted."""

    id: int
    group_id: int
    group_name: str
    agent_id: int
    agent_name: str


class KeyAgentShown(TypedDict):
    """An agent that a key is granted."""

    id: int
    key_id: int
    key_name: str
    agent_id: int
    agent_name: str


@routes.post("/admin/group/bind-or-unbind-model")
@require("admin")
@document({200: Bound}, body=GroupModel, errors=(404,), example={"group_id": 1, "model_id": 1, "bind": True})
async def group_model() -> Response:
    """Grant a model to a group, or take it back; it holds from the next request of its keys on."""
    said = await read(GroupModel)
    return await _bind(Holder(side="group", id=said.group_id), "model", said.model_id, said.bind)


@routes.post("/admin/api-key/bind-or-unbind-model")
@require("admin")
@document({200: Bound}, body=KeyModel, errors=(404,))
async def key_model() -> Response:
    """Grant a model to a key, or take it back; it holds from its next request on."""
    said = await read(KeyModel)
    return await _bind(Holder(side="key", id=said.key_id), "model", said.model_id, said.bind)


@routes.post("/admin/group/bind-or-unbind-agent")
@require("admin")
@document({200: Bound}, body=GroupAgent, errors=(404,))
async def group_agent() -> Response:
    """Grant an agent that is not public to a group, or take it back."""
    said = await read(GroupAgent)
    return await _bind(Holder(side="group", id=said.group_id), "agent", said.agent_id, said.bind)


@routes.post("/admin/api-key/bind-or-unbind-agent")
@require("admin")
@document({200: Bound}, body=KeyAgent, errors=(404,))
async def key_agent() -> Response:
    """Grant an agent that is not public to a key, or take it back."""
    said = await read(KeyAgent)
    return await _bind(Holder(side="key", id=said.key_id), "agent", said.agent_id, said.bind)


@routes.get("/admin/group/list-model")
@require("admin")
@document({200: Listed[GroupModelShown]}, query=GroupGrants)
async def group_models() -> Response:
    """The models that groups are granted."""
    asked = query(GroupGrants)
    return await _listed(asked, "group", asked.group_id, "model")


@routes.get("/admin/api-key/list-model")
@require("admin")
@document({200: Listed[KeyModelShown]}, query=KeyGrants, errors=(404,))
async def key_models() -> Response:
    """The models that keys are granted."""
    asked = query(KeyGrants)
    return await _listed(asked, "key", asked.key_id, "model")


@routes.get("/admin/group/list-agent")
@require("admin")
@document({200: Listed[GroupAgentShown]}, query=GroupGrants)
async def group_agents() -> Response:
    """The agents that groups are granted."""
    asked = query(GroupGrants)
    return await _listed(asked, "group", asked.group_id, "agent")


@routes.get("/admin/api-key/list-agent")
@require("admin")
@document({200: Listed[KeyAgentShown]}, query=KeyGrants, errors=(404,))
async def key_agents() -> Response:
    """The agents that keys are granted."""
    asked = query(KeyGrants)
    return await _listed(asked, "key", asked.key_id, "agent")


async def _bind(holder: Holder, kind: Grantable, id: int, wanted: bool | None) -> Response:
    found = await current.hub().definitions.get(kind, id)
    granted = await change("grant", lambda act: bind(act, holder, found, wanted))
    return done("created" if granted else "deleted")


def bind(act: Act, holder: Holder, found: Shown | Definition, wanted: bool | None) -> bool:
    """A unit: grant something, or take it back, or what of both changes it; says whether it is granted now."""
    granted = grants.bind(act.connection, holder, found.id, wanted, act.now)
    act.note(f"{holder.side}:{holder.id}", after={found.kind: found.name, "granted": granted})
    return granted


async def _listed(asked: Paging, side: Side, holder: int | None, kind: Grantable) -> Response:
    sought = Sought(kind=kind, side=side, holder_id=holder)

    def unit(connection: Connection, part: Part) -> Page[Grant]:
        if holder is not None:
            grants.name_of(connection, Holder(side=side, id=holder))
        return grants.listed(connection, sought, part)

    return await listing(asked, unit, shown)


def shown(grant: Grant) -> dict[str, int | str]:
    """A grant as BRConnector's clients know it."""
    side = grant.holder.side
    return {
        "id": grant.id,
        f"{side}_id": grant.holder.id,
        f"{side}_name": grant.holder_name,
        f"{grant.kind}_id": grant.definition_id,
        f"{grant.kind}_name": grant.name,
    }
