"""/admin/agent: agents that are saved while the hub runs, beside those of config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart import Blueprint, Response

from api import current, wire
from api.auth import require
from api.document import document
from api.envelope import Done, Id, Listed, Paging, Text, Word, done
from api.keys import Name
from api.saved import config_of, listed, save, told
from api.wire import query, read
from hub.accounts import keyring
from hub.accounts.definitions import Change, Shown
from hub.errors import Conflict, NotFound, RequestError

routes = Blueprint("admin-agents", __name__)
BESIDE = ("id", "model", "system_prompt", "params", "tools", "public", "active", "enabled")
"""What stands beside `config` in answers."""
APART = (*BESIDE, "temperature", "max_tokens", "mcp")
"""The parameters are in `params` too; an MCP server's command may hold what is nobody's business."""


class SavedAgent(msgspec.Struct, kw_only=True):
    """An agent to save, or with `id` what to change of it; all but `owner_id` and `uuid` as config.yaml calls it.

    `params` replaces all that were there, `owner_id` is a key. In `config`, or beside it, whatever else an agent of
    config.yaml may have.
    """

    id: Id | None = None
    name: Name | UnsetType = UNSET
    uuid: UUID | UnsetType = UNSET
    model: Text | UnsetType = UNSET
    system_prompt: Annotated[str, Meta(max_length=1_000_000)] | UnsetType = UNSET
    params: dict[str, Any] | UnsetType = UNSET
    tools: Annotated[list[Word], Meta(max_length=200)] | UnsetType = UNSET
    public: bool | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    owner_id: Id | UnsetType | None = UNSET
    config: dict[str, Any] | str | UnsetType = UNSET


class AgentId(msgspec.Struct, kw_only=True):
    """An agent."""

    id: Id


class AgentQuery(Paging, kw_only=True):
    """Which agents to list; `q` is looked for in their names."""

    q: Text | None = None


class SavedAgentShown(TypedDict):
    """An agent; `source` is `config` where config.yaml declares it, `error` says why it is not in use.

    By its `uuid` it is an assistant, null where it cannot be one. Times are Unix seconds.
    """

    id: int
    name: str
    uuid: str | None
    model: str
    system_prompt: str
    params: dict[str, Any]
    tools: list[str]
    public: bool
    active: bool
    enabled: bool
    owner_id: int | None
    config: dict[str, Any]
    source: Literal["config", "admin"]
    error: str | None
    created_at: int
    updated_at: int


@routes.post("/admin/agent/save")
@require("admin")
@document({200: Done[SavedAgentShown]}, body=SavedAgent, errors=(404, 409))
async def put() -> Response:
    """Save an agent, or with `id` change it; it answers at once."""
    return done(shown(await keep(wire.decode(await wire.body())), _ids()))


@routes.post("/admin/agent/delete")
@require("admin")
@document({200: Done[bool]}, body=AgentId, errors=(404, 409))
async def delete() -> Response:
    """Forget an agent; one that a channel needs stays, and the answer says which."""
    await save(Change(kind="agent", id=(await read(AgentId)).id, settings=None))
    return done()


@routes.get("/admin/agent/list")
@require("admin")
@document({200: Listed[SavedAgentShown]}, query=AgentQuery)
async def index() -> Response:
    """Agents, those of config.yaml too, by their ids."""
    asked = query(AgentQuery)
    found = [one for one in await current.hub().definitions.list("agent") if (asked.q or "").lower() in one.name]
    ids = _ids()
    return listed(asked, found, lambda one: shown(one, ids))


@routes.get("/admin/agent/detail/<int(max=2147483647):id>")
@require("admin")
@document({200: Done[SavedAgentShown]})
async def detail(id: int) -> Response:
    """One agent."""
    return done(shown(await current.hub().definitions.get("agent", id), _ids()))


async def keep(body: dict[str, Any], since: float | None = None) -> Shown:
    """Save an agent that a body describes, or with `id` change it; raises what `Definitions.save` raises.

    With `since`, only if it was saved last then.
    """
    said = wire.fit(body, SavedAgent)
    given = {name: value for name, value in msgspec.structs.asdict(said).items() if value is not UNSET}
    beside = {name: value for name, value in body.items() if name not in SavedAgent.__struct_fields__}
    config = config_of(beside) | config_of(given.pop("config", {}))
    if "id" in config:
        raise RequestError("config: the id of an agent is 'uuid', beside it", param="config.id")
    del given["id"]
    name, owner = given.pop("name", None), given.pop("owner_id", UNSET)
    if "uuid" in given:
        config["id"] = str(given.pop("uuid"))
    params = _params(given.pop("params")) if "params" in given else {}
    settings, key_id = params | config | given, await _owner(owner)
    change = Change(kind="agent", id=said.id, name=name, settings=settings, key_id=key_id, since=since)
    await _refuse_taken(change)
    [saved] = await save(change)
    return saved


def shown(one: Shown, ids: Mapping[str, str | None]) -> SavedAgentShown:
    """An agent as admins see it; `ids` are those of all agents at work, by name."""
    settings = one.settings
    return {
        "id": one.id,
        "name": one.name,
        "uuid": settings.get("id") or ids.get(one.name),
        "model": settings.get("model", ""),
        "system_prompt": settings.get("system_prompt", ""),
        "params": settings.get("params", {}),
        "tools": list(settings.get("tools", ())),
        "public": settings.get("public", True),
        "active": settings.get("active", True),
        "enabled": settings.get("enabled", True),
        "owner_id": one.key_id,
        "config": told(settings, *APART),
        "source": one.source,
        "error": one.error,
        "created_at": int(one.created_at),
        "updated_at": int(one.updated_at),
    }


def _ids() -> Mapping[str, str | None]:
    return {one.name: one.id for one in current.hub().names() if one.kind == "agent"}


def _params(given: dict[str, Any]) -> dict[str, Any]:
    """All parameters as config.yaml has them, those that are checked beside the others."""
    checked = {name: given.get(name) for name in ("temperature", "max_tokens")}
    return {**checked, "params": {name: value for name, value in given.items() if name not in checked}}


async def _owner(id: int | UnsetType | None) -> int | UnsetType | None:
    """The key that is to own an agent; raises RequestError where there is no such key, or it counts as another."""
    if not isinstance(id, int):
        return id
    hub = current.hub()
    now = hub.clock()
    try:
        key = (await hub.store.read(lambda connection: keyring.account(connection, id, now))).key
    except NotFound:
        raise RequestError(f"owner_id: there is no API key {id}", param="owner_id") from None
    if key.owner_id is not None:
        raise RequestError(f"owner_id: this key counts as its owner, {key.owner_id}", param="owner_id")
    return id


async def _refuse_taken(change: Change) -> None:
    """Refuse an id by which another agent is called, one that config.yaml gives none too."""
    wanted = (change.settings or {}).get("id")
    owner = next((name for name, id in _ids().items() if id is not None and id == wanted), None)  # noqa: A001
    if owner is None:
        return
    mine = None if change.id is None else await current.hub().definitions.get("agent", change.id)
    if mine is None or mine.name != owner:
        raise Conflict(f"uuid: is also the id of the agent '{owner}'", param="uuid", code="exists")
