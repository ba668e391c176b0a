"""Lists, a part at a time: by offset or from behind a key, either way round, and never counted to the end."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select

from hub.store import Store, listing
from hub.store.listing import Page, Part, listed, sliced
from hub.store.tables import groups, payments

LARGE = Part(limit=5, after=(2**62,))


async def fill(store: Store, *times: float) -> None:
    """A payment at each time; their ids count from 1."""
    row = {"key_id": 1, "key_name": "ann", "amount": 1, "balance": 1, "by": "me"}
    await store.write(lambda c: c.execute(insert(payments), [{**row, "at": at} for at in times]))


def one(row: Any) -> int:
    return row.id


async def ids(store: Store, part: Part, *, newest: bool = False) -> Page[int]:
    return await store.read(lambda c: listed(c, select(payments), [payments.c.id], part, one, newest=newest))


async def test_pages_follow_one_another_to_the_end(store: Store) -> None:
    await fill(store, *(0.0,) * 5)
    first = await ids(store, Part(limit=2))
    assert first == Page(items=[1, 2], total=5, next=(2,))
    assert await ids(store, Part(limit=3, after=first.next or ())) == Page(items=[3, 4, 5], total=5)
    assert await ids(store, Part(limit=2), newest=True) == Page(items=[5, 4], total=5, next=(4,))
    assert await ids(store, Part(limit=3, after=(4,)), newest=True) == Page(items=[3, 2, 1], total=5)
    assert await ids(store, Part(limit=2, offset=1)) == Page(items=[2, 3], total=5, next=(3,))
    assert await ids(store, Part(limit=2, offset=1, after=(1,))) == Page(items=[3, 4], total=5, next=(4,))
    assert await ids(store, Part(limit=2, offset=9)) == Page(items=[], total=5)


async def test_rows_of_one_moment_are_told_apart_by_the_rest_of_the_key(store: Store) -> None:
    await fill(store, 7.0, 9.0, 7.0, 7.0)
    key, found = [payments.c.at, payments.c.id], list[int]()
    part: Part | None = Part(limit=1)
    while part is not None:
        page: Page[Any] = await store.read(
            lambda c, part=part: listed(c, select(payments), key, part, one, newest=True)
        )
        found += page.items
        part = None if page.next is None else Part(limit=1, after=page.next)
    assert found == [2, 4, 3, 1]


async def test_behind_a_key_that_the_column_cannot_hold_there_is_nothing(store: Store) -> None:
    await store.write(lambda c: c.execute(insert(groups), {"name": "ann's", "created_at": 0.0}))
    behind: list[Page[int]] = [
        await store.read(lambda c, newest=newest: listed(c, select(groups), [groups.c.id], LARGE, one, newest=newest))
        for newest in (False, True)
    ]
    assert [len(page.items) for page in behind] == [0, behind[1].total]


async def test_a_long_list_is_not_counted_to_its_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "COUNTED", 3)
    await fill(store, *(0.0,) * 5)
    assert (await ids(store, Part(limit=1))).total == 3


def test_what_is_at_hand_is_cut_the_same_way() -> None:
    all_ = [1, 2, 5, 9]
    assert sliced(all_, int, Part(limit=2)) == Page(items=[1, 2], total=4, next=(2,))
    assert sliced(all_, int, Part(limit=2, after=(2,))) == Page(items=[5, 9], total=4)
    assert sliced(all_, int, Part(limit=2, offset=1)) == Page(items=[2, 5], total=4, next=(5,))
