"""How much a key may ask in a minute and in a day: counted where something is begun that makes an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from quart import after_this_request

from api import current
from hub.accounts import limits
from hub.accounts.limits import WHAT, Over, Room


async def count() -> None:
    """Count this request, and say in its answer what is left; raises LimitReached. Free for a key without limits."""
    limited = current.key().limited
    if not limited:
        return
    hub = current.hub()
    now = hub.clock()
    try:
        _tell(await hub.store.write(lambda connection: limits.count_all(connection, limited, now)))
    except Over as over:
        _tell(over.rooms)
        raise


def _tell(rooms: Sequence[Room]) -> None:
    """Have the answer say, as OpenAI's do, what is left of the limits that are nearest."""
    headers: dict[str, str] = {}
    for what in WHAT:
        if of_these := [room for room in rooms if room.what == what]:
            room = min(of_these, key=lambda room: (room.remaining, -room.resets_in))
            headers |= {
                f"x-ratelimit-limit-{what}": str(room.limit),
                f"x-ratelimit-remaining-{what}": str(room.remaining),
                f"x-ratelimit-reset-{what}": duration(room.resets_in),
            }

    @after_this_request
    def say(response: Any) -> Any:  # pyright: ignore[reportUnusedFunction] - registered above
        response.headers.update(headers)
        return response


def duration(seconds: float) -> str:
    """A span as OpenAI writes it: `17ms`, `1s`, `6m0s`, `23h59m59.5s`."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest / 1000:g}s"
