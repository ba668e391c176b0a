"""`bothub audit`: who changed what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from hub.accounts import audit
from hub.accounts.audit import Record
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import short, table, tell
from hub.store.listing import Page, Part

LONGEST = 60
"""Characters of what differs in a field."""


def run(call: Call, what: str | None, target: str | None, key: int | None, days: int | None, limit: int) -> None:
    """Print the newest changes, of a kind, to something, by a key or of the last days."""

    async def look(desk: Desk) -> Page[Record]:
        since = None if days is None else desk.now - days * 86_400
        return await desk.store.read(
            lambda connection: audit.listed(
                connection, Part(limit=limit), what=what, target=target, key_id=key, since=since
            )
        )

    page = work(call, look)
    tell({"changes": page.items, "total": page.total}, *_shown(page.items, page.total), json=call.json)


def _shown(found: Sequence[Record], total: int) -> list[Any]:
    if not found:
        return [Text("Nothing of that kind is written down.", style="green")]
    made = table(("at (UTC)", {"no_wrap": True}), "by", "what", ("target", {"overflow": "fold"}), "changes")
    for one in reversed(found):
        at = datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        by = one.by if one.key_id is None else f"{one.by} (key {one.key_id})"
        made.add_row(at, Text(by), one.what, Text(one.target), _told(one.before, one.after))
    more = [Text(f"the newest {len(found)} of {total}; see more with --limit", style="dim")] * (total > len(found))
    return [made, *more]


def _told(before: Mapping[str, Any], after: Mapping[str, Any]) -> Text:
    told = Text()
    for name in {**before, **after}:
        told.append("\n" if told else "").append(f"{name} ", style="dim")
        if name in before:
            told.append(short(str(before[name]), LONGEST)).append(" → ", style="dim")
        told.append(short(str(after[name]), LONGEST) if name in after else "gone")
    return told
