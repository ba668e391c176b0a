"""/user: what a key sees of itself."""

from __future__ import annotations

from quart import Blueprint, Response

from api import current
from api.auth import require
from api.document import document
from api.envelope import Done, done
from api.keys import ApiKey, shown
from hub.accounts import keyring

routes = Blueprint("user", __name__)


@routes.get("/user/api-key/mine")
@require("chat", "read", "deliver")
@document({200: Done[ApiKey]})
async def mine() -> Response:
    """The key that asks: its role, scopes, quota and balance."""
    hub, key = current.hub(), current.key()
    now = hub.clock()
    return done(shown(await hub.store.read(lambda connection: keyring.account(connection, key.id, now))))
