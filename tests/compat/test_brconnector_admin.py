"""What BRConnector's document promises its admins of models and bots, and what the hub leaves out of its faults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.serving import Serving
from tests.compat.asking import CHAT, asked, content_of
from tests.platforms.feishu import FeishuServer
from tests.platforms.openai import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="package")
SECRET = "sk-upstream-9876543210"


async def data(hub: Serving, method: str, path: str, body: Any = None) -> Any:
    async with hub.http(hub.process.key) as client:
        answer = await client.request(method, path, json=body)
    found = answer.json()
    assert found["success"], found
    return found["data"]


async def test_b8_a_model_is_saved_listed_asked_changed_and_deleted(hub: Serving, upstream: Upstream) -> None:
    config = json.dumps({"modelId": "nova-test", "apiKey": SECRET, "baseURL": upstream.base_url})
    said = {
        "name": "nova-pro",
        "provider": "openai",
        "multiple": 1,
        "config": config,
        "price_in": 0.8,
        "price_out": 3.2,
    }
    made = await data(hub, "POST", "/admin/model/save", said)
    async with hub.http(hub.process.key) as client:
        body = asked("ping", model="nova-pro")
        assert content_of(await client.post(CHAT, json=body)) == "You said: ping"
        assert upstream.requests[0].body["model"] == "nova-test"
        assert (await client.post("/admin/model/save", json=said)).status_code == 409
    changed = await data(hub, "POST", "/admin/model/save", {"id": made["id"], "price_in": 1})
    assert (changed["price_in"], changed["price_out"]) == ("1.0000000000", "3.2000000000")
    listed = await data(hub, "GET", "/admin/model/list?q=nova&provider=openai")
    assert [one["id"] for one in listed["items"]] == [made["id"]]
    assert (await data(hub, "GET", f"/admin/model/detail/{made['id']}"))["name"] == "nova-pro"
    assert "bedrock-converse" in await data(hub, "GET", "/admin/model/list-providers")
    assert await data(hub, "POST", "/admin/model/delete", {"id": made["id"]}) is True


async def test_b9_a_feishu_bot_is_saved_answers_and_is_deleted(hub: Serving) -> None:
    async with FeishuServer() as feishu:
        key = await data(hub, "POST", "/admin/api-key/apply", {"name": "bots", "month_quota": None})
        app = {"appId": feishu.app_id, "appSecret": feishu.app_secret, "baseUrl": feishu.base_url}
        config = {**app, "apiKey": key["api_key"], "modelId": "demo"}
        bot = await data(
            hub, "POST", "/admin/bot/feishu/save", {"name": "BR Bot", "provider": "feishu", "config": config}
        )
        assert bot["key_id"] == key["id"]
        await feishu.wait_connected()
        feishu.say("ping")
        await feishu.wait_text("You said: ping")
        same = await data(
            hub, "POST", "/admin/bot-connector/feishu/save", {"appId": feishu.app_id, "modelId": "lettabot"}
        )
        assert (same["id"], same["config"]["modelId"]) == (bot["id"], "lettabot")
        listed = await data(hub, "GET", "/admin/bot/feishu/list")
        assert feishu.app_secret not in str(listed)
        assert key["api_key"] not in str(listed)
        await data(hub, "POST", "/admin/bot-connector/feishu/delete", {"id": bot["id"]})
        await feishu.wait_for(lambda: not feishu.sockets.connections)


async def test_b18_filters_are_no_sql_and_secrets_come_back_masked(hub: Serving, key: str) -> None:
    config = {"modelId": "m", "apiKey": SECRET, "baseURL": "http://127.0.0.1:9"}
    made = await data(hub, "POST", "/admin/model/save", {"name": "hidden", "provider": "openai", "config": config})
    found = await data(hub, "GET", "/admin/model/list?q=x%27%20OR%20%271%27=%271&provider=%25")
    assert found["total"] == 0
    for path in ("/admin/model/list", f"/admin/model/detail/{made['id']}", "/admin/audit/list"):
        assert SECRET not in str(await data(hub, "GET", path))
    async with hub.http(key) as client:
        for path in ("/admin/model/list", "/admin/bot/feishu/list"):
            assert (await client.get(path)).status_code == 403
    await data(hub, "POST", "/admin/model/delete", {"id": made["id"]})
