"""Completions without memory, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from hub.errors import ModelRefused, ModelUnavailable
from hub.model import Chunk, ToolCall, Usage
from tests.api.facade import CHAT, HI, TOOLS, Facade, body, stream


async def test_the_whole_request_reaches_the_model(facade: Facade) -> None:
    facade.fake.models.chunks = (Chunk(text="ok", finish="stop", usage=Usage(prompt=1, completion=1)),)
    messages: list[Any] = [{"role": "system", "content": "s"}, *HI]
    sent = body(model="gpt", messages=messages, tools=TOOLS, tool_choice="auto", temperature=0, top_k=3, user="u")
    async with facade.http(**{"Session-Id": "s1"}) as client:
        answer = await client.post(CHAT, json=sent)
    call = facade.fake.models.calls[0]
    assert call.completion.messages == messages
    assert call.completion.tools == TOOLS
    assert call.completion.params == {"tool_choice": "auto", "temperature": 0, "top_k": 3, "user": "u"}
    assert (call.name, call.session_id, call.key_id) == ("gpt", "s1", facade.user.id)
    assert not call.completion.stream
    assert answer.json()["id"] == f"chatcmpl-{call.id}"
    assert answer.headers["X-Turn-Id"] == call.id
    assert "Warning" not in answer.headers


PARTS: list[Any] = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
    {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
]


async def test_a_model_that_takes_images_gets_them_as_they_are(facade: Facade) -> None:
    facade.fake.models.chunks = (Chunk(text="ok"),)
    messages = [{"role": "user", "content": PARTS}]
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(model="eyes", messages=messages))
    assert answer.status_code == 200
    assert facade.fake.models.calls[0].completion.messages == messages


@pytest.mark.parametrize(
    ("model", "part", "said"),
    [
        ("gpt", PARTS[1], "parts of type 'image_url' are not supported, only 'text'"),
        ("eyes", {"type": "video", "video": {}}, "only 'text', 'image_url', 'input_audio', 'file'"),
        ("gpt", {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}, "'image_url'"),
    ],
)
async def test_a_part_that_a_model_does_not_take_is_a_400(
    facade: Facade, model: str, part: dict[str, Any], said: str
) -> None:
    async with facade.http() as client:
        answer = await client.post(CHAT, json=body(model=model, messages=[{"role": "user", "content": [part]}]))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_part", "messages[0].content[0]")
    assert said in error["message"]
    assert not facade.fake.models.calls


async def test_without_a_header_it_has_no_session(facade: Facade) -> None:
    async with facade.http() as client:
        await client.post(CHAT, json=body(model="gpt", user="u"))
    assert facade.fake.models.calls[0].session_id is None


async def test_an_agent_with_the_clients_history_is_stateless(facade: Facade) -> None:
    facade.fake.models.chunks = (Chunk(text="ok"),)
    async with facade.openai() as client:
        answer = await client.chat.completions.create(model="drafter", messages=HI, tools=TOOLS)
    assert answer.choices[0].message.content == "ok"
    assert facade.fake.models.calls[0].name == "drafter"
    assert not facade.fake.turns.asks


async def test_the_upstreams_answer_is_kept_but_for_our_names(facade: Facade) -> None:
    upstream = {
        "id": "up-1",
        "object": "chat.completion",
        "created": 5,
        "model": "gpt-5-mini-2026",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "extra": 1},
        "service_tier": "flex",
    }
    raw = msgspec.Raw(msgspec.json.encode(upstream))
    facade.fake.models.chunks = (Chunk(text="ok", finish="stop", raw=raw),)
    async with facade.http() as client:
        answer = (await client.post(CHAT, json=body(model="gpt"))).json()
    assert answer == upstream | {"id": answer["id"], "model": "gpt"}
    assert answer["id"].startswith("chatcmpl-")


async def test_tool_calls_in_an_answer_of_ours(facade: Facade) -> None:
    call = ToolCall(id="c1", name="f", arguments='{"a":1}')
    facade.fake.models.chunks = (Chunk(calls=(call,), usage=Usage(prompt=1, completion=1)),)
    async with facade.openai() as client:
        answer = await client.chat.completions.create(model="gpt", messages=HI)
        assert answer.choices[0].finish_reason == "tool_calls"
        assert answer.choices[0].message.content is None
        calls = answer.choices[0].message.tool_calls
        assert calls
        assert calls[0].type == "function"
        assert calls[0].function.arguments == '{"a":1}'
        chunks = [c async for c in await client.chat.completions.create(model="gpt", messages=HI, stream=True)]
    delta = next(chunk.choices[0].delta for chunk in chunks if chunk.choices[0].delta.tool_calls)
    assert delta.tool_calls
    assert delta.tool_calls[0].index == 0
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_reasoning_is_passed_on(facade: Facade) -> None:
    facade.fake.models.chunks = (Chunk(reasoning="hm"), Chunk(text="ok", finish="length"))
    chunks = await stream(facade, model="gpt")
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[1:3] == [{"reasoning_content": "hm"}, {"content": "ok"}]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("with_usage", [False, True])
async def test_a_stream_of_the_upstream_is_kept_but_for_our_names(facade: Facade, with_usage: bool) -> None:
    def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> Chunk:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": {"x": 1}}]
        raw = {"id": "up", "object": "chat.completion.chunk", "model": "m", "choices": choices, "usage": None}
        return Chunk(text=delta.get("content", ""), raw=msgspec.Raw(msgspec.json.encode(raw | fields)))

    used: dict[str, Any] = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "more": {}}
    facade.fake.models.chunks = (
        chunk({"role": "assistant", "content": ""}, service_tier="flex"),
        chunk({"role": "assistant", "content": "a"}),
        chunk({}, "stop"),
        Chunk(
            usage=Usage(prompt=9, completion=1),
            raw=msgspec.Raw(msgspec.json.encode({"choices": [], "usage": used})),
        ),
    )
    options = {"stream_options": {"include_usage": True}} if with_usage else {}
    got = await stream(facade, model="gpt", **options)
    last = got.pop() if with_usage else None
    assert [each["choices"][0]["delta"] for each in got] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {},
    ]
    assert got[0]["service_tier"] == "flex"
    assert got[0]["choices"][0]["logprobs"] == {"x": 1}
    assert {each["model"] for each in got} == {"gpt"}
    assert all(("usage" in each) == with_usage for each in got)
    assert last is None or last["usage"] == used


async def test_N9_an_upstream_error_has_its_status(facade: Facade) -> None:
    cases = [
        (ModelUnavailable("down"), 502, "upstream_unavailable"),
        (ModelUnavailable("slow", status=504), 504, "upstream_504"),
        (ModelUnavailable("busy", status=429, retry_after=7), 429, "upstream_429"),
        (ModelRefused("bad schema", status=400), 400, "upstream_400"),
        (ModelRefused("our key is bad", status=401), 502, "upstream_401"),
    ]
    for error, status, code in cases:
        facade.fake.models.chunks = (error,)
        for streamed in (False, True):
            async with facade.http() as client:
                answer = await client.post(CHAT, json=body(model="gpt", stream=streamed))
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
            assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)


class Long(Sequence[Chunk]):
    """Very many chunks, and how many of them were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __len__(self) -> int:
        return 20_000

    def __getitem__(self, index: Any) -> Any:
        if index >= len(self):
            raise IndexError
        self.taken = index + 1
        return Chunk(text="x" * 10_000)


async def test_a_model_is_not_read_far_ahead_of_a_client_that_does_not_read(facade: Facade) -> None:
    long = Long()
    facade.fake.models.chunks = long
    reader, writer = await facade.raw(json.dumps(body(model="gpt", stream=True)).encode())
    await reader.readuntil(b"xxx")
    assert await stream(facade, model="assistant")
    assert 0 < long.taken < len(long) / 4  # what fits into the sockets, and sse.AHEAD
    writer.transport.abort()
    await facade.fake.models.closed.wait()


async def test_N9_a_model_that_fails_in_a_stream_ends_it_with_the_error(facade: Facade) -> None:
    facade.fake.models.chunks = (Chunk(text="a"), ModelUnavailable("cut off"))
    chunks = await stream(facade, model="gpt")
    assert chunks[-1]["error"]["message"] == "cut off"
