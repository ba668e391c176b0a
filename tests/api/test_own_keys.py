"""/user/api-key/mine and /api/v1/user/api-keys: a key's own view of itself, and the keys it makes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.accounts import keyring, keys
from hub.store import Store
from tests.api.facade import ADMIN, OTHER, USER, Facade
from tests.api.fake_hub import ASSISTANT, NOW

KEYS = "/api/v1/user/api-keys"


async def ask(facade: Facade, method: str, path: str, body: Any = None, secret: str = USER) -> tuple[int, Any]:
    async with facade.http(secret) as client:
        answer = await client.request(method, path, json=body)
    return answer.status_code, answer.json()


async def made(facade: Facade, secret: str = USER, **body: Any) -> Any:
    status, key = await ask(facade, "POST", KEYS, {"name": "laptop", **body}, secret)
    assert status == 200, key
    return key


async def works(facade: Facade, secret: str) -> bool:
    return (await ask(facade, "GET", "/v1/models", secret=secret))[0] == 200


async def test_b12_a_key_sees_itself(facade: Facade) -> None:
    status, body = await ask(facade, "GET", "/user/api-key/mine")
    assert (status, body["success"], body["data"]["id"]) == (200, True, facade.user.id)
    assert (body["data"]["name"], body["data"]["api_key"]) == ("user", USER[:8] + "***")


async def test_r1_a_key_is_made_shown_once_listed_and_revoked(facade: Facade) -> None:
    key = await made(facade)
    assert key["api_key"].startswith("sk-")
    assert (key["name"], key["owner_id"], key["scopes"]) == ("laptop", facade.user.id, ["chat", "read"])
    assert await works(facade, key["api_key"])
    _, listed = await ask(facade, "GET", KEYS)
    assert listed["data"] == [{**key, "api_key": key["api_key"][:8] + "***"}]
    assert (listed["object"], listed["total"], listed["next"]) == ("list", 1, None)
    status, gone = await ask(facade, "DELETE", f"{KEYS}/{key['id']}")
    assert (status, gone) == (200, {"id": key["id"], "object": "api_key", "deleted": True})
    assert not await works(facade, key["api_key"])
    assert (await ask(facade, "DELETE", f"{KEYS}/{key['id']}"))[0] == 404


async def test_a_rotated_key_keeps_its_id_and_for_a_while_its_secret(facade: Facade) -> None:
    key = await made(facade)
    _, rotated = await ask(facade, "POST", f"{KEYS}/{key['id']}/rotate", {})
    assert rotated["id"] == key["id"]
    assert await works(facade, key["api_key"])
    assert await works(facade, rotated["api_key"])
    facade.fake.now = NOW + keyring.GRACE_SECONDS
    assert not await works(facade, key["api_key"])
    _, again = await ask(facade, "POST", f"{KEYS}/{key['id']}/rotate", {"grace": 0})
    assert [await works(facade, secret["api_key"]) for secret in (rotated, again)] == [False, True]


async def test_other_peoples_keys_do_not_exist(facade: Facade) -> None:
    key = await made(facade)
    for theirs in (key["id"], facade.user.id, 12345, 2**31 - 1):
        assert (await ask(facade, "DELETE", f"{KEYS}/{theirs}", secret=OTHER))[0] == 404
        assert (await ask(facade, "POST", f"{KEYS}/{theirs}/rotate", {}, OTHER))[0] == 404
    assert (await ask(facade, "GET", KEYS, secret=OTHER))[1]["data"] == []
    assert await works(facade, key["api_key"])


@pytest.mark.parametrize("scopes", [["deliver"], ["admin"], ["chat", "deliver=web:*"]])
async def test_nobody_hands_on_what_they_may_not_do_themselves(facade: Facade, scopes: list[str]) -> None:
    status, body = await ask(facade, "POST", KEYS, {"name": "x", "scopes": scopes})
    assert (status, body["error"]["code"]) == (403, "scope_not_allowed")
    assert (await made(facade, ADMIN, scopes=scopes))["scopes"] == scopes


async def test_a_key_of_a_key_makes_none(facade: Facade) -> None:
    own = (await made(facade))["api_key"]
    for method, path in (("POST", KEYS), ("DELETE", f"{KEYS}/1"), ("POST", f"{KEYS}/1/rotate")):
        status, body = await ask(facade, method, path, {"name": "x"}, own)
        assert (status, body["error"]["code"]) == (403, "owned_key")
    assert (await ask(facade, "GET", KEYS, secret=own))[1]["total"] == 1


async def test_r5_it_stops_with_its_owner_and_may_no_more_than_the_owner(facade: Facade, store: Store) -> None:
    key = await made(facade)

    async def change(**values: Any) -> None:
        await store.write(lambda c: keyring.change(c, facade.user.id, values, NOW))

    await change(active=False)
    assert not await works(facade, key["api_key"])
    await change(active=True, scopes="read")
    _, mine = await ask(facade, "GET", "/user/api-key/mine", secret=key["api_key"])
    assert mine["data"]["scopes"] == ["read"]
    assert (await ask(facade, "POST", "/v1/chat/completions", {}, key["api_key"]))[0] == 403
    await change(expires_at=NOW)
    assert not await works(facade, key["api_key"])


async def test_an_admin_gives_a_key_of_a_key_nothing_of_its_own(facade: Facade) -> None:
    key = await made(facade)
    for path, wrong in (
        ("update", {"month_quota": 5}),
        ("update", {"role": "admin"}),
        ("update", {"group_id": 1}),
        ("recharge", {"balance": 5}),
    ):
        status, body = await ask(facade, "POST", f"/admin/api-key/{path}", {"id": key["id"], **wrong}, ADMIN)
        assert (status, body["success"]) == (400, False), body
    status, body = await ask(facade, "POST", "/admin/api-key/reset-key", {"id": key["id"]}, ADMIN)
    assert body["data"]["api_key"].startswith("sk-")


async def test_the_keyless_local_key_sees_itself_too(facade: Facade, store: Store) -> None:
    local = await store.write(lambda c: keys.ensure_local(c, "demo", NOW))
    status, body = await ask(facade, "GET", f"/admin/api-key/detail/{local.id}", secret=ADMIN)
    assert (status, body["data"]["api_key"], body["data"]["source"]) == (200, "", "config")
    status, body = await ask(facade, "POST", "/admin/api-key/reset-key", {"id": local.id}, ADMIN)
    assert (status, body["error"]["code"]) == (409, "declared_in_config")


async def test_a_key_that_is_limited_to_some_agents_and_models_sees_no_others(facade: Facade) -> None:
    key = (await made(facade, agents=["drafter"], models=["gpt"]))["api_key"]
    _, listed = await ask(facade, "GET", "/v1/models", secret=key)
    assert [model["id"] for model in listed["data"]] == ["drafter", "gpt"]
    for name, status, code in (("assistant", 404, "model_not_found"), ("eyes", 403, "model_not_allowed")):
        found, body = await ask(facade, "GET", f"/v1/models/{name}", secret=key)
        assert (found, body["error"]["code"]) == (status, code)
    status, body = await ask(facade, "POST", "/api/v1/chat", {"message": "hi", "agent": "assistant"}, key)
    assert (status, body["code"]) == (404, "agent_not_found")
    assert (await ask(facade, "GET", f"/api/v1/assistants/{ASSISTANT}/v1/models", secret=key))[0] == 404
    assert (await ask(facade, "GET", f"/api/v1/assistants/{ASSISTANT}/v1/models"))[0] == 200


async def test_an_owner_limits_what_was_made_before(facade: Facade, store: Store) -> None:
    key = await made(facade, agents=["drafter", "assistant"])
    await store.write(lambda c: keyring.change(c, facade.user.id, {"agents": "assistant", "models": ""}, NOW))
    _, listed = await ask(facade, "GET", "/v1/models", secret=key["api_key"])
    assert [model["id"] for model in listed["data"]] == ["assistant"]


async def test_many_rotations_at_once_leave_one_key_that_works(facade: Facade) -> None:
    key = await made(facade)
    rotate = f"{KEYS}/{key['id']}/rotate"
    answers = await asyncio.gather(*(ask(facade, "POST", rotate, {"grace": 0}) for _ in range(8)))
    assert {status for status, _ in answers} == {200}
    secrets = [body["api_key"] for _, body in answers]
    assert sum([await works(facade, secret) for secret in (*secrets, key["api_key"])]) == 1


async def test_many_deletions_at_once_are_one(facade: Facade) -> None:
    key = await made(facade)
    answers = await asyncio.gather(*(ask(facade, "DELETE", f"{KEYS}/{key['id']}") for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200, *[404] * 7]
