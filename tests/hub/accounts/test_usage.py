"""What turns used, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from hub.accounts import keys, turns
from hub.accounts.turns import Status, TurnRecord
from hub.accounts.usage import DAY, By, Used, usage
from hub.model import Usage
from hub.store import Store, open_store
from hub.store.migrate import migrate
from hub.store.tables import turns as table

MIDNIGHT = 20_000.0 * DAY


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = await open_store(store_url)
    await migrate(opened)
    yield opened
    await opened.close()


async def turn(
    store: Store,
    id: str,
    at: float,
    tokens: tuple[int, int],
    *,
    agent: str | None = "bot",
    model: str | None = "demo",
    key_id: int | None = None,
    status: Status = "completed",
    fee: int = 0,
) -> None:
    record = TurnRecord(
        id=id,
        address="api:1:x",
        status=status,
        agent=agent,
        model=model,
        key_id=key_id,
        usage=Usage(prompt=tokens[0], completion=tokens[1]),
        created_at=at,
    )
    await store.write(lambda c: turns.save(c, record))
    await store.write(lambda c: c.execute(update(table).where(table.c.id == id).values(fee=fee)))


async def used(store: Store, by: By, key_id: int | None = None) -> list[Used]:
    return list(await store.read(lambda c: usage(c, by, MIDNIGHT - DAY, MIDNIGHT + DAY, key_id)))


async def test_days_are_those_of_utc_and_come_in_order(store: Store) -> None:
    for number, at in enumerate(
        (MIDNIGHT, MIDNIGHT - 0.001, MIDNIGHT + DAY - 0.001, MIDNIGHT + DAY, MIDNIGHT - 2 * DAY)
    ):
        await turn(store, f"t{number}", at, (10, 1))
    assert [(one.of, one.turns, one.prompt, one.completion) for one in await used(store, "day")] == [
        ("2024-10-03", 1, 10, 1),
        ("2024-10-04", 2, 20, 2),
    ]


async def test_agents_models_and_keys_are_told_apart_the_most_used_first(store: Store) -> None:
    ann = await store.write(lambda c: keys.create(c, keys.new_secret(), name="ann", now=0.0))
    await turn(store, "t1", MIDNIGHT, (10, 1), key_id=ann.id, fee=3 * 10**12)
    await turn(store, "t2", MIDNIGHT, (100, 1), agent=None, model="gpt", status="failed")
    await turn(store, "t3", MIDNIGHT, (0, 0), model=None, status="cancelled")
    agents = await used(store, "agent")
    assert [(one.of, one.turns, one.failed, one.tokens) for one in agents] == [(None, 1, 1, 101), ("bot", 2, 0, 11)]
    assert [one.of for one in await used(store, "model")] == ["gpt", "demo", None]
    by_key = await used(store, "key")
    assert [(one.of, one.name, one.fee) for one in by_key] == [(None, None, 0), (str(ann.id), "ann", 3 * 10**12)]
    assert [one.of for one in await used(store, "agent", ann.id)] == ["bot"]
    assert await used(store, "agent", 999) == []
