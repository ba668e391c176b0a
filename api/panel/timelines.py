"""What happened to a message as the panel shows it: rows with bars on a common axis, and what is still under way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from api.panel import talk
from api.panel.talk import Called
from api.panel.words import N_
from hub.accounts.turns import TurnRecord
from hub.memory import Stepped
from hub.records.timeline import Event, Sent, Timeline

WIDE = 1000.0
"""How wide the axis is drawn; it stretches with its place."""
THIN = 8.0
"""The least a bar is wide."""
MARKS = 4
"""Into so many parts the axis is divided."""
TITLES = {
    "said": N_("Said"),
    "accepted": N_("Accepted"),
    "joined": N_("Joined"),
    "claimed": N_("Claimed"),
    "model": N_("Model {n}"),
    "tool": N_("Tool {n}"),
    "posted": N_("Posted"),
    "sending": N_("Sending"),
    "part": N_("Part {n}"),
    "settled": N_("Settled"),
    "ended": N_("Ended"),
}
"""The words of `bothub trace`."""
ICONS = {
    "said": "chat",
    "accepted": "inbox",
    "joined": "plus",
    "claimed": "agent",
    "model": "model",
    "tool": "settings",
    "posted": "delivery",
    "sending": "channel",
    "part": "check",
    "settled": "check",
    "ended": "check",
}
OUTCOMES = {
    "queued": (N_("Waiting"), "warn"),
    "running": (N_("Running"), "warn"),
    "answered": (N_("Answered"), "good"),
    "completed": (N_("Answered"), "good"),
    "delivered": (N_("Sent"), "good"),
    "silent": (N_("Not answered"), ""),
    "refused": (N_("Refused"), "warn"),
    "cancelled": (N_("Stopped"), "warn"),
    "dead": (N_("Dead"), "bad"),
    "failed": (N_("Failed"), "bad"),
    "preview": (N_("Preview"), "warn"),
}
"""What states and outcomes are called, and their colour."""
REASONS = {
    "stopped": N_("it was stopped"),
    "stay_silent": N_("the agent chose to say nothing"),
    "listen": N_("it was only listened to"),
    "merged": N_("another turn took it up"),
    "access": N_("its sender may not write here"),
    "client gone": N_("whoever asked had gone"),
    "budget": N_("nobody could pay for it"),
    "failed": N_("no try is left"),
    "expired": N_("it became too old to be sent"),
    "gone": N_("the chat is gone"),
    "discarded": N_("somebody discarded it"),
    "told": N_("whoever asked was told"),
    "unreadable": N_("it cannot be read"),
    "retried": N_("somebody had it tried again"),
}
WAITS = ("claimed", "sending")
"""What waited until it began."""
TAKES = ("model", "tool", "part")
"""What took its time from there on."""
OPEN = ("queued", "running")


@dataclass(frozen=True, kw_only=True)
class Row:
    """Something that happened; `x` and `width` are where its bar is, `since` the seconds after what began before it."""

    event: Event
    since: float | None
    x: float
    width: float
    tone: str = ""
    called: Called | None = None
    """The tool, with what it was given and returned."""
    place: int = 0
    """Of a tool in its step."""
    cost: int | None = None
    post: int | None = None
    """Which of several deliveries it is about."""

    @property
    def at(self) -> datetime:
        """When it began."""
        return datetime.fromtimestamp(self.event.at, UTC)

    @property
    def waited(self) -> bool:
        """The bar ends where it begins."""
        return self.event.what in WAITS

    @property
    def again(self) -> bool:
        """It was begun before, in vain."""
        return self.event.tries is not None and self.event.tries > 1


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A timeline; `marks` are the seconds that stand at the axis, `waiting` the deliveries that have no end yet."""

    rows: Sequence[Row]
    whole: float
    marks: Sequence[float]
    waiting: Sequence[Sent]
    last: float
    """When the newest of it began."""


def draw(found: Timeline, record: TurnRecord | None, steps: Sequence[Stepped], now: float) -> Drawn:
    """The rows of a timeline, with the steps of its turn; one that is under way reaches until now."""
    ends = [event.at + (event.seconds or 0.0 if event.what in TAKES else 0.0) for event in found.events]
    begin = found.events[0].at if found.events else now
    goes_on = found.kind == "turn" and found.status in OPEN
    whole = max([end - begin for end in ends] + ([now - begin] if goes_on else []), default=0.0)
    return Drawn(
        rows=list(_rows(found, record, _called(steps), begin, whole)),
        whole=whole,
        marks=[whole * part / MARKS for part in range(MARKS + 1)],
        waiting=[sent for sent in found.deliveries if sent.outcome is None and sent.attempts is not None],
        last=max((event.at for event in found.events), default=now),
    )


def _rows(
    found: Timeline, record: TurnRecord | None, called: Mapping[tuple[int, int], Called], begin: float, whole: float
) -> Iterator[Row]:
    numbers = {sent.id: number for number, sent in enumerate(found.deliveries, 1)} if len(found.deliveries) > 1 else {}
    before, tools = None, dict[int, int]()
    for event in found.events:
        tool, place = None, 0
        if event.what == "tool" and event.step is not None:
            place = tools[event.step] = tools.get(event.step, -1) + 1
            tool = called.get((event.step, place))
        x, width = _bar(event, begin, whole)
        yield Row(
            event=event,
            since=None if before is None else event.at - before,
            x=x,
            width=width,
            tone=_tone(event, tool),
            called=tool,
            place=place,
            cost=_cost(event, record),
            post=numbers.get(event.delivery or ""),
        )
        before = event.at


def _called(steps: Sequence[Stepped]) -> dict[tuple[int, int], Called]:
    """The tools by the number of their step, and their place in it."""
    return {
        (number, index): called
        for number, step in enumerate(steps, 1)
        for index, called in enumerate(talk.calls([step]))
    }


def _bar(event: Event, begin: float, whole: float) -> tuple[float, float]:
    seconds = event.seconds or 0.0
    start = max(begin, event.at - seconds) if event.what in WAITS else event.at
    length = seconds if event.what in TAKES else event.at - start
    scale = WIDE / whole if whole > 0 else 0.0
    width = max(THIN, length * scale)
    return min((start - begin) * scale, WIDE - width), width


def _tone(event: Event, tool: Called | None) -> str:
    if event.outcome is not None:
        return OUTCOMES.get(event.outcome, ("", ""))[1]
    if tool is not None and tool.failed:
        return "bad"
    return "warn" if event.tries is not None and event.tries > 1 else ""


def _cost(event: Event, record: TurnRecord | None) -> int | None:
    """What a call cost; of a model that did not give the answer the price is not kept."""
    if record is None or event.what != "model" or event.usage is None or event.name != record.model:
        return None
    return record.price.fee(event.usage)
