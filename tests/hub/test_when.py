"""When things are due, also where the clocks change."""

from datetime import UTC, datetime

import pytest

from hub.errors import RequestError
from hub.when import Cron, Every, Once, When, after, first

NOW = 1_800_000_000.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def next_ones(cron: Cron, now: float, times: int) -> list[str]:
    found: list[str] = []
    due = first(cron, now)
    for _ in range(times):
        found.append(datetime.fromtimestamp(due, UTC).strftime("%m-%d %H:%M"))
        following = after(cron, due, due)
        assert following is not None
        due = following
    return found


def test_once_is_once() -> None:
    assert first(Once(at=NOW + 5), NOW) == NOW + 5
    assert after(Once(at=NOW + 5), NOW + 5, NOW + 6) is None


def test_what_is_repeated_keeps_its_beat_and_leaves_out_what_it_missed() -> None:
    every = Every(seconds=60.0)
    assert first(every, NOW) == NOW + 60
    assert after(every, NOW, NOW) == NOW + 60
    assert after(every, NOW, NOW + 60) == NOW + 120
    assert after(every, NOW, NOW + 30 * 60 + 1) == NOW + 31 * 60


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        (Once(at=NOW - 1), "is over"),
        (Once(at=NOW + 10 * 366 * 86_400), "five years"),
        (Once(at=float("nan")), "five years"),
        (Every(seconds=59), "too often"),
        (Every(seconds=float("inf")), "five years"),
        (Cron(expression="* * * * * *", zone="UTC"), "five fields"),
        (Cron(expression="61 * * * *", zone="UTC"), "no cron expression"),
        (Cron(expression="0 0 31 2 *", zone="UTC"), "cron"),
        (Cron(expression="0 9 * * *", zone="Mars/Olympus"), "no time zone"),
        (Cron(expression="0 9 * * *", zone="../../etc/passwd"), "no time zone"),
    ],
)
def test_what_never_or_too_often_comes_is_refused(when: When, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        first(when, NOW)


def test_a_daily_time_stays_where_the_clocks_change() -> None:
    nine = Cron(expression="0 9 * * *", zone="Europe/Paris")
    assert next_ones(nine, at("2027-03-27T00:00:00+01:00"), 3) == ["03-27 08:00", "03-28 07:00", "03-29 07:00"]
    assert next_ones(nine, at("2027-10-30T00:00:00+02:00"), 3) == ["10-30 07:00", "10-31 08:00", "11-01 08:00"]


def test_an_hour_that_is_skipped_is_made_up_for_and_one_that_is_repeated_counts_once() -> None:
    half_past_two = Cron(expression="30 2 * * *", zone="Europe/Paris")
    assert next_ones(half_past_two, at("2027-03-27T12:00:00+01:00"), 2) == ["03-28 01:00", "03-29 00:30"]
    assert next_ones(half_past_two, at("2027-10-30T12:00:00+02:00"), 2) == ["10-31 00:30", "11-01 01:30"]
