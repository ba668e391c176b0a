"""Streams of a whole hub over real sockets: of models, and of agents with and without a conversation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.here import Here, running_hub
from tests.patience import PATIENCE
from tests.platforms.openai import Answer, Upstream, fail, say

ID = "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e10"
HI: list[Any] = [{"role": "user", "content": "hi"}]
KINDS = {
    "model": ("/v1", "gpt"),
    "agent": ("/v1", "assistant"),
    "client history": ("/v1", "drafter"),
    "client history, no tools": ("/v1", "plain"),
    "assistant": (f"/api/v1/assistants/{ID}/v1", "assistant"),
}
THINKING = {kind: way for kind, way in KINDS.items() if kind != "agent"}
"""Those whose streams show what the model thinks."""


def config(upstream: Upstream) -> dict[str, Any]:
    agent: dict[str, Any] = {"model": "gpt", "tools": ["message"]}
    return {
        "models": {"gpt": {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}},
        "agents": {
            "assistant": {**agent, "id": ID},
            "drafter": {**agent, "history": "client"},
            "plain": {"model": "gpt", "history": "client"},
        },
    }


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Here]:
    async with running_hub(tmp_path, config(upstream)) as hub:
        yield hub


@asynccontextmanager
async def asked(hub: Here, way: tuple[str, str], **more: Any) -> AsyncGenerator[httpx.Response]:
    """A stream that is being read."""
    path, model = way
    sent = {"model": model, "messages": HI, "stream": True, **more}
    async with hub.http() as http, http.stream("POST", f"{path}/chat/completions", json=sent) as answer:
        assert answer.status_code == 200
        yield answer


async def read(answer: httpx.Response) -> list[Any]:
    """The data of all events, the last of which is `[DONE]`."""
    lines = [line.removeprefix("data: ") async for line in answer.aiter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.mark.parametrize("way", KINDS.values(), ids=KINDS)
async def test_a_client_that_leaves_after_the_first_byte_cancels_the_upstream(
    hub: Here, upstream: Upstream, way: tuple[str, str]
) -> None:
    upstream.script(say("Hel", "lo", gate=asyncio.Event(), gate_after=1))
    path, model = way
    async with hub.openai(path) as client:
        stream = await client.chat.completions.create(model=model, messages=HI, stream=True)
        turn = ""
        async for chunk in stream:
            turn = chunk.id
            if chunk.choices[0].delta.content:
                break
        await stream.close()
    await upstream.wait_disconnect()
    record = await hub.over(turn)
    assert (record.status, record.error) == ("cancelled", None)
    assert record.usage.estimated
    assert record.usage.prompt > 0
    assert record.response == (None if path != "/v1" else "Hel")


@pytest.mark.parametrize("end", [fail(500, message="melted"), "cut"], ids=["error", "cut"])
@pytest.mark.parametrize("way", KINDS.values(), ids=KINDS)
async def test_N9_an_error_after_the_first_byte_is_the_last_event_before_done(
    hub: Here, upstream: Upstream, way: tuple[str, str], end: Any
) -> None:
    gate = asyncio.Event()
    upstream.script(Answer(text=("Hel",), end=end, gate=gate, gate_after=1))
    async with asked(hub, way) as answer:
        lines = answer.aiter_lines()
        async for line in lines:
            if '"Hel"' in line:
                break
        gate.set()
        rest = [line async for line in lines if line.startswith("data: ")]
    error = json.loads(rest[-2].removeprefix("data: "))["error"]
    assert rest[-1] == "data: [DONE]"
    assert (error["type"], error["code"]) == ("server_error", "upstream_unavailable")
    assert not [line for line in rest[:-2] if "error" in line or '"finish_reason":"' in line]


@pytest.mark.parametrize("way", KINDS.values(), ids=KINDS)
async def test_N9_the_sdk_raises_it(hub: Here, upstream: Upstream, way: tuple[str, str]) -> None:
    upstream.script(Answer(text=("Hel",), end=fail(500, message="melted")))
    path, model = way
    async with hub.openai(path) as client:
        with pytest.raises(openai.APIError, match="failed in the middle of its answer: melted"):
            async for _ in await client.chat.completions.create(model=model, messages=HI, stream=True):
                pass


@pytest.mark.parametrize("way", KINDS.values(), ids=KINDS)
async def test_N11_silence_before_and_within_an_answer_is_broken_by_comments(
    tmp_path: Path, upstream: Upstream, way: tuple[str, str]
) -> None:
    within = asyncio.Event()
    upstream.script(say("late", "r", gate=within, gate_after=1))
    upstream.hold = True
    async with running_hub(tmp_path, config(upstream), keep_alive=0.01) as hub, asked(hub, way) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == ": keep-alive"
        await upstream.wait_held()
        upstream.admit()
        seen = [line async for line in until_comment_after(lines, '"late"')]
        assert any('"late"' in line for line in seen)
        within.set()
        rest = [line async for line in lines if line.startswith("data:")]
    assert any('"r"' in line for line in rest)
    assert rest[-1] == "data: [DONE]"


async def until_comment_after(lines: AsyncIterator[str], text: str) -> AsyncIterator[str]:
    """The lines up to the first comment that comes after a text."""
    seen = False
    async for line in lines:
        yield line
        seen = seen or text in line
        if seen and line.startswith(":"):
            return


@pytest.mark.parametrize("way", KINDS.values(), ids=KINDS)
async def test_the_order_of_a_stream(hub: Here, upstream: Upstream, way: tuple[str, str]) -> None:
    upstream.script(Answer(text=("Hel", "lo"), reasoning=("h", "m")))
    async with asked(hub, way, stream_options={"include_usage": True}) as answer:
        chunks = await read(answer)
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas[0]["role"] == "assistant"
    assert not any("role" in delta for delta in deltas[1:])
    assert "".join(delta.get("content") or "" for delta in deltas) == "Hello"
    thought = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    assert thought == ("hm" if way in THINKING.values() else "")
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert finishes == [None] * (len(finishes) - 1) + ["stop"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert {chunk["model"] for chunk in chunks} == {way[1]}


@pytest.mark.parametrize("way", KINDS.values(), ids=KINDS)
async def test_a_client_that_reads_late_holds_up_nobody_and_misses_nothing(
    hub: Here, upstream: Upstream, way: tuple[str, str]
) -> None:
    upstream.script(say(*["Q" * 100_000] * 100))
    path, model = way
    body = json.dumps({"model": model, "messages": HI, "stream": True, "user": "slow"}).encode()
    host, _, port = hub.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**16)
    head = f"POST {path}/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {hub.key}\r\n"
    writer.write(head.encode() + f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    async with asyncio.timeout(PATIENCE):
        assert b"200" in await reader.readline()
    for other in KINDS.values():
        async with asked(hub, other, user="quick") as answer:
            assert await read(answer)
    async with asyncio.timeout(PATIENCE):
        rest = await reader.read()
    assert rest.count(b"Q") == 10_000_000
    assert b"data: [DONE]" in rest[-100:]
    writer.close()
