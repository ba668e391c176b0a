"""Channels as the pages of the panel show them: each with how it is, what went through it, and what waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from api.panel import mends
from api.panel.overview import STATES
from api.panel.view import View
from api.panel.words import N_
from hub import access
from hub.accounts.definitions import Shown
from hub.errors import NotFound
from hub.message import channel_inbox
from hub.records import counts, health, statistics
from hub.records.counts import InboxCount
from hub.records.health import Health
from hub.records.statistics import Asked
from hub.records.tally import Sums
from hub.store import Connection

DAY = 86_400.0
FRESH = 5.0
"""For how long the counts of a day are good, in seconds."""
STOPPED, UNUSED = (N_("Stopped"), ""), (N_("Not in use"), "bad")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A channel and how it is."""

    one: Shown
    health: Health | None
    sums: Sums
    """Of the last day."""
    waiting: int
    dead: int
    strangers: int

    @property
    def kind(self) -> str:
        return str(self.one.settings.get("kind", ""))

    @property
    def enabled(self) -> bool:
        return bool(self.one.settings.get("enabled", True))

    @property
    def declared(self) -> bool:
        """Whether config.yaml has the last word."""
        return self.one.source == "config"

    @property
    def state(self) -> tuple[str, str]:
        """What to call how it is, and its colour."""
        if self.one.error:
            return UNUSED
        if not self.enabled:
            return STOPPED
        return (N_("Not started"), "") if self.health is None else STATES[self.health.state]

    @property
    def error(self) -> str | None:
        """What its platform last said, where it is not connected."""
        if not self.enabled or self.health is None or self.health.state == "up":
            return None
        return self.health.error

    @property
    def trouble(self) -> tuple[str, str] | None:
        """What is wrong with it, and what to do about that."""
        if self.one.error:
            return self.one.error, N_("Mend it under “Edit”.")
        return None if self.error is None else (self.error, mends.mend(self.kind, self.error))


async def every(view: View) -> list[Row]:
    """Every channel, by its name."""
    hub = view.hub
    saved = sorted(await hub.definitions.list("channel"), key=lambda one: one.name)
    names = [one.name for one in saved]
    found = await view.shared("health", health.of_channels)
    inboxes = {each.inbox: each for each in await view.shared("inboxes", _inboxes(view))}
    day = await view.shared("channels of a day", _day(view), fresh=FRESH)
    strangers = await hub.store.read(
        lambda connection: {name: len(access.pending(connection, name, hub.clock())) for name in names}
    )
    rows: list[Row] = []
    for one in saved:
        inbox = inboxes.get(channel_inbox(one.name))
        rows.append(
            Row(
                one=one,
                health=found.get(one.name),
                sums=day.get(one.name) or Sums(),
                waiting=inbox.open if inbox else 0,
                dead=inbox.dead if inbox else 0,
                strangers=strangers[one.name],
            )
        )
    return rows


async def find(view: View, id: int) -> Row:
    """One channel; raises NotFound."""
    row = next((each for each in await every(view) if each.one.id == id), None)
    if row is None:
        raise NotFound(f"There is no channel {id}.", code="channel_not_found")
    return row


def _inboxes(view: View) -> Callable[[Connection], list[InboxCount]]:
    return lambda connection: counts.inboxes(connection, view.hub.clock())


def _day(view: View) -> Callable[[Connection], Mapping[object, Sums]]:
    def unit(connection: Connection) -> Mapping[object, Sums]:
        asked = Asked(since=view.hub.clock() - DAY)
        return {of: sums for (_, of), sums in statistics.measure(connection, asked, by="channel", timed=False).items()}

    return unit
