"""Agents whose history the client keeps, and tool calls that are shown: a whole hub, a local upstream, the SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.accounts import keys
from tests.e2e.here import Here, running_hub
from tests.platforms.openai import Answer, Call, Upstream, Usage, say

ID = "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e10"
HISTORY: list[Any] = [
    {"role": "system", "content": "Speak French."},
    {"role": "user", "content": "I am Ann."},
    {"role": "assistant", "content": "Bonjour Ann."},
    {"role": "user", "content": "Tell the lobby, and what is the weather?"},
]
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
POST = Call("message", '{"content": "hello", "channel": "web", "chat_id": "lobby"}', id="c1")
LOOK = Call("weather", ('{"city"', ': "Rome"}'), id="c2")
WAYS = [("/v1", "drafter"), (f"/api/v1/assistants/{ID}/v1", "drafter")]


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Here]:
    agent: dict[str, Any] = {"model": "gpt", "tools": ["message"], "system_prompt": "Be kind."}
    config = {
        "models": {"gpt": {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}},
        "agents": {
            "assistant": agent,
            "drafter": {**agent, "history": "client", "id": ID},
            "plain": {"model": "gpt", "history": "client"},
            "showing": {**agent, "show_tools": True},
            "showing-drafter": {**agent, "history": "client", "show_tools": True},
        },
        "channels": {"web": {"kind": "web", "agent": "assistant"}},
    }
    async with running_hub(tmp_path, config) as hub:
        yield hub


async def lobby(hub: Here) -> list[str]:
    async with hub.http() as http:
        posts = await http.get("/api/v1/messages", params={"channel": "web", "chat_id": "lobby"})
    return [message["text"] for message in posts.json()["messages"]]


@pytest.mark.parametrize(("path", "model"), WAYS)
@pytest.mark.parametrize("stream", [False, True])
async def test_B1_R6_tools_of_the_hub_and_of_the_client_in_one_conversation(
    hub: Here, upstream: Upstream, path: str, model: str, stream: bool
) -> None:
    upstream.script(
        Answer(text=("I will.",), calls=(POST,), usage=Usage(prompt=10, completion=2)),
        Answer(calls=(LOOK,), usage=Usage(prompt=20, completion=3, cached=5)),
        say("25 ", "degrees."),
    )
    async with hub.openai(path) as client:
        first = await answered(client, model, HISTORY, stream, tools=[WEATHER])
        assert (first.text, first.finish) == ("I will.", ["tool_calls"])
        [call] = first.calls
        assert (call["id"], call["function"]) == ("c2", {"name": "weather", "arguments": '{"city": "Rome"}'})
        result: Any = [
            {"role": "assistant", "content": first.text, "tool_calls": first.calls},
            {"role": "tool", "tool_call_id": "c2", "content": "25"},
        ]
        second = await answered(client, model, [*HISTORY, *result], stream, tools=[WEATHER])
    assert (second.text, second.finish, second.calls) == ("25 degrees.", ["stop"], [])
    assert await lobby(hub) == ["hello"]
    asked = [request.body for request in upstream.requests]
    assert asked[0]["messages"] == [{"role": "system", "content": "Be kind."}, *HISTORY]
    assert asked[2]["messages"] == [{"role": "system", "content": "Be kind."}, *HISTORY, *result]
    assert [[tool["function"]["name"] for tool in each["tools"]] for each in asked] == [["message", "weather"]] * 3
    record = await hub.over(first.id)
    assert (record.status, record.agent, record.model) == ("completed", "drafter", "gpt")
    assert (record.usage.prompt, record.usage.completion, record.usage.cached) == (30, 5, 5)
    assert first.total == 35


class Answered:
    """What came of a request, whole or streamed."""

    def __init__(self) -> None:
        self.id = ""
        self.text = ""
        self.calls: list[Any] = []
        self.finish: list[str] = []
        self.total = 0


async def answered(client: Any, model: str, messages: list[Any], stream: bool, **more: Any) -> Answered:
    found = Answered()
    if not stream:
        whole = await client.chat.completions.create(model=model, messages=messages, **more)
        [choice] = whole.choices
        found.id, found.text, found.total = whole.id, choice.message.content or "", whole.usage.total_tokens
        found.calls = [call.to_dict() for call in choice.message.tool_calls or ()]
        found.finish = [choice.finish_reason]
        return found
    more["stream_options"] = {"include_usage": True}
    async for chunk in await client.chat.completions.create(model=model, messages=messages, stream=True, **more):
        found.id = chunk.id
        if chunk.usage:
            found.total = chunk.usage.total_tokens
        for choice in chunk.choices:
            found.text += choice.delta.content or ""
            found.finish += [choice.finish_reason] if choice.finish_reason else []
            for fragment in choice.delta.tool_calls or ():
                if fragment.index == len(found.calls):
                    found.calls.append(
                        fragment.to_dict(exclude_none=True) | {"function": {"name": "", "arguments": ""}}
                    )
                    del found.calls[-1]["index"]
                function = found.calls[fragment.index]["function"]
                function["name"] += fragment.function.name or ""
                function["arguments"] += fragment.function.arguments or ""
    return found


async def test_B2_a_call_streams_as_its_start_and_then_its_arguments(hub: Here, upstream: Upstream) -> None:
    upstream.script(Answer(calls=(LOOK, Call("weather", "{}", id="c3"))))
    async with hub.openai() as client:
        stream = await client.chat.completions.create(
            model="plain", messages=HISTORY, tools=[WEATHER], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    fragments = [
        (each.index, each.id, each.function.name, each.function.arguments)
        for chunk in chunks
        for choice in chunk.choices
        for each in choice.delta.tool_calls or ()
        if each.function
    ]
    assert fragments[0] == (0, "c2", "weather", "")
    assert "".join(each[3] or "" for each in fragments if each[0] == 0) == '{"city": "Rome"}'
    assert next(each for each in fragments if each[0] == 1) == (1, "c3", "weather", "")
    finishes = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert finishes == ["tool_calls"]
    assert chunks[-1].usage
    assert chunks[-1].choices == []


@pytest.mark.parametrize(
    ("model", "asked", "shown"),
    [
        ("assistant", {}, False),
        ("assistant", {"bothub": {"tools": True}}, True),
        ("showing", {}, True),
        ("showing", {"bothub": {}}, True),
        ("showing", {"bothub": {"tools": False}}, False),
        ("drafter", {}, False),
        ("drafter", {"bothub": {"tools": True}}, True),
        ("showing-drafter", {}, True),
        ("showing-drafter", {"bothub": {"tools": False}}, False),
    ],
)
async def test_L5_the_hubs_own_calls_are_shown_where_the_agent_or_the_request_says_so(
    hub: Here, upstream: Upstream, model: str, asked: dict[str, Any], shown: bool
) -> None:
    other = Call("message", '{"content": "again", "channel": "web", "chat_id": "lobby"}', id="c9")
    upstream.script(Answer(text=("I will.",), reasoning=("hm",), calls=(POST,)), Answer(calls=(other,)), say("Done."))
    async with hub.openai() as client:
        got = await answered(client, model, HISTORY, True, extra_body=asked)
    assert (got.text, got.finish) == ("I will.\n\nDone.", ["stop"])
    calls = [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in got.calls]
    expected = [("c1", "message", POST.arguments), ("c9", "message", other.arguments)]
    assert calls == (expected if shown else [])
    assert await lobby(hub) == ["hello", "again"]


@pytest.mark.parametrize("model", ["showing", "showing-drafter"])
async def test_L5_an_answer_that_does_not_stream_shows_no_call(hub: Here, upstream: Upstream, model: str) -> None:
    upstream.script(Answer(calls=(POST,)), say("Done."))
    async with hub.openai() as client:
        got = await answered(client, model, HISTORY, False, extra_body={"bothub": {"tools": True}})
    assert (got.text, got.finish, got.calls) == ("Done.", ["stop"], [])


async def test_L5_what_is_shown_stands_between_the_words_around_it(hub: Here, upstream: Upstream) -> None:
    upstream.script(Answer(text=("I will.",), calls=(POST,)), say("Done."))
    async with hub.openai() as client:
        stream = await client.chat.completions.create(model="showing", messages=HISTORY, stream=True)
        deltas = [choice.delta async for chunk in stream for choice in chunk.choices]
    kinds = ["call" if delta.tool_calls else delta.content for delta in deltas]
    assert [kind for kind in kinds if kind] == ["I will.", "call", "call", "\n\nDone."]


async def test_a_key_without_the_scope_posts_nothing(hub: Here, upstream: Upstream) -> None:
    secret = "sk-user-0123456789abcdefghijklmnopqrs"
    await hub.store.write(lambda connection: keys.create(connection, secret, name="user", now=0.0))
    upstream.script(Answer(calls=(POST,)), say("I could not."))
    async with hub.openai() as client:
        got = await answered(client.with_options(api_key=secret), "drafter", HISTORY, False)
    assert got.text == "I could not."
    assert "may not post to web:lobby" in upstream.requests[1].body["messages"][-1]["content"]
    assert await lobby(hub) == []


async def test_L9_a_task_of_open_webui_gets_no_tools_of_the_agent(hub: Here, upstream: Upstream) -> None:
    async with hub.openai() as client:
        headers = {"X-OpenWebUI-Task": "title_generation"}
        await client.chat.completions.create(model="assistant", messages=HISTORY, extra_headers=headers)
        await client.chat.completions.create(model="drafter", messages=HISTORY)
    task, asked = (request.body for request in upstream.requests)
    assert task["messages"] == asked["messages"]
    assert "tools" not in task
    assert "tool_choice" not in task
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["message"]
