"""When keys were last used, on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.accounts import keyring, keys
from hub.accounts.lastuse import LastUse
from hub.errors import StoreUnavailable
from hub.store import Store, open_store
from hub.store.migrate import migrate
from tests.clock import Clock


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = await open_store(store_url)
    await migrate(opened)
    yield opened
    await opened.close()


class Away:
    """A store that does not answer."""

    async def write(self, _unit: Any) -> Any:
        raise StoreUnavailable("The database is away.")


async def made(store: Store, clock: Clock) -> int:
    secret = keys.new_secret()
    return (await store.write(lambda c: keys.create(c, secret, name="n", now=clock()))).id


async def last(store: Store, id: int, clock: Clock) -> float | None:
    return (await store.read(lambda c: keyring.account(c, id, clock()))).last_used_at


async def test_uses_are_written_together_the_newest_of_each_key(store: Store) -> None:
    clock = Clock()
    first, second, third = [await made(store, clock) for _ in range(3)]
    uses = LastUse(store, clock)
    uses.note(second)
    uses.note(first)
    clock.forward(3)
    uses.note(second)
    assert await last(store, first, clock) is None
    await uses.flush()
    found = [await last(store, id, clock) for id in (first, second, third)]  # noqa: A001
    assert found == [clock.now - 3, clock.now, None]


async def test_what_cannot_be_written_is_written_the_next_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    key = await made(store, clock)
    uses = LastUse(store, clock)
    uses.note(key)
    with monkeypatch.context() as patch:
        patch.setattr(uses, "_store", Away())
        await uses.flush()
    await uses.flush()
    assert await last(store, key, clock) == clock.now


async def test_many_processes_write_the_same_keys_at_once(store: Store) -> None:
    clock = Clock()
    ids = [await made(store, clock) for _ in range(5)]
    several = [LastUse(store, clock) for _ in range(4)]
    for number, uses in enumerate(several):
        for id in ids if number % 2 else reversed(ids):  # noqa: A001
            uses.note(id)
    await asyncio.gather(*(uses.flush() for uses in several))
    assert [await last(store, id, clock) for id in ids] == [clock.now] * 5  # noqa: A001
