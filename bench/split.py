"""That splitting a text takes time in proportion to its length, whatever it is made of. `python -m bench split`."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from hub.text import split

LIMITS = (20, 2_000, 30_000)
SMALL, LARGE = 250_000, 1_000_000
"""Bytes of a text; four times the length should take four times as long."""


def _repeat(unit: str, before: str = "", after: str = "") -> Callable[[int], str]:
    each = len(unit.encode())
    return lambda size: before + unit * (size // each) + after


SHAPES: dict[str, Callable[[int], str]] = {
    "a line": _repeat("x"),
    "a line of words": _repeat("word "),
    "a line of Chinese": _repeat("字"),
    "emoji": _repeat("👩‍👩‍👧‍👦"),
    "lines": _repeat("some words in a line\n"),
    "short lines": _repeat("a\n"),
    "blank lines": _repeat("\n", "a", "b"),
    "spaces": _repeat(" ", "a", "b"),
    "code": _repeat("x = 1\n", "```py\n", "```"),
    "blank code": _repeat("\n", "```\n", "x\n```"),
    "blocks": _repeat("```py\nx = 1\n```\n\n"),
    "open blocks in quotes": _repeat("> ```\n\n"),
    "backticks": _repeat("`"),
    "backticks and spaces": _repeat("``` "),
    "indented markers": _repeat("    ```\n"),
    "nested markers": _repeat("- ", after="```"),
    "an info string": _repeat("i", "```"),
    "inline code": _repeat("a ```b``` "),
}
"""Texts of about so many bytes, by what they are made of."""


def _seconds(text: str, limit: int) -> float:
    began = time.process_time()
    split(text, limit, "bytes")
    return time.process_time() - began


def run() -> None:
    """Measure and print."""
    table = Table(title=f"split: CPU s for {LARGE:,} bytes, and how often that of {SMALL:,}", title_justify="left")
    table.add_column("text")
    for limit in LIMITS:
        table.add_column(f"parts of {limit:,}", justify="right")
    for name, make in SHAPES.items():
        cells: list[str] = []
        for limit in LIMITS:
            small, large = (min(_seconds(make(size), limit) for _ in range(2)) for size in (SMALL, LARGE))
            cells.append(f"{large:.2f} x{large / small:.1f}")
        table.add_row(name, *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    run()
