"""`bothub inbox`: how much waits where."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import span, table, tell
from hub.message import channel_inbox
from hub.records import counts
from hub.records.counts import InboxCount


def run(call: Call) -> None:
    """Print every inbox, or that nothing waits."""
    found, off, now = work(call, _look)
    data = [_data(count, count.inbox in off, now) for count in found]
    tell({"inboxes": data}, *_shown(found, off, now), json=call.json)


async def _look(desk: Desk) -> tuple[list[InboxCount], set[str], float]:
    """The inboxes, and which of them belong to no channel that runs."""
    now = desk.now
    found = await desk.store.read(lambda connection: counts.inboxes(connection, now))
    running = {channel_inbox(name) for name, channel in desk.config.channels.items() if channel.enabled}
    return found, {count.inbox for count in found if count.inbox.startswith("channel:")} - running, now


def _data(count: InboxCount, off: bool, now: float) -> dict[str, object]:
    return {
        "inbox": count.inbox,
        "waiting": count.waiting,
        "running": count.running,
        "backing_off": count.backing_off,
        "dead": count.dead,
        "oldest_seconds": None if count.oldest_at is None else round(max(0.0, now - count.oldest_at), 3),
        "partial": count.partial,
        "enabled": not off,
    }


def _shown(found: list[InboxCount], off: set[str], now: float) -> list[RenderableType]:
    busy = [count for count in found if count.open or count.dead]
    if not busy:
        return [Text("All quiet: nothing waits, nothing was given up.", style="green")]
    right = {"justify": "right"}
    shown = table(
        "inbox",
        *((title, right) for title in ("waiting", "running", "backing off", "dead", "oldest")),
        "",
    )
    for count in busy:
        more = "+" if count.partial else ""
        shown.add_row(
            count.inbox,
            _number(count.waiting, "", more),
            _number(count.running, "green"),
            _number(count.backing_off, "yellow"),
            _number(count.dead, "bold red", more),
            "" if count.oldest_at is None else span(now - count.oldest_at),
            Text("channel not enabled", style="yellow") if count.inbox in off else "",
        )
    hint = Text.assemble("\n", ("bothub dead list", "bold"), " shows what was given up, and why.")
    return [shown, hint] if any(count.dead for count in busy) else [shown]


def _number(number: int, style: str, more: str = "") -> Text:
    return Text(f"{number}{more}", style=style) if number else Text("·", style="dim")
