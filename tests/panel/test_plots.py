"""Plots: what is drawn, and what is said to who cannot see it."""

from __future__ import annotations

import re

import pytest

from api.panel.plots import HEIGHT, Kind, Series, nice, plot
from api.panel.words import words

ENGLISH = words("en")
AT = [0.0, 3600.0, 7200.0]


def drawn(*series: Series, kind: Kind = "line") -> str:
    return str(plot("Turns", AT, series, ENGLISH, kind=kind))


@pytest.mark.parametrize(
    ("value", "end"), [(0, 3), (1, 1.5), (2, 3), (3, 3), (4, 6), (7, 9), (10, 15), (42, 60), (0.2, 0.3), (9.5, 15)]
)
def test_an_axis_ends_where_its_thirds_read_well(value: float, end: float) -> None:
    assert nice(value) == pytest.approx(end)  # pyright: ignore[reportUnknownMemberType]


def test_a_line_goes_through_its_values() -> None:
    points = re.findall(r'class="line c0" points="([^"]+)"', drawn(Series(name="in", values=[0, 3, 1.5])))
    assert points == ["120.0,160.0 360.0,0.0 600.0,80.0"]


def test_a_gap_is_no_zero() -> None:
    html = drawn(Series(name="in", values=[1, None, 2]))
    assert html.count('class="point c0"') == 2
    assert 'class="line' not in html


def test_areas_stand_on_each_other() -> None:
    html = drawn(Series(name="a", values=[1, 1, 1]), Series(name="b", values=[2, 2, 2]), kind="area")
    upper = re.search(r'class="line c1" points="([^"]+)"', html)
    assert upper is not None
    assert {point.split(",")[1] for point in upper[1].split()} == {"0.0"}


def test_bars_are_as_high_as_their_values() -> None:
    html = drawn(Series(name="a", values=[0, 3, 1.5]), kind="bar")
    assert [float(height) for height in re.findall(r'class="bar c0"[^>]*height="([^"]+)"', html)] == [
        HEIGHT,
        HEIGHT / 2,
    ]


def test_a_colour_of_its_own_is_that_of_the_drawing_and_of_the_legend() -> None:
    html = drawn(
        Series(name="answered", values=[1, 1, 1]), Series(name="failed", values=[1, 1, 1], colour=4), kind="bar"
    )
    assert set(re.findall(r'class="((?:bar|swatch) c\d)"', html)) == {"bar c0", "bar c4", "swatch c0", "swatch c4"}


def test_all_values_stand_in_a_table_for_readers() -> None:
    html = drawn(Series(name="in", values=[12_340, None, 1]))
    table = html.partition('<div class="for-readers">')[2]
    assert re.findall(r"<td>([^<]+)</td>", table) == ["12.3k", ENGLISH.number(None), "1"]
    assert "1970-01-01 02:00 UTC" in table


def test_what_is_pointed_at_says_its_values() -> None:
    assert "<title>1970-01-01 01:00 UTC\nin: 2</title>" in drawn(Series(name="in", values=[1, 2, 3]))


def test_names_are_text() -> None:
    html = drawn(Series(name="<script>", values=[1, 2, 3]), Series(name="b", values=[1, 2, 3]))
    assert "<script>" not in html


@pytest.mark.parametrize("values", [[0, 0, 0], [None, None, None]])
def test_nothing_is_said_and_not_drawn(values: list[float | None]) -> None:
    html = drawn(Series(name="in", values=values))
    assert "Nothing in this time." in html
    assert "<svg" not in html


def test_long_times_are_labelled_with_days() -> None:
    days = [day * 86_400.0 for day in range(30)]
    html = str(plot("Turns", days, [Series(name="in", values=[1.0] * 30)], ENGLISH))
    assert re.findall(r'data-as="(\w+)">([^<]+)<', html)[0] == ("day", "01-01")
    assert re.findall(r'data-as="(\w+)">([^<]+)<', html)[-1] == ("day", "01-30")
