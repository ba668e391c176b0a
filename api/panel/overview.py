"""How the hub is now: what waits, how the channels are, whether anything was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.panel.pages import Page
from api.panel.view import View
from api.panel.words import N_
from hub import metrics
from hub.accounts import keyring
from hub.accounts.keyring import Wanted
from hub.channel import State
from hub.records import counts, health
from hub.records.counts import InboxCount
from hub.records.health import Health
from hub.store.listing import Part

page = Page("overview", N_("Overview"), icon="overview")
STATES: dict[State, tuple[str, str]] = {
    "starting": (N_("Starting"), "warn"),
    "up": (N_("Connected"), "good"),
    "retrying": (N_("Trying again"), "warn"),
    "stopped": (N_("Stopped"), ""),
    "failed": (N_("Failed"), "bad"),
}
"""What the states of a channel are called, and their colour."""
INBOXES = {"agent": N_("Agent"), "channel": N_("Channel"), "compaction": N_("Summaries")}


@page.shows("overview.html", live=("now",))
async def state(view: View) -> dict[str, Any]:
    """An admin sees the hub, a user what is theirs."""
    return await _hub(view) if view.is_admin else await _mine(view)


async def _hub(view: View) -> dict[str, Any]:
    now = view.hub.clock
    inboxes = await view.shared("inboxes", lambda connection: counts.inboxes(connection, now()))
    found = await view.shared("health", health.of_channels)
    names = view.hub.channels()
    return {
        "inboxes": inboxes,
        "total": _total(inboxes),
        "channels": [(name, found.get(name)) for name in names],
        "connected": sum(_is_up(found.get(name)) for name in names),
        "residue": metrics.residue(),
        "states": STATES,
        "kinds": INBOXES,
    }


async def _mine(view: View) -> dict[str, Any]:
    now, mine = view.hub.clock(), view.key.payer
    account = await view.hub.store.read(lambda connection: keyring.account(connection, mine, now))
    own = await view.hub.store.read(
        lambda connection: keyring.listed(connection, Wanted(owner_id=mine), now, Part(limit=1))
    )
    return {"account": account, "own": own.total}


def _total(inboxes: Sequence[InboxCount]) -> dict[str, int]:
    return {
        name: sum(getattr(each, name) for each in inboxes) for name in ("waiting", "running", "backing_off", "dead")
    }


def _is_up(found: Health | None) -> bool:
    return found is not None and found.state == "up"
