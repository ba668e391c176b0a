"""Changes that somebody makes over HTTP: each is one transaction with the record of who made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from quart import request

from api import current
from hub.accounts.audit import Act, By
from hub.store import Connection

T = TypeVar("T")


def by() -> By:
    """Who makes the changes of this request."""
    return By(key=current.key(), ip=request.remote_addr)


def acting(what: str, unit: Callable[[Act], T]) -> Callable[[Connection], T]:
    """The unit that does something as the request's key, called `what` in the audit."""
    who, now = by(), current.hub().clock()
    return lambda connection: unit(Act(connection=connection, what=what, now=now, by=who))


async def change(what: str, unit: Callable[[Act], T]) -> T:
    """Do something as the request's key, called `what` in the audit; the unit notes what it changes (`Act.note`)."""
    return await current.hub().store.write(acting(what, unit))
