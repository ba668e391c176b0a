"""/api/v1/chat, chat/async and the events of turns: agents over HTTP as LettaBot's clients ask them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.here import Here, running_hub
from tests.patience import PATIENCE
from tests.platforms.openai import Answer, Call, Upstream, call, fail, say

CHAT = "/api/v1/chat"
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream, store_url: str) -> AsyncIterator[Here]:
    gpt = {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test", "multiple": True}
    config: dict[str, Any] = {
        "store": {"url": store_url},
        "bus": {"lane_limit": 5},
        "models": {"gpt": gpt},
        "agents": {"bot": {"model": "gpt", "tools": ["memory"]}, "other": {"model": "gpt"}},
        "channels": {"web": {"kind": "web", "agent": "bot"}},
    }
    async with running_hub(tmp_path, config, keep_alive=0.05) as hub:
        yield hub


async def ask(hub: Here, path: str = CHAT, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    async with hub.http(**headers or {}) as client:
        return await client.post(path, json=body)


def events(text: str) -> list[Any]:
    """The data of the events; comments are left out."""
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line.startswith("data: ")]


def joined(found: list[Any]) -> list[Any]:
    """The events, with neighbouring pieces of text as one."""
    whole: list[Any] = []
    for event in found:
        if event["type"] == "assistant" and whole and whole[-1]["type"] == "assistant":
            whole[-1] = {"type": "assistant", "content": whole[-1]["content"] + event["content"]}
        else:
            whole.append(event)
    return whole


async def test_L10_an_agent_answers_a_message(hub: Here) -> None:
    answer = await ask(hub, message="hi")
    turn = answer.headers["X-Turn-Id"]
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "response": "You said: hi", "agentName": "bot", "id": turn},
    )
    assert (await ask(hub, message="hi", agent="other")).json()["agentName"] == "other"


async def test_L10_the_conversation_is_remembered_by_key_and_name(hub: Here, upstream: Upstream) -> None:
    def heard() -> list[str]:
        return [m["content"] for m in upstream.requests[-1].body["messages"] if m["role"] == "user"]

    await ask(hub, message="one", session_id="a")
    await ask(hub, message="two", headers={"X-Session-Id": "a"})
    assert heard() == ["one", "two"]
    await ask(hub, message="three", session_id="b", headers={"X-Session-Id": "a"})
    assert heard() == ["three"]
    await ask(await hub.other(), message="four", session_id="a")
    assert heard() == ["four"]
    await ask(hub, message="five")
    await ask(hub, message="six", session_id="default")
    assert heard() == ["five", "six"]
    await ask(hub, message="seven", session_id="web:lobby")
    assert heard() == ["seven"]


async def test_L10_the_events_of_a_turn_in_their_order(hub: Here, upstream: Upstream) -> None:
    remember = Call("remember", '{"fact": "They like tea."}', id="c1")
    upstream.script(
        Answer(reasoning=("Hm",), text=("Let me ", "note it."), calls=(remember,)), Answer(text=("Not", "ed."))
    )
    answer = await ask(hub, message="I like tea", headers=EVENTS)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    thought, said, called, returned, rest, end = joined(events(answer.text))
    assert thought == {"type": "reasoning", "content": "Hm"}
    assert said == {"type": "assistant", "content": "Let me note it."}
    assert called == {"type": "tool_call", "id": "c1", "name": "remember", "arguments": remember.arguments}
    assert (returned["type"], returned["id"], returned["is_error"]) == ("tool_result", "c1", False)
    assert rest == {"type": "assistant", "content": "\n\nNoted."}
    assert end == {"type": "result", "success": True, "response": "Let me note it.\n\nNoted."}


async def test_L10_a_tool_that_fails_says_so(hub: Here, upstream: Upstream) -> None:
    upstream.script(call(Call("nothing", id="c1")), say("Sorry."))
    found = events((await ask(hub, message="go", headers=EVENTS)).text)
    returned = next(event for event in found if event["type"] == "tool_result")
    assert returned["is_error"]
    assert "nothing" in json.loads(returned["content"])["error"]


async def test_L10_a_turn_that_fails_is_an_error_flat_or_as_an_event(hub: Here, upstream: Upstream) -> None:
    upstream.script(fail(400, "no such thing"), fail(400, "no such thing"))
    whole = await ask(hub, message="go")
    assert (whole.status_code, whole.json()["success"], whole.json()["code"]) == (502, False, "upstream_400")
    streamed = await ask(hub, message="go", headers=EVENTS)
    (error,) = events(streamed.text)
    assert (error["type"], error["message"], error["code"]) == ("error", whole.json()["error"], "upstream_400")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "missing_parameter"),
        ({"message": " "}, 400, "missing_parameter"),
        ({"message": 7}, 400, None),
        ({"message": "hi", "agent": "nobody"}, 404, "agent_not_found"),
        ({"message": "hi", "agent": "gpt"}, 404, "agent_not_found"),
        ({"message": "hi", "session_id": "x" * 201}, 400, None),
        ({"message": [{"type": "video"}]}, 400, "unsupported_part"),
    ],
)
async def test_L10_a_wrong_message_is_told_flat(hub: Here, body: dict[str, Any], status: int, code: str | None) -> None:
    for path in (CHAT, f"{CHAT}/async"):
        answer = await ask(hub, path, **body)
        found = answer.json()
        assert (answer.status_code, found["success"]) == (status, False), found
        assert isinstance(found["error"], str)
        assert code in (None, found["code"])


async def test_L10_files_come_with_a_form_or_as_parts(hub: Here, upstream: Upstream) -> None:
    async with hub.http() as client:
        sent = {"message": "read", "session_id": "f"}
        form = await client.post(CHAT, data=sent, files=[("files", ("notes.txt", b"the tea is green", "text/plain"))])
    assert form.json()["success"], form.text
    assert "the tea is green" in json.dumps(upstream.requests[-1].body["messages"])
    url = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="
    await ask(hub, message=[{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}])
    assert url in json.dumps(upstream.requests[-1].body["messages"])


async def test_L11_a_message_is_taken_at_once_and_polled_by_its_id(hub: Here, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.script(say("Done.", gate=gate))
    taken = await ask(hub, f"{CHAT}/async", message="hi", agent="bot", session_id="a")
    turn = taken.json()["id"]
    assert (taken.status_code, taken.json()) == (
        202,
        {"success": True, "status": "queued", "agentName": "bot", "id": turn},
    )
    await upstream.wait_request()
    async with hub.http() as client:
        assert (await client.get(f"/api/v1/turns/{turn}")).json()["status"] == "running"
        gate.set()
        await hub.over(turn)
        found = (await client.get(f"/api/v1/turns/{turn}")).json()
    assert (found["status"], found["response"], found["session_id"]) == ("completed", "Done.", "a")


async def test_L11_a_message_that_was_taken_is_cancelled(hub: Here, upstream: Upstream) -> None:
    upstream.script(say("Never.", gate=asyncio.Event()))
    turn = (await ask(hub, f"{CHAT}/async", message="hi")).json()["id"]
    await upstream.wait_request()
    async with hub.http() as client:
        for _ in range(2):
            cancelled = await client.delete(f"/api/v1/turns/{turn}")
            assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    await upstream.wait_disconnect()


async def test_the_events_of_a_running_turn_are_followed_by_several(hub: Here, upstream: Upstream) -> None:
    gate = asyncio.Event()
    remember = Call("remember", '{"fact": "They like tea."}', id="c1")
    upstream.script(Answer(text=("Let me.",), calls=(remember,)), say("Noted.", gate=gate))
    turn = (await ask(hub, f"{CHAT}/async", message="tea")).json()["id"]
    await upstream.wait_request(2)

    async def follow() -> list[Any]:
        async with hub.http() as client:
            answer = await client.get(f"/api/v1/turns/{turn}/events")
        return joined(events(answer.text))

    async with hub.http() as client, client.stream("GET", f"/api/v1/turns/{turn}/events") as left:
        async for line in left.aiter_lines():
            if "tool_result" in line:
                break
    following = [asyncio.create_task(follow()) for _ in range(2)]
    gate.set()
    first, second = await asyncio.wait_for(asyncio.gather(*following), PATIENCE)
    assert first == second == await follow()
    assert [event["type"] for event in first] == ["assistant", "tool_call", "tool_result", "assistant", "result"]
    assert first[-1]["response"] == "Let me.\n\nNoted."


async def test_the_events_of_a_cancelled_turn_end_with_an_error(hub: Here, upstream: Upstream) -> None:
    upstream.script(say("Never.", gate=asyncio.Event()))
    turn = (await ask(hub, f"{CHAT}/async", message="hi")).json()["id"]
    await upstream.wait_request()
    async with hub.http() as client, client.stream("GET", f"/api/v1/turns/{turn}/events") as stream:
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith(":")
        await client.delete(f"/api/v1/turns/{turn}")
        rest = [line async for line in lines]
    (error,) = events("\n\n".join(rest))
    assert (error["type"], error["code"]) == ("error", "turn_cancelled")


async def test_another_keys_turn_has_no_events(hub: Here) -> None:
    turn = (await ask(hub, message="hi")).json()["id"]
    other = await hub.other()
    async with other.http() as client:
        for path in (f"/api/v1/turns/{turn}/events", "/api/v1/turns/nothing/events"):
            refused = await client.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "turn_not_found")


@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/async"])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_message_is_asked_once_under_its_key(hub: Here, upstream: Upstream, path: str, accept: str) -> None:
    headers = {"Accept": accept, "Idempotency-Key": "k"}
    first, again = [await ask(hub, path, message="hi", headers=headers) for _ in range(2)]
    turn = first.headers["X-Turn-Id"]
    await hub.over(turn)
    assert (again.headers["X-Turn-Id"], again.headers["Idempotent-Replayed"]) == (turn, "true")
    if accept == "application/json" or path != CHAT:
        assert again.content == first.content
    else:
        assert joined(events(again.text)) == joined(events(first.text))
    assert len(upstream.requests) == 1
    other = await ask(hub, path, message="else", headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_a_client_that_leaves_the_events_of_chat_cancels_its_turn(hub: Here, upstream: Upstream) -> None:
    upstream.script(Answer(text=("One ", "two"), gate=asyncio.Event(), gate_after=1))
    async with hub.http() as client, client.stream("POST", CHAT, json={"message": "hi"}, headers=EVENTS) as left:
        turn = left.headers["X-Turn-Id"]
        async for line in left.aiter_lines():
            if "One" in line:
                break
    await upstream.wait_disconnect()
    assert (await hub.over(turn)).status == "cancelled"


async def test_the_default_session_that_is_full_says_what_to_do(hub: Here, upstream: Upstream) -> None:
    upstream.script(say("Never.", gate=asyncio.Event()))
    for _ in range(5):
        assert (await ask(hub, f"{CHAT}/async", message="hi")).status_code == 202
    full = await ask(hub, message="hi")
    assert (full.status_code, full.json()["code"]) == (429, "queue_full")
    assert "pass session_id" in full.json()["error"]
    assert full.headers["Retry-After"]
