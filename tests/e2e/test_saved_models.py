"""/admin/model: models that are saved while a hub runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.accounts.definitions import MASK
from tests.api.announced import watched
from tests.e2e.administering import Admin
from tests.e2e.here import running_hub
from tests.platforms.openai import Upstream

CONFIG: dict[str, Any] = {"models": {"demo": {"provider": "demo"}}, "agents": {"bot": {"model": "demo"}}}
SECRET = "sk-upstream-0123456789"


@pytest.fixture(autouse=True)
def announced() -> Iterator[None]:
    with watched() as found:
        yield
    assert found == []


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with running_hub(tmp_path, CONFIG) as here:
        yield Admin(here)


async def asked(admin: Admin, model: str, text: str = "hello") -> str:
    async with admin.here.openai() as client:
        answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


@pytest.mark.parametrize("as_text", [False, True])
async def test_b8_a_model_is_saved_as_an_object_or_as_text_and_asked_with_its_secret(
    admin: Admin, as_text: bool
) -> None:
    async with Upstream() as upstream:
        config = {"modelId": "gpt-test", "apiKey": SECRET, "baseURL": upstream.base_url}
        made = await admin.post(
            "model/save",
            name="gpt",
            provider="openai",
            multiple=1,
            config=json.dumps(config) if as_text else config,
            price_in=0.25,
            price_out="2",
        )
        assert await asked(admin, "gpt") == "You said: hello"
        [request] = upstream.requests
        assert (request.body["model"], request.headers["authorization"]) == ("gpt-test", f"Bearer {SECRET}")
    assert {name: made[name] for name in ("name", "provider", "multiple", "price_in", "price_out", "price_cached")} == {
        "name": "gpt",
        "provider": "openai",
        "multiple": True,
        "price_in": "0.2500000000",
        "price_out": "2.0000000000",
        "price_cached": None,
    }
    shown = {name: made["config"][name] for name in ("modelId", "apiKey", "baseUrl")}
    assert shown == {"modelId": "gpt-test", "apiKey": MASK, "baseUrl": upstream.base_url}
    assert (made["source"], made["error"]) == ("admin", None)


async def test_b8_a_part_is_changed_by_the_id_and_the_rest_stays(admin: Admin) -> None:
    config = {"modelId": "one", "apiKey": SECRET, "baseURL": "http://127.0.0.1:9"}
    made = await admin.post("model/save", name="gpt", provider="openai", config=config, price_in=1)
    changed = await admin.post("model/save", id=made["id"], config={"modelId": "two"}, price_out=3)
    assert changed == {
        **made,
        "config": {**made["config"], "modelId": "two"},
        "price_out": "3.0000000000",
        "updated_at": changed["updated_at"],
    }
    again = await admin.post("model/save", id=made["id"], config=changed["config"], name="gpt-2")
    assert again["config"] == changed["config"]
    assert admin.here.engine.config.models["gpt-2"].api_key.get_secret_value() == SECRET
    cleared = await admin.post("model/save", id=made["id"], config={"apiKey": None})
    assert cleared["config"]["apiKey"] == ""


async def test_b8_a_model_is_granted_to_the_group_that_is_named_with_it(admin: Admin) -> None:
    group = await admin.post("group/save", name="family")
    key = await admin.post("api-key/apply", name="ann", group_id=group["id"], month_quota=None)
    other = Admin(replace(admin.here, key=key["api_key"]))
    status, param, message = await admin.refused("model/save", name="second", provider="demo", group_id=999)
    assert (status, param) == (400, "group_id")
    assert "there is no group 999" in message
    assert [one["name"] for one in (await admin.get("model/list"))["items"]] == ["demo"]
    made = await admin.post("model/save", name="second", provider="demo", group_id=group["id"])
    assert await asked(other, "second") == "You said: hello"
    again = await admin.post("model/save", id=made["id"], multiple=True, group_id=group["id"])
    kept = await admin.post("model/save", id=made["id"], multiple=False)
    assert (again["multiple"], kept["multiple"]) == (True, False)
    [bound] = (await admin.get(f"group/list-model?group_id={group['id']}"))["items"]
    assert (bound["group_name"], bound["model_id"]) == ("family", made["id"])
    audit = (await admin.get(f"audit/list?target=group:{group['id']}&what=grant"))["items"]
    assert audit[-1]["after"] == {"model": "second", "granted": True}


async def test_b8_models_are_listed_found_and_deleted(admin: Admin) -> None:
    made = [await admin.post("model/save", name=f"extra-{number}", provider="demo") for number in range(3)]
    listed = await admin.get("model/list?limit=2&q=EXTRA&provider=demo")
    assert ([one["name"] for one in listed["items"]], listed["total"]) == (["extra-0", "extra-1"], 3)
    rest = await admin.get(f"model/list?limit=2&q=EXTRA&provider=&after={listed['next']}")
    assert ([one["name"] for one in rest["items"]], rest["next"]) == (["extra-2"], None)
    assert (await admin.get("model/list?provider=openai"))["items"] == []
    assert await admin.get(f"model/detail/{made[1]['id']}") == made[1]
    assert await admin.post("model/delete", id=made[1]["id"]) is True
    assert (await admin.ask("GET", f"model/detail/{made[1]['id']}"))[0] == 404
    assert {"openai", "anthropic", "bedrock-converse"} <= {*await admin.get("model/list-providers")}


async def test_b8_what_cannot_be_is_refused_and_says_why(admin: Admin) -> None:
    [declared] = (await admin.get("model/list"))["items"]
    assert (declared["name"], declared["source"]) == ("demo", "config")
    await admin.post("model/save", name="second", provider="demo")
    for path, body, refusal in (
        ("model/save", {"name": "second", "provider": "demo"}, (409, None, "There is already a model 'second'.")),
        ("model/save", {"name": "bot", "provider": "demo"}, (409, None, "There is already an agent 'bot'.")),
        ("model/delete", {"id": 999}, (404, None, "There is no model 999.")),
        ("model/save", {"name": "x", "provider": "openai"}, (400, "model", "what does the provider call it?")),
        ("model/save", {"name": "x", "provider": "demo", "config": "[1]"}, (400, "config", "an object")),
        ("model/save", {"name": "x", "provider": "demo", "config": {"hue": 1}}, (400, "hue", "unknown key")),
        ("model/save", {"name": "x", "provider": "demo", "price_in": 1e-10}, (400, "price_in", "9 decimal places")),
        ("model/save", {"id": declared["id"], "price_in": 1}, (409, None, "declared in config.yaml (models.demo)")),
        ("model/delete", {"id": declared["id"]}, (409, None, "declared in config.yaml")),
    ):
        status, param, message = await admin.refused(path, **body)
        assert (status, param) == refusal[:2], message
        assert refusal[2] in message


async def test_b18_no_secret_is_in_any_answer_nor_in_the_audit(admin: Admin) -> None:
    config = {"modelId": "m", "apiKey": SECRET, "baseURL": "http://127.0.0.1:9"}
    made = await admin.post("model/save", name="gpt", provider="openai", config=config)
    await admin.post("model/save", id=made["id"], config={"apiKey": f"{SECRET}-2"})
    await admin.post("model/delete", id=made["id"])
    audit = (await admin.get(f"audit/list?target=model:{made['id']}"))["items"]
    assert [one["what"] for one in audit] == ["model.delete", "model.update", "model.create"]
    assert audit[1]["after"] == {"secrets": ["api_key"]}
    async with admin.here.http() as client:
        pages = [await client.get(f"/admin/{path}") for path in ("model/list", "audit/list")]
    assert not any(SECRET in page.text for page in pages)
    assert SECRET not in str(made)


async def test_users_may_not(admin: Admin) -> None:
    user = Admin(await admin.here.other("chat", "read"))
    assert (await user.ask("GET", "model/list"))[0] == 403
    assert (await user.refused("model/save", name="x", provider="demo"))[0] == 403
