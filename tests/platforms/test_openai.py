"""The local upstream, as the official client sees it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest
from openai import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
    AuthenticationError,
    DefaultAioHttpClient,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.platforms.openai import Answer, Call, Failure, Step, Upstream, Usage, call, echo, fail, say

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]


@pytest.fixture(params=["httpx", "aiohttp"])
async def client(upstream: Upstream, request: pytest.FixtureRequest) -> AsyncIterator[AsyncOpenAI]:
    http = DefaultAioHttpClient() if request.param == "aiohttp" else None
    async with AsyncOpenAI(base_url=upstream.base_url, api_key="key", max_retries=0, http_client=http) as client:
        yield client


async def stream(client: AsyncOpenAI, **more: Any) -> AsyncStream[ChatCompletionChunk]:
    return await client.chat.completions.create(model="gpt-test", messages=ASK, stream=True, **more)


def text(chunks: list[ChatCompletionChunk]) -> list[str]:
    return [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]


class TestCompletions:
    async def test_echo_without_a_script(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        completion = await client.chat.completions.create(model="gpt-test", messages=ASK)
        assert completion.choices[0].message.content == "You said: hello there"
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (2, 4)
        [request] = upstream.requests
        assert request.headers["authorization"] == "Bearer key"
        assert request.body["messages"] == ASK

    async def test_answers_in_the_order_of_the_script(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script("one", say("t", "wo"), lambda request: request.last_text.upper())
        answers = [await client.chat.completions.create(model="m", messages=ASK) for _ in range(4)]
        contents = [answer.choices[0].message.content for answer in answers]
        assert contents == ["one", "two", "HELLO THERE", "You said: hello there"]

    async def test_calls_and_reasoning(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(Answer(reasoning=("Let me", " see"), calls=(Call("look", ('{"at"', ": 1}"), id="c1"),)))
        completion = await client.chat.completions.create(model="m", messages=ASK)
        message = completion.choices[0].message
        assert message.content is None
        assert message.model_extra == {"reasoning_content": "Let me see"}
        assert message.tool_calls
        [tool] = message.tool_calls
        assert tool.type == "function"
        assert (tool.id, tool.function.name, tool.function.arguments) == ("c1", "look", '{"at": 1}')
        assert completion.choices[0].finish_reason == "tool_calls"

    async def test_usage_given_or_never(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(
            Answer(text=("a",), usage=Usage(prompt=9, completion=7, cached=5, reasoning=3)),
            Answer(text=("a",), usage="never"),
        )
        told = (await client.chat.completions.create(model="m", messages=ASK)).usage
        assert told
        assert told.prompt_tokens_details
        assert told.completion_tokens_details
        assert (told.total_tokens, told.prompt_tokens_details.cached_tokens) == (16, 5)
        assert told.completion_tokens_details.reasoning_tokens == 3
        assert (await client.chat.completions.create(model="m", messages=ASK)).usage is None


class TestStreams:
    async def test_chunks_as_they_were_scripted(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(say("Hel", "lo ", "字😀"))
        chunks = [chunk async for chunk in await stream(client)]
        assert text(chunks) == ["", "Hel", "lo ", "字😀", ""]
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert len({chunk.id for chunk in chunks}) == 1
        assert not any(chunk.usage for chunk in chunks)

    async def test_usage_comes_last_when_asked_for(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(say("one two"), Answer(text=("one two",), usage="never"))
        options = {"include_usage": True}
        [*rest, last] = [chunk async for chunk in await stream(client, stream_options=options)]
        assert last.usage
        assert (last.choices, last.usage.completion_tokens) == ([], 2)
        assert not any(chunk.usage for chunk in rest)
        assert not any([chunk.usage async for chunk in await stream(client, stream_options=options)])

    async def test_parallel_calls_in_fragments(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(call(Call("look", '{"at": 1}'), Call("post", ('{"to"', ":", ' "me"}'))))
        chunks = [chunk async for chunk in await stream(client)]
        tools = [tool for chunk in chunks for tool in chunk.choices[0].delta.tool_calls or ()]
        starts = [(tool.index, tool.id, tool.function.name) for tool in tools if tool.id and tool.function]
        assert starts == [(0, "call_0", "look"), (1, "call_1", "post")]
        fragments = [[t.function.arguments or "" for t in tools if t.index == n and t.function] for n in (0, 1)]
        assert list(map("".join, fragments)) == ['{"at": 1}', '{"to": "me"}']
        assert [len(pieces) for pieces in fragments] == [3, 4]
        assert chunks[-1].choices[0].finish_reason == "tool_calls"

    async def test_reasoning_comes_before_text(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(Answer(reasoning=("Hm", "m"), text=("Yes",)))
        deltas = [chunk.choices[0].delta async for chunk in await stream(client)]
        assert [delta.model_extra for delta in deltas[1:3]] == [{"reasoning_content": "Hm"}, {"reasoning_content": "m"}]
        assert deltas[3].content == "Yes"

    async def test_a_gate_holds_the_rest(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        gate = asyncio.Event()
        upstream.script(say("one", "two", gate=gate, gate_after=1))
        chunks = await stream(client)
        assert text([await anext(chunks), await anext(chunks)]) == ["", "one"]
        gate.set()
        assert text([chunk async for chunk in chunks]) == ["two", ""]

    async def test_a_gate_after_all_chunks_holds_the_end(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        gate = asyncio.Event()
        upstream.script(say("one", gate=gate, gate_after=1))
        chunks = await stream(client)
        assert text([await anext(chunks), await anext(chunks)]) == ["", "one"]
        gate.set()
        assert [chunk.choices[0].finish_reason async for chunk in chunks] == ["stop"]

    async def test_a_delay_parts_the_chunks(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(say("one", "two", "three", delay=0.02))
        started = asyncio.get_running_loop().time()
        assert text([chunk async for chunk in await stream(client)]) == ["", "one", "two", "three", ""]
        assert asyncio.get_running_loop().time() - started >= 0.04


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "error"),
        [(401, AuthenticationError), (404, NotFoundError), (429, RateLimitError), (500, InternalServerError)],
    )
    async def test_errors_are_the_clients_own(
        self, upstream: Upstream, client: AsyncOpenAI, status: int, error: type[APIError]
    ) -> None:
        upstream.script(fail(status, "No.", code="because"))
        with pytest.raises(error, match=r"No\.") as caught:
            await stream(client)
        assert caught.value.code == "because"

    async def test_a_limit_says_when_to_come_back(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(fail(429, retry_after=1.5))
        with pytest.raises(RateLimitError) as caught:
            await client.chat.completions.create(model="m", messages=ASK)
        assert caught.value.response.headers["retry-after"] == "1.5"

    async def test_an_error_inside_a_stream(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(Answer(text=("one",), end=Failure(message="Overloaded", code="overloaded")))
        seen: list[ChatCompletionChunk] = []
        with pytest.raises(APIError, match="Overloaded") as caught:
            seen.extend([chunk async for chunk in await stream(client)])
        assert caught.value.code == "overloaded"

    async def test_a_cut_after_some_chunks(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(Answer(text=("one", "two"), end="cut"))
        chunks = await stream(client)
        assert text([await anext(chunks) for _ in range(3)]) == ["", "one", "two"]
        with pytest.raises((APIConnectionError, httpx.TransportError, aiohttp.ClientError)):
            await anext(chunks)
        assert upstream.disconnects == []

    async def test_a_cut_of_a_whole_answer(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(Answer(text=("one",), end="cut"))
        with pytest.raises((APIConnectionError, httpx.TransportError, aiohttp.ClientError)):
            await client.chat.completions.create(model="m", messages=ASK)
        assert upstream.disconnects == []

    @pytest.mark.parametrize("chunks", [(), ("one",)])
    async def test_silence_holds_the_connection_until_the_client_leaves(
        self, upstream: Upstream, client: AsyncOpenAI, chunks: tuple[str, ...]
    ) -> None:
        upstream.script(Answer(text=chunks, end="silence"))
        with pytest.raises((APITimeoutError, httpx.ReadTimeout, TimeoutError)):
            async for _ in await stream(client, timeout=0.2):
                pass
        assert await upstream.wait_disconnect() is upstream.requests[0]

    async def test_an_unknown_path_is_not_found(self, client: AsyncOpenAI) -> None:
        with pytest.raises(NotFoundError, match="Unknown request URL"):
            await client.responses.create(model="m", input="x")


class TestDisconnects:
    async def test_leaving_a_held_stream_is_noticed(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(say("one", "two", gate=asyncio.Event(), gate_after=1))
        chunks = await stream(client)
        await anext(chunks)
        assert upstream.disconnects == []
        await chunks.close()
        assert (await upstream.wait_disconnect()).last_text == "hello there"

    async def test_giving_up_a_call_is_noticed(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        upstream.script(Answer(end="silence"))
        asking = asyncio.create_task(client.chat.completions.create(model="m", messages=ASK))
        request = await upstream.wait_request()
        asking.cancel()
        assert await upstream.wait_disconnect() is request

    async def test_an_answer_read_to_its_end_is_none(self, upstream: Upstream) -> None:
        async with AsyncOpenAI(base_url=upstream.base_url, api_key="key") as client:
            await client.chat.completions.create(model="m", messages=ASK)
            assert [chunk async for chunk in await stream(client)]
        await upstream.wait_request(2)
        assert upstream.disconnects == []

    async def test_waiting_in_vain_ends(self, upstream: Upstream) -> None:
        with pytest.raises(TimeoutError):
            await upstream.wait_disconnect(timeout=0.01)

    async def test_closing_the_server_is_no_disconnect(self) -> None:
        async with Upstream(default=lambda _: Answer(end="silence")) as upstream:
            client = AsyncOpenAI(base_url=upstream.base_url, api_key="key", max_retries=0)
            asking = asyncio.create_task(client.chat.completions.create(model="m", messages=ASK))
            await upstream.wait_request()
        with pytest.raises(APIConnectionError):
            await asking
        await client.close()
        assert upstream.disconnects == []


class TestOtherRoutes:
    async def test_models(self, client: AsyncOpenAI) -> None:
        assert [model.id async for model in client.models.list()] == ["gpt-test"]

    async def test_embeddings_are_the_same_for_the_same_text(self, upstream: Upstream, client: AsyncOpenAI) -> None:
        answer = await client.embeddings.create(model="e", input=["one", "two", "one"], dimensions=4)
        one, two, again = [item.embedding for item in answer.data]
        assert one == again != two
        assert len(one) == 4
        as_floats = await client.embeddings.create(model="e", input="one", dimensions=4, encoding_format="float")
        assert as_floats.data[0].embedding == one
        assert [request.body.get("encoding_format") for request in upstream.requests] == ["base64", "float"]


async def test_a_default_may_look_at_the_request() -> None:
    def judge(request: Any) -> Step:
        return fail(400, "No tools") if "tools" in request.body else echo(request)

    async with Upstream(default=judge) as upstream, AsyncOpenAI(base_url=upstream.base_url, api_key="k") as client:
        completion = await client.chat.completions.create(model="m", messages=ASK)
        assert completion.choices[0].message.content == "You said: hello there"


async def test_it_runs_as_a_process() -> None:
    options = ["--port", "0", "--chunks", "3", "--text", "ab", "--delay", "0.001"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.platforms.openai", *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    base_url = (await process.stdout.readline()).decode().strip()
    async with AsyncOpenAI(base_url=base_url, api_key="k") as client:
        assert text([chunk async for chunk in await stream(client)]) == ["", "ab", "ab", "ab", ""]
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
