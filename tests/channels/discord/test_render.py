"""CommonMark in Discord's dialect."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from channels.discord.channel import LIMITS, Channel
from channels.discord.config import Discord
from channels.discord.render import WIDEST, render
from hub.delivery.preview import pieces
from hub.text import size

UNCHANGED = [
    "plain_text with *stars*, **bold**, `code`, [a link](https://example.org) and > signs",
    "# One\n## Two\n### Three",
    "- a\n- b\n  1. c\n> quoted",
    "```sh\ncat a | grep b\n| a | b |\n|---|---|\n#### not a heading\n---\n```",
    "~~~\n```\n| a | b |\n|---|---|\n~~~",
    "a | b without a ruler",
    "Title\n---",
    "| a | b |\n|---|",
    "![local](picture.png)",
    "",
]


@pytest.mark.parametrize("text", UNCHANGED)
def test_what_discord_shows_well_stays_as_it_is(text: str) -> None:
    assert render(text) == text


def test_a_table_is_aligned_in_code_between_the_text_around_it() -> None:
    text = "Look:\n\n| Name | Größe |\n|:--|--:|\n| **Ann** | 1 \\| 2 |\n| 大輔 | `x` |\nand on"
    assert render(text) == "Look:\n\n```\nName | Größe\n-----+------\nAnn  | 1 | 2\n大輔 | x\n```\nand on"


def test_a_table_without_outer_bars_and_with_missing_cells_is_one_too() -> None:
    assert render("a | b\n--|--\n1 | 2\n3 |") == "```\na | b\n--+--\n1 | 2\n3 |\n```"


def test_a_wide_table_is_only_divided() -> None:
    wide = "x" * WIDEST
    assert render(f"| a | b |\n|---|---|\n| {wide} | 1 |") == f"```\na | b\n---\n{wide} | 1\n```"


def test_nothing_in_a_table_ends_its_block() -> None:
    assert render("| a | b |\n|---|---|\n| ``` | 1 |").count("```") == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("#### Deep", "**Deep**"),
        ("###### **Deep** er ##", "**Deep er**"),
        ("a\n\n---\n\nb", "a\n\n──────────\n\nb"),
        ("***", "──────────"),
        ("see ![the plan](https://e.org/p.png) now", "see [the plan](https://e.org/p.png) now"),
        ("![](https://e.org/p.png)", "[image](https://e.org/p.png)"),
        ('![a](https://e.org/p.png "b")', '[a](https://e.org/p.png "b")'),
    ],
)
def test_what_discord_does_not_know_is_said_in_what_it_does(text: str, shown: str) -> None:
    assert render(text) == shown


def test_a_table_behind_a_block_of_code_is_seen() -> None:
    text = "```\ncode\n```\n| a | b |\n|---|---|\n| 1 | 2 |"
    assert render(text) == "```\ncode\n```\n```\na | b\n--+--\n1 | 2\n```"


WORDS = st.text("abc de🦜ß大*_`|#-![](>~ ", max_size=120)
ROWS = st.lists(st.text("ab大🦜 *`", max_size=60), min_size=1, max_size=6).map(lambda cells: f"| {' | '.join(cells)} |")
RULERS = st.integers(1, 6).map(lambda count: "|" + "---|" * count)
LINES = st.one_of(WORDS, ROWS, ROWS, RULERS, st.sampled_from(["```", "~~~", "", "---", "#### head", "- ```"]))


def letters(text: str) -> str:
    """What a text says, without how it says it."""
    return "".join(re.findall(r"[^\W_]|🦜", text))


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=30))
def test_rendering_loses_no_letter(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert letters(render(text)) == letters(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=30), st.integers(1, 12))
async def test_whatever_is_written_goes_out_whole_in_parts_that_fit(lines: list[str], times: int) -> None:
    text = "\n".join(lines * times)
    parts = pieces(Channel("x", Discord(token=SecretStr("x"))), text)
    shown = [render(part) for part in parts]
    assert all(size(part) <= LIMITS.length for part in shown)
    assert letters("".join(shown)) == letters(text)
