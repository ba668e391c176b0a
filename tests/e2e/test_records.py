"""/admin and /user session and thread: what was said and what it cost; to a user one's own, however it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.announced import watched
from tests.e2e.here import Here, running_hub
from tests.e2e.hub import demo_config

CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def announced() -> Iterator[None]:
    with watched() as found:
        yield
    assert found == []


@dataclass
class Said:
    """A hub, and what Ann, her laptop's key, and Bob said in it."""

    here: Here
    ann: Here
    laptop: Here
    bob: Here
    turns: dict[str, str]
    """By who asked."""

    async def get(self, who: Here, path: str, code: int = 200, **params: Any) -> Any:
        async with who.http() as client:
            answer = await client.get(path, params=params)
        assert answer.status_code == code, answer.text
        found = answer.json()
        assert found["success"] is (code == 200)
        return found["data"] if code == 200 else found["error"]

    async def items(self, who: Here, path: str, **params: Any) -> list[Any]:
        return (await self.get(who, path, **params))["items"]


async def say(who: Here, text: str, session: str = "s", **more: Any) -> str:
    """Ask; returns the turn."""
    body = {"messages": [{"role": "user", "content": text}], **more}
    async with who.http(**{"Session-Id": session} if session else {}) as client:
        answer = await client.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Turn-Id"]


async def made_by(owner: Here) -> Here:
    """A key that somebody makes for a program of theirs."""
    async with owner.http() as client:
        answer = await client.post("/api/v1/user/api-keys", json={"name": "laptop"})
    return replace(owner, key=answer.json()["api_key"])


@pytest.fixture
async def said(tmp_path: Path, store_url: str) -> AsyncIterator[Said]:
    config = demo_config(store={"url": store_url})
    async with running_hub(tmp_path, config) as here:
        ann, bob = await here.other(), await here.other()
        laptop = await made_by(ann)
        turns = {
            "ann": await say(ann, "count to 2", "shopping"),
            "laptop": await say(laptop, "the teapot", "notes", model="demo"),
            "bob": await say(bob, "my secret teapot", "diary"),
            "bob's model": await say(bob, "my secret cup", "", model="demo"),
        }
        async with here.http() as client:
            posted = await client.post("/api/v1/web/lobby", json={"text": "a secret in a room", "name": "Eve"})
            assert posted.status_code == 202
        await here.store.until(lambda: _all_answered(here, 1))
        yield Said(here=here, ann=ann, laptop=laptop, bob=bob, turns=turns)


async def test_an_admin_finds_what_everybody_said(said: Said) -> None:
    sessions = await said.items(said.here, "/admin/session/list")
    assert [(one["agent"], one["session_id"]) for one in sessions] == [
        ("assistant", None),
        ("assistant", "diary"),
        ("demo", "notes"),
        ("assistant", "shopping"),
    ]
    [diary] = await said.items(said.here, "/admin/session/list", q="secret", channel="api")
    assert (diary["session_id"], diary["turns"], diary["tokens_in"] > 0) == ("diary", 1, True)
    found = await said.items(said.here, "/admin/thread/list", q="teapot")
    assert [one["prompt"] for one in found] == ["my secret teapot", "the teapot"]
    [one] = await said.items(said.here, "/admin/thread/list", session_id="shopping", status="completed")
    assert (one["prompt"], one["completion"], one["agent"]) == ("count to 2", "1 2", "assistant")
    assert one["first_byte_latency"] <= one["invocation_latency"]
    detail = await said.get(said.here, f"/admin/session/detail/{one['session']}")
    assert [(message["role"], message["content"]) for message in detail["messages"]] == [
        ("user", "count to 2"),
        ("assistant", "1 2"),
    ]
    assert [thread["id"] for thread in detail["threads"]] == [said.turns["ann"]]
    thread = await said.get(said.here, "/admin/thread/detail/" + said.turns["bob's model"])
    assert (thread["prompt"], thread["session"], thread["model"]) == ("my secret cup", None, "demo")
    page = await said.get(said.here, "/admin/thread/list", limit=2)
    pages = [one["id"] for one in page["items"]]
    while page["next"] is not None:
        page = await said.get(said.here, "/admin/thread/list", limit=2, after=page["next"])
        pages += [one["id"] for one in page["items"]]
    assert (len(pages), len(set(pages)), page["total"]) == (5, 5, 5)
    error = await said.get(said.here, "/admin/session/list", 400, person="nobody")
    assert error["param"] == "person"
    assert (await said.get(said.here, "/admin/thread/list", 400, since=5, until=4))["param"] == "until"
    assert (await said.get(said.here, "/admin/thread/list", 400, after="x"))["param"] == "after"


