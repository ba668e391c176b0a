"""CommonMark as text and entities: readable, complete, and nobody is pinged."""

from __future__ import annotations

import re

import pytest
from aiogram.types import MessageEntity
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from channels.telegram.channel import LIMITS
from channels.telegram.render import LENGTH, plain, render, rendered_size
from hub.channel import Sending
from hub.delivery.preview import pieces
from hub.text import size
from tests.platforms.telegram.text import tidy

MARKS = ["# ", "- ", "1. ", "> ", "**", "*", "_", "`", "```\n", "~~", "~", "| a | b |\n|--|--|\n", "[x](", ")", "!["]
OTHERS = [
    "word ",
    "\n",
    "\n\n",
    "<b>",
    "</div>",
    "http://e.x/a",
    "@anna_b ",
    "🦜",
    "&amp;",
    "\\",
    "||",
    "$x$",
    "[r]: u\n",
]
PIECES = st.sampled_from([*MARKS, *OTHERS])
MENTION = re.compile(r"(?<![\w/])@\w")


def marked(text: str, entity: MessageEntity) -> str:
    units = text.encode("utf-16-le")[2 * entity.offset : 2 * (entity.offset + entity.length)]
    return units.decode("utf-16-le")


def marks(markdown: str) -> set[tuple[str, str]]:
    rendered = render(markdown)
    return {(entity.type, marked(rendered.text, entity)) for entity in rendered.entities}


class TestMarks:
    @pytest.mark.parametrize(
        ("markdown", "text", "mark"),
        [
            ("a **b** c", "a b c", ("bold", "b")),
            ("🦜 *b*", "🦜 b", ("italic", "b")),
            ("~~b~~", "b", ("strikethrough", "b")),
            ("`a*b`", "a*b", ("code", "a*b")),
            ("```py\nx = 1\n```", "x = 1", ("pre", "x = 1")),
            ("```py\nx = 1", "x = 1", ("pre", "x = 1")),
            ("> b\n> c", "b\nc", ("blockquote", "b\nc")),
            ("# Big", "Big", ("bold", "Big")),
            ("[b](https://e.x/a_(b)?q=1&r=2)", "b", ("text_link", "b")),
            ("<https://e.x>", "https://e.x", ("text_link", "https://e.x")),
            ("![](https://e.x/p.png)", "https://e.x/p.png", ("text_link", "https://e.x/p.png")),
        ],
    )
    def test_each_has_its_entity(self, markdown: str, text: str, mark: tuple[str, str]) -> None:
        assert render(markdown).text == text
        assert mark in marks(markdown)

    def test_code_keeps_its_language_and_long_quotes_stay_open(self) -> None:
        assert render("```python\nx\n```").entities[0].language == "python"
        assert render("```c++ title=a\nx\n```").entities[0].language == "c++"
        assert render("```| a |\nx\n```").entities[0].language is None
        assert [entity.type for entity in render("> " + "word " * 99).entities] == ["blockquote"]

    def test_lists_are_readable(self) -> None:
        assert render("- a\n  - b\n- [ ] c\n- [x] d\n\n3. e").text == "• a\n  • b\n☐ c\n☑ d\n\n3. e\n"

    def test_a_table_is_aligned_and_its_links_are_written_out(self) -> None:
        rendered = render("| name | n |\n|--|--|\n| [x](http://y) | 22 |")
        assert rendered.text.splitlines() == ["name         | n ", "-------------+---", "x (http://y) | 22"]
        assert [entity.type for entity in rendered.entities] == ["pre"]


