"""The official openai SDK for Node; what it does stands in tests/clients/node/openai.mjs."""

from __future__ import annotations

import asyncio

import pytest

from tests.clients.lossy import lossy
from tests.clients.nodejs import run
from tests.clients.serving import TOO_LONG, Serving
from tests.platforms.openai import Call, Upstream, call, fail, say

pytestmark = pytest.mark.asyncio(loop_scope="package")
SCRIPT = "openai.mjs"


async def test_an_agent_answers_and_remembers(hub: Serving, key: str) -> None:
    assert await run(SCRIPT, "chat", hub.url, key) == ["1 2 3", "- count to 3\n- what did I say", 3]


async def test_a_stream_is_read_to_its_usage(hub: Serving, key: str) -> None:
    assert await run(SCRIPT, "stream", hub.url, key) == {"text": "1 2 3", "finish": ["stop"], "usage": 3}


async def test_the_runner_of_tools_goes_round(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(call(Call("weather", ('{"ci', 'ty":"Oslo"}'))), say("Cold."))
    assert await run(SCRIPT, "tools", hub.url, key) == ["Cold.", "cold in Oslo"]
    assert [message["role"] for message in upstream.requests[1].body["messages"]] == ["user", "assistant", "tool"]


async def test_an_answer_in_a_schema_is_parsed(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script('{"city":"Oslo"}')
    assert await run(SCRIPT, "schema", hub.url, key) == {"city": "Oslo"}


async def test_a_file_is_uploaded_used_and_deleted(hub: Serving, key: str, upstream: Upstream) -> None:
    assert await run(SCRIPT, "files", hub.url, key) == ["note.txt", "tea costs 3.50", True]
    assert "tea costs 3.50" in str(upstream.requests[0].body["messages"])


async def test_a_recording_is_written_down(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script("Tea at five.")
    assert await run(SCRIPT, "transcription", hub.url, key) == "Tea at five."


async def test_a_response_is_continued_and_streamed(hub: Serving, key: str) -> None:
    said = "- count to 3\n- what did I say"
    assert await run(SCRIPT, "responses", hub.url, key) == ["1 2 3", said, said]


async def test_texts_are_embedded(hub: Serving, key: str) -> None:
    assert await run(SCRIPT, "embed", hub.url, key) == [True, False, 8, 3]


async def test_models_are_listed_and_found(hub: Serving, key: str) -> None:
    names = ["assistant", "writer", "drafter", "demo", "gpt", "embedder", "scribe"]
    assert await run(SCRIPT, "models", hub.url, key) == [names, "bothub"]


async def test_an_error_is_the_exception_of_its_kind(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(fail(429, retry_after=TOO_LONG), fail(500, retry_after=TOO_LONG))
    assert await run(SCRIPT, "errors", hub.url, key) == [
        {"name": "BadRequestError", "status": 400, "code": "invalid_value", "param": "temperature"},
        {"name": "AuthenticationError", "status": 401, "code": "invalid_api_key", "param": None},
        {"name": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"},
        {"name": "RateLimitError", "status": 429, "code": "upstream_429", "param": None},
        {"name": "InternalServerError", "status": 502, "code": "upstream_500", "param": None},
    ]


async def test_a_retry_of_the_sdk_does_not_double_a_turn(hub: Serving, key: str, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(say("Once.", gate=gate), say("Twice."))
    async with lossy(hub.root, upstream.wait_request) as (root, way):
        asking = asyncio.create_task(run(SCRIPT, "retry", f"{root}/v1", key))
        await way.again.wait()
        gate.set()
        assert await asking == "Once."
    assert len(upstream.requests) == 1
