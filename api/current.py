"""What belongs to the request that is being answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from quart import current_app, g

from api.ports import Hub
from hub.accounts.keys import Key

T = TypeVar("T")
HUB = "bothub"
KEEP_ALIVE = "KEEP_ALIVE"


def hub() -> Hub:
    """The hub this app was made for."""
    return cast(Hub, current_app.extensions[HUB])


def key() -> Key:
    """The key the request came with; only where the route has `@require`."""
    return cast(Key, g.key)


async def known(find: Callable[[], T | None]) -> T | None:
    """What is found, if need be after a look at what other processes saved."""
    found = find()
    if found is None:
        await hub().refresh()
        found = find()
    return found


def keep_alive() -> float:
    """How long a stream may be silent, in seconds."""
    return cast(float, current_app.config[KEEP_ALIVE])
