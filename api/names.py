"""What a request may name: the agents and models that there are for its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from api import current
from api.ports import Named
from hub.accounts import permits
from hub.errors import Forbidden, NotFound


def usable() -> Iterator[Named]:
    """All of them: agents, the default one first, then models."""
    key = current.key()
    return (each for each in current.hub().names() if permits.may_use(key, each.kind, each.name, public=each.public))


async def named(name: str | None) -> Named:
    """The agent or model of this name, the first one for none.

    Raises NotFound that lists what there is, and Forbidden for a model that there is for others.
    """
    found = await find(lambda each: name in (None, each.name))
    if found is not None:
        return found
    if any(each.name == name and each.kind == "model" for each in current.hub().names()):
        raise Forbidden(f"This key may not use the model '{name}'.", param="model", code="model_not_allowed")
    raise NotFound(f"There is no model '{name}'; there is: {_list()}.", param="model", code="model_not_found")


async def agent(name: str | None) -> Named:
    """The agent of this name, the first one for none; raises NotFound that lists them."""
    found = await find(lambda each: each.kind == "agent" and name in (None, each.name))
    if found is None:
        raise NotFound(
            f"There is no agent '{name}'; there is: {_list('agent')}.", param="agent", code="agent_not_found"
        )
    return found


async def find(fits: Callable[[Named], bool]) -> Named | None:
    """The first of them that fits, or None."""
    return await current.known(lambda: next(filter(fits, usable()), None))


def _list(kind: str | None = None) -> str:
    return ", ".join(each.name for each in usable() if kind in (None, each.kind)) or "nothing"
