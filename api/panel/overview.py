"""How the hub is now, and what it did: messages, turns, tokens, money, how fast and how often not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from markupsafe import Markup

from api.panel import deliveries
from api.panel.pages import Page
from api.panel.plots import Kind, Series, plot
from api.panel.view import View
from api.panel.words import N_
from hub import metrics
from hub.accounts import definitions, keyring
from hub.accounts.keyring import Wanted
from hub.channel import State
from hub.records import counts, health, statistics
from hub.records.counts import InboxCount
from hub.records.health import Health
from hub.records.histogram import percentile
from hub.records.statistics import Plot, Window
from hub.records.tally import Sums
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
OVER: dict[Window, str] = {"1h": N_("1 hour"), "24h": N_("24 hours"), "30d": N_("30 days")}
Split = Literal["channel", "agent", "model"]
SPLITS: dict[Split, str] = {"channel": N_("By channel"), "agent": N_("By agent"), "model": N_("By model")}
WITHOUT: dict[Split, str] = {
    "channel": N_("without a channel"),
    "agent": N_("without an agent"),
    "model": N_("without a model"),
}
"""What is not split: a program that asks a model has no agent, a turn that failed early no model."""
_OVER: dict[str, Window] = {name: name for name in OVER}
_SPLITS: dict[str, Split] = {name: name for name in SPLITS}
LINES = 6
"""A plot shows so many lines, those with the most turns."""
PLOTS_FRESH = 10.0
"""For how long plots are good, in seconds."""
Measure = tuple[str, Callable[[Sums], float | None]]


def _second(percent: int) -> Callable[[Sums], float | None]:
    def of(sums: Sums) -> float | None:
        found = percentile(sums.latency, percent)
        return None if found is None else found / 1000

    return of


MEASURES: tuple[tuple[str, Kind, str, tuple[Measure, ...]], ...] = (
    (
        N_("Messages"),
        "line",
        "short",
        ((N_("in"), lambda sums: sums.received), (N_("out"), lambda sums: sums.delivered)),
    ),
    (
        N_("Turns"),
        "bar",
        "short",
        ((N_("answered"), lambda sums: sums.turns - sums.failed), (N_("failed"), lambda sums: sums.failed)),
    ),
    (
        N_("Tokens"),
        "area",
        "short",
        ((N_("read"), lambda sums: sums.prompt_tokens), (N_("written"), lambda sums: sums.completion_tokens)),
    ),
    (N_("Time to answer"), "line", "duration", ((N_("half of them"), _second(50)), (N_("95 of 100"), _second(95)))),
    (
        N_("Errors"),
        "bar",
        "short",
        ((N_("turns failed"), lambda sums: sums.failed), (N_("not delivered"), lambda sums: sums.undelivered)),
    ),
    (N_("Cost"), "area", "money", ((N_("Cost"), lambda sums: sums.fee),)),
)
"""Plots: a title, how it is drawn, how its values are said, and its lines; split by something, the first of them."""
FAILED = {"failed": 4, "turns failed": 4, "not delivered": 2}
"""What went wrong has colours of its own, the same in each plot."""


@page.shows("overview.html", live=("now", "past"))
async def state(view: View) -> dict[str, Any]:
    """An admin sees the hub, a user what is theirs."""
    now = await _hub(view) if view.is_admin else await _mine(view)
    return {**now, **await _past(view)}


async def _hub(view: View) -> dict[str, Any]:
    now = view.hub.clock
    inboxes = await view.shared("inboxes", lambda connection: counts.inboxes(connection, now()))
    found = await view.shared("health", health.of_channels)
    names = view.hub.channels()
    ids = await view.shared("channel ids", lambda connection: definitions.ids(connection, "channel"))
    return {
        "inboxes": inboxes,
        "total": _total(inboxes),
        "dead": {one.inbox: deliveries.dead_path(one.inbox) for one in inboxes if one.dead},
        "channels": [(name, ids.get(name), found.get(name)) for name in names],
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


async def _past(view: View) -> dict[str, Any]:
    over = _OVER.get(view.query.get("over", ""), "24h")
    split = _SPLITS.get(view.query.get("by", ""))
    now, mine = view.hub.clock, None if view.is_admin else view.key.id
    found = await view.shared(
        f"plot {over} {split} {mine}",
        lambda connection: statistics.plot(connection, over, now(), split, key_id=mine),
        fresh=PLOTS_FRESH,
    )
    sums = found.total
    return {
        "over": over,
        "split": split,
        "windows": OVER,
        "splits": SPLITS,
        "sums": sums,
        "p50": _second(50)(sums),
        "p95": _second(95)(sums),
        "plots": list(_plots(view, found, split)),
    }


def _plots(view: View, found: Plot, split: Split | None) -> Iterator[Markup]:
    """All of them, a line for each of what they are split by."""
    for title, kind, said, measures in MEASURES if view.is_admin else MEASURES[1:]:  # messages are of no key
        shown = getattr(view.words, said)
        if split is not None:
            none = view.say(WITHOUT[split])
            lines = sorted(found.lines.items(), key=lambda one: -sum(point.turns for point in one[1]))[:LINES]
            series = [Series(name=str(of or none), values=[measures[0][1](at) for at in line]) for of, line in lines]
            title = view.say(title) if len(measures) == 1 else f"{view.say(title)}: {view.say(measures[0][0])}"  # noqa: PLW2901
        else:
            points = next(iter(found.lines.values()))
            series = [
                Series(name=view.say(name), values=[value(point) for point in points], colour=FAILED.get(name))
                for name, value in measures
            ]
            title = view.say(title)  # noqa: PLW2901
        yield plot(title, found.starts, series, view.words, kind=kind, shown=shown)


def _total(inboxes: Sequence[InboxCount]) -> dict[str, int]:
    return {
        name: sum(getattr(each, name) for each in inboxes) for name in ("waiting", "running", "backing_off", "dead")
    }


def _is_up(found: Health | None) -> bool:
    return found is not None and found.state == "up"
