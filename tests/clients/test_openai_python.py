"""The official openai SDK for Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionFunctionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from tests.clients.lossy import lossy
from tests.clients.serving import HI, TOO_LONG, Serving
from tests.platforms.openai import Answer, Call, Upstream, call, fail, say

pytestmark = pytest.mark.asyncio(loop_scope="package")
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


FUNCTION: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object"},
    "strict": False,
}


@pytest_asyncio.fixture(loop_scope="package")
async def client(hub: Serving, key: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=hub.url, api_key=key, max_retries=0) as client:
        yield client


def asked(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def said(
    client: AsyncOpenAI, text: str, body: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> str | None:
    answer = await client.chat.completions.create(
        model="assistant", messages=asked(text), extra_body=body, extra_headers=headers
    )
    return answer.choices[0].message.content


async def test_an_agent_answers_and_remembers(client: AsyncOpenAI) -> None:
    assert await said(client, "count to 3") == "1 2 3"
    assert await said(client, "what did I say") == "- count to 3\n- what did I say"
    assert await said(client, "what did I say", body={"session_id": "other"}) == "- what did I say"
    assert await said(client, "what did I say", headers={"Session-Id": "third"}) == "- what did I say"


async def test_the_sdk_for_threads_works(hub: Serving, key: str) -> None:
    def ask() -> str | None:
        with OpenAI(base_url=hub.url, api_key=key) as client:
            return client.chat.completions.create(model="assistant", messages=HI).choices[0].message.content

    assert await asyncio.to_thread(ask) == "1 2 3"


async def test_a_stream_is_read_to_its_usage(client: AsyncOpenAI) -> None:
    chunks = [
        chunk
        async for chunk in await client.chat.completions.create(
            model="assistant", messages=HI, stream=True, stream_options={"include_usage": True}
        )
    ]
    deltas = [choice for chunk in chunks for choice in chunk.choices]
    assert deltas[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in deltas) == "1 2 3"
    assert [choice.finish_reason for choice in deltas if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 3


async def test_the_helper_for_streams_puts_the_answer_together(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="assistant", messages=HI) as stream:
        texts = [event.delta async for event in stream if event.type == "content.delta"]
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.content == "".join(texts) == "1 2 3"


async def test_tools_go_round(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(call(Call("weather", '{"city":"Oslo"}'), Call("weather", '{"city":"Rome"}')), say("Cold, warm."))
    first = await client.chat.completions.create(model="gpt", messages=asked("How is it?"), tools=[WEATHER])
    calls = first.choices[0].message.tool_calls or []
    assert first.choices[0].finish_reason == "tool_calls"
    assert [each.function.arguments for each in calls if each.type == "function"] == [
        '{"city":"Oslo"}',
        '{"city":"Rome"}',
    ]
    results: list[Any] = [{"role": "tool", "tool_call_id": each.id, "content": "5"} for each in calls]
    messages: list[Any] = [*asked("How is it?"), first.choices[0].message, *results]
    last = await client.chat.completions.create(model="gpt", messages=messages, tools=[WEATHER])
    assert last.choices[0].message.content == "Cold, warm."
    assert [message["role"] for message in upstream.requests[1].body["messages"]] == [
        *("user", "assistant", "tool", "tool"),
    ]


async def test_tool_calls_are_streamed(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(Answer(text=("Let me see.",), calls=(Call("weather", ('{"ci', 'ty":"Oslo"}')),)))
    async with client.chat.completions.stream(
        model="drafter", messages=asked("How is it?"), tools=[openai.pydantic_function_tool(Weather, name="weather")]
    ) as stream:
        done = [event async for event in stream if event.type == "tool_calls.function.arguments.done"]
        answer = await stream.get_final_completion()
    assert [event.parsed_arguments for event in done] == [Weather(city="Oslo")]
    assert answer.choices[0].message.content == "Let me see."


class Weather(BaseModel):
    city: str


async def test_an_answer_in_a_schema_is_parsed(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script('{"city":"Oslo"}')
    answer = await client.chat.completions.parse(model="gpt", messages=asked("Where?"), response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Oslo")
    assert upstream.requests[0].body["response_format"]["type"] == "json_schema"


async def test_a_file_is_uploaded_used_and_deleted(client: AsyncOpenAI, upstream: Upstream) -> None:
    made = await client.files.create(file=("note.txt", b"tea costs 3.50"), purpose="user_data")
    assert (await client.files.content(made.id)).content == b"tea costs 3.50"
    assert [each.id async for each in client.files.list()] == [made.id]
    part: Any = {"type": "file", "file": {"file_id": made.id}}
    await client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": [part]}])
    assert "tea costs 3.50" in str(upstream.requests[0].body["messages"])
    assert (await client.files.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(made.id)


async def test_a_recording_is_written_down(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script("Tea at five.")
    made = await client.audio.transcriptions.create(model="scribe", file=("note.ogg", b"OggS rest", "audio/ogg"))
    assert made.text == "Tea at five."
    assert upstream.requests[0].body["file"]["content"] == b"OggS rest"


@pytest.mark.parametrize("model", ["assistant", "demo"])
async def test_a_response_is_continued(client: AsyncOpenAI, model: str) -> None:
    first = await client.responses.create(model=model, input="count to 3")
    assert first.output_text == "1 2 3"
    second = await client.responses.create(model=model, input="what did I say", previous_response_id=first.id)
    assert second.output_text == "- count to 3\n- what did I say"
    assert (await client.responses.retrieve(first.id)).output_text == "1 2 3"
    await client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(first.id)


async def test_a_response_is_streamed(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="assistant", input="count to 3") as stream:
        texts = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        response = await stream.get_final_response()
    assert response.output_text == "".join(texts) == "1 2 3"
    assert response.usage
    assert response.usage.output_tokens == 3


def roles(upstream: Upstream, number: int) -> list[str]:
    """Who speaks in what the upstream was told, but for what an agent is told of itself."""
    spoken = [message["role"] for message in upstream.requests[number].body["messages"]]
    return [role for role in spoken if role != "system"]


@pytest.mark.parametrize("model", ["gpt", "writer"])
async def test_functions_of_a_response_go_round(client: AsyncOpenAI, upstream: Upstream, model: str) -> None:
    upstream.script(call(Call("weather", '{"city":"Oslo"}', id="c1")), say("Cold."))
    first = await client.responses.create(model=model, input="How is it?", tools=[FUNCTION])
    [called] = [item for item in first.output if item.type == "function_call"]
    result: Any = {"type": "function_call_output", "call_id": called.call_id, "output": "5"}
    second = await client.responses.create(model=model, input=[result], previous_response_id=first.id, tools=[FUNCTION])
    assert (called.arguments, second.output_text) == ('{"city":"Oslo"}', "Cold.")
    assert roles(upstream, 1) == ["user", "assistant", "tool"]


async def test_a_retry_of_the_sdk_tells_an_agent_once_what_a_function_returned(
    hub: Serving, key: str, client: AsyncOpenAI, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.script(call(Call("weather", id="c1")), say("Once.", gate=gate), say("Twice."))
    first = await client.responses.create(model="writer", input="How is it?", tools=[FUNCTION])
    result: Any = {"type": "function_call_output", "call_id": "c1", "output": "5"}
    async with (
        lossy(hub.root, lambda: upstream.wait_request(2)) as (root, way),
        AsyncOpenAI(base_url=f"{root}/v1", api_key=key, max_retries=2) as other,
    ):
        asking = asyncio.create_task(
            other.responses.create(model="writer", input=[result], previous_response_id=first.id, tools=[FUNCTION])
        )
        await way.again.wait()
        gate.set()
        answer = await asking
    assert (answer.output_text, len(upstream.requests)) == ("Once.", 2)
    await client.responses.create(model="writer", input="Thanks.", previous_response_id=answer.id)
    assert roles(upstream, 2) == ["user", "assistant", "tool", "assistant", "user"]


async def test_a_long_run_goes_on_in_the_background(client: AsyncOpenAI, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(say("At last.", gate=gate))
    begun = await client.responses.create(model="writer", input="Take your time.", background=True)
    assert begun.status in ("queued", "in_progress")
    await upstream.wait_request()
    gate.set()
    async for _ in await client.responses.retrieve(begun.id, stream=True):
        pass
    assert (await client.responses.retrieve(begun.id)).output_text == "At last."


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}, {"dimensions": 4}])
async def test_texts_are_embedded(client: AsyncOpenAI, options: dict[str, Any]) -> None:
    made = await client.embeddings.create(model="embedder", input=["tea", "coffee", "tea"], **options)
    tea, coffee, again = (each.embedding for each in made.data)
    assert tea == again != coffee
    assert len(tea) == options.get("dimensions", 8)
    assert made.usage.total_tokens == 3


async def test_models_are_listed_and_found(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert names == ["assistant", "writer", "drafter", "demo", "gpt", "embedder", "scribe"]
    assert (await client.models.retrieve("drafter")).owned_by == "bothub"


@pytest.mark.parametrize(
    ("error", "model", "options", "code"),
    [
        (openai.BadRequestError, "assistant", {"temperature": 7}, "invalid_value"),
        (openai.NotFoundError, "nobody", {}, "model_not_found"),
        (openai.RateLimitError, "gpt", {}, "upstream_429"),
        (openai.InternalServerError, "gpt", {}, "upstream_500"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_is_the_exception_of_its_kind(
    client: AsyncOpenAI,
    upstream: Upstream,
    error: type[openai.APIStatusError],
    model: str,
    options: dict[str, Any],
    code: str,
    stream: bool,
) -> None:
    if code.startswith("upstream_"):
        upstream.script(fail(int(code.removeprefix("upstream_")), retry_after=TOO_LONG))
    with pytest.raises(error) as raised:
        await client.chat.completions.create(model=model, messages=HI, stream=stream, **options)
    assert raised.value.code == code
    assert raised.value.message


async def test_a_key_that_is_wrong_or_may_not_is_told_so(hub: Serving, client: AsyncOpenAI) -> None:
    wrong = client.with_options(api_key="sk-nobody")
    with pytest.raises(openai.AuthenticationError) as unknown:
        await wrong.chat.completions.create(model="assistant", messages=HI)
    assert unknown.value.code == "invalid_api_key"
    reader = client.with_options(api_key=await hub.key("read"))
    with pytest.raises(openai.PermissionDeniedError) as lacking:
        await reader.chat.completions.create(model="assistant", messages=HI)
    assert lacking.value.code == "missing_scope"


async def test_an_error_inside_a_stream_is_raised(client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(Answer(text=("Once ", "upon"), end="cut"))
    heard: list[str] = []

    async def listen() -> None:
        async for chunk in await client.chat.completions.create(model="gpt", messages=HI, stream=True):
            heard.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(openai.APIError):
        await listen()
    assert "".join(heard) == "Once upon"


async def test_a_retry_of_the_sdk_does_not_double_a_turn(hub: Serving, key: str, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(say("Once.", gate=gate), say("Twice."))
    async with (
        lossy(hub.root, upstream.wait_request) as (root, way),
        AsyncOpenAI(base_url=f"{root}/v1", api_key=key, max_retries=2) as client,
    ):
        asking = asyncio.create_task(client.chat.completions.create(model="writer", messages=HI))
        await way.again.wait()
        gate.set()
        answer = await asking
    assert answer.choices[0].message.content == "Once."
    assert len(upstream.requests) == 1
