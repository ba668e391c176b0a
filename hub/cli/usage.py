"""`bothub usage`: what was used, as a table with bars."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from rich.bar import Bar
from rich.console import RenderableType
from rich.text import Text

from hub.accounts import money
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import NUMBER, console, short, table, tell
from hub.records import statistics
from hub.records.rollup import DAY, roll_up
from hub.records.statistics import Asked, Of
from hub.records.tally import Sums
from hub.store import Connection

By = Literal["day", "agent", "model", "key"]
Rows = Mapping[Of, Sums]
"""By a day (`2026-11-21`, UTC), a name, or a key's id; None: it has none."""
WIDEST = 60
NARROW = 20
"""Characters of the longest bar, in a terminal at most, and elsewhere."""
NOBODY: dict[By, str] = {"day": "", "agent": "models directly", "model": "none", "key": "chats"}
"""What turns without one are called."""


def run(call: Call, by: By, days: int, key: int | None) -> None:
    """Print what the last days used, by day, agent, model or key."""

    async def look(desk: Desk) -> tuple[Rows, Mapping[int, str], float, float]:
        until = (desk.now // DAY + 1) * DAY
        asked = Asked(since=until - days * DAY, until=until, key_id=key)
        await roll_up(desk.store, desk.now)  # perhaps no hub runs that would
        found = await desk.store.read(partial(_used, asked, by))
        return found, await desk.store.read(statistics.names), asked.since, until

    found, names, since, until = work(call, look)
    rows = _each_day(found, until) if by == "day" else found
    tell(_data(found, names, by, since, until), *_shown(rows, names, by, days), json=call.json)


def _used(asked: Asked, by: By, connection: Connection) -> Rows:
    """By day from the first on, else the most tokens first."""
    if by == "day":
        found = statistics.measure(connection, asked, per="day", timed=False)
        return {day_of(at): sums for (at, _), sums in found.items() if sums.turns}
    found = statistics.measure(connection, asked, by=by, timed=False)
    used = [(of, sums) for (_, of), sums in found.items() if sums.turns]
    return dict(sorted(used, key=lambda one: (-one[1].tokens, str(one[0] or ""))))


def day_of(at: float) -> str:
    """The UTC day of a time in Unix seconds: `2026-11-21`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _data(found: Rows, names: Mapping[int, str], by: By, since: float, until: float) -> dict[str, Any]:
    rows = [
        {
            by: of,
            **({"name": names.get(of) if isinstance(of, int) else None} if by == "key" else {}),
            "turns": one.turns,
            "failed": one.failed,
            "prompt_tokens": one.prompt_tokens,
            "completion_tokens": one.completion_tokens,
            "fee": money.shown(one.fee),
        }
        for of, one in found.items()
    ]
    return {"by": by, "since": int(since), "until": int(until), "data": rows}


def _each_day(found: Rows, until: float) -> Rows:
    """Also the days on which nothing was used, from the first on that has something."""
    days, day = dict[Of, Sums](), until - DAY
    while len(found.keys() - days.keys()) > 0:
        of = day_of(day)
        days[of] = found.get(of, Sums())
        day -= DAY
    return dict(reversed(days.items()))


def _shown(rows: Rows, names: Mapping[int, str], by: By, days: int) -> list[RenderableType]:
    if not rows:
        return [Text(f"Nothing was used in the last {days} days.", style="yellow")]
    made = table(
        (by, {"no_wrap": True}),
        *((title, NUMBER) for title in ("turns", "failed", "in", "out", "fee")),
        ("tokens", {"max_width": WIDEST}),
    )
    most, width = max(one.tokens for one in rows.values()), None if console().is_terminal else NARROW
    for of, one in rows.items():
        bar = Bar(most or 1, 0, one.tokens, width=width, color="cyan")
        made.add_row(Text(short(_name(of, names, by), 24)), *_numbers(one), bar)
    made.add_section()
    made.add_row("all", *_numbers(statistics.total(rows)), style="bold")
    return [made]


def _name(of: Of, names: Mapping[int, str], by: By) -> str:
    if of is None:
        return NOBODY[by]
    return f"{names[of]} ({of})" if isinstance(of, int) and of in names else str(of)


def _numbers(one: Sums) -> tuple[str, ...]:
    numbers = (one.turns, one.failed, one.prompt_tokens, one.completion_tokens)
    return (*(number(each) if each else "·" for each in numbers), f"{one.fee / money.UNIT:.4f}" if one.fee else "·")


def number(value: int) -> str:
    """A number in a few characters: `12`, `3.4k`, `1.2M`."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * size or (value >= size and size > 10**3):
            return f"{value / size:.1f}{unit}"
    return str(value)
