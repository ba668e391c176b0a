"""/api/v1/user/api-keys: keys that one makes for one's own programs; they spend what their owner has."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

import msgspec
from quart import Blueprint, Response

from api import current
from api.acts import change
from api.auth import require
from api.document import document
from api.envelope import Paging
from api.keys import ApiKey, Grace, Name, Rights, columns, end, make, rotate, shown
from api.wire import answer, query, read
from hub.accounts import keyring
from hub.accounts.audit import Act
from hub.accounts.keyring import GRACE_SECONDS, Account, Wanted
from hub.accounts.keys import USER_SCOPES, Key
from hub.errors import Forbidden, NotFound

routes = Blueprint("own-keys", __name__)
ID = "<int(max=2147483647):id>"


class NewOwnKey(Rights, kw_only=True):
    """A key for a program of one's own; without `scopes` it may `chat` and `read`, as far as its owner may."""

    name: Name


class Rotation(msgspec.Struct, kw_only=True):
    """For how many seconds the secret before is good as well."""

    grace: Grace = int(GRACE_SECONDS)


class OwnKeys(TypedDict):
    """One's own keys; `next` is the cursor to go on with, null where there are no more."""

    object: Literal["list"]
    data: list[ApiKey]
    total: int
    next: str | None


class Revoked(TypedDict):
    """The key is ended."""

    id: int
    object: Literal["api_key"]
    deleted: Literal[True]


@routes.get("/api/v1/user/api-keys")
@require("chat", "read", "deliver")
@document({200: OwnKeys}, query=Paging)
async def index() -> Response:
    """One's own keys, in the order they were made."""
    asked, hub = query(Paging), current.hub()
    wanted, now = Wanted(owner_id=current.key().payer), hub.clock()
    found = await hub.store.read(lambda connection: keyring.listed(connection, wanted, now, asked.part))
    following = None if found.next is None else str(found.next[0])
    data = [shown(each) for each in found.items]
    return answer({"object": "list", "data": data, "total": found.total, "next": following})


@routes.post("/api/v1/user/api-keys")
@require("chat", "read", "deliver")
@document({200: ApiKey}, body=NewOwnKey, example={"name": "laptop"})
async def create() -> Response:
    """Make a key; it works at once, spends its owner's money, and may no more than its owner at any moment.

    Its secret is in this answer and nowhere else. A key that was made so makes none itself.
    """
    new, owner = await read(NewOwnKey), maker()
    values = rights(new, owner)
    return answer(shown(*await change("key.create", lambda act: make(act, new.name, values, owner.id))))


@routes.post(f"/api/v1/user/api-keys/{ID}/rotate")
@require("chat", "read", "deliver")
@document({200: ApiKey}, body=Rotation)
async def renew(id: int) -> Response:
    """Give a key a new secret, which is in this answer and nowhere else; its id, the person, stays."""
    grace, owner = (await read(Rotation)).grace, maker()
    return answer(shown(*await change("key.rotate", lambda act: rotate(act, own(act, id, owner), grace))))


@routes.delete(f"/api/v1/user/api-keys/{ID}")
@require("chat", "read", "deliver")
@document({200: Revoked})
async def revoke(id: int) -> Response:
    """End a key for good."""
    owner = maker()
    await change("key.delete", lambda act: end(act, own(act, id, owner)))
    return answer({"id": id, "object": "api_key", "deleted": True})


def rights(new: NewOwnKey, owner: Key) -> dict[str, Any]:
    """The columns of a new key of this owner."""
    return {"scopes": " ".join(scope for scope in USER_SCOPES if owner.may(scope)), **columns(new)}


def maker() -> Key:
    """The request's key, which may have keys of its own; raises Forbidden for one that is such a key itself."""
    key = current.key()
    if key.owner_id is not None:
        raise Forbidden("This key was made with another one, and only that one handles it.", code="owned_key")
    return key


def own(act: Act, id: int, owner: Key) -> Account:
    """The key, if it is this owner's; for any other it does not exist."""
    account = keyring.account(act.connection, id, act.now)
    if account.key.owner_id != owner.id:
        raise NotFound(f"There is no API key {id}.", code="key_not_found")
    return account
