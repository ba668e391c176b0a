"""Splitting: every part fits, renders on its own, and nothing is lost."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.split import SHAPES
from hub.text import Unit, size, split

UNITS: list[Unit] = ["utf16", "bytes", "chars"]
MARKDOWN = MarkdownIt("commonmark")
FENCE_LINE = re.compile(r"^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)*(?:`{3,}|~{3,})[^`\n]*$", re.MULTILINE)

words = st.sampled_from(
    ["Hub", "a", "lane,", "größe", "消息总线", "👩‍👩‍👧‍👦", "**bold**", "`code`", "x" * 50, "\\", "|"]
)
prose = st.lists(words, min_size=1, max_size=30).map(" ".join)
table = st.lists(prose, min_size=1, max_size=8).map(lambda rows: "\n".join(f"| {row} | 1 |" for row in rows))
bullets = st.lists(prose, min_size=1, max_size=8).map(
    lambda rows: "\n".join("  " * (n % 3) + f"- {row}" for n, row in enumerate(rows))
)
code_line = st.lists(words, max_size=12).map(lambda line: "    " * (len(line) % 3) + " ".join(line))


@st.composite
def fenced(draw: st.DrawFn) -> str:
    first, indent = draw(
        st.sampled_from([("", ""), (" ", " "), ("   ", "   "), ("- item\n\n  ", "  "), ("- ", "  "), ("> ", "> ")])
        | st.just(("1. item\n   - item\n     ", "     "))
    )
    marker = draw(st.sampled_from(["```", "````", "~~~"]))
    info = draw(st.sampled_from(["", "py", "js title=x"]))
    lines = [f"{indent}{line}" for line in draw(st.lists(code_line, max_size=20))]
    return "\n".join([f"{first}{marker}{info}", *lines, f"{indent}{marker}"])


documents = st.lists(st.one_of(prose, table, bullets, fenced()), max_size=8).map("\n\n".join)
# Whatever comes to a model's mind: markers, indentation and line ends anywhere.
wild = st.lists(
    st.sampled_from(
        [
            "```",
            "~~~",
            "`",
            "py",
            "\n",
            "\n\n",
            " ",
            "    ",
            "\t",
            "\r\n",
            "- ",
            "1. ",
            "> ",
            "|",
            "#",
            "字",
            "😀",
            "word",
        ]
    )
).map("".join)
anything = st.one_of(documents, wild, st.text())


def is_open(markdown: str) -> bool:
    """Whether text that follows would still be code."""
    tokens = MARKDOWN.parse(f"{markdown}\n\nSENTINEL")
    return any("SENTINEL" in token.content for token in tokens if token.type == "fence")


def ink(text: str) -> str:
    """What a reader must get, whatever whitespace and fence lines come and go."""
    return re.sub(r"\s+|^> ?", "", FENCE_LINE.sub("", text), flags=re.MULTILINE)


def code(markdown: str) -> str:
    return re.sub(r"\s+", "", "".join(token.content for token in MARKDOWN.parse(markdown) if token.type == "fence"))


@pytest.mark.slow
class TestEveryText:
    @given(text=anything, limit=st.integers(4, 200), unit=st.sampled_from(UNITS))
    @settings(max_examples=300, deadline=None)
    def test_has_parts_that_fit_and_are_not_blank(self, text: str, limit: int, unit: Unit) -> None:
        parts = split(text, limit, unit)
        assert all(part.strip() and size(part, unit) <= limit for part in parts)
        assert bool(parts) == bool(text.strip())

    @given(text=wild, limit=st.integers(4, 60), unit=st.sampled_from(UNITS))
    @settings(max_examples=300, deadline=None)
    def test_keeps_its_characters_in_order(self, text: str, limit: int, unit: Unit) -> None:
        rest = iter(char for char in "".join(split(text, limit, unit)) if not char.isspace())
        assert all(char in rest for char in text if not char.isspace())

    @given(text=documents, limit=st.integers(40, 300), unit=st.sampled_from(UNITS))
    @settings(max_examples=300, deadline=None)
    def test_loses_nothing_and_gains_only_fence_lines(self, text: str, limit: int, unit: Unit) -> None:
        parts = split(text, limit, unit)
        assert ink("\n".join(parts)) == ink(text)
        assert "".join(map(code, parts)) == code(text)

    @given(text=documents, limit=st.integers(40, 300), unit=st.sampled_from(UNITS))
    @settings(max_examples=300, deadline=None)
    def test_leaves_no_fence_open(self, text: str, limit: int, unit: Unit) -> None:
        assert not any(map(is_open, split(text, limit, unit)))

    @given(text=documents)
    def test_that_fits_is_one_part_as_it_stands(self, text: str) -> None:
        assert split(text, 1_000_000) == ([text.strip("\n").rstrip()] if text.strip() else [])


class TestCuts:
    def test_blank_text_has_no_parts(self) -> None:
        assert [split(text, 100) for text in ("", " ", "\n\n \t\n", "\r\n")] == [[], [], [], []]

    def test_a_blank_line_is_the_best_place(self) -> None:
        assert split("one two\nthree\n\nfour five\nsix", 24) == ["one two\nthree", "four five\nsix"]

    def test_a_line_is_better_than_a_space(self) -> None:
        assert split("one two\nthree four five", 16) == ["one two", "three four five"]

    def test_a_space_is_better_than_a_word(self) -> None:
        assert split("one two three four", 10) == ["one two", "three four"]

    def test_a_word_is_cut_when_it_must_be(self) -> None:
        assert split("abcdefghij", 4) == ["abcd", "efgh", "ij"]

    def test_a_blank_line_near_the_start_does_not_waste_a_part(self) -> None:
        parts = split("# Title\n\n" + "word\n" * 100, 100)
        assert parts[0].startswith("# Title\n\nword\nword")

    def test_a_line_of_chinese_is_cut_at_its_punctuation(self) -> None:
        assert split("你好，世界。再见了朋友", 8) == ["你好，世界。", "再见了朋友"]  # noqa: RUF001

    def test_indentation_at_a_cut_stays(self) -> None:
        assert split("- one\n  - two\n  - three\n", 14) == ["- one\n  - two", "  - three"]

    def test_a_table_is_cut_between_its_rows(self) -> None:
        rows = [f"| row {n} | value |" for n in range(20)]
        parts = split("\n".join(rows), 100)
        assert "\n".join(parts) == "\n".join(rows)
        assert len(parts) == 4

    def test_a_dash_in_a_sentence_does_not_become_a_bullet(self) -> None:
        assert split("alpha beta - gamma", 11) == ["alpha", "beta -", "gamma"]

    def test_a_marker_in_a_sentence_does_not_become_a_fence(self) -> None:
        assert not any(map(is_open, split("write ~~~ or ``` to open one, and the same to close it", 9)))

    def test_windows_line_ends_are_lines(self) -> None:
        assert split("one\r\n\r\ntwo", 5) == ["one", "two"]

    @pytest.mark.parametrize("limit", [-1, 0, 3])
    def test_a_limit_that_some_character_exceeds_is_refused(self, limit: int) -> None:
        with pytest.raises(ValueError, match="at least 4"):
            split("text", limit)


class TestFences:
    def test_a_cut_fence_is_closed_and_opened_again_with_its_info_string(self) -> None:
        assert split("```py title=a\nx = 1\ny = 2\n```\nend", 24) == [
            "```py title=a\nx = 1\n```",
            "```py title=a\ny = 2\n```",
            "end",
        ]

    def test_tildes_and_longer_markers_keep_their_kind(self) -> None:
        assert split("~~~~sh\necho 1\n```\necho 2\n~~~~", 24) == ["~~~~sh\necho 1\n```\n~~~~", "~~~~sh\necho 2\n~~~~"]

    def test_a_block_that_fits_the_next_part_is_not_cut(self) -> None:
        assert split("Some words.\n```\none\n\ntwo\n```", 26) == ["Some words.", "```\none\n\ntwo\n```"]

    def test_an_unfinished_fence_is_closed(self) -> None:
        assert split("See:\n```py\nx = 1", 100) == ["See:\n```py\nx = 1\n```"]

    def test_indentation_of_code_stays_at_a_cut(self) -> None:
        assert split("```\nif x:\n    go()\n```", 18) == ["```\nif x:\n```", "```\n    go()\n```"]

    def test_a_block_that_ends_at_the_cut_is_not_opened_again(self) -> None:
        assert split("```\none\n\n\n```\nend of it", 12) == ["```\none\n```", "end of it"]

    def test_a_fence_in_a_list_is_closed_at_its_indentation_and_opened_again_without(self) -> None:
        text = "1. Run\n   - this:\n\n     ```sh\n     echo 1\n       echo 2\n     ```\n\n2. Done"
        assert split(text, 45) == [
            "1. Run\n   - this:",
            "```sh\necho 1\n  echo 2\n```",
            "2. Done",
        ]
        assert split("- ```sh\n  echo 1\n    echo 2\n  ```", 24) == ["- ```sh\n  echo 1\n  ```", "```sh\n  echo 2\n```"]

    def test_a_fence_may_close_less_indented_than_its_item(self) -> None:
        assert split("- a:\n  ```\n  x\n```\n\nnot code " + "word " * 4, 26)[1:] == ["not code word word word", "word"]

    def test_a_marker_in_indented_code_is_no_fence(self) -> None:
        assert split("Write:\n\n    ```\n    x\n\nDone and done.", 28) == ["Write:\n\n    ```\n    x", "Done and done."]

    def test_a_fence_in_a_quote_stays_in_the_quote(self) -> None:
        assert split("> ```py\n> x = 1\n> y = 2\n> ```\nend", 24) == [
            "> ```py\n> x = 1\n> ```",
            "> ```py\n> y = 2\n> ```",
            "end",
        ]

    def test_a_quote_that_ends_ends_its_fence(self) -> None:
        assert split("> ```\n> x\nprose and more prose", 22) == ["> ```\n> x", "prose and more prose"]

    def test_a_long_line_of_code_is_fenced_in_every_part(self) -> None:
        parts = split("```py\n" + "x" * 100 + "\n```", 30)
        assert all(part.startswith("```py\n") and part.endswith("\n```") for part in parts)
        assert "".join(map(code, parts)) == "x" * 100

    def test_an_enormous_info_string_is_cut_and_not_repeated(self) -> None:
        parts = split("```" + "i" * 100 + "\nx = 1\n```", 40)
        assert sum(part.count("i") for part in parts) == 100
        assert not any(map(is_open, parts))

    def test_where_fences_leave_no_room_the_code_stands_alone(self) -> None:
        parts = split("```\nsome code\n```", 8)
        assert "".join("".join(parts).split()) == "```somecode```"


class TestUnits:
    def test_sizes(self) -> None:
        assert [size("aé字😀", unit) for unit in UNITS] == [5, 10, 4]
        assert [size("\ud83d", unit) for unit in UNITS] == [1, 3, 1]

    @pytest.mark.parametrize(("unit", "count"), [("utf16", 10), ("bytes", 5), ("chars", 20)])
    def test_an_emoji_takes_what_the_platform_counts(self, unit: Unit, count: int) -> None:
        assert split("😀" * 40, 20, unit) == ["😀" * count] * (40 // count)

    @pytest.mark.parametrize("character", ["👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "é", "각", "❤️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"])
    def test_what_reads_as_one_character_is_not_cut(self, character: str) -> None:
        parts = split(character * 50, 31)
        assert "".join(parts) == character * 50
        assert all(len(part) % len(character) == 0 for part in parts)

    def test_a_pair_of_surrogates_is_not_cut(self) -> None:
        assert split("\ud83d\ude00" * 10, 5) == ["\ud83d\ude00" * 2] * 5


@pytest.mark.parametrize("limit", [20, 2_000, 30_000])
@pytest.mark.parametrize("name", SHAPES)
def test_a_large_text_is_split(name: str, limit: int) -> None:
    parts = split(SHAPES[name](100_000), limit, "bytes")  # that this takes linear time: python -m bench split
    assert all(0 < size(part, "bytes") <= limit for part in parts)
