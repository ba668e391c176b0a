"""What BRConnector's document promises its users of models, a test a row: its requests as they stand there."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import httpx
import pytest

from tests.clients.serving import Serving
from tests.compat.asking import CHAT, asked, content_of, events, picture
from tests.platforms.openai import Answer, Call, Upstream, Usage, say

pytestmark = pytest.mark.asyncio(loop_scope="package")
PING: dict[str, Any] = {
    "model": "claude-3-sonnet",
    "messages": [{"role": "user", "content": "ping"}],
    "stream": True,
    "temperature": 1,
    "max_tokens": 4096,
}
WEATHER: dict[str, Any] = {
    "model": "c37",
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "query-weather",
                "description": "query weather",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "latitude": {"type": "string", "description": "latitude"},
                        "longitude": {"type": "string", "description": "longitude"},
                    },
                },
                "required": ["latitude", "longitude"],
            },
        }
    ],
    "stream": True,
    "tool_choice": "auto",
    "messages": [
        {"role": "system", "content": "You are an expert. Current time: 2024-11-13T08:13:17.778Z."},
        {"role": "user", "content": "I wanna query weather of Beijing."},
    ],
}
PLACE = '{"latitude":"39.9042","longitude":"116.4074"}'
CALLED = Answer(
    reasoning=(
        "The user wants ",
        "to query the weather for Beijing.",
    ),
    text=("I'd be happy ", "to check the weather."),
    calls=(Call("query-weather", ('{"lat', PLACE[5:]), id="tooluse_1"), Call("query-weather", "{}", id="tooluse_2")),
    usage=Usage(prompt=449, completion=219),
)
NOTE = b"## tea costs 3.50"


def showing(part: dict[str, Any], text: str) -> dict[str, Any]:
    content = [{"type": "text", "text": text}, part]
    return {"model": "claude-3-sonnet", "messages": [{"role": "user", "content": content}]}


async def test_b1_its_ordinary_request_is_streamed(hub: Serving, key: str, upstream: Upstream) -> None:
    async with hub.http(key) as client:
        chunks = events((await client.post(CHAT, json=PING)).text)
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert said == "You said: ping"
    assert {chunk["model"] for chunk in chunks} == {"claude-3-sonnet"}
    body = upstream.requests[0].body
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("sonnet-test", 1, 4096)


async def test_b1_a_temperature_of_0_stays_0(hub: Serving, key: str, upstream: Upstream) -> None:
    async with hub.http(key) as client:
        content_of(await client.post(CHAT, json=PING | {"stream": False, "temperature": 0}))
    assert upstream.requests[0].body["temperature"] == 0


async def test_b1_a_picture_goes_to_the_model(hub: Serving, key: str, upstream: Upstream) -> None:
    request = showing(picture("webp"), "Describe this picture.")
    async with hub.http(key) as client:
        assert content_of(await client.post(CHAT, json=request)) == "You said: Describe this picture."
    assert upstream.requests[0].body["messages"][0]["content"][1] == picture("webp")


async def test_b1_a_picture_on_the_hubs_own_network_is_not_fetched(hub: Serving, key: str, upstream: Upstream) -> None:
    request = showing({"type": "image_url", "image_url": {"url": f"{hub.root}/secret.png"}}, "Describe this picture.")
    async with hub.http(key) as client:
        answer = await client.post(CHAT, json=request)
    assert answer.status_code == 400, answer.text
    assert not upstream.requests


@pytest.mark.parametrize(
    "data",
    [list(NOTE), {str(index): byte for index, byte in enumerate(NOTE)}, b64encode(NOTE).decode()],
    ids=["array", "object", "base64"],
)
async def test_b1_a_document_is_read_for_the_model(hub: Serving, key: str, upstream: Upstream, data: Any) -> None:
    doc = {"name": "xxx", "format": "md", "size": len(NOTE), "source": {"bytes": data}}
    async with hub.http(key) as client:
        content_of(await client.post(CHAT, json=showing({"type": "doc", "doc": doc}, "Describe this document.")))
    shown = upstream.requests[0].body["messages"][0]["content"]
    assert "tea costs 3.50" in json.dumps(shown)
    assert "Describe this document." in json.dumps(shown)


async def test_b2_its_request_with_a_tool_is_answered_whole(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(CALLED)
    async with hub.http(key) as client:
        answer = (await client.post(CHAT, json=WEATHER | {"stream": False})).json()
    choice = answer["choices"][0]
    assert (answer["model"], choice["index"], choice["finish_reason"]) == ("c37", 0, "tool_calls")
    assert choice["message"]["reasoning_content"] == "The user wants to query the weather for Beijing."
    assert choice["message"]["content"] == "I'd be happy to check the weather."
    assert choice["message"]["tool_calls"] == [
        {"id": f"tooluse_{number}", "type": "function", "function": {"name": "query-weather", "arguments": arguments}}
        for number, arguments in enumerate((PLACE, "{}"), start=1)
    ]
    assert answer["usage"]["total_tokens"] == 668
    assert upstream.requests[0].body["tools"] == WEATHER["tools"]
    assert upstream.requests[0].body["tool_choice"] == "auto"


async def test_b2_its_request_with_a_tool_is_streamed(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(CALLED)
    async with hub.http(key) as client:
        options = {"stream_options": {"include_usage": True}}
        chunks = events((await client.post(CHAT, json=WEATHER | options)).text)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    deltas = [choice["delta"] for choice in choices]
    assert deltas[0]["role"] == "assistant"
    reasoning = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    assert reasoning == "The user wants to query the weather for Beijing."
    calls = [each for delta in deltas for each in delta.get("tool_calls") or ()]
    begun = [each for each in calls if each.get("id")]
    assert [(each["index"], each["id"], each["function"]["name"]) for each in begun] == [
        (0, "tooluse_1", "query-weather"),
        (1, "tooluse_2", "query-weather"),
    ]
    assert "".join(each["function"].get("arguments") or "" for each in calls if each["index"] == 0) == PLACE
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["tool_calls"]
    assert chunks[-1]["usage"]["total_tokens"] == 668


async def test_b3_its_request_for_an_embedding_is_answered(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        asking: dict[str, Any] = {"model": "your-embedding-model", "input": "Hello world."}
        one = (await client.post("/v1/embeddings", json=asking)).json()
        two = (await client.post("/v1/embeddings", json=asking | {"input": ["Hello world.", "Bye."]})).json()
    assert (one["object"], one["model"], len(one["data"])) == ("list", "your-embedding-model", 1)
    assert one["data"][0]["embedding"] == two["data"][0]["embedding"] != two["data"][1]["embedding"]
    assert one["usage"]["total_tokens"] == 2


async def test_b3_what_cannot_embed_is_a_400(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        answer = await client.post("/v1/embeddings", json={"model": "assistant", "input": "Hello world."})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


async def test_b4_models_are_listed_with_what_they_take(hub: Serving, key: str) -> None:
    async with hub.http(key) as client:
        listed = (await client.get("/v1/models")).json()["data"]
    assert {model["id"]: model["multiple"] for model in listed if model["id"] in ("claude-3-sonnet", "c37")} == {
        "claude-3-sonnet": True,
        "c37": False,
    }


@pytest.mark.parametrize("model", ["c37", "writer"])
async def test_b12_sessions_and_threads_are_listed_for_admins_and_for_their_user(
    hub: Serving, key: str, upstream: Upstream, model: str
) -> None:
    upstream.script(say("pong"))
    async with hub.http(key) as client, hub.http(hub.process.key) as admin, hub.http(await hub.key()) as other:
        await client.post(CHAT, json=asked("ping", model=model), headers={"Session-Id": "b12"})

        async def items(who: httpx.AsyncClient, path: str) -> list[Any]:
            data = (await who.get(path)).json()["data"]
            assert {*data} == {"items", "total", "limit", "offset", "next"}
            return data["items"]

        [session] = await items(client, "/user/session/list?q=&limit=10&offset=")
        assert (session["session_id"], session["turns"]) == ("b12", 1)
        [thread] = await items(client, f"/user/thread/list?q=&limit=10&offset=&session_id={session['id']}")
        assert (thread["prompt"], thread["completion"], thread["session"]) == ("ping", "pong", session["id"])
        mine = f"key_id={session['key_id']}"
        assert await items(admin, f"/admin/session/list?q=&limit=10&offset=&{mine}") == [session]
        listed = f"/admin/thread/list?q=&limit=10&offset=&{mine}&session_id={session['id']}"
        assert await items(admin, listed) == [thread]
        for path in (f"session/detail/{session['id']}", f"thread/detail/{thread['id']}"):
            assert (await client.get(f"/user/{path}")).json() == (await admin.get(f"/admin/{path}")).json()
            assert (await other.get(f"/user/{path}")).status_code == 404
            assert (await other.get(f"/admin/{path}")).status_code == 403
        assert await items(other, f"/user/thread/list?session_id={session['id']}") == []


async def test_b13_a_thread_names_its_images_and_does_not_hold_them(hub: Serving, key: str, upstream: Upstream) -> None:
    upstream.script(say("a dot"))
    said = [{"type": "text", "text": "what is it?"}, picture()]
    async with hub.http(key) as client:
        answer = await client.post(
            CHAT, json={"model": "claude-3-sonnet", "messages": [{"role": "user", "content": said}]}
        )
        thread = (await client.get(f"/user/thread/detail/{answer.headers['X-Turn-Id']}")).json()["data"]
    assert (thread["prompt"], thread["completion"]) == ("what is it?\n\n(image_url)", "a dot")
    assert (thread["status"], thread["tokens_out"], thread["fee"]) == ("completed", 2, "0.0000000000")


@pytest.mark.parametrize("model", ["c37", "writer"])
@pytest.mark.parametrize(("headers", "fields"), [({"Session-Id": "b13"}, {}), ({}, {"session_id": "b13"})])
async def test_b13_the_session_is_named_by_a_header_and_belongs_to_the_key(
    hub: Serving, key: str, upstream: Upstream, model: str, headers: dict[str, str], fields: dict[str, str]
) -> None:
    upstream.script(say("pong"))
    async with hub.http(key) as client:
        answer = await client.post(CHAT, json=asked("ping", model=model, **fields), headers=headers)
        path = f"/api/v1/turns/{answer.headers['X-Turn-Id']}"
        turn = (await client.get(path)).json()
    assert (turn["session_id"], turn["status"], turn["response"]) == ("b13", "completed", "pong")
    assert turn["usage"]["completion_tokens"] == 1
    async with hub.http(await hub.key()) as other:
        assert (await other.get(path)).status_code == 404
