"""POST /v1/embeddings, by the official SDK, in front of real models."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from sqlalchemy import select

from api.openai.embeddings import LONGEST, MOST
from hub.accounts.turns import TurnRecord
from hub.model import Usage
from hub.store.tables import turns
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config
from tests.platforms.openai import Upstream, fail


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Here]:
    models = {
        "demo": {"provider": "demo"},
        "ada": {"provider": "openai", "base_url": upstream.base_url, "model": "text-embedding-x"},
        "claude": {"provider": "anthropic", "api_key": "k", "model": "c"},
    }
    agents = {"assistant": {"model": "demo"}, "drafter": {"model": "demo", "history": "client"}}
    async with running_hub(tmp_path, demo_config(models=models, agents=agents)) as hub:
        yield hub


async def recorded(hub: Here) -> TurnRecord:
    """The only turn there is, once it is stored."""
    ids: list[str] = []

    async def there() -> bool:
        ids[:] = await hub.store.read(lambda connection: list(connection.execute(select(turns.c.id)).scalars()))
        return bool(ids)

    await hub.store.until(there)
    return await hub.over(*ids)


async def test_B3_a_string_and_a_list_have_a_vector_each(hub: Here, client: AsyncOpenAI) -> None:
    one = await client.embeddings.create(model="demo", input="the red house")
    many = await client.embeddings.create(model="demo", input=["The red car", "the red house"])
    assert [each.index for each in many.data] == [0, 1]
    assert many.data[1].embedding == one.data[0].embedding
    assert (one.object, one.model, one.usage.prompt_tokens, many.usage.total_tokens) == ("list", "demo", 3, 6)


async def test_numbers_and_base64_are_the_same_vector(hub: Here, client: AsyncOpenAI, upstream: Upstream) -> None:
    for model in ("demo", "ada"):
        plain = await client.embeddings.create(model=model, input="hi", dimensions=4, encoding_format="float")
        coded: Any = await client.embeddings.create(model=model, input="hi", dimensions=4, encoding_format="base64")
        numbers = struct.unpack("<4f", base64.b64decode(coded.data[0].embedding))
        assert numbers == pytest.approx(plain.data[0].embedding)
    assert {request.body["dimensions"] for request in upstream.requests} == {4}


async def test_tokens_are_handed_on_as_tokens(hub: Here, client: AsyncOpenAI, upstream: Upstream) -> None:
    await client.embeddings.create(model="ada", input=[1, 2, 3])
    await client.embeddings.create(model="ada", input=[[1, 2], [3]])
    assert [request.body["input"] for request in upstream.requests] == [[[1, 2, 3]], [[1, 2], [3]]]
    words = await client.embeddings.create(model="demo", input="1 2 3")
    tokens = await client.embeddings.create(model="demo", input=[1, 2, 3])
    assert tokens == words


async def test_what_it_used_is_recorded_as_a_turn(hub: Here, client: AsyncOpenAI) -> None:
    answer = await client.embeddings.with_raw_response.create(
        model="demo", input="two words", extra_headers={"Session-Id": "index"}
    )
    record = await hub.over(answer.headers["X-Turn-Id"])
    assert (record.status, record.agent, record.model) == ("completed", None, "demo")
    assert (record.session_id, record.usage) == ("index", Usage(prompt=2))
    async with hub.http() as mine, (await hub.other()).http() as theirs:
        assert (await mine.get(f"/api/v1/turns/{record.id}")).json()["usage"]["prompt_tokens"] == 2
        assert (await theirs.get(f"/api/v1/turns/{record.id}")).status_code == 404


async def test_an_upstream_that_fails_is_told_and_recorded(hub: Here, client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(fail(400, "too many tokens"))
    with pytest.raises(openai.BadRequestError, match="too many tokens") as raised:
        await client.embeddings.create(model="ada", input="hi")
    assert raised.value.code == "upstream_400"
    record = await recorded(hub)
    assert (record.status, record.error_code, record.usage) == ("failed", "upstream_400", Usage())


async def test_a_client_that_goes_away_stops_the_upstream(hub: Here, client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.hold = True
    asking = asyncio.create_task(client.embeddings.create(model="ada", input="two words"))
    await upstream.wait_held()
    asking.cancel()
    await upstream.wait_disconnect()
    record = await recorded(hub)
    assert (record.status, record.usage.estimated) == ("cancelled", True)


async def test_B3_what_cannot_embed_is_named_with_those_that_can(client: AsyncOpenAI) -> None:
    for model in ("assistant", "drafter", "claude"):
        with pytest.raises(openai.BadRequestError, match=f"'{model}' cannot embed texts; of .* demo, ada can") as no:
            await client.embeddings.create(model=model, input="hi")
        assert (no.value.param, no.value.code) == ("model", "unsupported_model")


async def test_B3_an_unknown_model_is_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="ada"):
        await client.embeddings.create(model="nobody", input="hi")


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"input": ""}, "input[0]"),
    ({"input": []}, "input"),
    ({"input": ["a"] * (MOST + 1)}, "input"),
    ({"input": ["a", 1]}, "input[1]"),
    ({"input": [1, "a"]}, "input[1]"),
    ({"input": [[]]}, "input[0]"),
    ({"input": [-1]}, "input[0]"),
    ({"input": None}, "input"),
    ({"input": {"text": "a"}}, "input"),
    ({}, "input"),
    ({"input": "a", "dimensions": 0}, "dimensions"),
    ({"input": "a", "dimensions": LONGEST + 1}, "dimensions"),
    ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
]


async def test_what_is_wrong_is_named(hub: Here) -> None:
    async with hub.http() as http:
        for fields, param in MISTAKES:
            answer = await http.post("/v1/embeddings", json={"model": "demo", **fields})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
