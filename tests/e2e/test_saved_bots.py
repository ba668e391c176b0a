"""/admin/bot: bots that come, change and go while a hub runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.accounts.definitions import MASK
from tests.api.announced import watched
from tests.e2e.administering import Admin
from tests.e2e.here import running_hub
from tests.platforms.feishu import FeishuServer

CONFIG: dict[str, Any] = {
    "models": {"demo": {"provider": "demo"}},
    "agents": {"helper": {"model": "demo", "system_prompt": "I help"}},
    "channels": {"web": {"kind": "web"}},
}
HOOK: dict[str, Any] = {"encryptKey": "the-encrypt-key", "verificationToken": "the-verification-token"}


@pytest.fixture(autouse=True)
def announced() -> Iterator[None]:
    with watched() as found:
        yield
    assert found == []


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with running_hub(tmp_path, CONFIG) as here:
        yield Admin(here)


@pytest.fixture
async def server() -> AsyncIterator[FeishuServer]:
    hook = {"encrypt_key": HOOK["encryptKey"], "verification_token": HOOK["verificationToken"]}
    async with FeishuServer(**hook) as server:
        yield server


def app(server: FeishuServer, **more: Any) -> dict[str, Any]:
    """What BRConnector's document has in `config`, and where this Feishu is."""
    said = {"appId": server.app_id, "appSecret": server.app_secret, "modelId": "demo", "baseUrl": server.base_url}
    return {**said, **more}


async def state(admin: Admin, bot: dict[str, Any], wanted: str) -> dict[str, Any]:
    """The bot, once it is so."""
    found: list[dict[str, Any]] = []

    async def is_so() -> bool:
        found[:] = [await admin.get(f"bot/{bot['provider']}/detail/{bot['id']}")]
        return found[0]["state"] == wanted

    await admin.here.store.until(is_so)
    return found[0]


async def test_b9_a_feishu_bot_answers_remembers_and_is_gone_when_it_is_deleted(
    admin: Admin, server: FeishuServer
) -> None:
    key = await admin.post("api-key/apply", name="team", month_quota=None)
    config = json.dumps(app(server, apiKey=key["api_key"]))
    made = await admin.post("bot/feishu/save", name="Our Bot", provider="feishu", config=config)
    assert (made["name"], made["agent"], made["key_id"]) == ("our-bot", "bot-our-bot", key["id"])
    assert {name: made["config"][name] for name in ("appId", "appSecret", "apiKey", "modelId", "mode")} == {
        "appId": server.app_id,
        "appSecret": MASK,
        "apiKey": MASK,
        "modelId": "demo",
        "mode": "socket",
    }
    await server.wait_connected()
    server.say("hello there")
    await server.wait_text("You said: hello there")
    server.say("what did I say")
    await server.wait_text("- hello there\n- what did I say")
    assert [one["id"] for one in (await admin.get("bot-connector/feishu/list?q=our"))["items"]] == [made["id"]]
    assert await admin.post("bot/feishu/delete", id=made["id"]) is True
    await server.wait_for(lambda: not server.sockets.connections)
    assert (await admin.get("bot/feishu/list"))["total"] == 0
    assert admin.here.engine.config.agents.keys() == {"helper"}


async def test_b9_its_turns_are_paid_by_its_key(admin: Admin, server: FeishuServer) -> None:
    await admin.post("model/save", name="dear", provider="demo", price_out=1_000_000)
    key = await admin.post("api-key/apply", name="team", month_quota=1_000_000)
    await admin.post("bot/feishu/save", name="team", config=app(server, modelId="dear", apiKey=key["api_key"]))
    await server.wait_connected()
    server.say("count to 3")
    await server.wait_text("1 2 3")

    async def is_paid() -> bool:  # the card is written while the turn still runs
        return (await admin.get(f"api-key/detail/{key['id']}"))["month_fee"] == "3.0000000000"

    await admin.here.store.until(is_paid)


