"""Items that a request names by their ids."""

from __future__ import annotations

import re
from collections.abc import Sequence

from api import current
from api.openai.responses import follow, stored
from api.openai.responses.items import Item, Placed
from hub.accounts.responses import Kept
from hub.errors import RequestError

_ITEM = re.compile(r"(?:msg|fc|fco|rs)_([0-9a-f]+)_(?:in)?\d+")
"""The id of an item that we gave it, with the turn's in it."""


async def resolve(given: Sequence[Placed], near: Sequence[Item] = ()) -> list[Placed]:
    """The items with what their references name, `near` or stored; raises RequestError for what is not there."""
    known = {item["id"]: item for item in near}
    resolved: list[Placed] = []
    for item, where in given:
        found: Item | None = item
        if item["type"] == "item_reference":
            found = known.get(item["id"]) or await _named(item["id"], known)
        if found is None:
            raise RequestError(
                f"{where}.id: there is no item '{item['id']}'", param=f"{where}.id", code="item_not_found"
            )
        resolved.append(Placed(found, where))
    return resolved


async def _named(id: str, known: dict[str, Item]) -> Item | None:
    """The item of a response that has this id; from now on the others of that response are known, too."""
    turn = _ITEM.fullmatch(id)
    kept = None if turn is None else await stored.find(turn[1])
    if kept is not None:
        known |= {item["id"]: item for item in await _whole(kept)}
    return known.get(id)


async def _whole(kept: Kept) -> Sequence[Item]:
    """What was asked, and what was answered."""
    if kept.agent is None:
        return stored.whole(kept)
    state = await follow.show(current.hub(), kept)
    return [*kept.input, *([] if state is None else state["output"])]
