"""`bothub usage`: what turns used, as a table with bars."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hub.accounts import keys, turns
from hub.accounts.turns import TurnRecord
from hub.bus import Bus
from hub.cli.usage import day_of, number
from hub.model import Usage
from hub.records.rollup import DAY
from tests.hub.cli.command import Bothub

NOW = 1_795_000_000.0


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day is the same until the test is over."""
    monkeypatch.setattr("hub.cli.desk.time", SimpleNamespace(time=lambda: NOW))


async def work(bus: Bus) -> None:
    """Turns of a key and of a chat, days apart."""
    key = await bus.store.write(lambda c: keys.create(c, keys.new_secret(), name="ann", now=NOW))
    for id, at, key_id, tokens in (("t1", NOW - 2 * DAY, key.id, 3000), ("t2", NOW, None, 12_000)):  # noqa: A001
        record = TurnRecord(
            id=id,
            address="api:1:x",
            status="completed",
            agent="assistant",
            model="demo",
            key_id=key_id,
            usage=Usage(prompt=tokens, completion=1),
            created_at=at - 1,
            finished_at=at,
        )
        await bus.store.write(lambda c, record=record: turns.save(c, record))


def test_days_have_bars_and_none_is_left_out(bothub: Bothub) -> None:
    bothub.work(work)
    lines = bothub("usage").stdout.splitlines()
    days = [line.split() for line in lines if line.startswith("20")]
    assert [day[0] for day in days] == [day_of(NOW - 2 * DAY), day_of(NOW - DAY), day_of(NOW)]
    assert [day[3] for day in days] == ["3000", "·", "12.0k"]
    assert [line.count("█") for line in lines if line.startswith("20")] == [5, 0, 20]
    assert lines[-1].split()[:5] == ["all", "2", "·", "15.0k", "2"]


def test_keys_have_names_and_chats_none(bothub: Bothub) -> None:
    bothub.work(work)
    assert "ann (1)" in bothub("usage", "--by", "key").stdout
    found = bothub.json("usage", "--by", "key")
    assert [(one["key"], one["name"], one["prompt_tokens"], one["fee"]) for one in found["data"]] == [
        (None, None, 12_000, "0.0000000000"),
        (1, "ann", 3000, "0.0000000000"),
    ]
    assert [one["agent"] for one in bothub.json("usage", "--by", "agent", "--key", "1")["data"]] == ["assistant"]


def test_where_nothing_was_used_it_says_so(bothub: Bothub) -> None:
    assert bothub("usage", "--days", "7").stdout == "Nothing was used in the last 7 days.\n"
    assert bothub.json("usage")["data"] == []
    bothub.work(work)
    assert [one["day"] for one in bothub.json("usage", "--days", "1")["data"]] == [day_of(NOW)]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (9999, "9999"), (10_000, "10.0k"), (1_400_000, "1.4M"), (2 * 10**9, "2.0G")]
)
def test_numbers_are_short(value: int, text: str) -> None:
    assert number(value) == text