async def test_b9_another_secret_is_used_at_once_and_what_waited_is_sent_then(
    admin: Admin, server: FeishuServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.delivery.dispatch.REFUSED_WAIT", 0.1)
    made = await admin.post("bot/feishu/save", name="team", config=app(server))
    await state(admin, made, "up")
    server.say("hello")
    chat = (await server.wait_text("You said: hello"))["chat_id"]
    wrong = await admin.post("bot/feishu/save", appId=server.app_id, appSecret="another")
    assert (wrong["id"], wrong["config"]["modelId"]) == (made["id"], "demo")
    failed = await state(admin, made, "failed")
    assert failed["error"]
    async with admin.here.http() as client:
        post = {"channel": "team", "chat_id": chat, "text": "while it was away"}
        assert (await client.post("/v1/deliveries", json=post)).json()["status"] in ("waiting", "sending")
    await admin.post("bot-connector/feishu/save", id=made["id"], config={"appSecret": server.app_secret})
    await server.wait_text("while it was away")
    server.say("again")
    await server.wait_text("You said: again")


async def test_b9_a_bot_that_is_pushed_to_hears_from_the_moment_it_is_saved(admin: Admin, server: FeishuServer) -> None:
    made = await admin.post("bot/feishu/save", name="pushed", config=app(server, modelId="helper", **HOOK))
    assert (made["config"]["mode"], made["agent"], made["config"]["modelId"]) == ("webhook", "helper", "helper")
    push = await server.set_webhook(f"{admin.here.url}/webhooks/feishu/pushed")
    assert push is not None
    assert push.status == 200
    server.say("system")
    await server.wait_for(lambda: [said for said in server.sent() if said["text"].startswith("I help")])
    await admin.post("bot/feishu/delete", id=made["id"])
    gone = await server.set_webhook(f"{admin.here.url}/webhooks/feishu/pushed")
    assert gone is not None
    assert gone.status == 404


async def test_b9_a_model_becomes_an_agent_and_the_other_way_round(admin: Admin) -> None:
    made = await admin.post("bot/web/save", name="hall", config={"modelId": "demo", "groups": "mention"})
    agents = admin.here.engine.config.agents
    assert (agents["bot-hall"].model, agents["bot-hall"].public) == ("demo", False)
    await admin.post("model/save", name="second", provider="demo")
    changed = await admin.post("bot/web/save", id=made["id"], modelId="second")
    assert (changed["agent"], changed["config"]["modelId"]) == ("bot-hall", "second")
    given = await admin.post("bot/web/save", id=made["id"], config={"modelId": "helper"})
    assert (given["agent"], given["config"]["groups"]) == ("helper", "mention")
    assert admin.here.engine.config.agents.keys() == {"helper"}
    again = await admin.post("bot/web/save", id=made["id"], config=given["config"])
    assert again["config"] == given["config"]
    off = await admin.post("bot/web/save", id=made["id"], enabled=False)
    assert (off["enabled"], off["state"]) == (False, "stopped")


async def test_b9_what_cannot_be_is_refused_and_says_why(admin: Admin) -> None:
    [declared] = (await admin.get("bot/web/list"))["items"]
    assert (declared["name"], declared["source"]) == ("web", "config")
    for path, body, refusal in (
        ("bot/pigeon/save", {}, (404, None, "no bots of the kind 'pigeon'")),
        ("bot/feishu/save", {"appId": "a"}, (400, "app_secret", "is missing")),
        ("bot/feishu/save", {"config": '{"appId": '}, (400, None, "not JSON")),
        ("bot/telegram/save", {"name": "t", "config": {"tokn": "x"}}, (400, "tokn", "did you mean 'token'?")),
        ("bot/web/save", {"name": "x", "modelId": "nobody"}, (400, "config.modelId", "no agent or model 'nobody'")),
        ("bot/web/save", {"name": "x", "apiKey": "br-wrong"}, (400, "config.apiKey", "no key of this hub")),
        ("bot/web/save", {"name": "web"}, (409, None, "There is already a channel 'web'.")),
        ("bot/web/save", {"name": "API"}, (400, "name", "'api' is reserved")),
        ("bot/web/save", {"id": declared["id"], "enabled": False}, (409, None, "declared in config.yaml")),
        ("bot/feishu/delete", {"id": declared["id"]}, (404, None, "no feishu bot")),
    ):
        status, param, message = await admin.refused(path, **body)
        assert (status, param) == refusal[:2], message
        assert refusal[2] in message
    assert admin.here.engine.config.channels.keys() == {"web"}
    assert admin.here.engine.config.agents.keys() == {"helper"}
