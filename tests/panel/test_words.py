"""What the panel says, in both languages."""

from __future__ import annotations

import string

import pytest
from markupsafe import Markup

from api.panel.words import LANGUAGES, NOTHING, Language, preferred, words
from tests.panel.sentences import PANEL, used

CHINESE = words("zh-CN")
ENGLISH = words("en")


def places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


class TestCatalog:
    def test_every_sentence_is_there_in_chinese(self) -> None:
        missing = {sentence: where for sentence, where in used().items() if sentence not in CHINESE.catalog}
        assert not missing, "\n".join(f'{where}: "{sentence}" = ""' for sentence, where in missing.items())

    def test_no_sentence_is_kept_that_nobody_says(self) -> None:
        unused = set(CHINESE.catalog) - set(used())
        assert not unused, f"take these out of api/panel/zh: {sorted(unused)}"

    def test_a_translation_has_the_places_of_its_sentence(self) -> None:
        wrong = [english for english, said in CHINESE.catalog.items() if not said or places(english) != places(said)]
        assert not wrong


def test_no_column_is_marked_by_what_it_is_called() -> None:
    marked = [path.name for path in (PANEL / "templates").glob("*.html") if '"#" ~' in path.read_text()]
    assert not marked, "a column of numbers is `numbers(...)`, see templates/ui.html"


class TestSaying:
    def test_values_stand_in_their_places(self) -> None:
        assert ENGLISH.say("{span} ago", span="3 min") == "3 min ago"
        assert CHINESE.say("{span} ago", span="3 分钟") == "3 分钟前"

    def test_a_sentence_without_a_translation_is_said_in_english(self) -> None:
        assert CHINESE.say("Nobody says this.") == "Nobody says this."

    def test_html_among_the_values_is_kept_and_all_else_escaped(self) -> None:
        said = ENGLISH.say("<b> {one} {two}", one=Markup("<i>1</i>"), two="<i>2</i>")
        assert said == "&lt;b&gt; <i>1</i> &lt;i&gt;2&lt;/i&gt;"

    @pytest.mark.parametrize(("n", "said"), [(0, "0 changes"), (1, "1 change"), (12_345, "12,345 changes")])
    def test_english_has_a_plural(self, n: int, said: str) -> None:
        assert ENGLISH.count("{n} change, kept for good.", "{n} changes, kept for good.", n).startswith(said)

    def test_chinese_has_none(self) -> None:
        assert CHINESE.count("{n} change, kept for good.", "{n} changes, kept for good.", 1).startswith("1 条更改")


class TestNumbers:
    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (None, NOTHING),
            (0, "0 ms"),
            (0.0004, "0.4 ms"),
            (0.007, "7 ms"),
            (0.24, "240 ms"),
            (3.2, "3.2 s"),
            (4, "4 s"),
            (250, "4 min"),
            (7300, "2 h"),
            (200_000, "2 d"),
        ],
    )
    def test_durations(self, seconds: float | None, said: str) -> None:
        assert ENGLISH.duration(seconds) == said

    @pytest.mark.parametrize(
        ("amount", "said"),
        [
            (None, NOTHING),
            (0, "0.00"),
            (12_500_000_000, "12.50"),
            (1_234_567_000_000, "1,234.57"),
            (3_400_000, "0.0034"),
        ],
    )
    def test_money(self, amount: int | None, said: str) -> None:
        assert ENGLISH.money(amount) == said

    @pytest.mark.parametrize(
        ("value", "said"),
        [(None, NOTHING), (0, "0"), (9_999, "9,999"), (12_340, "12.3k"), (2_500_000, "2.5M"), (0.25, "0.25")],
    )
    def test_short_ones(self, value: float | None, said: str) -> None:
        assert ENGLISH.short(value) == said

    @pytest.mark.parametrize(("size", "said"), [(12, "12 B"), (2048, "2.0 KB"), (5 * 1024**2, "5.0 MB")])
    def test_sizes(self, size: int, said: str) -> None:
        assert ENGLISH.size(size) == said


class TestTimes:
    @pytest.mark.parametrize(
        ("away", "said"),
        [(3, "just now"), (-3, "in a moment"), (200, "3 min ago"), (-200, "in 3 min"), (90_000, "1 d ago")],
    )
    def test_how_long_ago(self, away: float, said: str) -> None:
        assert ENGLISH.ago(1000.0, 1000.0 + away) == said

    def test_the_exact_time_is_there_to_point_at(self) -> None:
        assert ENGLISH.when(0.0, 200.0) == (
            '<time datetime="1970-01-01T00:00:00Z" title="1970-01-01 00:00:00 UTC">3 min ago</time>'
        )


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        (None, "en;q=0.5, zh-TW", "zh-CN"),
        (None, "fr-FR,de;q=0.5", "en"),
        (None, "zh;q=0, de", "en"),
        (None, "zh;q=x", "en"),
        ("en", "zh", "en"),
        ("zh-CN", "en", "zh-CN"),
        ("tlh", "zh", "zh-CN"),
    ],
)
def test_the_language_is_the_one_chosen_or_else_what_the_browser_accepts(
    cookie: str | None, accepted: str, chosen: Language
) -> None:
    assert chosen in LANGUAGES
    assert preferred(cookie, accepted) == chosen
