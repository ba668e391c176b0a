"""Money over real HTTP: a whole hub and a local upstream, on both engines; no key ever spends more than it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, func, select, update

from hub.accounts import budget, keys
from hub.accounts.keys import Key
from hub.accounts.money import amount
from hub.store.tables import keys as table
from hub.store.tables import reservations, turns
from tests.e2e.here import Here, running_hub
from tests.granting import grant
from tests.platforms.openai import Answer, Call, Upstream, Usage, fail

CALL = amount("0.01", "a call")
"""What a call may cost, and does if it says all it may: 10 tokens of 0.001."""
FULL = Answer(text=("ok",), usage=Usage(prompt=3, completion=10))
PATHS = {
    "model": ("/v1/chat/completions", {"model": "gpt", "messages": [{"role": "user", "content": "hi"}]}),
    "own history": ("/v1/chat/completions", {"model": "drafter", "messages": [{"role": "user", "content": "hi"}]}),
    "agent": ("/v1/chat/completions", {"model": "bot", "messages": [{"role": "user", "content": "hi"}]}),
}


def config(upstream: Upstream, **more: Any) -> dict[str, Any]:
    model = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}
    agent = {"model": "gpt", "tools": ["message"], "posts_to": ["web:*"]}
    return {
        "models": {"gpt": {**model, "price_out": 1000, "max_output": 10}, "free": model},
        "agents": {"bot": agent, "drafter": {"model": "gpt", "history": "client"}},
        "channels": {"web": {"kind": "web", "agent": "bot"}},
        **more,
    }


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Here]:
    async with running_hub(tmp_path, config(upstream)) as hub:
        yield hub


async def with_quota(hub: Here, quota: int | None, **more: Any) -> tuple[Here, Key]:
    """The hub for a new key."""
    secret, now = keys.new_secret("sk-"), hub.engine.clock()

    def create(connection: Connection) -> Key:
        key = keys.create(connection, secret, name="payer", now=now, month_quota=quota, **more)
        grant(connection, key.payer, models=hub.engine.config.models)
        return key

    return replace(hub, key=secret), await hub.store.write(create)


async def ask(hub: Here, way: str = "model", session: str = "s", **more: Any) -> httpx.Response:
    path, body = PATHS[way]
    async with hub.http(**{"Session-Id": session}) as http:
        return await http.post(path, json={**body, **more})


class Money:
    """What a key has spent, and what its turns say."""

    def __init__(self, hub: Here, key: int) -> None:
        self._hub = hub
        self._key = key

    async def row(self) -> Any:
        return await self._hub.store.read(lambda c: c.execute(select(table).where(table.c.id == self._key)).one())

    async def turns(self) -> list[Any]:
        query = select(turns).where(turns.c.payer_id == self._key).order_by(turns.c.created_at)
        return list(await self._hub.store.read(lambda c: c.execute(query).all()))

    async def settled(self, balance: int = 0) -> Any:
        """The key's row when nothing is held any more; what is gone of the `balance` and the quota is in its turns."""

        async def is_free() -> bool:
            return (await self.row()).held == 0

        await self._hub.store.until(is_free)
        now = await self.row()
        assert now.spent + balance - now.balance == sum(turn.fee for turn in await self.turns())
        left = select(func.count()).select_from(reservations).where(reservations.c.key_id == self._key)
        assert await self._hub.store.read(lambda c: c.execute(left).scalar_one()) == 0
        return now


@pytest.mark.parametrize(("way", "calls"), [("model", 100), ("own history", 40), ("agent", 40)])
async def test_B15_calls_at_once_never_spend_a_unit_more_than_there_is(
    tmp_path: Path, store_url: str, upstream: Upstream, way: str, calls: int
) -> None:
    upstream.script(*[FULL] * calls)
    async with running_hub(tmp_path, config(upstream, store={"url": store_url})) as hub:
        user, key = await with_quota(hub, 4 * CALL, balance=6 * CALL)
        answers = await asyncio.gather(*(ask(user, way, f"s{number}") for number in range(calls)))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 402}
        now = await Money(hub, key.id).settled(6 * CALL)
        assert statuses.count(200) == 10, "each costs all that was reserved for it"
        assert len(upstream.requests) == 10, "who is refused never reaches the upstream"
        assert (now.spent, now.balance) == (4 * CALL, 0)


@pytest.mark.parametrize("way", list(PATHS))
async def test_B14_who_has_nothing_left_is_asked_to_recharge(hub: Here, upstream: Upstream, way: str) -> None:
    user, key = await with_quota(hub, CALL - 1)
    refused = await ask(user, way)
    assert refused.status_code == 402
    error = refused.json()["error"]
    assert error["code"] == "insufficient_quota"
    assert "Please recharge." in error["message"]
    assert not upstream.requests
    assert (await Money(hub, key.id).settled()).spent == 0
    await hub.store.write(lambda c: c.execute(update(table).where(table.c.id == key.id).values(balance=1)))
    assert (await ask(user, way)).status_code == 200
    await Money(hub, key.id).settled(1)


