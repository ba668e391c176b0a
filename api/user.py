"""/user: what a key sees of itself."""

from __future__ import annotations

from typing import TypedDict

from quart import Blueprint, Response

from api import current, names
from api.auth import require
from api.document import document
from api.envelope import Done, Listed, Paging, done
from api.keys import ApiKey, shown
from api.saved import listed
from api.wire import query
from hub.accounts import keyring
from hub.accounts.definitions import Shown

routes = Blueprint("user", __name__)


class UsableModel(TypedDict):
    """A model that the key may use; `multiple` says whether it takes images."""

    id: int
    name: str
    provider: str
    multiple: bool


@routes.get("/user/api-key/mine")
@require("chat", "read", "deliver")
@document({200: Done[ApiKey]})
async def mine() -> Response:
    """The key that asks: its role, scopes, quota and balance."""
    hub, key = current.hub(), current.key()
    now = hub.clock()
    return done(shown(await hub.store.read(lambda connection: keyring.account(connection, key.id, now))))


@routes.get("/user/model/list")
@require("chat", "read")
@document({200: Listed[UsableModel]}, query=Paging)
async def models() -> Response:
    """The models that the key may use, by their ids."""
    asked, mine = query(Paging), {each.name for each in names.usable() if each.kind == "model"}
    found = [one for one in await current.hub().definitions.list("model") if one.name in mine]
    return listed(asked, found, usable)


def usable(one: Shown) -> UsableModel:
    """What a user sees of a model: nothing of how it is reached."""
    settings = one.settings
    return {
        "id": one.id,
        "name": one.name,
        "provider": settings.get("provider", ""),
        "multiple": settings.get("multiple", False),
    }
