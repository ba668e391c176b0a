"""Who may use what, as BRConnector and Riceball promise it: a test a row, its requests as they stand there.

The tests' process writes into the store as another hub would; the hub itself goes by it from the next request on.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from hub.accounts import keys
from hub.accounts.keys import Key
from hub.store.tables import turns
from tests.clients.serving import Serving
from tests.compat.asking import CHAT, HERMIT, asked, content_of
from tests.granting import grant
from tests.platforms.openai import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="package")
EMBED: dict[str, Any] = {"model": "your-embedding-model", "input": "Hello."}
BIND = "/admin/group/bind-or-unbind-model"


class Admin:
    """Does what an admin does, over HTTP."""

    def __init__(self, hub: Serving, secret: str) -> None:
        self.hub = hub
        self.secret = secret

    async def ask(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        """The status, and the data or what is wrong."""
        async with self.hub.http(self.secret) as client:
            answer = await client.request(method, path, json=body or None)
        found = answer.json()
        assert found["success"] is (answer.status_code == 200)
        return answer.status_code, found["data"] if found["success"] else found["error"]

    async def post(self, path: str, **body: Any) -> Any:
        status, found = await self.ask("POST", path, **body)
        assert status == 200, found
        return found

    async def items(self, path: str) -> list[Any]:
        status, found = await self.ask("GET", path)
        assert status == 200, found
        return found["items"]

    async def refused(self, path: str, **body: Any) -> tuple[int, str]:
        status, error = await self.ask("POST", path, **body)
        return status, error["code"]

    async def group(self, name: str) -> int:
        return (await self.post("/admin/group/save", name=name))["id"]


@pytest.fixture
def admin(hub: Serving) -> Admin:
    return Admin(hub, hub.process.key)


async def bare(hub: Serving, **fields: Any) -> tuple[str, Key]:
    """A new user key that is granted nothing."""
    secret = keys.new_secret()
    key = await hub.store.write(lambda c: keys.create(c, secret, name="bare", now=time.time(), **fields))
    return secret, key


async def ids(hub: Serving) -> dict[str, int]:
    """The ids of models and agents by their names."""
    _, key = await bare(hub)
    agents = ("assistant", "hermit")
    await hub.store.write(lambda c: grant(c, key.id, models=hub.models, agents=agents))
    admin = Admin(hub, hub.process.key)
    models = await admin.items(f"/admin/api-key/list-model?key_id={key.id}")
    found = await admin.items(f"/admin/api-key/list-agent?key_id={key.id}")
    return {each["model_name"]: each["model_id"] for each in models} | {
        each["agent_name"]: each["agent_id"] for each in found
    }


async def names(client: httpx.AsyncClient) -> set[str]:
    return {each["id"] for each in (await client.get("/v1/models")).raise_for_status().json()["data"]}


async def turns_of(hub: Serving, key: Key) -> int:
    counted = select(func.count()).select_from(turns).where(turns.c.key_id == key.id)
    return await hub.store.read(lambda connection: connection.execute(counted).scalar_one())


async def test_b4_a_list_has_what_the_key_may_use(hub: Serving, admin: Admin) -> None:
    secret, key = await bare(hub)
    await hub.store.write(lambda connection: grant(connection, key.id, models=["c37"], agents=["hermit"]))
    async with hub.http(secret) as client:
        assert await names(client) == {"assistant", "writer", "lettabot", "poet", "hermit", "c37"}
        assert (await client.get("/v1/models/c37")).status_code == 200
        assert (await client.get("/v1/models/gpt")).status_code == 403
        [model] = (await client.get("/user/model/list")).json()["data"]["items"]
    assert {name: model[name] for name in ("name", "provider", "multiple")} == {
        "name": "c37",
        "provider": "openai",
        "multiple": False,
    }
    assert "base_url" not in str(model)
    async with hub.http(admin.secret) as client:
        assert {"hermit", "gpt", "c37", "demo"} < await names(client)


async def test_b10_groups_are_saved_listed_and_deleted_and_their_keys_stay(hub: Serving, admin: Admin) -> None:
    made = await admin.post("/admin/group/save", name="b10", key="B-10")
    assert (made["name"], made["key"], made["keys"]) == ("b10", "B-10", 0)
    assert (await admin.post("/admin/group/save", id=made["id"], name="b10 too"))["key"] == "B-10"
    key = await admin.post("/admin/api-key/apply", name="b10", group_id=made["id"])
    listed = await admin.items("/admin/group/list?q=B10&limit=&offset=")
    assert [(each["id"], each["name"], each["keys"]) for each in listed] == [(made["id"], "b10 too", 1)]
    assert await admin.refused("/admin/group/save", name="default") == (409, "exists")
    assert await admin.refused("/admin/group/save", key="x") == (400, "missing_parameter")
    assert await admin.post("/admin/group/delete", id=made["id"]) is True
    for path in ("/admin/group/delete", "/admin/group/save"):
        assert await admin.refused(path, id=made["id"], name="x") == (404, "group_not_found")
    status, left = await admin.ask("GET", f"/admin/api-key/detail/{key['id']}")
    assert (status, left["group_id"], left["active"]) == (200, None, True)


async def test_b11_a_model_is_bound_to_a_group_and_unbound(hub: Serving, admin: Admin) -> None:
    group, model = await admin.group("b11"), (await ids(hub))["c37"]
    secret, _ = await bare(hub, group_id=group)
    async with hub.http(secret) as client:
        for done, status in (("created", 200), ("deleted", 403), ("created", 200)):
            assert await admin.post(BIND, group_id=group, model_id=model) == done
            assert (await client.post(CHAT, json=asked("ping", model="c37"))).status_code == status
    [bound] = await admin.items(f"/admin/group/list-model?group_id={group}")
    assert (bound["group_name"], bound["model_id"], bound["model_name"]) == ("b11", model, "c37")
    for wanted, done in ((True, "created"), (True, "created"), (False, "deleted"), (False, "deleted")):
        assert await admin.post(BIND, group_id=group, model_id=model, bind=wanted) == done
    assert await admin.items(f"/admin/group/list-model?group_id={group}") == []


async def test_b11_the_same_for_a_key_and_for_agents(hub: Serving, admin: Admin) -> None:
    known, (secret, key) = await ids(hub), await bare(hub)
    for kind, name in (("model", "c37"), ("agent", "hermit")):
        path, body = f"/admin/api-key/bind-or-unbind-{kind}", {"key_id": key.id, f"{kind}_id": known[name]}
        assert await admin.post(path, **body) == "created"
        assert [each[f"{kind}_name"] for each in await admin.items(f"/admin/api-key/list-{kind}?key_id={key.id}")] == [
            name
        ]
        async with hub.http(secret) as client:
            content_of(await client.post(CHAT, json=asked("ping", model=name)))
            assert await admin.post(path, **body) == "deleted"
            assert name not in await names(client)


async def test_b11_of_toggles_at_once_none_is_lost(hub: Serving, admin: Admin) -> None:
    group, model = await admin.group("b11 at once"), (await ids(hub))["c37"]
    done = await asyncio.gather(*(admin.post(BIND, group_id=group, model_id=model) for _ in range(5)))
    assert sorted(done) == ["created"] * 3 + ["deleted"] * 2
    assert len(await admin.items(f"/admin/group/list-model?group_id={group}")) == 1


async def test_b11_what_is_not_there_is_named(hub: Serving, admin: Admin) -> None:
    known, group = await ids(hub), await admin.group("b11 errors")
    assert await admin.refused(BIND, group_id=2**31 - 1, model_id=known["c37"]) == (400, "group_not_found")
    assert await admin.refused(BIND, group_id=group, model_id=known["hermit"]) == (404, "model_not_found")
    assert await admin.refused(BIND, group_id=group, model_id=2**31 - 1) == (404, "model_not_found")
    path = "/admin/api-key/bind-or-unbind-model"
    assert await admin.refused(path, key_id=2**31 - 1, model_id=known["c37"]) == (404, "key_not_found")
    gone = await admin.post("/admin/api-key/apply", name="gone")
    await admin.post("/admin/api-key/delete", id=gone["id"])
    assert await admin.refused(path, key_id=gone["id"], model_id=known["c37"]) == (404, "key_not_found")
    await admin.post("/admin/group/delete", id=group)
    assert await admin.refused(BIND, group_id=group, model_id=known["c37"]) == (400, "group_not_found")


async def test_b16_a_model_that_is_not_granted_is_a_403_that_names_it_and_costs_nothing(
    hub: Serving, upstream: Upstream
) -> None:
    secret, key = await bare(hub)
    requests: list[tuple[str, dict[str, Any]]] = [
        (CHAT, asked("ping", model="c37")),
        (CHAT, asked("ping", model="c37", stream=True)),
        ("/v1/completions", {"model": "c37", "prompt": "ping"}),
        ("/v1/responses", {"model": "c37", "input": "ping"}),
        ("/v1/embeddings", EMBED),
    ]
    async with hub.http(secret) as client:
        for path, body in requests:
            answer = await client.post(path, json=body)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (403, "model_not_allowed"), path
            assert body["model"] in error["message"]
        audio = {"model": "c37"}, {"file": ("a.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ")}
        answer = await client.post("/v1/audio/transcriptions", data=audio[0], files=audio[1])
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "model_not_allowed")
    assert upstream.requests == []
    assert await turns_of(hub, key) == 0


async def test_b16_what_is_unknown_is_a_404_that_names_what_there_is_for_the_key(hub: Serving) -> None:
    secret, key = await bare(hub)
    await hub.store.write(lambda connection: grant(connection, key.id, models=["c37"]))
    async with hub.http(secret) as client:
        answers = [(await client.post(CHAT, json=asked("ping", model=name))) for name in ("nobody", "hermit")]
    unknown, private = [answer.json()["error"] for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert unknown["message"].endswith("there is: assistant, writer, lettabot, poet, c37.")
    assert private == {**unknown, "message": unknown["message"].replace("nobody", "hermit")}
    assert await turns_of(hub, key) == 0


async def test_b16_a_grant_that_another_process_takes_back_ends_with_the_next_request(hub: Serving) -> None:
    secret = await hub.key()
    async with hub.http(secret) as client:
        content_of(await client.post(CHAT, json=asked("ping", model="c37")))
        key = await hub.store.read(lambda connection: keys.find(connection, secret, time.time()))
        assert key is not None
        await hub.store.write(lambda connection: grant(connection, key.id, models=["c37"], wanted=False))
        assert (await client.post(CHAT, json=asked("ping", model="c37"))).status_code == 403
        assert (await client.post(CHAT, json=asked("ping", model="gpt"))).status_code == 200


async def test_b16_a_key_that_is_limited_uses_nothing_else(hub: Serving, admin: Admin) -> None:
    known, made = await ids(hub), await admin.post("/admin/api-key/apply", name="limited", agents=["poet"], models=[])
    await admin.post("/admin/api-key/bind-or-unbind-model", key_id=made["id"], model_id=known["c37"])
    async with hub.http(made["api_key"]) as client:
        assert await names(client) == {"poet"}
        assert (await client.post(CHAT, json=asked("ping", model="assistant"))).status_code == 404
        assert (await client.post(CHAT, json=asked("ping", model="c37"))).status_code == 403
        answer = await client.post("/api/v1/chat", json={"message": "ping", "agent": "assistant"})
        assert (answer.status_code, answer.json()["code"]) == (404, "agent_not_found")


async def test_r5_a_private_assistant_is_a_404_to_others_as_an_unknown_or_malformed_id_is(
    hub: Serving, admin: Admin
) -> None:
    granted, key = await bare(hub)
    await hub.store.write(lambda connection: grant(connection, key.id, agents=["hermit"]))
    other, _ = await bare(hub)
    for secret, status in ((admin.secret, 200), (granted, 200), (other, 404)):
        async with hub.http(secret) as client:
            path = f"/api/v1/assistants/{HERMIT}/v1"
            assert (await client.get(f"{path}/models")).status_code == status
            assert (await client.post(f"{path}/chat/completions", json=asked("ping"))).status_code == status
            assert (await client.post(CHAT, json=asked("ping", model="hermit"))).status_code == status
            chat = await client.post("/api/v1/chat", json={"message": "ping", "agent": "hermit"})
            assert chat.status_code == status
    async with hub.http(granted) as client:
        for unknown in ("6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e99", "no-uuid", "%00", "'"):
            answer = await client.post(f"/api/v1/assistants/{unknown}/v1/chat/completions", json=asked("ping"))
            assert answer.status_code == 404, unknown


async def test_r5_the_keys_of_a_disabled_owner_stop_at_once(hub: Serving, admin: Admin) -> None:
    owner = await admin.post("/admin/api-key/apply", name="owner", month_quota=None)
    async with hub.http(owner["api_key"]) as client:
        own = (await client.post("/api/v1/user/api-keys", json={"name": "laptop"})).json()["api_key"]
    async with hub.http(own) as client:
        content_of(await client.post(CHAT, json=asked("ping", model="assistant")))
        await admin.post("/admin/api-key/update", id=owner["id"], active=False)
        assert (await client.post(CHAT, json=asked("ping", model="assistant"))).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/admin/group/save"),
        ("POST", "/admin/group/delete"),
        ("GET", "/admin/group/list"),
        *(
            (method, f"/admin/{side}/{what}-{kind}")
            for side in ("group", "api-key")
            for kind in ("model", "agent")
            for method, what in (("GET", "list"), ("POST", "bind-or-unbind"))
        ),
    ],
)
async def test_a_users_key_grants_nothing(hub: Serving, key: str, method: str, path: str) -> None:
    assert await Admin(hub, key).ask(method, path) == (
        403,
        {
            "message": "This key lacks the scope 'admin'.",
            "type": "permission_error",
            "param": None,
            "code": "missing_scope",
        },
    )
