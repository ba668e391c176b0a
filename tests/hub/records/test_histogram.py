"""Percentiles told from histograms are those of the durations, as exactly as is promised."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from hub.records import histogram

durations = st.lists(st.floats(0.0, 3.9 * 3600.0) | st.floats(0.0, 5.0), min_size=1, max_size=60)


def of(seconds: list[float]) -> int:
    return sum(map(histogram.one, seconds))


@given(seconds=durations, percent=st.integers(1, 100))
def test_a_percentile_is_as_exact_as_is_promised(seconds: list[float], percent: int) -> None:
    exact = sorted(seconds)[ceil(len(seconds) * percent / 100) - 1] * 1000
    told = histogram.percentile(of(seconds), percent)
    assert told is not None
    assert abs(told - exact) <= max(1.0, exact * (2 ** (1 / 8) - 1) + 0.5)  # the half: they are whole milliseconds


@given(one=durations, other=durations)
def test_two_are_added_like_numbers_and_stored_as_they_are(one: list[float], other: list[float]) -> None:
    both = of(one) + of(other)
    assert both == of(one + other)
    assert histogram.count(both) == len(one) + len(other)
    assert histogram.unpack(histogram.pack(both)) == both


def test_of_nothing_there_is_no_percentile_and_nothing_is_stored() -> None:
    assert histogram.percentile(0, 50) is None
    assert histogram.pack(0) == b""


def test_what_is_too_long_or_below_nothing_is_in_the_last_bin_and_the_first() -> None:
    assert histogram.one(1e9) == histogram.one(1e6) == 1 << histogram.BITS * (histogram.BINS - 1)
    assert histogram.one(-3.0) == histogram.one(0.0) == histogram.one(0.001) == 1
    assert len(histogram.pack(histogram.one(1e9))) <= histogram.BINS * histogram.BITS // 8


def test_a_bin_takes_more_than_there_will_ever_be_in_an_hour() -> None:
    many = histogram.one(0.2) * 4_000_000_000 + histogram.one(7.0)
    assert histogram.count(many) == 4_000_000_001
