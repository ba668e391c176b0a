"""What BRConnector, LettaBot and RiceBall promise of keys, a test a row: their requests as they stand there."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from tests.clients.serving import Serving
from tests.compat.asking import CHAT, asked, content_of
from tests.e2e.hub import HubProcess, demo_config
from tests.patience import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="package")
JACK: dict[str, Any] = {"name": "jack", "group_id": 1, "role": "user", "email": "", "month_quota": 1.00}
ROB: dict[str, Any] = {"name": "rob", "group_id": 1, "role": "admin", "email": ""}
OWN = "/api/v1/user/api-keys"


@pytest_asyncio.fixture(loop_scope="package")
async def admin(hub: Serving) -> Any:
    """A client with the hub's first key."""
    async with hub.http(hub.process.key) as client:
        yield client


async def data(answer: httpx.Response) -> Any:
    """What a successful answer holds."""
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["success"] is True
    return found["data"]


async def made(admin: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    return await data(await admin.post("/admin/api-key/apply", json=body))


async def status(hub: Serving, secret: str, path: str = "/v1/models") -> int:
    async with hub.http(secret) as client:
        return (await client.get(path)).status_code


async def test_b5_its_requests_for_keys_make_them(hub: Serving, admin: httpx.AsyncClient) -> None:
    jack, rob = await made(admin, JACK), await made(admin, ROB)
    fields = {"id", "name", "email", "api_key", "role", "month_quota", "balance"}
    assert fields <= jack.keys()
    assert (jack["month_quota"], rob["month_quota"], jack["balance"]) == (
        "1.0000000000",
        "0.0000000000",
        "0.0000000000",
    )
    assert all(key["api_key"].startswith("br-") for key in (jack, rob))
    assert [await status(hub, key["api_key"], "/admin/api-key/list") for key in (jack, rob)] == [403, 200]
    assert [await status(hub, key["api_key"]) for key in (jack, rob)] == [200, 200]


async def test_b6_its_requests_change_list_and_delete_keys(hub: Serving, admin: httpx.AsyncClient) -> None:
    jack = await made(admin, JACK | {"name": "b6"})
    changed = await data(
        await admin.post("/admin/api-key/update", json={"id": jack["id"], "name": "b6", "month_quota": 10.00})
    )
    assert changed["month_quota"] == "10.0000000000"
    path = "/admin/api-key/list?q=b6&name=&group_id=&role=&limit=10&offset="
    listed = await data(await admin.get(path))
    assert (listed["total"], listed["limit"], listed["offset"]) == (1, 10, 0)
    [item] = listed["items"]
    assert jack["api_key"] not in str(listed)
    assert jack["api_key"].startswith(item["api_key"].removesuffix("***"))
    assert (await data(await admin.get(f"/admin/api-key/detail/{jack['id']}")))["name"] == "b6"
    reset = await data(await admin.post("/admin/api-key/reset-key", json={"id": jack["id"]}))
    assert [await status(hub, key["api_key"]) for key in (jack, reset)] == [401, 200]
    assert await data(await admin.post("/admin/api-key/delete", json={"id": jack["id"]})) is True
    assert await status(hub, reset["api_key"]) == 401
    assert (await data(await admin.get(path)))["items"] == []
    again = await admin.post("/admin/api-key/delete", json={"id": jack["id"]})
    assert (again.status_code, again.json()["success"], again.json()["data"]) == (
        404,
        False,
        f"There is no API key {jack['id']}.",
    )


async def test_b7_its_request_recharges_and_the_history_survives_the_key(admin: httpx.AsyncClient) -> None:
    jack = await made(admin, JACK)
    for balance in (0.23, "1"):
        body = {"api_key": jack["api_key"], "balance": balance}
        charged = await data(await admin.post("/admin/api-key/recharge", json=body))
    assert charged["balance"] == "1.2300000000"
    await data(await admin.post("/admin/api-key/delete", json={"api_key": jack["api_key"]}))
    paid = await data(await admin.get(f"/admin/payment/list?key_id={jack['id']}"))
    assert [payment["fee"] for payment in paid["items"]] == ["1.0000000000", "0.2300000000"]


async def test_b12_a_user_sees_their_own_key(hub: Serving, admin: httpx.AsyncClient) -> None:
    jack = await made(admin, JACK)
    async with hub.http(jack["api_key"]) as client:
        mine = await data(await client.get("/user/api-key/mine"))
    assert {name: mine[name] for name in ("id", "name", "role", "month_quota")} == {
        name: jack[name] for name in ("id", "name", "role", "month_quota")
    }
    assert mine["api_key"] != jack["api_key"]


async def test_b18_texts_are_no_sql_and_a_users_key_administers_nothing(
    hub: Serving, admin: httpx.AsyncClient, key: str
) -> None:
    for q in ("%", "_", "' or '1'='1", "x') or (1=1"):
        found = await data(await admin.get("/admin/api-key/list", params={"q": q}))
        assert found["items"] == []
    async with hub.http(key) as client:
        for path in ("apply", "update", "recharge", "delete", "reset-key"):
            answer = await client.post(f"/admin/api-key/{path}", json={"id": 1, "name": "x", "balance": 1})
            assert (answer.status_code, answer.json()["success"]) == (403, False)
        for path in ("api-key/list", "api-key/detail/1", "payment/list", "audit/list"):
            assert (await client.get(f"/admin/{path}")).status_code == 403


async def test_l2_either_header_on_the_routes_of_keys_too(hub: Serving, key: str) -> None:
    async with hub.http() as client:
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-Api-Key": key}):
            for path in ("/user/api-key/mine", OWN):
                assert (await client.get(path, headers=headers)).status_code == 200
        for path in ("/user/api-key/mine", OWN, "/admin/api-key/list"):
            assert (await client.get(path, headers={"X-Api-Key": "sk-wrong"})).status_code == 401


@pytest.mark.parametrize("variable", ["BOTHUB_API_KEY", "ADMIN_API_KEY", "LETTABOT_API_KEY"])
async def test_l3_the_first_key_is_taken_from_the_environment(tmp_path: Path, variable: str) -> None:
    given = "operators-own-key-7391"
    async with HubProcess(tmp_path / "hub", demo_config(), {variable: given}) as process:
        headers = {"X-Api-Key": given}
        async with httpx.AsyncClient(base_url=process.url, headers=headers, timeout=PATIENCE) as client:
            assert (await client.get("/admin/api-key/list")).status_code == 200
            assert (await client.post("/api/v1/chat", json={"message": "hi"})).json()["success"] is True
    assert not any(given in line for line in process.log)
    assert not (tmp_path / "hub" / "data" / "api-key.json").exists()


@pytest.mark.parametrize("weak", ["changeme", "your-api-key", "sk-xxx", "1234567890123456"])
async def test_l3_a_weak_key_is_refused_with_a_sentence(tmp_path: Path, weak: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(demo_config()))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "--config", str(path), "serve"),
        env={**os.environ, "COLUMNS": "200", "BOTHUB_API_KEY": weak},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 2
    assert "BOTHUB_API_KEY: this API key is weak or a placeholder" in out.decode()
    assert weak not in out.decode()


