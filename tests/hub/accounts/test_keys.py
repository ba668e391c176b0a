"""Keys in the store, on both engines."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from hub.accounts import keys
from hub.accounts.keys import Key
from hub.message import Address
from hub.store import Store
from hub.store.tables import keys as table

NOW = 1_795_000_000.0
SECRET = "sk-0123456789abcdefghijklmnopqrstuvwxyz"


async def test_a_key_is_found_by_its_secret_only(store: Store) -> None:
    made = await store.write(lambda c: keys.create(c, SECRET, name="n", now=NOW, group_id=1, email="e@x"))
    assert await store.read(lambda c: keys.find(c, SECRET, NOW)) == made
    assert await store.read(lambda c: keys.find(c, SECRET + "x", NOW)) is None
    assert await store.read(lambda c: keys.find(c, "", NOW)) is None
    assert (made.role, made.scopes, made.group_id, made.active) == ("user", ("chat", "read"), 1, True)


async def test_neither_the_secret_nor_much_of_it_is_stored(store: Store) -> None:
    await store.write(lambda c: keys.create(c, SECRET, name="n", now=NOW))
    row = (await store.read(lambda c: c.execute(select(table)).all()))[0]
    assert row.prefix == SECRET[:8]
    assert SECRET not in repr(row)
    short = await store.write(lambda c: keys.create(c, "abcdefghijkl", name="n", now=NOW))
    assert short.prefix == "abc"


async def test_a_disabled_owner_disables_the_key(store: Store) -> None:
    owner = await store.write(lambda c: keys.create(c, "owner-secret", name="o", now=NOW))
    await store.write(lambda c: keys.create(c, SECRET, name="n", now=NOW, owner_id=owner.id))
    found = await store.read(lambda c: keys.find(c, SECRET, NOW))
    assert found
    assert found.usable(NOW)
    await store.write(lambda c: c.execute(update(table).where(table.c.id == owner.id).values(active=False)))
    found = await store.read(lambda c: keys.find(c, SECRET, NOW))
    assert found
    assert not found.usable(NOW)


async def test_L3_the_bootstrap_key_is_restored_and_made_once(store: Store) -> None:
    first = await store.write(lambda c: keys.ensure_bootstrap(c, SECRET, NOW, only=False))
    assert (first.role, first.name, first.usable(NOW)) == ("admin", "bootstrap", True)
    assert await store.write(lambda c: keys.ensure_bootstrap(c, SECRET, NOW + 9, only=False)) == first
    await store.write(lambda c: c.execute(update(table).values(active=False, role="user")))
    assert await store.write(lambda c: keys.ensure_bootstrap(c, SECRET, NOW, only=False)) == first


async def test_a_given_bootstrap_key_revokes_the_one_before_and_a_file_does_not(store: Store) -> None:
    async def usable(secret: str) -> bool:
        found = await store.read(lambda c: keys.find(c, secret, NOW))
        return found is not None and found.usable(NOW)

    await store.write(lambda c: keys.create(c, "users", name="u", now=NOW))
    await store.write(lambda c: keys.ensure_bootstrap(c, "first", NOW, only=False))
    await store.write(lambda c: keys.ensure_bootstrap(c, "second", NOW, only=False))
    assert await usable("first")
    await store.write(lambda c: keys.ensure_bootstrap(c, "third", NOW, only=True))
    assert [await usable(secret) for secret in ("first", "second", "third", "users")] == [False, False, True, True]


async def test_N13_the_local_key_has_no_secret_and_is_made_once(store: Store) -> None:
    made = await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
    assert await store.write(lambda c: keys.ensure_local(c, "demo", NOW + 1)) == made
    assert (made.role, made.scopes, made.prefix) == ("user", ("chat", "read", "deliver"), "")
    row = (await store.read(lambda c: c.execute(select(table)).all()))[0]
    assert (row.hash, row.month_quota) == (None, None)


async def test_the_key_a_request_acts_as(store: Store) -> None:
    local = await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
    own = await store.write(lambda c: keys.create(c, SECRET, name="demo", now=NOW))

    async def acts(secret: str, name: str | None) -> Key | None:
        return await store.read(lambda c: keys.identify(c, secret, name, NOW))

    assert await acts(SECRET, "demo") == await acts(SECRET, None) == own
    assert await acts("", "demo") == await acts("dummy", "demo") == local
    assert await acts("br-x", "demo") is await acts("sk-x", "demo") is await acts("dummy", None) is None
    assert await acts("", "other") is None


@pytest.mark.parametrize(
    ("scopes", "address", "may"),
    [
        ("deliver", "support:1", True),
        ("chat read", "support:1", False),
        ("deliver=support:*", "support:1:7", True),
        ("deliver=support:*", "sales:1", False),
        ("deliver=support:1", "support:12", False),
        ("deliver=a:* deliver=b:2", "b:2", True),
    ],
)
def test_deliver_may_carry_patterns(scopes: str, address: str, may: bool) -> None:
    key = Key(id=1, name="n", role="user", scopes=tuple(scopes.split()))
    assert key.may_deliver(Address.parse(address)) is may
    assert key.has("deliver") is ("deliver" in scopes)
    assert Key(id=1, name="n", role="admin").may_deliver(Address.parse(address))


def test_secrets_are_long_and_never_the_same() -> None:
    made = {keys.new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(secret.startswith("br-") and len(secret) == 46 for secret in made)
