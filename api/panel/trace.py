"""What happened to one message, from the moment the hub took it in to the platform's id of each part of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.panel import timelines
from api.panel.pages import Page
from api.panel.timelines import OPEN, OUTCOMES, TITLES, WIDE, Drawn
from api.panel.view import View
from api.panel.words import N_
from hub.accounts import turns
from hub.accounts.turns import TurnRecord
from hub.errors import Ambiguous, NotFound
from hub.records import listed, steps, timeline
from hub.records.listed import Asked
from hub.records.search import Sought
from hub.records.timeline import Timeline
from hub.store import Connection
from hub.store.listing import Part

page = Page("trace", N_("Trace"), icon="trace", admin=True)
SHOWN = 12
"""So many of the newest turns are offered."""
LONGEST = 300
"""Characters of an id."""


@page.shows("trace.html", live=("found",), every=1.0)
async def state(view: View) -> dict[str, Any]:
    """What happened to what an id means; without one the newest turns to choose from."""
    given = view.query.get("id", "").replace("\x00", "").strip()[:LONGEST]
    said = {
        "given": given,
        "titles": TITLES,
        "outcomes": OUTCOMES,
        "icons": timelines.ICONS,
        "wide": WIDE,
        "open": OPEN,
        "reason": _reason,
    }
    if not given:
        return {**said, "kind": "start", "newest": await view.shared("newest turns", _newest)}
    try:
        found, record, drawn = await view.hub.store.read(lambda connection: _look(connection, given, view.hub.clock()))
    except Ambiguous as error:
        return {**said, "kind": "several", "candidates": error.candidates}
    except NotFound:
        return {**said, "kind": "nothing"}
    return {**said, "kind": "found", "found": found, "record": record, "drawn": drawn}


def _look(connection: Connection, given: str, now: float) -> tuple[Timeline, TurnRecord | None, Drawn]:
    found = timeline.find(connection, given)
    record = turns.find(connection, found.id) if found.kind == "turn" else None
    done = steps.of(connection, [found.id]).get(found.id, [])
    return found, record, timelines.draw(found, record, done, now)


def _newest(connection: Connection) -> Sequence[Asked]:
    return listed.list_turns(connection, Sought(), None, Part(limit=SHOWN)).items


def _reason(said: str) -> str:
    """A reason in words, where it is one of the hub's own."""
    return timelines.REASONS.get(said.partition(":")[0], said)
