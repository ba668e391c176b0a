"""`bothub trace`: what happened to one message, as a timeline."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import FOLDED, NUMBER, Failed, console, table, tell
from hub.errors import NotFound
from hub.model import Usage
from hub.records import timeline
from hub.records.timeline import Event, Timeline

BAR = 24
"""Characters of a bar, where there is room for one."""
ROOM = 100
"""A terminal narrower than this has no bars."""
WAITED = ("claimed", "sending")
"""What says how long it had waited instead of how long it took."""
STYLES = {"model": "cyan", "tool": "magenta", "part": "green"}
ENDS = {"answered": "green", "completed": "green", "delivered": "green", "dead": "red", "failed": "red"}


def run(call: Call, id: str) -> None:
    """Print a timeline; raises Failed for an id that nobody knows, RequestError where it may mean several."""

    async def look(desk: Desk) -> Timeline:
        try:
            return await desk.store.read(lambda connection: timeline.find(connection, id))
        except NotFound as error:
            raise Failed(str(error)) from None

    found = work(call, look)
    tell(found, *_shown(found), json=call.json)


def _shown(found: Timeline) -> list[RenderableType]:
    out = console()
    return [_head(found), Text(), _table(found, bars=out.is_terminal and out.width >= ROOM)]


def _head(found: Timeline) -> Group:
    title = Text.assemble((found.id, "bold"), "  ", (found.status, ENDS.get(found.status, "yellow")))
    if why := ", ".join(filter(None, (found.outcome, found.reason))):
        title.append(f" ({why})", style="dim")
    facts = [
        ("agent", found.agent),
        ("model", found.model),
        ("at", found.address),
        ("session", found.session_id or found.session),
        ("key", found.key_id),
        ("began", f"{datetime.fromtimestamp(found.events[0].at, UTC):%Y-%m-%d %H:%M:%S} UTC" if found.events else None),
        ("tokens", found.usage and _tokens(found.usage)),
        ("request", found.request_id),
        ("trace", found.trace_id),
        ("goes on as", found.retried_as),
        ("error", found.error),
    ]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        if value is not None:
            grid.add_row(name, str(value))
    return Group(title, grid)


def _table(found: Timeline, *, bars: bool) -> Table:
    begin = found.events[0].at if found.events else 0.0
    whole = max((_end(event) - begin for event in found.events), default=0.0)
    numbers = {sent.id: number for number, sent in enumerate(found.deliveries, 1)}
    shown = table(
        ("s", NUMBER),
        ("what", {"no_wrap": True}),
        ("", FOLDED),
        ("took", NUMBER),
        *([("", {"no_wrap": True})] if bars else []),
    )
    for event in found.events:
        style = STYLES.get(event.what, ENDS.get(event.outcome or "", ""))
        row = [
            f"+{event.at - begin:.3f}",
            Text(_what(event), style=style),
            Text(_detail(event, numbers)),
            "" if event.seconds is None or event.what in WAITED else seconds(event.seconds),
        ]
        shown.add_row(*row, *([Text(_bar(event, begin, whole), style=style)] if bars else []))
    return shown


def _what(event: Event) -> str:
    match event.what:
        case "part":
            return f"part {event.part}"
        case "model" | "tool":
            return f"{event.what} {event.step}"
        case _:
            return event.what


def _detail(event: Event, numbers: dict[str, int]) -> str:
    of = f"post {numbers[event.delivery]}" if event.delivery is not None and len(numbers) > 1 else None
    match event.what:
        case "said" | "joined" | "tool":
            words = [event.name]
        case "accepted":
            words = [f"for {event.name}"]
        case "claimed":
            words = [_waited(event), _tried(event)]
        case "model":
            first = None if event.first is None else f"first word after {seconds(event.first)}"
            words = [event.name, event.usage and _tokens(event.usage), first]
        case "posted":
            words = [of, f"to {event.name}"]
        case "sending":
            words = [of, _waited(event), _tried(event)]
        case "part":
            edits = f"{event.edits} edits" if event.edits != 1 else "1 edit"
            words = [of, event.platform_id, edits if event.edits else None, event.outcome]
        case "ended" | "settled":
            words = [of, event.outcome, event.reason, event.error if event.what == "settled" else None]
    return " · ".join(filter(None, words))


def _waited(event: Event) -> str:
    return f"waited {seconds(event.seconds or 0.0)}"


def _tried(event: Event) -> str | None:
    return f"try {event.tries}" if event.tries and event.tries > 1 else None


def _tokens(usage: Usage) -> str:
    about = "about " if usage.estimated else ""
    return f"{about}{usage.prompt} + {usage.completion} tokens"


def seconds(value: float) -> str:
    """A duration for people: `12 ms`, `3.25 s`, `2 min 5 s`."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.2f} s"
    return f"{int(value // 60)} min {value % 60:.0f} s"


def _end(event: Event) -> float:
    """When something was over; what says how long it waited or took in all ends where it stands."""
    is_done_later = event.what in ("model", "tool", "part")
    return event.at + (event.seconds or 0.0 if is_done_later else 0.0)


def _bar(event: Event, begin: float, whole: float) -> str:
    if whole <= 0:
        return ""
    first = min(int((event.at - begin) / whole * BAR), BAR - 1)
    last = min(int((_end(event) - begin) / whole * BAR), BAR - 1)
    return " " * first + ("━" * (last - first + 1) if _end(event) > event.at else "•")
