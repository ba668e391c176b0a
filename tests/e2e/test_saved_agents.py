"""/admin/agent: agents that are saved while a hub runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.accounts import keys
from hub.accounts.keys import Key
from tests.api.announced import watched
from tests.e2e.administering import Admin
from tests.e2e.here import Here, running_hub

CONFIG: dict[str, Any] = {
    "models": {"demo": {"provider": "demo"}},
    "agents": {"helper": {"model": "demo"}},
    "channels": {"web": {"kind": "web"}},
}
UUID = "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e10"
PROMPT: list[Any] = [{"role": "user", "content": "system"}]
"""What the demo model answers with its system prompt."""


@pytest.fixture(autouse=True)
def announced() -> Iterator[None]:
    with watched() as found:
        yield
    assert found == []


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with running_hub(tmp_path, CONFIG) as here:
        yield Admin(here)


async def asked(here: Here, name: str, path: str = "/v1/chat/completions") -> tuple[int, str]:
    """The status, and the first line of the answer: where it is asked, an agent with a conversation is told too."""
    async with here.http() as client:
        answer = await client.post(path, json={"model": name, "messages": PROMPT})
    found = answer.json()
    text = found["choices"][0]["message"]["content"] if answer.status_code == 200 else ""
    return answer.status_code, text.partition("\n")[0]


async def each_way(here: Here, made: dict[str, Any]) -> list[int]:
    """The statuses of an agent's chat completions, of its assistant's, and of its page."""
    assistant = f"/api/v1/assistants/{made['uuid']}/v1"
    async with here.http() as client:
        page = await client.get(f"/v1/models/{made['name']}")
    ways = [await asked(here, made["name"]), await asked(here, "", f"{assistant}/chat/completions")]
    return [*(status for status, _ in ways), page.status_code]


async def user(admin: Admin) -> tuple[Here, Key]:
    """The hub for another key, and that key."""
    other = await admin.here.other()
    key = await admin.here.store.read(lambda c: keys.find(c, other.key, admin.here.engine.clock()))
    assert key is not None
    return other, key


async def test_r5_a_saved_agent_is_used_at_once_by_its_name_and_as_an_assistant(admin: Admin) -> None:
    other, _ = await user(admin)
    made = await admin.post(
        "agent/save",
        name="poet",
        uuid=UUID.upper(),
        model="demo",
        system_prompt="I rhyme",
        params={"temperature": 0.5, "top_p": 0.9},
        tools=["fetch_url", "memory"],
        busy="steer",
    )
    shown = {name: made[name] for name in ("name", "uuid", "params", "tools", "public", "active", "source", "error")}
    assert shown == {
        "name": "poet",
        "uuid": UUID,
        "params": {"temperature": 0.5, "top_p": 0.9},
        "tools": ["fetch_url", "memory"],
        "public": True,
        "active": True,
        "source": "admin",
        "error": None,
    }
    assert made["config"]["busy"] == "steer"
    async with other.http() as client:
        listed = (await client.get("/v1/models")).json()["data"]
    assert {one["id"]: one.get("assistant_id") for one in listed}["poet"] == UUID
    assert await asked(other, "poet") == (200, "I rhyme")
    assert await asked(other, "", f"/api/v1/assistants/{UUID}/v1/chat/completions") == (200, "I rhyme")
    assert await admin.get(f"agent/detail/{made['id']}") == made


async def test_r5_a_changed_prompt_holds_from_the_next_request_on_and_the_rest_stays(admin: Admin) -> None:
    made = await admin.post("agent/save", name="poet", model="demo", system_prompt="I rhyme", params={"top_p": 0.9})
    changed = await admin.post("agent/save", id=made["id"], system_prompt="I sing", params={"max_tokens": 99})
    assert changed == {
        **made,
        "system_prompt": "I sing",
        "params": {"max_tokens": 99},
        "updated_at": changed["updated_at"],
    }
    assert await asked(admin.here, "poet") == (200, "I sing")
    assert await asked(admin.here, "", f"/api/v1/assistants/{made['uuid']}/v1/chat/completions") == (200, "I sing")
    fields = ("model", "system_prompt", "params", "tools", "public", "active", "enabled", "owner_id", "config")
    again = await admin.post("agent/save", id=made["id"], **{name: changed[name] for name in fields})
    assert again == {**changed, "updated_at": again["updated_at"]}


@pytest.mark.parametrize("switch", ["public", "active"])
async def test_r5_one_that_is_private_or_inactive_is_a_404_to_others(admin: Admin, switch: str) -> None:
    (owner, key), (granted, friend), (other, _) = [await user(admin) for _ in range(3)]
    made = await admin.post("agent/save", name="poet", model="demo", owner_id=key.id, **{switch: False})
    await admin.post("api-key/bind-or-unbind-agent", key_id=friend.id, agent_id=made["id"])
    assert (made["owner_id"], made[switch]) == (key.id, False)
    for here in (admin.here, owner, granted):
        assert await each_way(here, made) == [200, 200, 200]
    assert await each_way(other, made) == [404, 404, 404]
    async with other.http() as client:
        assert "poet" not in (await client.get("/v1/models")).text
    await admin.post("agent/save", id=made["id"], **{switch: True})
    assert await each_way(other, made) == [200, 200, 200]
    await admin.post("agent/save", id=made["id"], owner_id=None, **{switch: False})
    assert await each_way(owner, made) == [404, 404, 404]


async def test_agents_are_listed_found_and_deleted_and_a_channel_keeps_its_own(admin: Admin) -> None:
    made = [await admin.post("agent/save", name=f"poet-{number}", model="demo") for number in range(3)]
    listed = await admin.get("agent/list?q=POET&limit=2")
    assert ([one["name"] for one in listed["items"]], listed["total"]) == (["poet-0", "poet-1"], 3)
    rest = await admin.get(f"agent/list?q=POET&limit=2&after={listed['next']}")
    assert ([one["name"] for one in rest["items"]], rest["next"]) == (["poet-2"], None)
    bot = await admin.post("bot/web/save", name="hall", config={"modelId": "poet-1"})
    status, _, message = await admin.refused("agent/delete", id=made[1]["id"])
    assert (status, "channel 'hall'" in message) == (409, True), message
    await admin.post("bot/web/delete", id=bot["id"])
    assert await admin.post("agent/delete", id=made[1]["id"]) is True
    assert await each_way(admin.here, made[1]) == [404, 404, 404]
    assert (await admin.ask("GET", f"agent/detail/{made[1]['id']}"))[0] == 404
    audit = (await admin.get(f"audit/list?target=agent:{made[1]['id']}"))["items"]
    assert [one["what"] for one in audit] == ["agent.delete", "agent.create"]


async def test_one_that_is_off_is_saved_and_answers_nobody(admin: Admin) -> None:
    made = await admin.post("agent/save", name="poet", model="demo", enabled=False)
    assert (made["enabled"], made["uuid"], await asked(admin.here, "poet")) == (False, None, (404, ""))
    changed = await admin.post("agent/save", id=made["id"], enabled=True)
    assert await each_way(admin.here, changed) == [200, 200, 200]


async def test_what_cannot_be_is_refused_and_says_why(admin: Admin) -> None:
    [declared] = (await admin.get("agent/list"))["items"]
    assert (declared["name"], declared["source"], declared["system_prompt"]) == ("helper", "config", "")
    made = await admin.post("agent/save", name="poet", model="demo", uuid=UUID)
    owner, key = await user(admin)
    async with owner.http() as client:
        own = (await client.post("/api/v1/user/api-keys", json={"name": "own"})).json()
    new = {"name": "new", "model": "demo"}
    code = "can only be declared in config.yaml"
    for body, refusal in (
        ({**new, "kind": "os:system"}, (400, "kind", code)),
        ({**new, "config": {"kind": "json:loads"}}, (400, "kind", code)),
        ({"id": made["id"], "config": '{"mcp": {"x": {"command": "id"}}}'}, (400, "mcp", code)),
        ({"id": made["id"], "tools": ["recall", "os:system"]}, (400, "tools", code)),
        ({**new, "tools": "os:system"}, (400, "tools", "array")),
        ({**new, "config": {"tools": ["os:system"]}}, (400, "tools", code)),
        ({**new, "tools": ["no-such"]}, (400, "tools", "there is no tool 'no-such'")),
        ({"name": "new"}, (400, "model", "is missing")),
        ({**new, "model": "no-such"}, (400, "model", "there is no model 'no-such'")),
        ({**new, "params": {"temperature": 9}}, (400, "temperature", "at most 2")),
        ({**new, "hue": 1}, (400, "hue", "unknown key")),
        ({**new, "name": "New!"}, (400, "name", "is not a name")),
        ({"model": "demo"}, (400, "name", "is missing")),
        ({**new, "config": {"id": UUID}}, (400, "config.id", "uuid")),
        ({**new, "uuid": "x"}, (400, "uuid", "uuid")),
        ({**new, "uuid": UUID}, (409, "uuid", "the agent 'poet'")),
        ({**new, "uuid": declared["uuid"]}, (409, "uuid", "the agent 'helper'")),
        ({**new, "owner_id": 999}, (400, "owner_id", "there is no API key 999")),
        ({**new, "owner_id": own["id"]}, (400, "owner_id", f"counts as its owner, {key.id}")),
        ({**new, "name": "poet"}, (409, None, "There is already an agent 'poet'.")),
        ({**new, "name": "demo"}, (409, None, "There is already a model 'demo'.")),
        ({"id": made["id"], "name": "bard"}, (400, "name", "it stays")),
        ({"id": declared["id"], "system_prompt": "x"}, (409, None, "declared in config.yaml (agents.helper)")),
        ({"id": 999, "system_prompt": "x"}, (404, None, "There is no agent 999.")),
    ):
        status, param, message = await admin.refused("agent/save", **body)
        assert (status, param) == refusal[:2], (body, message)
        assert refusal[2] in message, (body, message)
    assert (await admin.refused("agent/delete", id=declared["id"]))[0] == 409
    assert (await admin.refused("agent/delete", id=999))[0] == 404
    assert {one["name"] for one in (await admin.get("agent/list"))["items"]} == {"helper", "poet"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "agent/save"), ("POST", "agent/delete"), ("GET", "agent/list"), ("GET", "agent/detail/1")],
)
async def test_users_may_not(admin: Admin, method: str, path: str) -> None:
    other, _ = await user(admin)
    status, error = await Admin(other).ask(method, path, {"id": 1} if method == "POST" else None)
    assert (status, error["code"]) == (403, "missing_scope")
