"""/admin/api-key: keys are made, changed, given money and ended."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType
from quart import Blueprint, Response

from api import current, keys
from api.acts import change
from api.auth import require
from api.document import document
from api.envelope import Amount, Done, Id, Listed, Paging, Text, done, listing
from api.keys import ApiKey, Grace, KeyFields, Name, WhichKey, columns, end, make, rotate, shown, which
from api.repeats import once
from api.wire import query, read
from hub.accounts import keyring, money
from hub.accounts.keyring import Wanted
from hub.accounts.keys import Role

routes = Blueprint("admin-keys", __name__)


class NewKey(KeyFields, kw_only=True):
    """A key to make; without `month_quota` it has none to spend, without `scopes` it may `chat` and `read`."""

    name: Name
    balance: Amount = 0

    def columns(self) -> dict[str, Any]:
        """The columns that it gives; raises RequestError for an amount."""
        return {**columns(self), "balance": money.amount(self.balance, "balance")}


class KeyChange(KeyFields, kw_only=True):
    """What to change about a key; what is left out stays."""

    id: Id
    name: Name | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class Recharge(WhichKey, kw_only=True):
    """What to add to a key's balance."""

    balance: Amount


class Reset(WhichKey, kw_only=True):
    """A key that gets a new secret; the one before is good for `grace` seconds more."""

    grace: Grace = 0


class KeyQuery(Paging, kw_only=True):
    """Which keys to list; `q` is looked for in names and e-mail addresses."""

    q: Text | None = None
    name: Text | None = None
    group_id: Id | None = None
    role: Role | None = None


@routes.post("/admin/api-key/apply")
@require("admin")
@document({200: Done[ApiKey]}, body=NewKey, example={"name": "jack", "role": "user", "month_quota": 1.0})
async def apply() -> Response:
    """Make a key; it works at once.

    Its secret is in this answer and nowhere else.
    """
    new = await read(NewKey)
    values = {"month_quota": 0, **new.columns()}
    return done(shown(*await change("key.create", lambda act: make(act, new.name, values))))


@routes.post("/admin/api-key/update")
@require("admin")
@document({200: Done[ApiKey]}, body=KeyChange, errors=(404, 409))
async def update() -> Response:
    """Change a key; it holds from the next request on."""
    values = columns(await read(KeyChange))
    wanted = values.pop("id")
    return done(shown(await change("key.update", lambda act: keys.update(act, wanted, values))))


@routes.post("/admin/api-key/recharge")
@require("admin")
@document({200: Done[ApiKey]}, body=Recharge, errors=(404,), once=True)
async def recharge() -> Response:
    """Add to a key's balance, which is spent when the month's quota is."""
    said = await read(Recharge)
    wanted, amount = which(said), money.amount(said.balance, "balance")

    async def act(request: str) -> tuple[int, object]:
        account = await change("key.recharge", lambda act: keys.recharge(act, wanted, amount, request))
        return 200, {"success": True, "data": shown(account)}

    return await once(said, act)


@routes.post("/admin/api-key/reset-key")
@require("admin")
@document({200: Done[ApiKey]}, body=Reset, errors=(404, 409))
async def reset() -> Response:
    """Give a key a new secret, which is in this answer and nowhere else; its id, the person, stays."""
    said = await read(Reset)
    wanted = which(said)
    return done(shown(*await change("key.rotate", lambda act: rotate(act, keys.found(act, wanted), said.grace))))


@routes.post("/admin/api-key/delete")
@require("admin")
@document({200: Done[bool]}, body=WhichKey, errors=(404, 409))
async def delete() -> Response:
    """End a key, and those made with it, for good; its turns and payments stay in the records."""
    wanted = which(await read(WhichKey))
    await change("key.delete", lambda act: end(act, keys.found(act, wanted)))
    return done()


@routes.get("/admin/api-key/list")
@require("admin")
@document({200: Listed[ApiKey]}, query=KeyQuery)
async def index() -> Response:
    """Keys, in the order they were made."""
    asked, now = query(KeyQuery), current.hub().clock()
    wanted = Wanted(text=asked.q, name=asked.name, group_id=asked.group_id, role=asked.role)
    return await listing(asked, lambda connection, part: keyring.listed(connection, wanted, now, part), shown)


@routes.get("/admin/api-key/detail/<int(max=2147483647):id>")
@require("admin")
@document({200: Done[ApiKey]})
async def detail(id: int) -> Response:
    """One key."""
    hub = current.hub()
    now = hub.clock()
    return done(shown(await hub.store.read(lambda connection: keyring.account(connection, id, now))))
