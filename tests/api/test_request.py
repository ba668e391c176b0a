"""What a chat completion may hold."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.facade import CHAT, Facade, body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": "false"}, "stream"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"n": 2}, "n"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"tools": {}}, "tools"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"model": "gpt", "messages": [{"role": "me", "content": "x"}]}, "messages[0].role"),
    ],
)
async def test_L6_N11_a_wrong_field_is_a_400_that_names_it(facade: Facade, fields: dict[str, Any], param: str) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(**fields))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert not facade.fake.turns.asks


@pytest.mark.parametrize(
    ("sent", "param", "code", "said"),
    [
        ({}, "messages", "missing_parameter", "Missing required parameter: 'messages'."),
        (
            body(session_id="a\x00b"),
            "session_id",
            "invalid_value",
            "Invalid 'session_id': has characters that are not allowed.",
        ),
    ],
)
async def test_a_wrong_field_is_told_in_words(
    facade: Facade, sent: dict[str, Any], param: str, code: str, said: str
) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, json=sent)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"], error["message"]) == (400, param, code, said)


async def test_L6_unknown_fields_are_accepted(facade: Facade) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(whatever={"x": 1}, metadata=None, temperature=None, tools=None))
    assert answer.status_code == 200
    assert "Warning" not in answer.headers
