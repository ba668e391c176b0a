"""What BRConnector promises about money, a test a row: keys made, recharged and asked over its own routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hub.accounts.money import UNIT
from hub.store.tables import turns
from tests.compat.asking import CHAT, picture
from tests.e2e.here import Here, running_hub
from tests.granting import grant
from tests.platforms.openai import Answer, Upstream, Usage

HI: list[dict[str, Any]] = [{"role": "user", "content": "hi " * 400}]
"""More bytes than the upstream counts tokens."""
SAID = Answer(text=("Hello.",), usage=Usage(prompt=1000, completion=50))
FEE = Decimal("0.000325")
"""1000 tokens of 0.20, and 50 of 2.50, per 1,000,000."""


@pytest.fixture
async def hub(tmp_path: Path, upstream_of_one: Upstream) -> AsyncIterator[Here]:
    sonnet = {"provider": "openai", "base_url": upstream_of_one.base_url, "model": "sonnet-test", "multiple": True}
    prices = {"price_in": 0.20, "price_out": 2.50, "max_output": 100}
    config = {
        "models": {"demo": {"provider": "demo"}, "sonnet": {**sonnet, **prices}},
        "agents": {"assistant": {"model": "demo"}, "poet": {"model": "sonnet"}},
    }
    async with running_hub(tmp_path, config) as hub:
        yield hub


@pytest.fixture
async def upstream_of_one() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


async def admin(hub: Here, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with hub.http() as http:
        answer = await http.post(f"/admin/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def made(hub: Here, body: dict[str, Any]) -> dict[str, Any]:
    """A new key, which may use the models."""
    key = await admin(hub, "api-key/apply", body)
    await hub.store.write(lambda c: grant(c, key["id"], models=hub.engine.config.models))
    return key


async def ask(hub: Here, key: dict[str, Any], model: str = "sonnet", **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {key['api_key']}", **headers}
    async with httpx.AsyncClient(base_url=hub.url, headers=sent) as http:
        return await http.post(CHAT, json={"model": model, "messages": HI})


async def detail(hub: Here, key: dict[str, Any]) -> dict[str, Any]:
    async with hub.http() as http:
        return (await http.get(f"/admin/api-key/detail/{key['id']}")).json()["data"]


async def recorded(hub: Here) -> list[Any]:
    return list(await hub.store.read(lambda c: c.execute(select(turns).order_by(turns.c.created_at)).all()))


@pytest.mark.parametrize("model", ["sonnet", "poet"])
async def test_b13_a_turn_is_recorded_with_its_tokens_prices_fee_and_times(
    hub: Here, upstream_of_one: Upstream, model: str
) -> None:
    key = await made(hub, {"name": "anna", "month_quota": 1})
    upstream_of_one.script(SAID)
    assert (await ask(hub, key, model, **{"Session-Id": "trip"})).status_code == 200
    (turn,) = await recorded(hub)
    assert (turn.session_id, turn.key_id, turn.payer_id, turn.status) == ("trip", key["id"], key["id"], "completed")
    assert (turn.prompt_tokens, turn.completion_tokens, turn.response) == (1000, 50, "Hello.")
    assert (turn.price_in, turn.price_out) == (UNIT * 20 // 100, UNIT * 250 // 100)
    assert turn.fee == int(FEE * UNIT)
    assert turn.created_at <= turn.started_at <= turn.first_token_at <= turn.finished_at


async def test_b13_an_image_is_not_stored_in_the_record(hub: Here, upstream_of_one: Upstream) -> None:
    upstream_of_one.script(SAID)
    said = [{"type": "text", "text": "what is it?"}, picture()]
    async with hub.http() as http:
        await http.post(CHAT, json={"model": "sonnet", "messages": [{"role": "user", "content": said}]})
    (turn,) = await recorded(hub)
    assert "base64" not in "".join(map(str, turn))


@pytest.mark.parametrize("model", ["sonnet", "poet"])
async def test_b14_a_key_without_money_is_told_to_recharge_and_works_when_that_was_done(
    hub: Here, upstream_of_one: Upstream, model: str
) -> None:
    key = await made(hub, {"name": "anna"})
    refused = await ask(hub, key, model)
    assert refused.status_code == 402
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert "Please recharge." in refused.json()["error"]["message"]
    assert not upstream_of_one.requests
    await admin(hub, "api-key/recharge", {"api_key": key["api_key"], "balance": 1})
    upstream_of_one.script(SAID)
    assert (await ask(hub, key, model)).status_code == 200
    assert Decimal((await detail(hub, key))["balance"]) == 1 - FEE


async def test_b14_the_quota_of_the_month_is_spent_first(hub: Here, upstream_of_one: Upstream) -> None:
    key = await made(hub, {"name": "anna", "month_quota": "0.0004", "balance": 1})
    upstream_of_one.script(SAID, SAID)
    assert [(await ask(hub, key)).status_code for _ in range(2)] == [200, 200]
    assert Decimal((await detail(hub, key))["balance"]) == 1 - (2 * FEE - Decimal("0.0004"))


async def test_b14_what_costs_nothing_is_never_refused(hub: Here) -> None:
    key = await made(hub, {"name": "anna"})
    assert [(await ask(hub, key, model)).status_code for model in ("demo", "assistant")] == [200, 200]


async def test_b15_b17_fees_are_exact_and_add_up(hub: Here, upstream_of_one: Upstream) -> None:
    key = await made(hub, {"name": "anna", "month_quota": None})
    used = [(3, 7), (1, 1), (999_999, 1), (17, 99)]
    upstream_of_one.script(*(Answer(text=("ok",), usage=Usage(prompt=p, completion=c)) for p, c in used))
    for _ in used:
        assert (await ask(hub, key)).status_code == 200
    fees = [Decimal(turn.fee) / UNIT for turn in await recorded(hub)]
    assert fees == [(p * Decimal("0.20") + c * Decimal("2.50")) / 1_000_000 for p, c in used]


async def test_b16_an_unknown_model_is_a_404_and_nothing_is_billed(hub: Here, upstream_of_one: Upstream) -> None:
    key = await made(hub, {"name": "anna", "month_quota": 1})
    assert (await ask(hub, key, "nobody")).status_code == 404
    assert await recorded(hub) == []
    assert not upstream_of_one.requests
