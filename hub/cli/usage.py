"""`bothub usage`: what was used, as a table with bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.bar import Bar
from rich.console import RenderableType
from rich.text import Text

from hub.accounts import money
from hub.accounts.usage import DAY, By, Used, day_of, usage
from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import console, short, table, tell

WIDEST = 60
NARROW = 20
"""Characters of the longest bar, in a terminal at most, and elsewhere."""
NOBODY: dict[By, str] = {"day": "", "agent": "models directly", "model": "none", "key": "chats"}
"""What turns without one are called."""


def run(call: Call, by: By, days: int, key: int | None) -> None:
    """Print what the last days used, by day, agent, model or key."""

    async def look(desk: Desk) -> tuple[Sequence[Used], float, float]:
        until = (desk.now // DAY + 1) * DAY
        since = until - days * DAY
        return await desk.store.read(lambda connection: usage(connection, by, since, until, key)), since, until

    found, since, until = work(call, look)
    rows = _each_day(found, until) if by == "day" else list(found)
    tell(_data(found, by, since, until), *_shown(rows, by, days), json=call.json)


def _data(found: Sequence[Used], by: By, since: float, until: float) -> dict[str, Any]:
    rows = [
        {
            by: int(one.of) if by == "key" and one.of else one.of,
            **({"name": one.name} if by == "key" else {}),
            "turns": one.turns,
            "failed": one.failed,
            "prompt_tokens": one.prompt,
            "completion_tokens": one.completion,
            "fee": money.shown(one.fee),
        }
        for one in found
    ]
    return {"by": by, "since": int(since), "until": int(until), "data": rows}


def _each_day(found: Sequence[Used], until: float) -> list[Used]:
    """Also the days on which nothing was used, from the first on that has something."""
    known = {one.of: one for one in found}
    if not known:
        return []
    day, days = until - DAY, list[Used]()
    nothing = Used(of=None, turns=0, failed=0, prompt=0, completion=0, fee=0)
    while not days or days[-1].of != found[0].of:
        of = day_of(day)
        days.append(known.get(of) or msgspec.structs.replace(nothing, of=of))
        day -= DAY
    return days[::-1]


def _shown(rows: Sequence[Used], by: By, days: int) -> list[RenderableType]:
    if not rows:
        return [Text(f"Nothing was used in the last {days} days.", style="yellow")]
    made = table(
        (by, {"no_wrap": True}),
        *((title, {"justify": "right", "no_wrap": True}) for title in ("turns", "failed", "in", "out", "fee")),
        ("tokens", {"max_width": WIDEST}),
    )
    most, width = max(one.tokens for one in rows), None if console().is_terminal else NARROW
    for one in rows:
        bar = Bar(most or 1, 0, one.tokens, width=width, color="cyan")
        made.add_row(Text(short(_name(one, by), 24)), *_numbers(one), bar)
    made.add_section()
    made.add_row("all", *_numbers(_sum(rows)), style="bold")
    return [made]


def _name(one: Used, by: By) -> str:
    if one.of is None:
        return NOBODY[by]
    return one.of if one.name is None else f"{one.name} ({one.of})"


def _numbers(one: Used) -> tuple[str, ...]:
    numbers = (one.turns, one.failed, one.prompt, one.completion)
    return (*(number(each) if each else "·" for each in numbers), f"{one.fee / money.UNIT:.4f}" if one.fee else "·")


def _sum(rows: Sequence[Used]) -> Used:
    return Used(
        of=None,
        turns=sum(one.turns for one in rows),
        failed=sum(one.failed for one in rows),
        prompt=sum(one.prompt for one in rows),
        completion=sum(one.completion for one in rows),
        fee=sum(one.fee for one in rows),
    )


def number(value: int) -> str:
    """A number in a few characters: `12`, `3.4k`, `1.2M`."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * size or (value >= size and size > 10**3):
            return f"{value / size:.1f}{unit}"
    return str(value)
