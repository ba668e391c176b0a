"""Any agent asked by its id, as RiceBall's clients do: the caller's history, nothing kept but what it used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import openai
import pytest
from sqlalchemy import func, select

from hub.store.tables import conversations, entries, facts, messages, sessions, turns
from tests.e2e.here import Here, running_hub
from tests.platforms.openai import Answer, Call, Upstream, fail, say

ID = "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e10"
HISTORY: list[Any] = [
    {"role": "system", "content": "Speak French."},
    {"role": "user", "content": "I am Ann."},
    {"role": "assistant", "content": "Bonjour Ann."},
    {"role": "user", "content": "Who am I?"},
]
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture
def config(upstream: Upstream) -> dict[str, Any]:
    model = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test", "max_output": 500}
    poet = {"system_prompt": "You are a poet.", "params": {"temperature": 0.7, "top_p": 0.9}, "max_tokens": 50}
    return {
        "models": {"gpt": model},
        "agents": {
            "poet": {"model": "gpt", "id": ID, **poet},
            "other": {"model": "gpt"},
            "asleep": {"model": "gpt", "id": "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e11", "enabled": False},
        },
    }


@pytest.fixture
async def hub(tmp_path: Path, config: dict[str, Any]) -> AsyncIterator[Here]:
    async with running_hub(tmp_path, config) as hub:
        yield hub


def path(id: str = ID) -> str:
    return f"/api/v1/assistants/{id}/v1"


async def test_R2_the_sync_sdk_whole_and_streamed(hub: Here) -> None:
    def ask() -> tuple[str | None, str]:
        with hub.openai_sync(path()) as client:
            whole = client.chat.completions.create(model="whatever", messages=HISTORY)
            stream = client.chat.completions.create(model="", messages=HISTORY, stream=True)
            return whole.choices[0].message.content, "".join(c.choices[0].delta.content or "" for c in stream)

    assert await asyncio.to_thread(ask) == ("You said: Who am I?",) * 2


async def test_R2_R6_a_stream_ends_with_a_finish_chunk_and_real_usage(hub: Here) -> None:
    async with hub.openai(path()) as client:
        stream = await client.chat.completions.create(
            model="poet", messages=HISTORY, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:-1]] == ["stop"]
    assert {chunk.model for chunk in chunks} == {"poet"}
    assert chunks[-1].usage
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (14, 5)


async def test_R2_its_models_are_itself(hub: Here) -> None:
    async with hub.openai(path()) as client:
        listed = (await client.models.list()).data
    assert [(model.id, model.to_dict()["assistant_id"]) for model in listed] == [("poet", ID)]


@pytest.mark.parametrize("model", [{}, {"model": None}, {"model": "other"}, {"model": "no-such"}, {"model": 7}])
async def test_R3_the_model_is_optional_and_ignored(hub: Here, model: dict[str, Any]) -> None:
    async with hub.http() as http:
        answer = await http.post(f"{path()}/chat/completions", json={"messages": HISTORY, **model})
    assert (answer.status_code, answer.json()["model"]) == (200, "poet")


async def test_R3_the_system_prompt_comes_first_and_the_request_wins(hub: Here, upstream: Upstream) -> None:
    async with hub.openai(path()) as client:
        await client.chat.completions.create(model="", messages=HISTORY)
        await client.chat.completions.create(model="", messages=HISTORY, temperature=0, max_completion_tokens=900)
    plain, given = (request.body for request in upstream.requests)
    assert plain["messages"] == [{"role": "system", "content": "You are a poet."}, *HISTORY]
    assert (plain["temperature"], plain["top_p"], plain["max_tokens"], plain["model"]) == (0.7, 0.9, 50, "gpt-test")
    assert (given["temperature"], given["top_p"], given["max_tokens"]) == (0, 0.9, 500)


async def test_R3_without_parameters_of_its_own_those_of_the_model_hold(hub: Here, upstream: Upstream) -> None:
    async with hub.http() as http:
        listed = (await http.get("/v1/models")).json()["data"]
    other = next(model["assistant_id"] for model in listed if model["id"] == "other")
    async with hub.openai(path(other)) as client:
        await client.chat.completions.create(model="", messages=HISTORY)
    assert upstream.requests[0].body["max_tokens"] == 500
    assert "temperature" not in upstream.requests[0].body
    assert upstream.requests[0].body["messages"] == HISTORY


async def test_R4_it_reads_and_writes_no_conversation_and_stores_no_text(hub: Here, upstream: Upstream) -> None:
    upstream.script("One.", "Two.", fail(400, message="secret words"))
    async with hub.openai() as client:
        await client.chat.completions.create(model="poet", messages=HISTORY, user="ann")
    before = await counted(hub)
    async with hub.openai(path()) as client:
        answer = await client.chat.completions.create(
            model="", messages=HISTORY, user="ann", extra_headers={"Session-Id": "ann"}
        )
        with pytest.raises(openai.BadRequestError, match="secret words"):
            await client.chat.completions.create(model="", messages=HISTORY)
    assert upstream.requests[1].body["messages"][1:] == HISTORY
    assert await counted(hub) == before
    record = await hub.over(answer.id)
    assert (record.status, record.agent, record.model, record.key_id) == ("completed", "poet", "gpt", 1)
    assert (record.response, record.session_id, record.usage.prompt, record.usage.completion) == (None, None, 14, 1)
    query = select(turns.c.response, turns.c.error, turns.c.error_code).where(turns.c.status == "failed")
    [failed] = await hub.engine.store.read(lambda connection: connection.execute(query).all())
    assert tuple(failed) == (None, None, "upstream_400")


async def counted(hub: Here) -> list[int]:
    """How much is stored of conversations."""
    tables = (conversations, sessions, entries, facts, messages)
    return await hub.engine.store.read(
        lambda connection: [
            connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables
        ]
    )


@pytest.mark.parametrize(
    "id",
    ["6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e11", "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e99", "poet", "None", "%00", "é"],
)
async def test_R5_an_id_that_is_unknown_malformed_or_of_a_disabled_agent_is_a_404(hub: Here, id: str) -> None:
    async with hub.http() as http:
        asked = await http.post(f"{path(id)}/chat/completions", json={"messages": HISTORY})
        listed = await http.get(f"{path(id)}/models")
    assert (asked.status_code, asked.json()["error"]["code"]) == (404, "assistant_not_found")
    assert listed.status_code == 404


async def test_R5_an_id_may_be_in_capitals(hub: Here) -> None:
    async with hub.openai(path(ID.upper())) as client:
        assert (await client.chat.completions.create(model="", messages=HISTORY)).model == "poet"


async def test_R6_client_tools_pass_there_and_back(hub: Here, upstream: Upstream) -> None:
    upstream.script(Answer(calls=(Call("weather", '{"city": "Rome"}', id="c1"),)), say("Sunny."))
    async with hub.openai(path()) as client:
        first = await client.chat.completions.create(model="", messages=HISTORY, tools=[TOOL])  # pyright: ignore[reportArgumentType] - a plain dict
        assert first.choices[0].finish_reason == "tool_calls"
        said: Any = first.choices[0].message.to_dict()
        result: Any = {"role": "tool", "tool_call_id": "c1", "content": "25 degrees"}
        second = await client.chat.completions.create(model="", messages=[*HISTORY, said, result], tools=[TOOL])  # pyright: ignore[reportArgumentType] - a plain dict
    assert second.choices[0].message.content == "Sunny."
    assert upstream.requests[0].body["tools"] == [TOOL]
    assert upstream.requests[1].body["messages"][-1] == result
    assert upstream.requests[1].body["messages"][-2]["tool_calls"][0]["id"] == "c1"


async def test_an_id_is_the_stores_and_the_same_after_a_restart(tmp_path: Path, config: dict[str, Any]) -> None:
    seen: list[dict[str, str]] = []
    for folder in ("a", "a", "b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        async with running_hub(tmp_path / folder, config) as hub, hub.http() as http:
            listed = (await http.get("/v1/models")).json()["data"]
        seen.append({model["id"]: model["assistant_id"] for model in listed if "assistant_id" in model})
    assert seen[0] == seen[1]
    assert seen[0]["other"] != seen[2]["other"]
    assert seen[0]["poet"] == seen[2]["poet"] == ID
    assert UUID(seen[0]["other"]).version == 5
