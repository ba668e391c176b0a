"""What a request for a response may hold."""

from __future__ import annotations

from typing import Any

import pytest

from api import sse
from tests.responses.serving import Serving

pytestmark = pytest.mark.asyncio(loop_scope="package")

HOSTED = {"type": "web_search"}
SCHEMA = {"type": "json_schema", "name": "s"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"role": "me", "content": "hi"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "film"}]}]}, "input[0].content[0]"),
        ({"model": "gpt", "input": [{"role": "user", "content": [{"type": "film"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 7}]}, "input[0].output"),
        ({"stream": "true"}, "stream"),
        ({"background": 1}, "background"),
        ({"background": True, "store": False}, "background"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["everything"]}, "include[0]"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"truncation": "some"}, "truncation"),
        ({"reasoning": {"effort": "most"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": SCHEMA | {"name": "a b"}}}, "text.format.name"),
        ({"text": {"verbosity": "some"}}, "text.verbosity"),
        ({"tools": [HOSTED]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": HOSTED}, "tool_choice.type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"conversation": "c", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "a\nb"}, "conversation"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"model": "gpt", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"model": "nobody"}, "model"),
    ],
)
async def test_a_wrong_field_is_told_by_its_name(hub: Serving, fields: dict[str, Any], param: str) -> None:
    async with hub.http() as client:
        answer = await client.post("/v1/responses", json={"model": "assistant", "input": "hi", **fields})
    assert answer.status_code == (404 if param == "model" else 400), answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["type"] in ("invalid_request_error", "not_found_error")


async def test_a_hosted_tool_is_named(hub: Serving) -> None:
    async with hub.http() as client:
        answer = await client.post("/v1/responses", json={"model": "gpt", "input": "hi", "tools": [HOSTED]})
    assert "web_search" in answer.json()["error"]["message"]
    assert answer.json()["error"]["code"] == "unsupported_tool"


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("?stream=maybe", "stream"),
        ("?stream=true&starting_after=-1", "starting_after"),
        ("?stream=true&starting_after=x", "starting_after"),
        ("/input_items?limit=0", "limit"),
        ("/input_items?order=up", "order"),
        ("/input_items?after=nothing", "after"),
    ],
)
async def test_a_wrong_parameter_is_told_by_its_name(hub: Serving, path: str, param: str) -> None:
    async with hub.http() as client:
        begun = await client.post("/v1/responses", json={"model": "assistant", "input": "hi"})
        answer = await client.get(f"/v1/responses/{begun.json()['id']}{path}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("id", ["resp_nothing", "nothing", "chatcmpl-1"])
async def test_a_response_that_is_not_there_is_a_404(hub: Serving, id: str) -> None:
    async with hub.http() as client:
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            answer = await client.request(method, f"/v1/responses/{id}{path}")
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "response_not_found"


def events_of(text: str) -> str:
    """A stream without its comments."""
    return text.replace(sse.KEEP_ALIVE.decode(), "")


@pytest.mark.parametrize("model", ["assistant", "gpt"])
@pytest.mark.parametrize("more", [{}, {"stream": True}, {"background": True}])
async def test_a_request_is_answered_once_under_its_key(hub: Serving, model: str, more: dict[str, Any]) -> None:
    body = {"model": model, "input": "count to 3", "conversation": f"once {model} {more}", **more}
    key = {"Idempotency-Key": f"{model} {more}"}
    async with hub.http() as client:
        first, again = [await client.post("/v1/responses", json=body, headers=key) for _ in range(2)]
        other = await client.post("/v1/responses", json={**body, "input": "count to 4"}, headers=key)
    assert first.status_code == again.status_code == 200, first.text
    assert first.headers["X-Turn-Id"] == again.headers["X-Turn-Id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    if "background" not in more:
        assert events_of(first.text) == events_of(again.text)
    assert other.status_code == 409
