"""Limits of a key, as its clients meet them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openai import RateLimitError
from sqlalchemy import select, update

from api.rates import duration
from hub.accounts import keys
from hub.store import Store
from hub.store.tables import keys as table
from hub.store.tables import rates
from tests.api.facade import CHAT, HI, USER, Facade
from tests.api.fake_hub import NOW

MINUTE_LEFT = 60 - NOW % 60


async def limit(store: Store, id: int, **limits: int) -> None:
    await store.write(lambda c: c.execute(update(table).where(table.c.id == id).values(**limits)))


def left(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("x-ratelimit-")}


async def ask(facade: Facade, secret: str = USER, path: str = CHAT, **headers: str) -> httpx.Response:
    bodies: dict[str, Any] = {
        CHAT: {"messages": HI},
        "/v1/completions": {"prompt": "hi"},
        "/v1/responses": {"input": "hi"},
        "/api/v1/chat": {"message": "hi"},
        "/api/v1/chat/async": {"message": "hi"},
    }
    async with facade.http(secret, **headers) as client:
        return await client.post(path, json=bodies[path])


async def test_a_key_without_limits_pays_nothing(facade: Facade, store: Store) -> None:
    assert left(await ask(facade)) == {}
    assert await store.read(lambda c: c.execute(select(rates)).first()) is None


async def test_what_is_left_is_told_as_openai_tells_it(facade: Facade, store: Store) -> None:
    await limit(store, facade.user.id, requests_minute=5, requests_day=4, tokens_minute=100)
    told = left(await ask(facade))
    assert told["x-ratelimit-limit-requests"] == "4", "the limit that is nearer"
    assert told["x-ratelimit-remaining-requests"] == "3"
    assert told["x-ratelimit-reset-requests"] == duration(86_400 - NOW % 86_400)
    assert told["x-ratelimit-limit-tokens"] == "100"
    assert told["x-ratelimit-remaining-tokens"] == "100"
    assert told["x-ratelimit-reset-tokens"] == duration(MINUTE_LEFT)


async def test_one_too_many_is_told_when_to_come_again(facade: Facade, store: Store) -> None:
    await limit(store, facade.user.id, requests_minute=1)
    assert (await ask(facade)).status_code == 200
    refused = await ask(facade)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["Retry-After"] == f"{MINUTE_LEFT:.0f}"
    assert left(refused)["x-ratelimit-remaining-requests"] == "0"
    async with facade.openai() as client:
        with pytest.raises(RateLimitError, match="1 requests per minute"):
            await client.chat.completions.create(model="assistant", messages=HI)
    assert len(facade.fake.turns.asks) == 1
    facade.fake.now += 60
    assert (await ask(facade)).status_code == 200


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses", "/api/v1/chat", "/api/v1/chat/async"])
async def test_whatever_makes_an_answer_counts(facade: Facade, store: Store, path: str) -> None:
    await limit(store, facade.user.id, requests_day=0)
    assert (await ask(facade, path=path)).status_code == 429
    assert not facade.fake.turns.asks


async def test_reading_counts_nowhere(facade: Facade, store: Store) -> None:
    await limit(store, facade.user.id, requests_day=0)
    async with facade.http() as client:
        assert (await client.get("/v1/models")).status_code == 200


async def test_an_answer_that_is_sent_again_costs_nothing(facade: Facade, store: Store) -> None:
    await limit(store, facade.user.id, requests_minute=2)
    for _ in range(4):
        again = await ask(facade, **{"Idempotency-Key": "one"})
        assert again.status_code == 200
    assert left(await ask(facade, **{"Idempotency-Key": "two"}))["x-ratelimit-remaining-requests"] == "0"


async def test_what_was_refused_may_be_sent_again_under_its_key(facade: Facade, store: Store) -> None:
    await limit(store, facade.user.id, requests_minute=1)
    assert (await ask(facade)).status_code == 200
    assert (await ask(facade, **{"Idempotency-Key": "one"})).status_code == 429
    facade.fake.now += 60
    again = await ask(facade, **{"Idempotency-Key": "one"})
    assert again.status_code == 200
    assert "Idempotent-Replayed" not in again.headers


async def test_the_keys_that_a_user_makes_share_the_users_limits(facade: Facade, store: Store) -> None:
    secrets = [keys.new_secret("sk-") for _ in range(2)]
    owner = facade.user.id
    for secret in secrets:
        await store.write(lambda c, s=secret: keys.create(c, s, name="mine", now=NOW, owner_id=owner))
    await limit(store, owner, requests_minute=3)
    own = await store.read(lambda c: keys.find(c, secrets[1], NOW))
    assert own is not None
    await limit(store, own.id, requests_minute=1)
    asked = [await ask(facade, secret) for secret in (secrets[0], secrets[1], secrets[1], USER, secrets[0])]
    assert [answer.status_code for answer in asked] == [200, 200, 429, 200, 429]
    rows = await store.read(lambda c: c.execute(select(rates)).all())
    counted = {row.key_id: row.requests_minute for row in rows}
    assert counted == {owner: 3, own.id: 1}


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0165, "17ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (86_399.5, "23h59m59.5s"),
        (3600, "1h0m0s"),
    ],
)
def test_spans_are_written_as_openai_writes_them(seconds: float, written: str) -> None:
    assert duration(seconds) == written
