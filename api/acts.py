"""Changes that somebody makes over HTTP: each is one transaction with the record of who made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from quart import request

from api import current
from hub.accounts.audit import Act
from hub.store import Connection

T = TypeVar("T")


async def change(what: str, unit: Callable[[Act], T]) -> T:
    """Do something as the request's key, called `what` in the audit; the unit notes what it changes (`Act.note`)."""
    key, ip, now = current.key(), request.remote_addr, current.hub().clock()

    def acting(connection: Connection) -> T:
        return unit(Act(connection=connection, what=what, now=now, key=key, ip=ip))

    return await current.hub().store.write(acting)
