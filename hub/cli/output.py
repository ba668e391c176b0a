"""What commands print: tables and sentences for people, JSON for programs."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from hub.errors import ConfigError, HubError

PIPED_WIDTH = 10_000
"""Nothing is wrapped or cut in a file or a pipe."""
NUMBER: dict[str, Any] = {"justify": "right", "no_wrap": True}
FOLDED: dict[str, Any] = {"overflow": "fold"}
"""Columns of a table."""
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class Failed(HubError):
    """A command could not do what it was asked to."""


def console(*, stderr: bool = False) -> Console:
    """Where people read; made anew, because tests swap the streams."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else PIPED_WIDTH)


def tell(data: object, *shown: RenderableType, json: bool) -> None:
    """Print `data` as JSON, or else what is shown to a person."""
    if json:
        click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
        return
    out = console()
    for one in shown:
        out.print(one, soft_wrap=isinstance(one, Text | str))


def table(*columns: str | tuple[str, dict[str, Any]]) -> Table:
    """An empty table; a column is its title, or title and rich's options."""
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for column in columns:
        title, options = (column, {}) if isinstance(column, str) else column
        made.add_column(title, **options)
    return made


def done(what: str, sentence: str) -> Text:
    """What was done, in a word, and to what."""
    return Text.assemble((what, "green"), f"  {sentence}")


def complain(error: HubError, *, json: bool) -> None:
    """Say what went wrong: to stderr, or as JSON to stdout."""
    problems = error.problems if isinstance(error, ConfigError) else None
    if json:
        found = [] if problems is None else [split(problem) for problem in problems]
        wrong = {"error": str(error)} if problems is None else {"error": "the configuration is wrong"}
        tell({**wrong, **({"problems": found} if found else {})}, json=True)
        return
    out = console(stderr=True)
    if problems is None:
        out.print(Text(str(error), style="red"), soft_wrap=True)
        return
    for problem in problems:
        out.print(_coloured(problem), soft_wrap=not out.is_terminal)
    if out.is_terminal and len(problems) > 1:
        out.print(f"\n{len(problems)} problems to mend", style="bold red")


def split(problem: str) -> dict[str, str]:
    """A problem's place and its sentence."""
    where, _, text = problem.partition(": ")
    return {"where": where, "problem": text} if text else {"where": "", "problem": problem}


def _coloured(problem: str) -> Text:
    where, _, rest = problem.partition(": ")
    key, _, sentence = rest.partition(": ")
    if not sentence:
        return Text.assemble((where, "cyan"), ": " if rest else "", rest)
    return Text.assemble((where, "cyan"), ": ", (key, "bold"), ": ", sentence)


def span(seconds: float) -> str:
    """How long, in the largest unit that fits: `3 min`."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now"


def ago(seconds: float) -> str:
    """How long since: `3 min ago`, `now`."""
    words = span(seconds)
    return words if words == "now" else f"{words} ago"


def short(text: str, length: int) -> str:
    """The first words, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"