async def test_a_user_sees_ones_own_and_those_of_the_keys_one_made(said: Said) -> None:
    mine = await said.items(said.ann, "/user/session/list")
    assert [one["session_id"] for one in mine] == ["notes", "shopping"]
    assert [one["id"] for one in await said.items(said.ann, "/user/thread/list")] == [
        said.turns["laptop"],
        said.turns["ann"],
    ]
    [one] = await said.items(said.ann, "/user/thread/list", session_id=mine[1]["id"])
    assert one["id"] == said.turns["ann"]
    detail = await said.get(said.ann, f"/user/thread/detail/{said.turns['laptop']}")
    assert [message["content"] for message in detail["messages"]] == ["the teapot", "You said: the teapot"]
    assert (await said.get(said.ann, f"/user/session/detail/{mine[0]['id']}"))["title"] is None
    assert [one["session_id"] for one in await said.items(said.laptop, "/user/session/list")] == ["notes"]
    assert [one["id"] for one in await said.items(said.laptop, "/user/thread/list")] == [said.turns["laptop"]]
    assert [one["prompt"] for one in await said.items(said.bob, "/user/thread/list", q="secret")] == [
        "my secret teapot"
    ]


async def test_nobody_else_has_a_way_to_it(said: Said) -> None:
    everything = await said.items(said.here, "/admin/session/list")
    theirs = {one["session_id"]: one for one in everything}
    bob, room = theirs["diary"], theirs[None]
    keyed = await said.here.other("chat", "read", "admin")  # an admin's scope makes nothing of others one's own
    closed = {"ann": said.ann, "laptop": said.laptop, "admin's key": said.here, "admin's scope": keyed}
    for who, one in closed.items():
        for session in (bob["id"], room["id"], 0, 10**17):
            assert (await said.get(one, f"/user/session/detail/{session}", 404))["code"] == "session_not_found", who
        for turn in (said.turns["bob"], said.turns["bob's model"], "%", "a/../b", "x" * 300):
            assert (await said.get(one, f"/user/thread/detail/{turn}", 404))["code"] == "turn_not_found", who
        for params in (
            {"session_id": bob["id"]},
            {"session_id": "diary"},
            {"session_id": room["id"]},
            {"session_id": "%"},
            {"q": "secret"},
            {"q": "diary"},
            {"q": said.turns["bob"]},
            {"q": "x') OR 1=1 --"},
            {"channel": "web"},
        ):
            assert await said.items(one, "/user/thread/list", **params) == [], (who, params)
            assert await said.items(one, "/user/session/list", **params) == [], (who, params)
        for path in ("/user/thread/list", "/user/session/list"):  # what only an admin may ask is not heard
            seen = str(await said.items(one, path, key_id=bob["key_id"], person=bob["person"], limit=1000))
            assert "secret" not in seen, who
            assert "diary" not in seen, who
    for session in (theirs["shopping"]["id"], bob["id"]):  # the owner's is not the made key's
        await said.get(said.laptop, f"/user/session/detail/{session}", 404)
    await said.get(said.laptop, f"/user/thread/detail/{said.turns['ann']}", 404)
    await _refused(said, bob["id"])


async def _refused(said: Said, session: int) -> None:
    """What is the admins' is not answered to others, and nothing without a key."""
    poster = await said.here.other("deliver")
    for path in (
        "session/list",
        f"session/detail/{session}",
        "thread/list",
        f"thread/detail/{said.turns['bob']}",
    ):
        for who in (said.ann, said.laptop, poster):
            await said.get(who, f"/admin/{path}", 403)
        await said.get(poster, f"/user/{path}", 403)
        for of in ("admin", "user"):
            async with httpx.AsyncClient(base_url=said.here.url) as client:
                assert (await client.get(f"/{of}/{path}")).status_code == 401


async def talk(who: Here, owner: Here, text: str) -> str:
    """Say something in an own room of a key; returns the room's address."""
    async with owner.http() as client:
        room = f"own.{(await client.get('/user/api-key/mine')).json()['data']['id']}.assistant.x"
    async with who.http() as client:
        answer = await client.post(f"/api/v1/web/{room}", json={"text": text})
    assert answer.status_code == 202, answer.text
    return f"web:{room}"