class TestNothingIsLost:
    @pytest.mark.parametrize(
        "text",
        [
            "List<String> and <b>bold</b>",
            "<details>\nopen\n</details>",
            "a || b || c",
            "$5, $6 and $$x^2$$",
            "about ~5 to ~6",
            "[1]: https://e.x",
            "@\u2060",
        ],
    )
    def test_what_telegram_has_no_mark_for_stays_as_it_was_written(self, text: str) -> None:
        assert render(text).text == text
        assert render(text).entities == []

    def test_a_definition_in_code_stays_code(self) -> None:
        assert render("```\n[a]: b\n```\n\n[a]: b").text == "[a]: b\n\n[a]: b"

    @pytest.mark.parametrize("text", ["> ", "> \n> ", "| a |", "[a](", "**b"])
    def test_what_would_be_blank_or_is_unfinished_goes_out_as_it_is(self, text: str) -> None:
        assert render(text) == plain(text)

    def test_a_text_that_grows_over_the_limit_goes_out_as_it_is(self) -> None:
        table = "| a | b |\n|--|--|\n" + f"| {'x' * 400} | y |\n" + "| 1 | 2 |\n" * 30
        assert size(table) < LENGTH < rendered_size(table)
        assert render(table) == plain(table)

    def test_so_does_one_whose_mentions_leave_no_room(self) -> None:
        text = "@anna " * 680 + "x" * 16
        assert size(text) == LENGTH < rendered_size(text)
        assert size(render(text).text) == LENGTH
        assert not MENTION.search(render(text).text)

    @given(st.lists(PIECES, max_size=40).map("".join))
    def test_any_markdown_is_complete_fits_and_pings_nobody(self, markdown: str) -> None:
        rendered = render(markdown)
        tidy(rendered.text, [entity.model_dump() for entity in rendered.entities])
        assert rendered.text.count("word") >= markdown.count("word") - markdown.count("[x](")
        assert rendered_size(markdown) >= 0
        assert not MENTION.search(without_code(rendered.text, rendered.entities))

    def test_a_row_with_more_cells_than_its_table_keeps_them(self) -> None:
        text = render("| a | b |\n|--|--|\n| 1 | 2 | `3` | 4 |\n| 5 |").text
        assert text.splitlines()[2:] == ["1 | 2 | `3` | 4", "5 |   |        "]

    def test_more_marks_than_telegram_reads_are_too_much_for_one_message(self) -> None:
        assert rendered_size("`a` " * 100) < 200
        assert rendered_size("`a` " * 101) > LENGTH
        parts = pieces(Shown(), "`a` " * 700)
        assert all(len(render(part).entities) <= 100 for part in parts)
        assert sum(len(render(part).entities) for part in parts) == 700

    @settings(max_examples=60, deadline=None)
    @given(st.lists(PIECES.filter(lambda piece: piece not in ("[x](", "![", "[r]: u\n")), min_size=9, max_size=60))
    def test_every_part_of_a_long_text_fits_and_no_word_is_lost(self, found: list[str]) -> None:
        markdown = "".join(found) * 60
        assume(not re.search(r"~~~[^\n]*word", markdown))  # CommonMark shows nothing of what stands behind a fence
        parts = [render(part) for part in pieces(Shown(), markdown)]
        for part in parts:
            tidy(part.text, [entity.model_dump() for entity in part.entities])
            assert size(part.text) <= LENGTH
        assert sum(part.text.count("word") for part in parts) == markdown.count("word")


class Shown:
    """The channel as far as texts are split for it."""

    limits = LIMITS

    def size(self, text: str) -> int:
        return rendered_size(text)

    async def send(self, sending: Sending) -> str:
        raise AssertionError(sending)


def without_code(text: str, entities: list[MessageEntity]) -> str:
    units = bytearray(text.encode("utf-16-le"))
    for entity in entities:
        if entity.type in ("code", "pre"):
            place = slice(2 * entity.offset, 2 * (entity.offset + entity.length))
            units[place] = (" " * entity.length).encode("utf-16-le")
    return units.decode("utf-16-le")


class TestPings:
    @pytest.mark.parametrize("text", ["@anna", "hi @anna!", "(@anna)", "@**anna**", "and/@anna", "&#64;anna"])
    def test_a_name_is_shown_and_is_no_mention(self, text: str) -> None:
        assert "@\u2060anna" in render(text).text

    @pytest.mark.parametrize("text", ["x@anna.se", "https://e.x/@anna", "`@anna`"])
    def test_addresses_and_code_stay_whole(self, text: str) -> None:
        assert render(text).text == text.strip("`")

    @pytest.mark.parametrize(
        "url",
        ["javascript:alert(1)", "tg://user?id=5", "TG://user?id=5", "tg://emoji?id=1", "/a", "file:///etc", "@anna"],
    )
    def test_links_lead_nowhere_else(self, url: str) -> None:
        assert render(f"[x]({url})").text == "x"
        assert render(f"[x]({url})").entities == []

    @pytest.mark.parametrize("url", ["mailto:a@b.c", "tg://resolve?domain=a", "HTTPS://e.x"])
    def test_links_to_mail_and_into_telegram_stay(self, url: str) -> None:
        assert [entity.url for entity in render(f"[x]({url})").entities] == [url]
