"""Parameters: the known ones are checked alike wherever they are sent, with OpenAI's words; others are accepted."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from hub.model import Chunk
from tests.api.facade import CHAT, HI, TOOLS, Facade, body
from tests.api.fake_hub import ASSISTANT

ASSISTANTS = f"/api/v1/assistants/{ASSISTANT}/v1/chat/completions"
WHERE = [(CHAT, "assistant"), (CHAT, "drafter"), (CHAT, "gpt"), (ASSISTANTS, "")]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": True}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def tool(**function: Any) -> list[Any]:
    return [{"type": "function", "function": function}]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (
        {"temperature": 2.5},
        "temperature",
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
    ),
    (
        {"temperature": -0.1},
        "temperature",
        "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -0.1 instead.",
    ),
    (
        {"temperature": "hot"},
        "temperature",
        "Invalid type for 'temperature': expected a decimal, but got a string instead.",
    ),
    ({"top_p": 1.1}, "top_p", "Expected a value <= 1, but got 1.1 instead."),
    ({"max_tokens": 0}, "max_tokens", "integer below minimum value. Expected a value >= 1, but got 0 instead."),
    ({"max_completion_tokens": 1.5}, "max_completion_tokens", "expected an integer, but got a decimal instead."),
    ({"presence_penalty": 2.1}, "presence_penalty", "Expected a value <= 2"),
    ({"frequency_penalty": -2.1}, "frequency_penalty", "Expected a value >= -2"),
    ({"stop": ["a"] * 5}, "stop", "Invalid 'stop': array too long. Expected an array with maximum length 4."),
    ({"stop": 5}, "stop", "expected one of a string or an array, but got an integer instead."),
    ({"stop": ["a", 1]}, "stop[1]", "expected a string"),
    ({"n": 2}, "n", "integer above maximum value. Expected a value <= 1, but got 2 instead."),
    ({"n": 0}, "n", "integer below minimum value"),
    ({"seed": "x"}, "seed", "expected an integer"),
    ({"seed": 10**30}, "seed", "integer above maximum value"),
    ({"logprobs": 1}, "logprobs", "expected a boolean, but got an integer instead."),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "Expected a value <= 20"),
    ({"top_logprobs": 2}, "top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is true."),
    ({"logit_bias": {"50256": 101}}, "logit_bias", "Expected a value <= 100"),
    ({"response_format": "json"}, "response_format", "expected an object, but got a string instead."),
    ({"response_format": {}}, "response_format.type", "Missing required parameter: 'response_format.type'."),
    (
        {"response_format": {"type": "xml"}},
        "response_format.type",
        "Invalid value for 'response_format.type': 'xml'. Supported values are: 'text', 'json_object', 'json_schema'.",
    ),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "Missing required parameter"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
        "response_format.json_schema.name",
        "characters that are not allowed",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": []}}},
        "response_format.json_schema.schema",
        "expected an object, but got an array instead.",
    ),
    ({"stream": "false"}, "stream", "Invalid type for 'stream': expected a boolean, but got a string instead."),
    ({"stream": 1}, "stream", "expected a boolean"),
    (
        {"stream_options": {"include_usage": True}},
        "stream_options",
        "The 'stream_options' parameter is only allowed when 'stream' is true.",
    ),
    ({"stream": True, "stream_options": {"include_usage": "yes"}}, "stream_options.include_usage", "a boolean"),
    ({"reasoning_effort": "huge"}, "reasoning_effort", "'huge'. Supported values are: 'high', 'low', 'max', 'medium'"),
    ({"thinking": {"type": "on"}}, "thinking.type", "Supported values are: 'adaptive', 'auto', 'disabled', 'enabled'."),
    ({"thinking": {"type": "enabled", "budget_tokens": 0}}, "thinking.budget_tokens", "below minimum value"),
    ({"tools": "f"}, "tools", "expected an array, but got a string instead."),
    ({"tools": TOOLS * 129}, "tools", "array too long. Expected an array with maximum length 128."),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "Missing required parameter: 'tools[0].function'."),
    (
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        "tools[0].type",
        "Invalid value for 'tools[0].type': 'custom'. Supported values are: 'function'.",
    ),
    ({"tools": tool(description="d")}, "tools[0].function.name", "Missing required parameter"),
    ({"tools": tool(name="a b")}, "tools[0].function.name", "characters that are not allowed"),
    ({"tools": tool(name="f" * 65)}, "tools[0].function.name", "string too long"),
    ({"tools": tool(name="f", parameters="{}")}, "tools[0].function.parameters", "expected an object"),
    ({"tools": tool(name="f", strict="no")}, "tools[0].function.strict", "expected a boolean"),
    ({"tool_choice": "some"}, "tool_choice", "'some'. Supported values are: 'auto', 'none', 'required'."),
    ({"tool_choice": "required"}, "tool_choice", "'required' is only allowed when 'tools' are specified."),
    (
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice",
        "there is no function 'g' in 'tools'.",
    ),
    ({"tools": TOOLS, "tool_choice": {"type": "function"}}, "tool_choice.function", "Missing required parameter"),
    ({"tool_choice": {"type": {}}}, "tool_choice.type", "expected a string, but got an object instead."),
    ({"tool_choice": {"type": None}}, "tool_choice.type", "expected a string, but got null instead."),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls", "expected a boolean"),
    ({"metadata": {"a": 1}}, "metadata", "expected a string, but got an integer instead."),
    ({"metadata": {"a" * 65: "b"}}, "metadata", "string too long. Expected a string with maximum length 64."),
    ({"metadata": {"a": "b" * 513}}, "metadata", "string too long. Expected a string with maximum length 512."),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "too many properties"),
    ({"user": 7}, "user", "expected a string"),
    ({"bothub": {"tools": "yes"}}, "bothub.tools", "expected a boolean"),
]


@pytest.mark.parametrize(("fields", "param", "said"), WRONG, ids=[str(fields)[:60] for fields, _, _ in WRONG])
async def test_L6_a_known_parameter_that_is_wrong_is_a_400_wherever_it_is_sent(
    facade: Facade, fields: dict[str, Any], param: str, said: str
) -> None:
    async with facade.http() as client:
        answers = [await client.post(path, json=body(**fields) | {"model": model}) for path, model in WHERE]
    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
        assert said in error["message"]
    assert not facade.fake.turns.asks
    assert not facade.fake.models.calls


RIGHT: dict[str, Any] = {
    "temperature": 0,
    "top_p": 1,
    "max_tokens": 1,
    "max_completion_tokens": 1,
    "stop": [],
    "presence_penalty": -2,
    "frequency_penalty": 2,
    "logit_bias": {"1": -100},
    "seed": -5,
    "response_format": SCHEMA,
    "verbosity": "low",
    "parallel_tool_calls": False,
    "reasoning_effort": "none",
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}
BESIDE: dict[str, Any] = {"metadata": {"a": "b"}, "user": "u", "whatever": [1], "top_k": 3, "store": False}


async def test_L6_agents_honour_the_parameters_that_are_right(facade: Facade) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(**RIGHT, **BESIDE, n=1, logprobs=False))
    assert answer.status_code == 200
    assert facade.fake.turns.asks[0].params == RIGHT


@pytest.mark.parametrize(("path", "model"), WHERE[1:])
async def test_L6_B1_every_parameter_reaches_a_model_as_it_is(facade: Facade, path: str, model: str) -> None:
    facade.fake.models.chunks = (Chunk(text="ok"),)
    asked = {**RIGHT, **BESIDE, "logprobs": True, "top_logprobs": 2, "tool_choice": "required"}
    async with facade.http() as client:
        answer = await client.post(path, json=body(**asked, tools=TOOLS) | {"model": model})
    assert answer.status_code == 200
    assert facade.fake.models.calls[0].completion.params == asked
    assert facade.fake.models.calls[0].completion.tools == TOOLS


@pytest.mark.parametrize("asked", [{"logprobs": True}, {"logprobs": True, "top_logprobs": 3}])
async def test_L6_an_agent_that_remembers_refuses_what_it_cannot_honour(facade: Facade, asked: dict[str, Any]) -> None:
    async with facade.openai() as client:
        with pytest.raises(openai.BadRequestError, match="log probabilities") as raised:
            await client.chat.completions.create(model="assistant", messages=HI, **asked)
    assert raised.value.param == "logprobs"
    assert not facade.fake.turns.asks


async def test_a_parameter_that_is_null_is_not_given(facade: Facade) -> None:
    async with facade.http() as client:
        answer = await client.post(
            CHAT, json=body(**dict.fromkeys([*RIGHT, *BESIDE, "tools", "tool_choice", "logprobs"]))
        )
    assert answer.status_code == 200
    assert facade.fake.turns.asks[0].params == {}


CUT: list[tuple[dict[str, Any], str]] = [
    ({"role": "assistant", "tool_calls": {}}, "messages[1].tool_calls"),
    ({"role": "assistant", "tool_calls": [{**CALL, "id": 7}]}, "messages[1].tool_calls[0].id"),
    ({"role": "assistant", "tool_calls": [{"id": "c1"}]}, "messages[1].tool_calls[0].function"),
    (
        {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]},
        "messages[1].tool_calls[0].function.arguments",
    ),
    ({"role": "tool", "content": "x"}, "messages[1].tool_call_id"),
]


@pytest.mark.parametrize("model", ["drafter", "gpt"])
@pytest.mark.parametrize(("message", "param"), CUT)
async def test_a_call_or_result_that_is_not_whole_is_a_400(
    facade: Facade, model: str, message: dict[str, Any], param: str
) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(model=model, messages=[*HI, message]))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert not facade.fake.models.calls


async def test_a_round_of_calls_is_taken(facade: Facade) -> None:
    facade.fake.models.chunks = (Chunk(text="ok"),)
    called = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    messages = [*HI, called, {"role": "tool", "tool_call_id": "c1", "content": "x"}]
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(model="gpt", messages=messages))
    assert answer.status_code == 200
    assert facade.fake.models.calls[0].completion.messages == messages


@pytest.mark.parametrize(("sent", "said"), [("[]", "an array"), ('"x"', "a string"), ("null", "null")])
async def test_a_body_that_is_no_object_is_told_so(facade: Facade, sent: str, said: str) -> None:
    async with facade.http() as client:
        error = (await client.post(CHAT, content=sent)).json()["error"]
    assert error["message"] == f"Invalid type for the body: expected an object, but got {said} instead."
    assert error["param"] is None