async def test_what_a_key_says_in_rooms_of_its_own_is_its_own_and_nobody_elses(said: Said) -> None:
    ann, bob = await talk(said.ann, said.ann, "a samovar"), await talk(said.bob, said.bob, "a secret samovar")
    await said.here.store.until(lambda: _all_answered(said.here, 3))
    await talk(said.laptop, said.ann, "its samovar")
    await talk(said.here, said.ann, "an admin's samovar")
    await said.here.store.until(lambda: _all_answered(said.here, 5))
    found = {one["address"]: one for one in await said.items(said.here, "/admin/session/list", q="samovar")}
    assert set(found) == {bob, ann}
    key, turns = found[ann]["key_id"], await said.items(said.here, "/admin/thread/list", q="samovar")
    assert [
        one["address"] for one in await said.items(said.here, "/admin/session/list", key_id=key, channel="web")
    ] == [ann]
    by_text = {one["prompt"]: one for one in turns}
    assert by_text["a samovar"]["key_id"] == key
    assert len({one["key_id"] for one in turns}) == 4

    mine = await said.items(said.ann, "/user/session/list", q="samovar")
    assert [(one["address"], one["turns"]) for one in mine] == [(ann, 3)]
    assert [one["prompt"] for one in await said.items(said.ann, "/user/thread/list", channel="web")] == [
        "its samovar",
        "a samovar",
    ]
    assert (await said.get(said.ann, f"/user/session/detail/{found[ann]['id']}"))["turns"] == 3
    total = await said.get(said.ann, "/user/statistics/total", channel="web")
    assert (total["turns"], total["prompt_tokens"]) == (1, by_text["a samovar"]["tokens_in"])
    assert [one["prompt"] for one in await said.items(said.laptop, "/user/thread/list", channel="web")] == [
        "its samovar"
    ]
    keyed = await said.here.other("chat", "read", "admin")
    closed = {"ann": said.ann, "laptop": said.laptop, "admin's key": said.here, "admin's scope": keyed}
    for who, one in closed.items():
        await said.get(one, f"/user/session/detail/{found[bob]['id']}", 404)
        await said.get(one, f"/user/thread/detail/{by_text['a secret samovar']['id']}", 404)
        for params in ({"q": "secret"}, {"session_id": found[bob]["id"]}, {"channel": "web"}, {"limit": 1000}):
            for path in ("/user/thread/list", "/user/session/list"):
                seen = await said.items(one, path, **params)
                assert bob not in {each["address"] for each in seen}, (who, path, params)
    for path in ("session/detail/" + str(found[ann]["id"]), "thread/detail/" + by_text["a samovar"]["id"]):
        await said.get(said.bob, f"/user/{path}", 404)
        await said.get(said.laptop, f"/user/{path}", 404)
        await said.get(said.here, f"/user/{path}", 404)
    assert [one["address"] for one in await said.items(said.bob, "/user/session/list", q="samovar")] == [bob]
    async with said.ann.http() as client:  # these are the sessions of programs
        assert [one["session_id"] for one in (await client.get("/api/v1/sessions")).json()["data"]] == ["shopping"]
        assert (await client.get(f"/api/v1/turns/{by_text['a secret samovar']['id']}")).status_code == 404
        assert (await client.get(f"/api/v1/turns/{by_text['a samovar']['id']}")).json()["status"] == "completed"


async def _all_answered(here: Here, count: int) -> bool:
    async with here.http() as client:
        found = (await client.get("/admin/thread/list", params={"channel": "web"})).json()["data"]["items"]
    return [one["status"] for one in found] == ["completed"] * count


async def test_a_key_searches_its_sessions(said: Said) -> None:
    async with said.bob.http() as client:

        async def found(**params: Any) -> list[str]:
            answer = await client.get("/api/v1/sessions", params=params)
            assert answer.status_code == 200, answer.text
            return [one["session_id"] for one in answer.json()["data"]]

        assert await found(q="teapot secret") == ["diary"]
        assert await found(q="notes") == []
        assert await found(since=1, until=10**10) == ["diary"]
        assert await found(until=10**11) == ["diary"]
        refused = await client.get("/api/v1/sessions", params={"until": 10**12})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "until")
        assert await found(until=1) == []
    async with said.here.http() as client:
        answer = await client.delete(f"/api/v1/sessions/{10**6}")
        assert answer.status_code == 404


async def test_what_is_erased_is_not_listed(said: Said) -> None:
    async with said.laptop.http() as client:
        [session] = (await client.get("/api/v1/sessions")).json()["data"]
        assert (await client.delete(f"/api/v1/sessions/{session['id']}")).status_code == 200
    assert [one["session_id"] for one in await said.items(said.ann, "/user/session/list")] == ["shopping"]
    detail = await said.get(said.ann, f"/user/thread/detail/{said.turns['laptop']}")
    assert (detail["prompt"], detail["completion"], detail["messages"]) == (None, None, [])
    assert await said.items(said.here, "/admin/thread/list", q="the teapot", key_id=session["id"]) == []