async def test_r1_a_user_makes_a_key_by_name_sees_it_once_and_revokes_it(
    hub: Serving, admin: httpx.AsyncClient
) -> None:
    owner = (await made(admin, JACK | {"month_quota": None}))["api_key"]
    async with hub.http(owner) as client:
        own = (await client.post(OWN, json={"name": "laptop"})).json()
        assert own["api_key"].startswith("sk-")
        async with hub.http(own["api_key"]) as program:
            content_of(await program.post(CHAT, json=asked("hi")))

        async def listed() -> Any:
            [one] = (await client.get(OWN)).json()["data"]
            return one

        async with asyncio.timeout(PATIENCE):
            while (one := await listed())["last_used_at"] is None:  # noqa: ASYNC110 - written in its time, and told nobody
                await asyncio.sleep(0.1)
        assert (one["name"], one["api_key"]) == ("laptop", own["api_key"][:8] + "***")
        assert one["created_at"] <= one["last_used_at"]
        assert (await client.delete(f"{OWN}/{own['id']}")).json()["deleted"] is True
    assert await status(hub, own["api_key"]) == 401


async def test_r5_keys_of_a_disabled_owner_stop_working_at_once(hub: Serving, admin: httpx.AsyncClient) -> None:
    jack = await made(admin, JACK)
    async with hub.http(jack["api_key"]) as client:
        own = (await client.post(OWN, json={"name": "laptop"})).json()["api_key"]
    assert await status(hub, own) == 200
    for active, answer in ((False, 401), (True, 200)):
        await data(await admin.post("/admin/api-key/update", json={"id": jack["id"], "active": active}))
        assert [await status(hub, secret) for secret in (jack["api_key"], own)] == [answer, answer]
