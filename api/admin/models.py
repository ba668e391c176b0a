"""/admin/model: models that are saved while the hub runs, beside those of config.yaml."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart import Blueprint, Response

from api import current
from api.auth import require
from api.document import document
from api.envelope import Amount, Done, Id, Listed, Paging, Text, done
from api.saved import config_of, listed, save, told
from api.wire import query, read
from hub.accounts import money
from hub.accounts.definitions import Change, Shown

routes = Blueprint("admin-models", __name__)
OURS = {"model_id": "model"}
"""What BRConnector's clients call otherwise, beside the capitals."""
APART = ("name", "provider", "multiple", "enabled", "price_in", "price_out", "price_cached")
"""What stands beside `config` in answers."""


class SavedModel(msgspec.Struct, kw_only=True):
    """A model to save; with `id` what to change of it. In `config`: `modelId` (the provider's name for it), `apiKey`,
    `baseURL`, `region`, `accessKeyId`, `secretAccessKey`, or the same as JSON text. Prices are per 1,000,000 tokens.
    The group `group_id` is granted it.
    """

    id: Id | None = None
    name: Text | UnsetType = UNSET
    provider: Text | UnsetType = UNSET
    multiple: bool | Annotated[int, Meta(ge=0, le=1)] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    config: dict[str, Any] | str | UnsetType = UNSET
    price_in: Amount | UnsetType | None = UNSET
    price_out: Amount | UnsetType | None = UNSET
    price_cached: Amount | UnsetType | None = UNSET
    group_id: Id | None = None


class ModelId(msgspec.Struct, kw_only=True):
    """A model."""

    id: Id


class ModelQuery(Paging, kw_only=True):
    """Which models to list; `q` is looked for in their names."""

    q: Text | None = None
    provider: Text | None = None


class SavedModelShown(TypedDict):
    """A model; `source` is `config` where config.yaml declares it, `error` says why it is not in use.

    Prices are per 1,000,000 tokens, secrets in `config` masked, times Unix seconds.
    """

    id: int
    name: str
    provider: str
    multiple: bool
    enabled: bool
    config: dict[str, Any]
    price_in: str
    price_out: str
    price_cached: str | None
    source: Literal["config", "admin"]
    error: str | None
    created_at: int
    updated_at: int


@routes.post("/admin/model/save")
@require("admin")
@document({200: Done[SavedModelShown]}, body=SavedModel, errors=(404, 409))
async def put() -> Response:
    """Save a model, or with `id` change it; it can be asked at once."""
    return done(shown(await keep(await read(SavedModel))))


@routes.post("/admin/model/delete")
@require("admin")
@document({200: Done[bool]}, body=ModelId, errors=(404, 409))
async def delete() -> Response:
    """Forget a model; one that an agent needs stays, and the answer says which."""
    await save(Change(kind="model", id=(await read(ModelId)).id, settings=None))
    return done()


@routes.get("/admin/model/list")
@require("admin")
@document({200: Listed[SavedModelShown]}, query=ModelQuery)
async def index() -> Response:
    """Models, those of config.yaml too, by their ids."""
    asked = query(ModelQuery)
    found = [
        one
        for one in await current.hub().definitions.list("model")
        if (asked.q or "").lower() in one.name and asked.provider in (None, one.settings.get("provider"))
    ]
    return listed(asked, found, shown)


@routes.get("/admin/model/detail/<int(max=2147483647):id>")
@require("admin")
@document({200: Done[SavedModelShown]})
async def detail(id: int) -> Response:
    """One model."""
    return done(shown(await current.hub().definitions.get("model", id)))


@routes.get("/admin/model/list-providers")
@require("admin")
@document({200: Done[list[str]]})
async def providers() -> Response:
    """The providers that a model may have."""
    return done(list(current.hub().providers))


async def keep(said: SavedModel, since: float | None = None) -> Shown:
    """Save a model, or with `id` change it; raises what `Definitions.save` raises.

    With `since`, only if it was saved last then.
    """
    given = {name: value for name, value in msgspec.structs.asdict(said).items() if value is not UNSET}
    config = config_of(given.pop("config", {}))
    prices = {name: None if given[name] is None else _price(given[name], name) for name in given if "price" in name}
    del given["id"], given["group_id"]
    name = given.pop("name", None)
    settings = given | {OURS.get(key, key): value for key, value in config.items()} | prices
    if "multiple" in settings:
        settings["multiple"] = bool(settings["multiple"])
    change = Change(kind="model", id=said.id, name=name, settings=settings, group_id=said.group_id, since=since)
    [saved] = await save(change)
    return saved


def shown(one: Shown) -> SavedModelShown:
    """A model as BRConnector's clients know it."""
    settings = one.settings
    config = told(settings, *APART)
    return {
        "id": one.id,
        "name": one.name,
        "provider": settings.get("provider", ""),
        "multiple": settings.get("multiple", False),
        "enabled": settings.get("enabled", True),
        "config": {"modelId": config.pop("model", ""), **config},
        "price_in": _money(settings.get("price_in", 0)),
        "price_out": _money(settings.get("price_out", 0)),
        "price_cached": None if settings.get("price_cached") is None else _money(settings["price_cached"]),
        "source": one.source,
        "error": one.error,
        "created_at": int(one.created_at),
        "updated_at": int(one.updated_at),
    }


def _price(given: float | str, name: str) -> str:
    """As config.yaml has it; raises RequestError for what is no amount."""
    return str(Decimal(money.amount(given, name)).scaleb(-9))


def _money(price: Any) -> str:
    return money.shown(money.amount(Decimal(str(price)), "price"))
