"""The `schedule` tool understands what a model writes."""

from typing import Any

import msgspec
import pytest

from agents.tools import make
from hub.errors import RequestError
from hub.when import Cron, Every, Once, When
from tests.agents.fake_turn import API_CONVERSATION, CHAT, FakeTurn

NOW = FakeTurn().schedules.now


async def use(turn: FakeTurn, **arguments: Any) -> dict[str, Any]:
    return msgspec.json.decode(await make("schedule").call(turn, "0", arguments))


@pytest.mark.parametrize(
    ("given", "when"),
    [
        ({"in": 90}, Once(at=NOW + 90)),
        ({"at": "2027-06-01T09:00:00+02:00"}, Once(at=1_811_833_200)),
        ({"at": "2027-06-01T07:00:00Z"}, Once(at=1_811_833_200)),
        ({"at": "2027-06-01T09:00:00", "time_zone": "Europe/Paris"}, Once(at=1_811_833_200)),
        ({"every": 3600}, Every(seconds=3600)),
        ({"cron": "0 9 * * 1-5", "time_zone": "Europe/Paris"}, Cron(expression="0 9 * * 1-5", zone="Europe/Paris")),
    ],
)
async def test_times_may_be_said_in_many_ways(given: dict[str, Any], when: When) -> None:
    turn = FakeTurn()
    answer = await use(turn, text="tea", **given)
    [(address, kept)] = turn.schedules.kept
    assert (address, kept.text, kept.when) == (CHAT, "tea", when)
    assert (answer["id"], answer["address"]) == (1, "support:42:7")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "exactly one"),
        ({"in": 5, "every": 60}, "exactly one"),
        ({"at": "tomorrow"}, "no ISO 8601 time"),
        ({"at": "2027-06-01T09:00:00"}, "offset"),
        ({"cron": "0 9 * * *"}, "time_zone"),
        ({"in": -5}, "is over"),
    ],
)
async def test_a_time_that_is_not_clear_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        await use(FakeTurn(), text="tea", **given)


async def test_reminders_are_listed_and_cancelled() -> None:
    turn = FakeTurn()
    await use(turn, text="tea", every=60)
    listed = await use(turn, action="list")
    assert [one["text"] for one in listed["schedules"]] == ["tea"]
    assert listed["now"].endswith("+00:00")
    assert await use(turn, action="cancel", id=1) == {"status": "cancelled", "id": 1}
    assert "no schedule 1" in (await use(turn, action="cancel", id=1))["error"]
    assert "Name the id" in (await use(turn, action="cancel"))["error"]


async def test_where_nobody_listens_a_chat_is_asked_for() -> None:
    turn = FakeTurn(address=API_CONVERSATION)
    assert "channel and chat_id" in (await use(turn, text="tea", every=60))["error"]
    await use(turn, text="tea", every=60, channel="support", chat_id=43)
    [(address, _)] = turn.schedules.kept
    assert str(address) == "support:43"
