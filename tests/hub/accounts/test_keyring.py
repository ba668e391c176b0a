"""Keys as their admins handle them, on both engines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import create_async_engine

from hub.accounts import groups, keyring, keys
from hub.accounts.keyring import Wanted
from hub.accounts.keys import Key, new_secret
from hub.accounts.limits import Limits
from hub.errors import Conflict, Forbidden, NotFound, RequestError
from hub.store import Store, open_store
from hub.store.listing import Part
from hub.store.migrate import migrate
from hub.store.tables import keys as table
from tests.hub.engine import FailingStore

NOW = 1_795_000_000.0
OLD, NEW = new_secret(), new_secret()


async def made(store: Store, secret: str | None = None, name: str = "ann", **more: Any) -> Key:
    secret = secret or new_secret()
    return await store.write(lambda c: keys.create(c, secret, name=name, now=NOW, **more))


async def find(store: Store, secret: str, now: float = NOW) -> Key | None:
    return await store.read(lambda c: keys.find(c, secret, now))


async def change(store: Store, id: int, **values: Any) -> keyring.Account:
    return await store.write(lambda c: keyring.change(c, id, values, NOW))


async def test_a_secret_after_a_rotation_and_the_one_before_for_a_while(store: Store) -> None:
    key = await made(store, OLD)
    rotated = await store.write(lambda c: keyring.rotate(c, key.id, NEW, NOW, 10.0))
    assert (rotated.key.id, rotated.key.prefix) == (key.id, NEW[:8])
    assert [(await find(store, secret, NOW + 9.0) or key).id for secret in (OLD, NEW)] == [key.id, key.id]
    assert await find(store, OLD, NOW + 10.0) is None
    assert await find(store, NEW, NOW + 10.0)


async def test_a_rotation_without_grace_ends_the_secret_at_once(store: Store) -> None:
    key = await made(store, OLD)
    await store.write(lambda c: keyring.rotate(c, key.id, NEW, NOW, 0.0))
    assert await find(store, OLD) is None


async def test_a_deleted_key_is_gone_with_those_made_with_it_and_its_id_is_never_another(store: Store) -> None:
    key = await made(store, OLD)
    await made(store, NEW, "own", owner_id=key.id)
    await store.write(lambda c: keyring.delete(c, key.id, NOW))
    assert [await find(store, secret) for secret in (OLD, NEW)] == [None, None]
    with pytest.raises(NotFound):
        await store.read(lambda c: keyring.account(c, key.id, NOW))
    assert (await made(store, OLD)).id > key.id + 1
    rows = await store.read(lambda c: c.execute(select(table.c.hash).where(table.c.id == key.id)).scalar())
    assert rows is None


async def test_b6_lists_find_by_text_name_group_and_role(store: Store) -> None:
    ann = await made(store, name="Ann_1", email="ann@example.org", group_id=1)
    bob = await made(store, name="bob", role="admin")
    own = await made(store, name="bob", owner_id=ann.id)

    async def ids(limit: int = 20, offset: int = 0, after: int | None = None, **wanted: Any) -> tuple[list[int], int]:
        part = Part(limit=limit, offset=offset, after=() if after is None else (after,))
        found = await store.read(lambda c: keyring.listed(c, Wanted(**wanted), NOW, part))
        return [each.key.id for each in found.items], found.total

    assert await ids() == ([ann.id, bob.id, own.id], 3)
    assert await ids(text="ANN_") == ([ann.id], 1)
    assert await ids(text="example") == ([ann.id], 1)
    assert await ids(text="%") == ([], 0)
    assert await ids(name="bob") == ([bob.id, own.id], 2)
    assert await ids(name="bob", role="admin") == ([bob.id], 1)
    assert await ids(group_id=1) == ([ann.id], 1)
    assert await ids(owner_id=ann.id) == ([own.id], 1)
    assert await ids(limit=1, offset=1) == ([bob.id], 3)
    assert await ids(after=bob.id) == ([own.id], 3)


async def test_changes_hold_from_the_next_request_on(store: Store) -> None:
    key = await made(store, OLD)
    await change(store, key.id, agents="bot", models="", requests_minute=3, active=False)
    found = await find(store, OLD)
    assert found
    assert (found.agents, found.models, found.limits) == (("bot",), (), Limits(requests_minute=3))
    assert not found.usable(NOW)
    with pytest.raises(RequestError, match="no group 77"):
        await change(store, key.id, group_id=77)
    with pytest.raises(NotFound):
        await change(store, 12345, name="x")


async def test_what_config_declares_is_changed_there(store: Store) -> None:
    key = await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
    with pytest.raises(Conflict, match=r"config\.yaml"):
        await change(store, key.id, role="admin")
    with pytest.raises(Conflict, match=r"config\.yaml"):
        await store.write(lambda c: keyring.rotate(c, key.id, NEW, NOW))
    assert (await change(store, key.id, month_quota=5)).month_quota == 5


async def test_b7_recharges_are_written_down_and_survive_the_key(store: Store) -> None:
    key = await made(store)
    for amount in (5, 7):
        await store.write(lambda c, amount=amount: keyring.recharge(c, key.id, amount, "bootstrap", NOW))
    assert (await store.read(lambda c: keyring.account(c, key.id, NOW))).balance == 12
    await store.write(lambda c: keyring.delete(c, key.id, NOW))
    found = await store.read(lambda c: keyring.paid(c, key.id, Part(limit=10)))
    paid = found.items
    assert [(each.amount, each.balance, each.key_name, each.by) for each in paid] == [
        (7, 12, "ann", "bootstrap"),
        (5, 5, "ann", "bootstrap"),
    ]
    assert found.total == 2
    rest = await store.read(lambda c: keyring.paid(c, None, Part(limit=1, after=(paid[0].id,))))
    assert rest.items == paid[1:]


async def test_b7_a_recharge_that_is_sent_again_adds_nothing(store: Store) -> None:
    key = await made(store)
    for request in ("one", "one", "two", None, None):
        await store.write(lambda c, request=request: keyring.recharge(c, key.id, 5, "me", NOW, request))
    assert (await store.read(lambda c: keyring.account(c, key.id, NOW))).balance == 20
    assert (await store.read(lambda c: keyring.paid(c, key.id, Part(limit=10)))).total == 4


async def test_who_pays(store: Store) -> None:
    ann = await made(store, month_quota=5)
    own = await made(store, NEW, owner_id=ann.id)
    assert (ann.payer, own.payer, ann.unlimited, own.unlimited) == (ann.id, ann.id, False, False)
    await change(store, ann.id, month_quota=None)
    found = await find(store, NEW)
    assert found
    assert found.unlimited


async def test_when_a_key_was_used_last_never_goes_back(store: Store) -> None:
    key = await made(store)
    for at in (NOW + 5, NOW + 1):
        await store.write(lambda c, at=at: keyring.used(c, {key.id: at, 999: at}))
    assert (await store.read(lambda c: keyring.account(c, key.id, NOW))).last_used_at == NOW + 5


async def test_a_key_is_found_by_its_secret_for_an_admin(store: Store) -> None:
    key = await made(store, OLD)
    assert await store.read(lambda c: keyring.find_id(c, OLD, NOW)) == key.id
    with pytest.raises(NotFound):
        await store.read(lambda c: keyring.find_id(c, NEW, NOW))


async def test_recharges_at_once_are_all_there_and_each_once(store: Store) -> None:
    key = await made(store)

    async def recharge(request: str) -> None:
        await store.write(lambda c: keyring.recharge(c, key.id, 5, "me", NOW, request))

    await asyncio.gather(*(recharge(str(number % 6)) for number in range(18)))
    assert (await store.read(lambda c: keyring.account(c, key.id, NOW))).balance == 30
    found = await store.read(lambda c: keyring.paid(c, key.id, Part(limit=10)))
    paid, total = found.items, found.total
    assert ([each.balance for each in paid], total) == ([30, 25, 20, 15, 10, 5], 6)


async def test_no_key_hands_out_more_than_it_has(store: Store) -> None:
    clerk = await made(store, name="clerk", scopes=("admin", "chat", "deliver=support:*"))
    for scopes in (("chat",), ("deliver=support:1*",), ("admin",)):
        keyring.guard(clerk, await made(store, scopes=scopes))
    for scopes in (("read",), ("deliver",), ("deliver=*",), ("deliver=sales:1",)):
        with pytest.raises(Forbidden):
            keyring.guard(clerk, await made(store, scopes=scopes))
    admin = await made(store, role="admin")
    with pytest.raises(Forbidden):
        keyring.guard(clerk, admin)
    keyring.guard(None, admin)
    keyring.guard(admin, admin)


async def test_a_key_that_is_put_into_a_group_that_is_being_deleted_finds_none(postgres_url: str) -> None:
    store = FailingStore(await open_store(postgres_url))
    await migrate(store)
    key = await made(store)
    family = await store.write(lambda c: groups.save(c, None, {"name": "family"}, NOW))
    other = create_async_engine(postgres_url)

    async def waits() -> bool:
        waiting = text("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
        return bool(await store.read(lambda c: c.execute(waiting).first()))

    async with other.begin() as connection:
        await connection.run_sync(lambda c: groups.remove(c, family.id))
        moving = asyncio.create_task(change(store, key.id, group_id=family.id))
        await store.until(waits)
    with pytest.raises(RequestError, match=f"there is no group {family.id}"):
        await moving
    assert (await store.read(lambda c: keyring.account(c, key.id, NOW))).key.group_id is None
    await other.dispose()
    await store.close()
