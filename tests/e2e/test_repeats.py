"""`Idempotency-Key` on what agents and models answer: done once, the same answer again, whole or streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import func, select

from hub.store.tables import turns
from tests.e2e.here import Here, running_hub
from tests.patience import PATIENCE
from tests.platforms.openai import Answer, Upstream, fail, say

CHAT = "/v1/chat/completions"
KEY = {"Idempotency-Key": "k"}
REPLAYED = "Idempotent-Replayed"
HI: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream, store_url: str) -> AsyncIterator[Here]:
    config: dict[str, Any] = {
        "store": {"url": store_url},
        "models": {"gpt": {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}},
        "agents": {"bot": {"model": "gpt"}, "drafter": {"model": "gpt", "history": "client"}},
        "channels": {"web": {"kind": "web", "agent": "bot"}},
    }
    async with running_hub(tmp_path, config) as hub:
        yield hub


def body(model: str = "bot", text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


async def post(hub: Here, sent: dict[str, Any], path: str = CHAT, **headers: str) -> httpx.Response:
    async with hub.http(**KEY, **headers) as client:
        return await client.post(path, json=sent)


async def made(hub: Here) -> int:
    """How many turns there are."""
    query = select(func.count()).select_from(turns)
    return await hub.store.read(lambda connection: connection.execute(query).scalar_one())


def text(answer: httpx.Response) -> str:
    """What a stream or a whole answer says."""
    if answer.headers["Content-Type"].startswith("application/json"):
        return answer.json()["choices"][0]["message"]["content"]
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    chunks = [json.loads(line) for line in lines]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["bot", "drafter", "gpt"])
async def test_the_same_key_gets_the_same_answer_and_asks_once(
    hub: Here, upstream: Upstream, model: str, stream: bool
) -> None:
    first = await post(hub, body(model, stream=stream))
    again = await post(hub, body(model, stream=stream))
    assert (first.status_code, again.status_code) == (200, 200), again.text
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert text(first) == text(again) == "You said: hi"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["X-Turn-Id"] == first.headers["X-Turn-Id"]
    if not (stream and model == "bot"):
        assert again.content == first.content
    assert again.text.endswith("data: [DONE]\n\n") == stream
    assert (len(upstream.requests), await made(hub)) == (1, 1)


@pytest.mark.parametrize("model", ["bot", "gpt"])
async def test_another_request_under_the_key_is_a_409(hub: Here, upstream: Upstream, model: str) -> None:
    await post(hub, body(model))
    for other in (body(model, "else"), body(model, stream=True), body(model, temperature=1)):
        refused = await post(hub, other)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_key_reused")
    elsewhere = await post(hub, body(model), **{"Session-Id": "other"})
    assert (elsewhere.status_code, len(upstream.requests)) == (409, 1)


async def test_texts_are_embedded_once(hub: Here, upstream: Upstream) -> None:
    sent = {"model": "gpt", "input": ["one", "two"]}
    first, again = [await post(hub, sent, "/v1/embeddings") for _ in range(2)]
    assert (first.status_code, again.headers[REPLAYED], again.content) == (200, "true", first.content)
    assert (len(upstream.requests), await made(hub)) == (1, 1)
    assert (await post(hub, sent | {"input": "else"}, "/v1/embeddings")).status_code == 409


async def test_two_callers_may_use_the_same_key(hub: Here, upstream: Upstream) -> None:
    await post(hub, body())
    other = await post(hub, body(), Authorization=f"Bearer {(await hub.other()).key}")
    assert (other.status_code, REPLAYED in other.headers, len(upstream.requests)) == (200, False, 2)


async def test_a_stream_whose_client_left_is_given_to_it_again(hub: Here, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(Answer(text=("One ", "two."), gate=gate, gate_after=1))
    async with hub.http(**KEY) as client, client.stream("POST", CHAT, json=body(stream=True)) as cut:
        async for line in cut.aiter_lines():
            if "One" in line:
                break
    again = asyncio.create_task(post(hub, body(stream=True)))
    gate.set()
    answer = await asyncio.wait_for(again, PATIENCE)
    assert (text(answer), answer.headers[REPLAYED]) == ("One two.", "true")
    assert (len(upstream.requests), await made(hub)) == (1, 1)
    assert (await hub.over(answer.headers["X-Turn-Id"])).status == "completed"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["bot", "gpt"])
async def test_two_at_once_ask_once(hub: Here, upstream: Upstream, model: str, stream: bool) -> None:
    gate = asyncio.Event()
    upstream.script(Answer(text=("One ", "two."), gate=gate, gate_after=1))
    both = [asyncio.create_task(post(hub, body(model, stream=stream))) for _ in range(2)]
    await upstream.wait_request()
    gate.set()
    first, second = await asyncio.wait_for(asyncio.gather(*both), PATIENCE)
    assert text(first) == text(second) == "One two."
    assert sorted(answer.headers.get(REPLAYED, "") for answer in (first, second)) == ["", "true"]
    assert (len(upstream.requests), await made(hub)) == (1, 1)


async def test_a_model_that_failed_is_asked_again(hub: Here, upstream: Upstream) -> None:
    upstream.script(fail(400), say("Now."))
    assert (await post(hub, body("gpt"))).status_code == 400
    again = await post(hub, body("gpt", "mended"))
    assert (text(again), REPLAYED in again.headers) == ("Now.", False)


async def test_a_models_stream_that_breaks_off_is_not_given_again(hub: Here, upstream: Upstream) -> None:
    upstream.script(Answer(text=("One ", "two"), end="cut"), say("Whole."))
    broken = await post(hub, body("gpt", stream=True))
    assert '"error"' in broken.text
    again = await post(hub, body("gpt", stream=True))
    assert (text(again), REPLAYED in again.headers) == ("Whole.", False)


async def test_a_models_stream_whose_client_left_is_asked_for_again(hub: Here, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(Answer(text=("One ", "two."), gate=gate, gate_after=1), say("Whole."))
    async with hub.http(**KEY) as client, client.stream("POST", CHAT, json=body("gpt", stream=True)) as cut:
        async for line in cut.aiter_lines():
            if "One" in line:
                break
    again = await asyncio.wait_for(post(hub, body("gpt", stream=True)), PATIENCE)
    assert (text(again), len(upstream.requests)) == ("Whole.", 2)


async def test_a_turn_that_failed_stays_so(hub: Here, upstream: Upstream) -> None:
    upstream.script(fail(400), say("not asked for"))
    first, again = await post(hub, body()), await post(hub, body())
    assert first.status_code == again.status_code == 502
    assert (first.json(), again.headers[REPLAYED]) == (again.json(), "true")
    assert (len(upstream.requests), await made(hub)) == (1, 1)


async def test_the_sdk_sends_the_key_with_a_request(hub: Here, upstream: Upstream) -> None:
    async with hub.openai() as client:
        create = client.chat.completions.create
        first = await create(model="bot", messages=HI, extra_headers=KEY)
        assert await create(model="bot", messages=HI, extra_headers=KEY) == first
        with pytest.raises(openai.ConflictError):
            await create(model="bot", messages=HI, extra_headers=KEY, temperature=1)
    assert len(upstream.requests) == 1
