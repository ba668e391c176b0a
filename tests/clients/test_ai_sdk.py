"""The Vercel AI SDK with its two providers for such APIs; what it does stands in tests/clients/node/ai.mjs."""

from __future__ import annotations

import asyncio

import pytest

from tests.clients.lossy import lossy
from tests.clients.nodejs import run
from tests.clients.serving import TOO_LONG, Serving
from tests.platforms.openai import Call, Upstream, call, fail, say

pytestmark = pytest.mark.asyncio(loop_scope="package")
SCRIPT = "ai.mjs"


async def test_an_agent_answers_and_remembers(hub: Serving, key: str) -> None:
    assert await run(SCRIPT, "text", hub.url, key) == ["1 2 3", "stop", 3, "- count to 3\n- what did I say"]


@pytest.mark.parametrize("provider", ["stream", "openai", "responses"])
async def test_a_stream_is_read_to_its_usage(hub: Serving, key: str, provider: str) -> None:
    assert await run(SCRIPT, provider, hub.url, key) == ["1 2 3", "stop", 3]


@pytest.mark.parametrize("scenario", ["tools", "agent"])
async def test_tools_go_round(hub: Serving, key: str, upstream: Upstream, scenario: str) -> None:
    upstream.script(call(Call("weather", ('{"ci', 'ty":"Oslo"}'))), say("Cold."))
    assert await run(SCRIPT, scenario, hub.url, key) == ["Cold.", ["cold in Oslo"]]
    roles = [message["role"] for message in upstream.requests[1].body["messages"]]
    assert [role for role in roles if role != "system"] == ["user", "assistant", "tool"]


async def test_an_answer_in_a_schema_is_parsed(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script('{"city":"Oslo"}')
    assert await run(SCRIPT, "schema", hub.url, key) == {"city": "Oslo"}


async def test_an_image_reaches_the_model(hub: Serving, key: str, upstream: Upstream) -> None:
    assert await run(SCRIPT, "image", hub.url, key) == "You said: What is this?"
    parts = upstream.requests[0].body["messages"][0]["content"]
    assert parts[1]["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgo="


async def test_texts_are_embedded(hub: Serving, key: str) -> None:
    assert await run(SCRIPT, "embed", hub.url, key) == [True, False, 8, 3]


async def test_under_an_idempotency_key_a_retry_does_not_double_a_turn(
    hub: Serving, key: str, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.script(say("Once.", gate=gate), say("Twice."))
    async with lossy(hub.root, upstream.wait_request) as (root, way):
        asking = asyncio.create_task(run(SCRIPT, "retry", f"{root}/v1", key))
        await way.again.wait()
        gate.set()
        assert await asking == "Once."
    assert len(upstream.requests) == 1


async def test_an_error_says_its_status_and_whether_to_try_again(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(fail(429, retry_after=TOO_LONG))
    assert await run(SCRIPT, "errors", hub.url, key) == [[True, 404, False], [True, 429, True]]
