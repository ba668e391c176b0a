"""Limits of requests and tokens, per minute and day, on both engines."""

from __future__ import annotations

import asyncio

from hub.accounts import limits
from hub.accounts.limits import Counted, Limits, Room
from hub.store import Store

NOW = 1_795_000_000.0
MINUTE = NOW - NOW % 60
DAY = NOW - NOW % 86_400
KEY = 7


async def count(store: Store, most: Limits, now: float = NOW, key: int = KEY) -> Counted:
    return await store.write(lambda c: limits.count(c, key, most, now))


async def add(store: Store, tokens: int, now: float = NOW) -> None:
    await store.write(lambda c: limits.add_tokens(c, KEY, tokens, now))


async def test_without_limits_nothing_is_counted(store: Store) -> None:
    assert await count(store, Limits()) == Counted(ok=True)


async def test_requests_of_a_minute(store: Store) -> None:
    most = Limits(requests_minute=2)
    rooms = [(await count(store, most, MINUTE + second)).rooms for second in (0, 20)]
    assert rooms == [
        (Room(what="requests", window="minute", limit=2, remaining=1, resets_in=60.0),),
        (Room(what="requests", window="minute", limit=2, remaining=0, resets_in=40.0),),
    ]
    refused = await count(store, most, MINUTE + 45)
    assert not refused.ok
    assert refused.full == Room(what="requests", window="minute", limit=2, remaining=0, resets_in=15.0)
    assert (await count(store, most, MINUTE + 60)).ok


async def test_the_longest_wait_is_told(store: Store) -> None:
    most = Limits(requests_minute=1, requests_day=1)
    assert (await count(store, most, DAY)).ok
    refused = await count(store, most, DAY + 1)
    assert refused.full
    assert (refused.full.window, refused.full.resets_in) == ("day", 86_399.0)
    assert not (await count(store, most, DAY + 60)).ok
    assert (await count(store, most, DAY + 86_400)).ok


async def test_what_was_refused_counts_nowhere(store: Store) -> None:
    most = Limits(requests_minute=1, requests_day=2)
    assert [(await count(store, most, DAY + second)).ok for second in (0, 1, 2, 60)] == [True, False, False, True]


async def test_the_call_that_goes_over_the_tokens_is_the_last(store: Store) -> None:
    most = Limits(tokens_minute=100, tokens_day=150)
    assert (await count(store, most, DAY)).ok
    await add(store, 99, DAY)
    assert (await count(store, most, DAY + 1)).ok
    await add(store, 500, DAY + 2)
    assert not (await count(store, most, DAY + 3)).ok
    refused = await count(store, most, DAY + 60)
    assert refused.full
    assert (refused.full.what, refused.full.window) == ("tokens", "day")
    assert refused.rooms[0].remaining == 100, "the minute is a new one"


async def test_tokens_that_come_in_the_next_window_count_there(store: Store) -> None:
    most = Limits(tokens_minute=10)
    await count(store, most, MINUTE + 59)
    await add(store, 10, MINUTE + 61)
    assert not (await count(store, most, MINUTE + 62)).ok
    assert (await count(store, most, MINUTE + 120)).ok


async def test_tokens_of_a_key_that_has_no_limits_are_not_kept(store: Store) -> None:
    await add(store, 10)
    assert (await count(store, Limits(tokens_minute=10))).ok


async def test_keys_do_not_share(store: Store) -> None:
    most = Limits(requests_minute=1)
    assert [(await count(store, most, key=key)).ok for key in (1, 2, 1)] == [True, True, False]


async def test_a_hundred_at_once_are_not_one_too_many(store: Store) -> None:
    most = Limits(requests_minute=10)
    counted = await asyncio.gather(*(count(store, most) for _ in range(100)))
    assert sum(each.ok for each in counted) == 10
