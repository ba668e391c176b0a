"""Money: what is reserved, charged and given back adds up, whatever runs at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, select, update

from hub.accounts import budget, keys
from hub.accounts.budget import HELD_SECONDS, Charge
from hub.store import Connection, Store
from hub.store.tables import keys as table
from hub.store.tables import metadata, reservations

NOW = 1_795_000_000.0
NEXT_MONTH = 1_796_083_200.0


async def key(store: Store, quota: int | None, balance: int = 0) -> int:
    made = await store.write(lambda c: keys.create(c, None, name="k", now=NOW, month_quota=quota, balance=balance))
    return made.id


async def row(store: Store, id: int) -> Any:
    return await store.read(lambda c: c.execute(select(table).where(table.c.id == id)).one())


async def reserve(store: Store, id: str, key_id: int, amount: int, now: float = NOW, holder: str = "me") -> bool:
    return await store.write(lambda c: budget.reserve(c, id, key_id, amount, holder, now))


async def settle(store: Store, id: str, key_id: int, cost: int, now: float = NOW) -> Charge:
    return await store.write(lambda c: budget.settle(c, id, key_id, cost, now))


async def test_b14_the_quota_is_spent_before_the_balance(store: Store) -> None:
    owner = await key(store, 10, 5)
    for cost in (8, 4):
        assert await reserve(store, "t", owner, cost)
        assert await settle(store, "t", owner, cost) == Charge(fee=cost, reserved=cost)
    now = await row(store, owner)
    assert (now.spent, now.balance, now.held) == (10, 3, 0)
    assert not await reserve(store, "t", owner, 4)
    assert await reserve(store, "t", owner, 3)


async def test_b14_a_new_month_has_its_quota_and_what_is_left_of_the_balance(store: Store) -> None:
    owner = await key(store, 10, 5)
    await reserve(store, "t", owner, 12)
    await settle(store, "t", owner, 12)
    assert not await reserve(store, "t", owner, 14, NEXT_MONTH)
    assert await reserve(store, "t", owner, 13, NEXT_MONTH)
    await settle(store, "t", owner, 11, NEXT_MONTH)
    now = await row(store, owner)
    assert (now.month, now.spent, now.balance) == ("2026-12", 10, 2)


async def test_b15_the_month_rolls_between_reserve_and_settle(store: Store) -> None:
    owner = await key(store, 10)
    assert await reserve(store, "t", owner, 10)
    assert await settle(store, "t", owner, 7, NEXT_MONTH) == Charge(fee=7, reserved=10)
    now = await row(store, owner)
    assert (now.month, now.spent, now.held) == ("2026-12", 7, 0)


async def test_b15_what_the_upstream_reports_beyond_the_reservation_is_not_collected(store: Store) -> None:
    owner = await key(store, 100)
    await reserve(store, "t", owner, 10)
    assert await settle(store, "t", owner, 14) == Charge(fee=10, uncollected=4, reserved=10)


async def test_b15_the_unlimited_are_charged_without_a_bound(store: Store) -> None:
    owner = await key(store, None)
    assert await reserve(store, "t", owner, 5)
    assert await settle(store, "t", owner, 14) == Charge(fee=14, reserved=5)
    assert (await row(store, owner)).spent == 14


async def test_a_quota_made_smaller_meanwhile_never_makes_a_debt(store: Store) -> None:
    owner = await key(store, 10, 2)
    await reserve(store, "t", owner, 10)
    await store.write(lambda c: c.execute(update(table).values(month_quota=3)))
    assert await settle(store, "t", owner, 10) == Charge(fee=5, uncollected=5, reserved=10)
    assert (await row(store, owner)).balance == 0


async def test_a_key_deleted_meanwhile_pays_nothing(store: Store) -> None:
    assert await settle(store, "t", 12345, 3) == Charge(uncollected=3)


async def test_b15_a_call_that_was_not_made_costs_nothing(store: Store) -> None:
    owner = await key(store, 10)
    await reserve(store, "t", owner, 10)
    await store.write(lambda c: budget.release(c, "t"))
    await store.write(lambda c: budget.release(c, "t"))
    assert await store.read(lambda c: budget.available(c, owner, NOW)) == 10


async def test_a_call_that_is_made_again_reserves_once(store: Store) -> None:
    owner = await key(store, 10)
    assert await reserve(store, "t", owner, 8)
    assert await reserve(store, "t", owner, 9)
    assert (await row(store, owner)).held == 9
    assert not await reserve(store, "t", owner, 11)
    assert (await row(store, owner)).held == 0


async def test_b15_a_crash_in_between_is_swept(store: Store) -> None:
    owner = await key(store, 10)
    await reserve(store, "dead", owner, 4, holder="crashed")
    await reserve(store, "live", owner, 5)
    later = NOW + HELD_SECONDS
    await store.write(lambda c: budget.keep(c, "me", ["live"], NOW + 1.0))
    assert await store.write(lambda c: budget.sweep(c, later))
    assert not await store.write(lambda c: budget.sweep(c, later))
    assert (await row(store, owner)).held == 5
    assert await settle(store, "dead", owner, 4) == Charge(fee=4), "the crashed one was only slow: what is there"


@pytest.mark.parametrize("keepers", [1, 7])
async def test_b15_a_hundred_calls_at_once_on_a_quota_worth_ten(store: Store, keepers: int) -> None:
    owner = await key(store, 4, 6)

    async def call(number: int) -> int:
        if not await reserve(store, f"t{number}", owner, 1, holder=f"h{number % keepers}"):
            return 0
        await asyncio.sleep(0)
        return (await settle(store, f"t{number}", owner, 1)).fee

    fees = await asyncio.gather(*map(call, range(100)))
    now = await row(store, owner)
    assert sum(fees) == 10
    assert (now.spent, now.balance, now.held) == (4, 0, 0)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "release", "sweep", "keep", "recharge", "time"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 40),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(quota=st.integers(0, 50), balance=st.integers(0, 50), acts=ACTS)
def test_b15_whatever_happens_it_adds_up(quota: int, balance: int, acts: list[tuple[str, str, int]]) -> None:
    engine = create_engine("sqlite://")
    now, given_, charged, months = NOW, balance, 0, 1
    with engine.begin() as connection:
        metadata.create_all(connection)
        made = keys.create(connection, None, name="k", now=now, month_quota=quota, balance=balance)
        for act, id, number in acts:  # noqa: A001
            match act:
                case "reserve":
                    before = budget.available(connection, made.id, now)
                    held = connection.execute(select(reservations.c.amount).where(reservations.c.id == id)).scalar()
                    there = (before or 0) + (held or 0) >= number
                    assert budget.reserve(connection, id, made.id, number, "me", now) == there
                case "settle":
                    charge = budget.settle(connection, id, made.id, number, now)
                    assert charge.fee + charge.uncollected == number
                    charged += charge.fee
                case "release":
                    budget.release(connection, id)
                case "sweep":
                    while budget.sweep(connection, now):
                        pass
                case "keep":
                    budget.keep(connection, "me", ["a", "b", "c"], now)
                case "recharge":
                    connection.execute(update(table).values(balance=table.c.balance + number))
                    given_ += number
                case _:
                    months += (now < NEXT_MONTH) and (now + number * 10_000 * 20 >= NEXT_MONTH)
                    now = now + number * 10_000 * 20 if now < NEXT_MONTH else now + number
            _adds_up(connection, made.id)
            assert charged <= quota * months + given_
    engine.dispose()


def _adds_up(connection: Connection, id: int) -> None:
    now = connection.execute(select(table).where(table.c.id == id)).one()
    held = connection.execute(select(func.coalesce(func.sum(reservations.c.amount), 0))).scalar_one()
    assert now.held == held
    assert now.balance >= 0
    assert now.spent <= now.month_quota
