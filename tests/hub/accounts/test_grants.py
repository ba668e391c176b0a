"""Groups, grants, and what they let a key use, on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import select, update

from hub.accounts import definitions, grants, groups, keyring, keys, permits
from hub.accounts.grants import Grant, Holder, Sought
from hub.accounts.groups import Group
from hub.accounts.keys import Key, new_secret
from hub.errors import Conflict, NotFound, RequestError
from hub.store import Connection, Store
from hub.store.listing import Part
from hub.store.tables import definitions as table

NOW = 1_795_000_000.0
DEFAULT = Holder(side="group", id=1)


async def number(store: Store, kind: definitions.Kind, name: str) -> int:
    """A model or agent that config.yaml declares, and its id."""

    def unit(connection: Connection) -> int:
        definitions.number(connection, [(kind, name)], NOW)
        wanted = select(table.c.id).where(table.c.kind == kind, table.c.name == name, table.c.deleted_at.is_(None))
        return connection.execute(wanted).scalar_one()

    return await store.write(unit)


async def made(store: Store, *, role: keys.Role = "user", owner: int | None = None, group: int | None = None) -> str:
    secret = new_secret()
    await store.write(lambda c: keys.create(c, secret, name="ann", now=NOW, role=role, owner_id=owner, group_id=group))
    return secret


async def known(store: Store, secret: str) -> Key:
    found = await store.read(lambda c: keys.find(c, secret, NOW))
    assert found is not None
    return found


async def bind(store: Store, holder: Holder, definition: int, wanted: bool | None = None) -> bool:
    return await store.write(lambda c: grants.bind(c, holder, definition, wanted, NOW))


async def listed(store: Store, sought: Sought) -> Sequence[Grant]:
    found = await store.read(lambda c: grants.listed(c, sought, Part(limit=10)))
    assert found.total == len(found.items)
    return found.items


async def may(store: Store, secret: str, name: str = "gpt") -> bool:
    return permits.may_use(await known(store, secret), "model", name, public=False)


def of_key(key: Key) -> Holder:
    return Holder(side="key", id=key.id)


async def test_b16_a_model_is_for_admins_and_for_whom_it_is_granted_by_key_or_group(store: Store) -> None:
    gpt = await number(store, "model", "gpt")
    admin, ann, bob = await made(store, role="admin"), await made(store), await made(store, group=1)
    assert [await may(store, one) for one in (admin, ann, bob)] == [True, False, False]
    assert await bind(store, of_key(await known(store, ann)), gpt)
    assert [await may(store, one) for one in (admin, ann, bob)] == [True, True, False]
    assert await bind(store, DEFAULT, gpt)
    assert [await may(store, one) for one in (admin, ann, bob)] == [True, True, True]
    assert not await bind(store, DEFAULT, gpt)
    assert [await may(store, one) for one in (admin, ann, bob)] == [True, True, False]
    assert not await may(store, ann, "other")


async def test_an_agent_is_for_every_key_or_for_its_owner_and_whom_it_is_granted(store: Store) -> None:
    bot = await number(store, "agent", "bot")
    ann, bob, eve = await made(store), await made(store), await made(store)
    owner = (await known(store, ann)).id
    await store.write(lambda c: c.execute(update(table).where(table.c.id == bot).values(key_id=owner)))
    await bind(store, of_key(await known(store, bob)), bot)

    async def uses(secret: str, public: bool) -> bool:
        return permits.may_use(await known(store, secret), "agent", "bot", public=public)

    assert [await uses(one, True) for one in (ann, bob, eve)] == [True, True, True]
    assert [await uses(one, False) for one in (ann, bob, eve)] == [True, True, False]
    assert not permits.may_use(await known(store, bob), "model", "bot", public=True)


async def test_a_key_that_is_limited_has_no_more_than_that(store: Store) -> None:
    secret = await made(store, role="admin")
    key = await known(store, secret)
    await store.write(lambda c: keyring.change(c, key.id, {"models": "gpt", "agents": ""}, NOW))
    assert await may(store, secret)
    assert not await may(store, secret, "other")
    assert not permits.may_use(await known(store, secret), "agent", "bot", public=True)


async def test_a_key_with_an_owner_has_what_the_owner_is_granted(store: Store) -> None:
    gpt = await number(store, "model", "gpt")
    owner, admin = await known(store, await made(store)), await known(store, await made(store, role="admin"))
    own, admins_own = await made(store, owner=owner.id), await made(store, owner=admin.id)
    assert (await may(store, own), await may(store, admins_own)) == (False, True)
    await bind(store, of_key(owner), gpt)
    assert await may(store, own)
    with pytest.raises(RequestError, match=f"what its owner, {owner.id}, is granted"):
        await bind(store, of_key(await known(store, own)), gpt)


async def test_b11_a_grant_is_made_and_taken_back_in_turn_or_as_it_is_said(store: Store) -> None:
    gpt = await number(store, "model", "gpt")
    assert [await bind(store, DEFAULT, gpt) for _ in range(3)] == [True, False, True]
    assert [await bind(store, DEFAULT, gpt, True) for _ in range(2)] == [True, True]
    assert len(await listed(store, Sought())) == 1
    assert [await bind(store, DEFAULT, gpt, False) for _ in range(2)] == [False, False]
    assert await listed(store, Sought()) == []


async def test_b11_of_toggles_at_once_each_is_one(store: Store) -> None:
    gpt = await number(store, "model", "gpt")
    done = await asyncio.gather(*(bind(store, DEFAULT, gpt) for _ in range(7)))
    assert sorted(done) == [False] * 3 + [True] * 4
    assert len(await listed(store, Sought())) == 1


async def test_grants_are_listed_by_holder_and_kind(store: Store) -> None:
    gpt, bot = await number(store, "model", "gpt"), await number(store, "agent", "bot")
    key = await known(store, await made(store))
    for holder, definition in ((DEFAULT, gpt), (of_key(key), gpt), (of_key(key), bot)):
        await bind(store, holder, definition)
    [group_gpt, key_gpt, key_bot] = await listed(store, Sought())
    assert (group_gpt.holder_name, group_gpt.holder, group_gpt.name) == ("default", DEFAULT, "gpt")
    assert (key_bot.holder_name, key_bot.holder, key_bot.definition_id) == ("ann", of_key(key), bot)
    assert await listed(store, Sought(side="group")) == [group_gpt]
    assert await listed(store, Sought(side="key", kind="model")) == [key_gpt]
    assert await listed(store, Sought(side="key", holder_id=key.id)) == [key_gpt, key_bot]
    assert await listed(store, Sought(side="group", holder_id=key.id + 1000)) == []
    assert await listed(store, Sought(definition_id=bot)) == [key_bot]


async def test_what_is_gone_is_granted_to_nobody_and_nothing_to_who_is_gone(store: Store) -> None:
    gpt = await number(store, "model", "gpt")
    secret = await made(store)
    key = await known(store, secret)
    await bind(store, of_key(key), gpt)
    await store.write(lambda c: c.execute(update(table).where(table.c.id == gpt).values(deleted_at=NOW)))
    assert not await may(store, secret)
    again = await number(store, "model", "gpt")
    assert again != gpt
    assert not await may(store, secret)
    assert await listed(store, Sought()) == []
    await bind(store, of_key(key), again)
    await store.write(lambda c: keyring.delete(c, key.id, NOW))
    assert await listed(store, Sought()) == []
    with pytest.raises(NotFound):
        await bind(store, of_key(key), again)
    with pytest.raises(RequestError, match="there is no group 77"):
        await bind(store, Holder(side="group", id=77), again)


async def save(store: Store, id: int | None, **values: str | None) -> Group:
    return await store.write(lambda c: groups.save(c, id, values, NOW))


async def test_b10_groups_are_made_changed_and_found(store: Store) -> None:
    family = await save(store, None, name="family", key="F-1")
    assert (family.name, family.key, family.size) == ("family", "F-1", 0)
    assert (await save(store, family.id, key=None)).key is None
    assert (await save(store, family.id, name="Clan")).name == "Clan"
    await made(store, group=family.id)
    found = await store.read(lambda c: groups.listed(c, None, Part(limit=10)))
    assert ([(one.name, one.size) for one in found.items], found.total) == ([("default", 0), ("Clan", 1)], 2)
    for text, names in (("LA", ["Clan"]), ("%", []), ("_", [])):
        found = await store.read(lambda c, text=text: groups.listed(c, text, Part(limit=10)))
        assert [one.name for one in found.items] == names
    found = await store.read(lambda c: groups.listed(c, None, Part(limit=10, after=(1,))))
    assert [one.name for one in found.items] == ["Clan"]


async def test_b10_a_name_is_one_groups_and_a_group_that_is_not_there_is_not_changed(store: Store) -> None:
    family = await save(store, None, name="family")
    for taken in (None, family.id):
        with pytest.raises(Conflict, match="already a group 'default'"):
            await save(store, taken, name="default")
    with pytest.raises(NotFound):
        await save(store, 77, name="x")
    with pytest.raises(NotFound):
        await store.write(lambda c: groups.remove(c, 77))


async def test_b10_the_keys_of_a_deleted_group_stay_without_what_it_was_granted(store: Store) -> None:
    gpt = await number(store, "model", "gpt")
    family = await save(store, None, name="family")
    secret = await made(store, group=family.id)
    await bind(store, Holder(side="group", id=family.id), gpt)
    assert await may(store, secret)
    assert (await store.write(lambda c: groups.remove(c, family.id))).name == "family"
    assert (await known(store, secret)).group_id is None
    assert not await may(store, secret)
    await save(store, None, name="family")
    assert not await may(store, secret)
    assert await listed(store, Sought()) == []
