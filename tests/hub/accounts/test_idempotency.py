"""An Idempotency-Key is one request for a day, on both engines."""

import pytest
from sqlalchemy import Connection

from hub.accounts import idempotency
from hub.accounts.idempotency import KEPT_SECONDS, Claim
from hub.errors import Conflict
from hub.store import Store

NOW = 1_000_000.123456


async def begin(store: Store, *, key: str = "k", fingerprint: str = "f", now: float = NOW, key_id: int = 1) -> Claim:
    return await store.write(lambda connection: idempotency.begin(connection, key_id, key, fingerprint, now))


async def finish(store: Store, claim: Claim, body: bytes = b"{}", status: int = 202) -> Claim:
    return await store.write(lambda connection: idempotency.finish(connection, claim, status, body, "[]"))


async def test_a_request_that_was_cut_off_is_done_again_under_its_id(store: Store) -> None:
    first, again = await begin(store), await begin(store, now=NOW + 60)
    assert (first.first, again.first) == (True, False)
    assert (first.id, first.at) == (again.id, again.at)
    assert first.status is None


async def test_every_key_of_every_caller_has_its_own_id(store: Store) -> None:
    claims = [await begin(store), await begin(store, key="other"), await begin(store, key_id=2)]
    assert len({claim.id for claim in claims}) == 3


async def test_the_answer_is_remembered(store: Store) -> None:
    await finish(store, await begin(store), b'{"id":1}')
    again = await begin(store)
    assert (again.status, again.body, again.head, again.first) == (202, b'{"id":1}', "[]", False)


async def test_the_first_of_two_answers_counts(store: Store) -> None:
    claim = await begin(store)
    first, second = await finish(store, claim, b"first", 200), await finish(store, claim, b"second")
    assert first == second
    assert (second.status, second.body) == (200, b"first")


async def test_another_request_under_the_key_is_a_conflict(store: Store) -> None:
    await begin(store)
    with pytest.raises(Conflict):
        await begin(store, fingerprint="other")


async def test_after_a_day_the_key_is_new(store: Store) -> None:
    claim = await finish(store, await begin(store))
    kept = await begin(store, now=NOW + KEPT_SECONDS)
    assert kept == claim
    new = await begin(store, fingerprint="other", now=NOW + KEPT_SECONDS + 1)
    assert (new.status, new.body, new.head, new.first) == (None, None, None, True)
    assert new.id != claim.id


async def test_an_answer_that_comes_after_its_day_does_not_become_another_requests(store: Store) -> None:
    late = await begin(store)
    new = await begin(store, now=NOW + KEPT_SECONDS + 1)
    assert (await finish(store, late, b"late")).body == b"late"
    again = await begin(store, now=NOW + KEPT_SECONDS + 2)
    assert (again.id, again.status, again.body) == (new.id, None, None)


async def test_a_request_that_was_wrong_frees_its_key(store: Store) -> None:
    claim = await begin(store)
    await store.write(lambda connection: idempotency.forget(connection, claim))
    await begin(store, fingerprint="mended")


async def test_an_answer_is_not_forgotten_by_a_late_repetition(store: Store) -> None:
    claim = await finish(store, await begin(store))
    await store.write(lambda connection: idempotency.forget(connection, claim))
    assert await begin(store) == claim


async def test_a_sweep_forgets_what_is_a_day_old(store: Store) -> None:
    await finish(store, await begin(store))
    await begin(store, key="young", now=NOW + 100)

    def sweep(connection: Connection) -> int:
        return idempotency.sweep(connection, NOW + KEPT_SECONDS + 50)

    assert await store.write(sweep) == 1
    assert await store.write(sweep) == 0
