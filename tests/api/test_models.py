"""GET /v1/models."""

from __future__ import annotations

import openai
import pytest

from tests.api.facade import Facade
from tests.api.fake_hub import ASSISTANT


async def test_L1_N1_agents_come_first_then_models(facade: Facade) -> None:
    async with facade.openai() as client:
        listed = (await client.models.list()).data
    assert [model.id for model in listed] == ["assistant", "drafter", "gpt", "eyes"]
    assert [model.created for model in listed] == [1_740_000_000 + number for number in range(4)]


async def test_L1_the_exact_shape(facade: Facade) -> None:
    async with facade.http() as client:
        answer = (await client.get("/v1/models")).json()
    assert answer["object"] == "list"
    assert answer["data"][0] == {
        "id": "assistant",
        "object": "model",
        "created": 1_740_000_000,
        "owned_by": "bothub",
        "multiple": False,
        "assistant_id": ASSISTANT,
    }


async def test_B4_a_list_says_what_takes_images(facade: Facade) -> None:
    async with facade.http() as client:
        listed = (await client.get("/v1/models")).json()["data"]
        assert (await client.get("/v1/models/eyes")).json()["multiple"] is True
    assert {model["id"]: model["multiple"] for model in listed} == {
        "assistant": False,
        "drafter": False,
        "gpt": False,
        "eyes": True,
    }


async def test_L1_one_model(facade: Facade) -> None:
    async with facade.openai() as client:
        assert (await client.models.retrieve("gpt")).id == "gpt"
        for name in ("nobody", "openai/gpt"):
            with pytest.raises(openai.NotFoundError, match="assistant, drafter, gpt") as raised:
                await client.models.retrieve(name)
            assert raised.value.code == "model_not_found"


async def test_a_hub_without_agents_says_so(facade: Facade) -> None:
    facade.fake.names = ()
    async with facade.http() as client:
        assert (await client.get("/v1/models")).json()["data"] == []
        answer = await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]})
    assert answer.status_code == 404
    assert "nothing" in answer.json()["error"]["message"]
