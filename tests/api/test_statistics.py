"""/admin/statistics and /user/statistics: what happened, for whom it concerns."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from hub.accounts.turns import TurnRecord, save
from hub.model import Usage
from hub.records.rollup import DAY, HOUR, MINUTE, roll_up
from hub.store import Store
from hub.store.tables import keys
from tests.api.facade import ADMIN, USER, Facade
from tests.api.fake_hub import NOW

UNIT = 10**9


async def keep(store: Store, id: str, ago: float = 0.0, seconds: float = 1.0, **changes: Any) -> None:
    record: dict[str, Any] = {
        "id": id,
        "address": "api:1",
        "status": "completed",
        "agent": "assistant",
        "model": "gpt",
        "usage": Usage(prompt=10, completion=5),
        "created_at": NOW - ago - seconds,
        "finished_at": NOW - ago,
    }
    await store.write(partial(save, record=TurnRecord(**record | changes), charged=True))


async def ask(facade: Facade, path: str, secret: str = ADMIN, **query: Any) -> Any:
    async with facade.http(secret) as client:
        answer = await client.get(path, params=query)
    return answer.json()["data"] if answer.status_code == 200 else (answer.status_code, answer.json()["data"])


@pytest.mark.parametrize("counted", [False, True])
async def test_an_admin_sees_everything_added_up(facade: Facade, store: Store, counted: bool) -> None:
    await keep(store, "t1", seconds=2.0, key_id=facade.user.id, fee=2 * UNIT, first_token_at=NOW - 1.9)
    await keep(store, "t2", address="support:42", status="failed")
    await keep(store, "t3", ago=100 * DAY, key_id=facade.user.id, fee=UNIT)
    if counted:
        await roll_up(store, NOW)
    found = await ask(facade, "/admin/statistics/total")
    assert (found["turns"], found["failed"], found["prompt_tokens"], found["fee"]) == (3, 1, 30, "3.0000000000")
    assert (found["latency_mean"], found["latency_p50"], found["first_token_p50"]) == (1500, 939, 99)
    there = await store.read(lambda connection: connection.execute(select(keys.c.id)).all())
    assert (found["count_key"], found["active_key"], found["active_key_this_month"]) == (len(there), 1, 1)
    assert (found["total_fee"], found["total_month_fee"]) == ("3.0000000000", "2.0000000000")
    lately = await ask(facade, "/admin/statistics/total", since=int(NOW - DAY), channel="api")
    assert (lately["turns"], lately["total_fee"], lately["fee"]) == (1, "3.0000000000", "2.0000000000")


async def test_it_is_broken_down_by_what_one_asks_for(facade: Facade, store: Store) -> None:
    await keep(store, "t1", key_id=facade.user.id, usage=Usage(prompt=1000))
    await keep(store, "t2", address="support:42", model="eyes")
    user = facade.user
    for by, expected in {
        "channel": [("api", None), ("support", None)],
        "agent": [("assistant", None)],
        "model": [("gpt", None), ("eyes", None)],
        "key": [(user.id, user.name), (None, None)],
    }.items():
        found = await ask(facade, "/admin/statistics/breakdown", by=by)
        assert [(each["of"], each["name"]) for each in found["items"]] == expected
    only = await ask(facade, "/admin/statistics/breakdown", by="model", key_id=user.id)
    assert [(each["of"], each["prompt_tokens"]) for each in only["items"]] == [("gpt", 1000)]


async def test_a_series_has_a_point_for_each_time(facade: Facade, store: Store) -> None:
    await keep(store, "t1")
    await keep(store, "t2", ago=2 * HOUR)
    await keep(store, "t3", ago=3 * DAY)
    await roll_up(store, NOW)
    for per, span, points, counted in (
        ("minute", MINUTE, 60, [1]),
        ("hour", HOUR, 24, [1, 1]),
        ("day", DAY, 30, [1, 2]),
    ):
        found = (await ask(facade, "/admin/statistics/series", per=per))["items"]
        assert [each["turns"] for each in found if each["turns"]] == counted
        last = int(NOW // span) * span
        assert [each["at"] for each in found] == [last - span * back for back in reversed(range(points))]
    by = (await ask(facade, "/admin/statistics/series", per="day", by="model"))["items"]
    assert [(each["of"], each["turns"]) for each in by] == [("gpt", 1), ("gpt", 2)]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"per": "minute", "since": int(NOW - DAY)}, "since: more than 1000 minutes"),
        ({"per": "minute", "since": int(NOW - 4 * HOUR)}, "since: minutes are known"),
        ({"per": "day", "since": 0}, "since: more than 1000 days"),
        ({"since": int(NOW), "until": int(NOW - 9)}, "until: "),
        ({"per": "week"}, "per"),
        ({"key_id": 0}, "key_id"),
        ({"channel": ["web", "api"]}, "channel: is given more than once"),
    ],
)
async def test_what_cannot_be_asked_is_named(facade: Facade, query: dict[str, Any], named: str) -> None:
    status, why = await ask(facade, "/admin/statistics/series", **query)
    assert status == 400
    assert named in why


async def test_a_user_sees_only_what_is_theirs(facade: Facade, store: Store) -> None:
    await keep(store, "t1", key_id=facade.user.id)
    await keep(store, "t2", key_id=facade.user.id + 1)
    await keep(store, "t3", address="support:42")
    everybody = facade.user.id + 1
    assert (await ask(facade, "/user/statistics/total", USER, key_id=everybody))["turns"] == 1
    found = await ask(facade, "/user/statistics/breakdown", USER, by="key", key_id=everybody)
    assert [(each["of"], each["turns"]) for each in found["items"]] == [(facade.user.id, 1)]
    points = (await ask(facade, "/user/statistics/series", USER, key_id=everybody))["items"]
    assert sum(each["turns"] for each in points) == 1


@pytest.mark.parametrize("path", ["total", "series", "breakdown?by=key"])
async def test_nobody_else_sees_what_admins_see(facade: Facade, path: str) -> None:
    async with facade.http(USER) as user, facade.http(None) as nobody:
        assert (await user.get(f"/admin/statistics/{path}")).status_code == 403
        assert (await nobody.get(f"/admin/statistics/{path}")).status_code == 401
        assert (await nobody.get(f"/user/statistics/{path}")).status_code == 401
