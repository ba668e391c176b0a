"""What the pages of models and agents share: both are saved while the hub runs, beside those of config.yaml."""

from __future__ import annotations

from collections.abc import Sequence

from api.panel.view import View
from api.panel.words import N_
from api.saved import save
from hub.accounts import grants
from hub.accounts.definitions import MASK, Change, Kind, Shown
from hub.accounts.grants import Grantable, Sought
from hub.store.listing import Part


def state_of(one: Shown) -> tuple[str, str]:
    """Whether it is in use: what to say, and its colour."""
    if one.error:
        return N_("Not in use"), "bad"
    if not one.settings.get("enabled", True):
        return N_("Switched off"), ""
    return N_("In use"), "good"


def is_secret(value: object) -> bool:
    """Whether a secret stands there, which is not shown."""
    return value == MASK


async def granted(view: View, kind: Grantable, id: int) -> int:
    """How many keys and groups were granted it."""
    sought = Sought(kind=kind, definition_id=id)
    found = await view.hub.store.read(lambda connection: grants.listed(connection, sought, Part(limit=1)))
    return found.total


async def forget(kind: Kind, id: int) -> None:
    """Delete it; raises what `Definitions.save` raises."""
    await save(Change(kind=kind, id=id, settings=None))


async def asking(view: View, model: str) -> Sequence[str]:
    """The agents that ask a model."""
    found = await view.hub.definitions.list("agent")
    uses = ("model", "fallback", "transcribe")
    return [one.name for one in found if any(model in _names(one.settings.get(use)) for use in uses)]


def _names(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else (value,)  # pyright: ignore[reportUnknownVariableType]