@pytest.mark.parametrize("way", list(PATHS))
async def test_B15_what_was_answered_is_charged_for_what_it_took(hub: Here, upstream: Upstream, way: str) -> None:
    user, key = await with_quota(hub, 2 * CALL)
    upstream.script(Answer(text=("ok",), usage=Usage(prompt=3, completion=4)))
    assert (await ask(user, way)).status_code == 200
    money = Money(hub, key.id)
    assert (await money.settled()).spent == CALL * 4 // 10
    (turn,) = await money.turns()
    assert (turn.fee, turn.uncollected, turn.reserved) == (CALL * 4 // 10, 0, CALL)
    assert (turn.price_in, turn.price_out) == (0, amount(1000, "p"))
    assert upstream.requests[0].body["max_tokens"] == 10, "what was reserved for is asked for"


@pytest.mark.parametrize("way", list(PATHS))
async def test_B15_what_the_upstream_reports_beyond_it_is_not_collected(
    hub: Here, upstream: Upstream, way: str
) -> None:
    user, key = await with_quota(hub, 2 * CALL)
    upstream.script(Answer(text=("ok",), usage=Usage(prompt=3, completion=25)))
    assert (await ask(user, way)).status_code == 200
    money = Money(hub, key.id)
    assert (await money.settled()).spent == CALL
    (turn,) = await money.turns()
    assert (turn.fee, turn.uncollected) == (CALL, CALL * 15 // 10)


@pytest.mark.parametrize("way", list(PATHS))
async def test_B15_an_answer_without_usage_is_charged_by_a_guess(hub: Here, upstream: Upstream, way: str) -> None:
    user, key = await with_quota(hub, 2 * CALL)
    upstream.script(Answer(text=("some words of an answer",), usage="never"))
    assert (await ask(user, way)).status_code == 200
    money = Money(hub, key.id)
    assert 0 < (await money.settled()).spent <= CALL
    (turn,) = await money.turns()
    assert turn.estimated


@pytest.mark.parametrize("way", list(PATHS))
async def test_B15_an_upstream_that_fails_costs_nothing(hub: Here, upstream: Upstream, way: str) -> None:
    user, key = await with_quota(hub, 2 * CALL)
    upstream.script(fail(400))
    assert (await ask(user, way)).status_code == 400 + (way == "agent") * 102
    assert (await Money(hub, key.id).settled()).spent == 0


@pytest.mark.parametrize("way", list(PATHS))
async def test_B15_a_stream_that_breaks_is_charged_for_what_came(hub: Here, upstream: Upstream, way: str) -> None:
    user, key = await with_quota(hub, 2 * CALL)
    upstream.script(Answer(text=("one ", "two "), end="cut"))
    await ask(user, way, stream=True)
    assert 0 < (await Money(hub, key.id).settled()).spent <= CALL


async def gone(hub: Here, way: str, then: Callable[[str], Awaitable[object]]) -> None:
    """A stream whose client does something else after the first bytes, and goes."""
    path, body = PATHS[way]
    async with (
        hub.http(**{"Session-Id": "s"}) as http,
        http.stream("POST", path, json={**body, "stream": True}) as answer,
    ):
        async for _ in answer.aiter_bytes():
            break
        await then(answer.headers["X-Turn-Id"])


async def nothing(_turn: str) -> None: ...


@pytest.mark.parametrize("way", list(PATHS))
async def test_B15_a_client_that_goes_pays_for_what_was_said(hub: Here, upstream: Upstream, way: str) -> None:
    user, key = await with_quota(hub, 2 * CALL)
    gate = asyncio.Event()
    upstream.script(Answer(text=("one ", "two "), gate=gate, gate_after=1))
    await gone(user, way, nothing)
    assert 0 < (await Money(hub, key.id).settled()).spent <= CALL
    gate.set()


async def test_B15_a_turn_that_is_cancelled_pays_for_what_was_said(hub: Here, upstream: Upstream) -> None:
    user, key = await with_quota(hub, 2 * CALL)
    gate = asyncio.Event()
    upstream.script(Answer(text=("one ", "two "), gate=gate, gate_after=1))

    async def cancel(turn: str) -> None:
        async with user.http() as http:
            assert (await http.delete(f"/api/v1/turns/{turn}")).json()["status"] == "cancelled"

    await gone(user, "agent", cancel)
    assert 0 < (await Money(hub, key.id).settled()).spent <= CALL
    gate.set()


@pytest.mark.parametrize("way", ["model", "agent"])
async def test_B15_an_answer_that_comes_too_late_holds_nothing(tmp_path: Path, upstream: Upstream, way: str) -> None:
    gate = asyncio.Event()
    upstream.script(Answer(text=("late",), gate=gate))
    async with running_hub(tmp_path, config(upstream, api={"turn_timeout": "300ms"})) as hub:
        user, key = await with_quota(hub, 2 * CALL)
        assert (await ask(user, way)).status_code == 504
        await Money(hub, key.id).settled()
        gate.set()


async def test_B15_every_model_call_of_a_turn_is_paid_for(hub: Here, upstream: Upstream) -> None:
    user, key = await with_quota(hub, CALL + CALL // 2)
    post = Call("message", '{"content": "hello", "channel": "web", "chat_id": "lobby"}', id="c1")
    upstream.script(Answer(calls=(post,), usage=Usage(prompt=3, completion=5)), FULL)
    assert (await ask(user, "agent")).status_code == 200
    money = Money(hub, key.id)
    assert (await money.settled()).spent == CALL * 15 // 10
    (turn,) = await money.turns()
    assert (turn.fee, turn.completion_tokens) == (CALL * 15 // 10, 15)


async def test_B15_a_turn_ends_where_the_next_call_cannot_be_paid(hub: Here, upstream: Upstream) -> None:
    user, key = await with_quota(hub, CALL + CALL // 2)
    post = Call("message", '{"content": "hello", "channel": "web", "chat_id": "lobby"}', id="c1")
    upstream.script(Answer(text=("I will.",), calls=(post,), usage=Usage(prompt=3, completion=6)), FULL)
    assert (await ask(user, "agent")).status_code == 402
    assert (await Money(hub, key.id).settled()).spent == CALL * 6 // 10
    assert len(upstream.requests) == 1


async def test_what_costs_nothing_needs_no_money_and_no_unit_of_the_store(hub: Here, upstream: Upstream) -> None:
    user, key = await with_quota(hub, 0)
    assert (await ask(user, model="free")).status_code == 200
    (turn,) = await Money(hub, key.id).turns()
    assert (turn.fee, turn.reserved) == (0, 0)


async def test_an_unlimited_key_is_metered(hub: Here, upstream: Upstream) -> None:
    user, key = await with_quota(hub, None)
    upstream.script(FULL)
    assert (await ask(user)).status_code == 200
    (turn,) = await Money(hub, key.id).turns()
    assert (turn.fee, turn.reserved) == (CALL, 0)
    assert (await Money(hub, key.id).settled()).spent == CALL


async def test_the_keys_that_a_user_made_spend_the_users_money(hub: Here, upstream: Upstream) -> None:
    _, owner = await with_quota(hub, CALL)
    user, _ = await with_quota(hub, None, owner_id=owner.id)
    upstream.script(FULL)
    assert [(await ask(user)).status_code for _ in range(2)] == [200, 402]
    assert (await Money(hub, owner.id).settled()).spent == CALL


async def test_B15_what_a_crash_left_behind_is_swept_at_start(tmp_path: Path, upstream: Upstream) -> None:
    async with running_hub(tmp_path, config(upstream)) as hub:
        _, key = await with_quota(hub, CALL)
        long_ago = hub.engine.clock() - 2 * budget.HELD_SECONDS
        assert await hub.store.write(lambda c: budget.reserve(c, "crashed", key.id, CALL, "another", long_ago))
        assert (await Money(hub, key.id).row()).held == CALL
    async with running_hub(tmp_path, config(upstream)) as hub:
        assert (await Money(hub, key.id).settled()).spent == 0


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/responses", "/v1/completions", "/api/v1/chat"])
async def test_B15_every_route_that_makes_an_answer_is_paid_for(tmp_path: Path, upstream: Upstream, path: str) -> None:
    bodies: dict[str, Any] = {
        "/v1/embeddings": {"model": "gpt", "input": "hi"},
        "/v1/responses": {"model": "gpt", "input": "hi"},
        "/v1/completions": {"model": "gpt", "prompt": "hi"},
        "/api/v1/chat": {"agent": "bot", "message": "hi"},
    }
    priced = config(upstream)
    priced["models"]["gpt"]["price_in"] = 1
    async with running_hub(tmp_path, priced) as hub:
        poor, _ = await with_quota(hub, 0)
        rich, key = await with_quota(hub, 100 * CALL)
        async with poor.http() as http:
            refused = await http.post(path, json=bodies[path])
            assert refused.status_code == 402
        assert not upstream.requests
        async with rich.http() as http:
            assert (await http.post(path, json=bodies[path])).status_code == 200
        assert (await Money(hub, key.id).settled()).spent > 0


async def test_B15_tokens_count_for_the_limits_of_the_key(hub: Here, upstream: Upstream) -> None:
    user, key = await with_quota(hub, 100 * CALL)
    await hub.store.write(lambda c: c.execute(update(table).where(table.c.id == key.id).values(tokens_day=20)))
    upstream.script(FULL, FULL)
    answers = [await ask(user, way) for way in ("model", "agent", "model")]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-tokens"] for answer in answers] == ["20", "7", "0"]
