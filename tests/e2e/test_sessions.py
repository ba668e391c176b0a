"""/api/v1/sessions: a key lists, reads, names, takes along and erases its own conversations, and sees no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hub.errors import Conflict
from hub.records.sessions import Sessions
from hub.store import search
from hub.store.tables import entries, messages, places, sessions, turns
from tests.e2e.here import Here, running_hub
from tests.patience import PATIENCE
from tests.platforms.openai import Call, Upstream, call, say

PATH = "/api/v1/sessions"


@pytest.fixture
async def hub(tmp_path: Path, upstream: Upstream, store_url: str) -> AsyncIterator[Here]:
    config: dict[str, Any] = {
        "store": {"url": store_url},
        "models": {"gpt": {"provider": "openai", "base_url": upstream.base_url, "model": "gpt-test"}},
        "agents": {"bot": {"model": "gpt", "tools": ["memory"]}, "other": {"model": "gpt"}},
        "channels": {"web": {"kind": "web", "agent": "bot"}},
    }
    async with running_hub(tmp_path, config) as hub:
        yield hub


async def say_to(hub: Here, message: str, session_id: str = "s", agent: str = "bot") -> str:
    """Ask an agent; returns the turn."""
    async with hub.http() as client:
        answer = await client.post("/api/v1/chat", json={"message": message, "agent": agent, "session_id": session_id})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def get(hub: Here, path: str = "", **params: Any) -> Any:
    async with hub.http() as client:
        answer = await client.get(PATH + path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def send(hub: Here, method: str, path: str, body: Any = None) -> httpx.Response:
    async with hub.http() as client:
        return await client.request(method, PATH + path, json=body)


async def session(hub: Here, session_id: str = "s") -> Any:
    """The session of this name."""
    return next(each for each in (await get(hub))["data"] if each["session_id"] == session_id)


async def test_sessions_are_listed_the_newest_first_in_pages(hub: Here) -> None:
    assert await get(hub) == {"object": "list", "data": [], "next": None}
    for name in ("a", "b", "c"):
        await say_to(hub, "hi", name)
    await say_to(hub, "hi", "c", agent="other")
    first = await get(hub, limit=3)
    rest = await get(hub, limit=3, after=first["next"])
    found = [(each["agent"], each["session_id"]) for each in (*first["data"], *rest["data"])]
    assert found == [("other", "c"), ("bot", "c"), ("bot", "b"), ("bot", "a")]
    assert rest["next"] is None
    one = first["data"][0]
    assert (one["object"], one["title"], one["updated_at"] >= one["created_at"]) == ("session", None, True)
    assert [each["session_id"] for each in (await get(hub, agent="other"))["data"]] == ["c"]


async def test_a_session_is_read_with_roles_and_the_steps_of_tools(hub: Here, upstream: Upstream) -> None:
    remember = Call("remember", '{"fact": "They like tea."}', id="c1")
    upstream.script(call(remember), say("Noted."))
    turn = await say_to(hub, "I like tea")
    found = await get(hub, f"/{(await session(hub))['id']}")
    assert (found["session_id"], found["next"]) == ("s", None)
    asked, called, returned, said = found["messages"]
    assert (asked["role"], asked["content"], asked["turn"]) == ("user", "I like tea", turn)
    assert called["role"] == "assistant"
    assert called["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "remember", "arguments": remember.arguments}}
    ]
    assert (returned["role"], returned["tool_call_id"]) == ("tool", "c1")
    assert "They like tea." in returned["content"]
    assert (said["role"], said["content"]) == ("assistant", "Noted.")


async def test_a_long_session_is_read_in_pages_and_exported_whole(hub: Here) -> None:
    for number in range(3):
        await say_to(hub, f"word {number}")
    one = (await session(hub))["id"]
    pages = [await get(hub, f"/{one}", limit=4)]
    pages.append(await get(hub, f"/{one}", limit=4, after=pages[0]["next"]))
    read = [message for page in pages for message in page["messages"]]
    assert [message["content"] for message in read if message["role"] == "user"] == ["word 0", "word 1", "word 2"]
    assert pages[1]["next"] is None
    async with hub.http() as client:
        lines = await client.get(f"{PATH}/{one}/export", params={"format": "jsonl"})
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    assert lines.headers["Content-Disposition"] == f'attachment; filename="session-{one}.jsonl"'
    assert [json.loads(line) for line in lines.text.splitlines()] == read
    assert (await get(hub, f"/{one}/export"))["messages"] == read


async def test_a_session_is_named(hub: Here) -> None:
    await say_to(hub, "hi")
    one = (await session(hub))["id"]
    named = await send(hub, "PATCH", f"/{one}", {"title": " My tea "})
    assert (named.status_code, named.json()["title"]) == (200, "My tea")
    assert (await session(hub))["title"] == "My tea"
    assert (await send(hub, "PATCH", f"/{one}", {"title": None})).json()["title"] is None
    for wrong in ({}, {"title": "x" * 201}, {"title": 7}, {"title": "a\x00b"}):
        assert (await send(hub, "PATCH", f"/{one}", wrong)).status_code == 400


async def rows(hub: Here, query: Any) -> list[Any]:
    return await hub.store.read(lambda connection: list(connection.execute(query).all()))


async def test_a_session_is_erased_with_its_words(hub: Here, upstream: Upstream) -> None:
    turn = await say_to(hub, "the secret teapot")
    await say_to(hub, "a kettle", "kept")
    one = (await session(hub))["id"]
    gone = await send(hub, "DELETE", f"/{one}")
    assert gone.json() == {"id": one, "object": "session", "deleted": True}
    assert (await send(hub, "DELETE", f"/{one}")).status_code == 404
    assert [each["session_id"] for each in (await get(hub))["data"]] == ["kept"]
    assert not await rows(hub, select(entries).where(entries.c.session == int(one)))
    stored = [
        *(row.body for row in await rows(hub, select(messages))),
        *(r.body for r in await rows(hub, select(entries))),
    ]
    assert not [body for body in stored if b"teapot" in body]
    here = [row.id for row in await rows(hub, select(places))]
    found = await hub.store.read(lambda connection: [search.find(connection, here, w, 9) for w in ("teapot", "kettle")])
    assert [bool(ids) for ids in found] == [False, True]
    (told,) = await rows(hub, select(turns).where(turns.c.id == turn))
    assert (told.status, told.response, told.session, told.prompt_tokens > 0) == ("completed", None, None, True)
    await say_to(hub, "anew")
    assert [m["content"] for m in upstream.requests[-1].body["messages"] if m["role"] == "user"] == ["anew"]
    assert (await session(hub))["id"] != one
    assert await hub.engine.bus.residue(0.0) == 0


async def test_the_responses_of_a_session_go_with_it(hub: Here) -> None:
    async with hub.http() as client:
        sent = {"model": "bot", "input": "the secret teapot"}
        response = (await client.post("/v1/responses", json=sent, headers={"Session-Id": "s"})).json()
        assert (await client.get(f"/v1/responses/{response['id']}")).status_code == 200
        for one in (await get(hub))["data"]:
            await send(hub, "DELETE", f"/{one['id']}")
        assert (await client.get(f"/v1/responses/{response['id']}")).status_code == 404


async def test_the_newest_session_of_all_is_erased_too(hub: Here) -> None:
    await say_to(hub, "hi")
    one = (await session(hub))["id"]
    assert (await send(hub, "DELETE", f"/{one}")).status_code == 200
    assert (await get(hub))["data"] == []
    for row in await rows(hub, select(sessions)):
        assert (row.person, row.title, row.address) == (None, None, "api:0")


async def test_a_turn_that_runs_and_what_waits_is_stopped_first(hub: Here, upstream: Upstream) -> None:
    await say_to(hub, "first")
    upstream.script(say("Never.", gate=asyncio.Event()))
    async with hub.http() as client:
        taken = [
            (await client.post("/api/v1/chat/async", json={"message": "hi", "session_id": "s"})).json()["id"]
            for _ in range(2)
        ]
    await upstream.wait_request(2)
    one = (await session(hub))["id"]
    assert (await send(hub, "DELETE", f"/{one}")).status_code == 200
    for turn in taken:
        record = await hub.over(turn)
        assert (record.status, record.response) == ("cancelled", None)
    assert not await rows(hub, select(entries).where(entries.c.session == int(one)))
    assert await hub.engine.bus.residue(0.0) == 0


async def test_a_turn_that_does_not_stop_is_a_conflict(
    hub: Here, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say_to(hub, "first")
    held = asyncio.Event()
    upstream.script(say("At last.", gate=held))
    async with hub.http() as client:
        turn = (await client.post("/api/v1/chat/async", json={"message": "hi", "session_id": "s"})).json()["id"]
    await upstream.wait_request(2)

    async def deaf(*_: Any, **__: Any) -> str:
        return "running"

    record = await Sessions(hub.engine.bus).find(1, int((await session(hub))["id"]))
    assert record is not None
    monkeypatch.setattr(hub.engine.bus, "withdraw", deaf)
    with pytest.raises(Conflict, match=turn):
        await asyncio.wait_for(Sessions(hub.engine.bus, stop_wait=0.01).erase(record), PATIENCE)
    monkeypatch.undo()
    held.set()
    await hub.over(turn)


ROUTES = [
    ("GET", "/{}", None),
    ("GET", "/{}/export", None),
    ("GET", "/{}/export?format=jsonl", None),
    ("PATCH", "/{}", {"title": "mine"}),
    ("DELETE", "/{}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_another_keys_session_is_a_404(hub: Here, method: str, path: str, body: Any) -> None:
    other = await hub.other()
    await say_to(other, "a secret")
    theirs = await session(other)
    assert (await get(hub))["data"] == [], "an admin's list is its own too"
    third = await hub.other()
    for asker in (hub, third):
        refused = await send(asker, method, path.format(theirs["id"]), body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "session_not_found")
        assert "secret" not in refused.text
    assert await session(other) == theirs


async def test_what_is_said_in_a_room_is_nobodys_session(hub: Here) -> None:
    async with hub.http() as client:
        await client.post("/api/v1/web/lobby", json={"text": "hello room"})
        async with client.stream("GET", "/api/v1/web/lobby/events", params={"after": "0"}) as events:
            async for line in events.aiter_lines():
                if "You said: hello room" in line:
                    break
    assert (await get(hub))["data"] == []
    await say_to(hub, "hi", "web:lobby")
    found = await get(hub, f"/{(await session(hub, 'web:lobby'))['id']}")
    assert [message["content"] for message in found["messages"]] == ["hi", "You said: hi"]
    for row in await rows(hub, select(sessions).where(sessions.c.address == "web:lobby")):
        assert (await send(hub, "GET", f"/{row.id}")).status_code == 404


@pytest.mark.parametrize("scopes", [("deliver",), ("read",)])
async def test_scopes(hub: Here, scopes: tuple[str, ...]) -> None:
    other = await hub.other(*scopes)
    expected = {"GET": 404 if "read" in scopes else 403, "PATCH": 403, "DELETE": 403}
    for method, path, body in ROUTES:
        assert (await send(other, method, path.format(1), body)).status_code == expected[method]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"after": "x"}, {"after": 10**18}, {"agent": "a\x00"}])
async def test_a_wrong_question_is_a_400(hub: Here, query: dict[str, Any]) -> None:
    async with hub.http() as client:
        assert (await client.get(PATH, params=query)).status_code == 400
