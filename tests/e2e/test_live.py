"""What is saved while a hub runs, is used at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from openai import NotFoundError
from sqlalchemy import Connection, select

from hub.accounts.audit import By
from hub.accounts.definitions import MASK, Change, Kind, Shown, Stale
from hub.app import Live
from hub.errors import Conflict, NotFound, RequestError, StoreUnavailable
from hub.store.tables import definitions
from tests.e2e.here import Here, running_hub

CONFIG: dict[str, Any] = {
    "models": {"demo": {"provider": "demo"}},
    "agents": {"bot": {"model": "demo", "system_prompt": "first"}},
    "channels": {"web": {"kind": "web"}},
}
SECRET = "sk-upstream-0123456789"


def change(kind: Kind, name: str, /, **settings: Any) -> Change:
    return Change(kind=kind, name=name, settings=settings)


async def save(live: Live, change: Change) -> Shown:
    [shown] = await live.save(change, by=By())
    return shown


async def delete(live: Live, one: Shown) -> None:
    assert await live.save(Change(kind=one.kind, id=one.id, settings=None), by=By()) == []


async def ask(here: Here, agent: str, text: str) -> str:
    async with here.openai() as client:
        answer = await client.chat.completions.create(model=agent, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with running_hub(tmp_path, CONFIG) as here:
        yield here


async def test_of_two_changes_since_the_same_moment_one_is_refused(here: Here) -> None:
    model = await save(here.live, change("model", "second", provider="demo"))
    settings: list[dict[str, Any]] = [{"price_in": "1"}, {"price_out": "2"}]
    both = [Change(kind="model", id=model.id, settings=one, since=model.updated_at) for one in settings]
    first, second = await asyncio.gather(*(save(here.live, one) for one in both), return_exceptions=True)
    assert isinstance(first, Shown) != isinstance(second, Shown)
    assert isinstance(first, Stale) != isinstance(second, Stale)
    kept = here.engine.config.models["second"]
    assert [int(kept.price_in), int(kept.price_out)].count(0) == 1


async def test_a_model_and_an_agent_answer_as_soon_as_they_are_saved(here: Here) -> None:
    model = await save(here.live, change("model", "second", provider="demo"))
    assert await ask(here, "second", "hello") == "You said: hello"
    agent = await save(here.live, change("agent", "helper", model="second", system_prompt="I help"))
    assert (await ask(here, "helper", "system")).startswith("I help")
    changed = await save(here.live, Change(kind="agent", id=agent.id, settings={"system_prompt": "I do"}))
    assert (changed.id, changed.settings["model"]) == (agent.id, "second")
    assert (await ask(here, "helper", "system")).startswith("I do")
    await delete(here.live, agent)
    with pytest.raises(NotFoundError):
        await ask(here, "helper", "hello")
    await delete(here.live, model)
    assert [one.name for one in await here.live.list("model")] == ["demo"]


async def test_what_config_declares_is_shown_and_stays_as_it_is(here: Here) -> None:
    [declared] = await here.live.list("agent")
    assert (declared.name, declared.source, declared.settings["system_prompt"]) == ("bot", "config", "first")
    with pytest.raises(Conflict, match=r"'bot' is declared in config\.yaml \(agents\.bot\)"):
        await save(here.live, Change(kind="agent", id=declared.id, settings={"system_prompt": "other"}))
    with pytest.raises(Conflict, match=r"declared in config\.yaml"):
        await delete(here.live, declared)
    with pytest.raises(Conflict, match="There is already an agent 'bot'"):
        await save(here.live, change("model", "bot", provider="demo"))


async def test_a_secret_is_encrypted_masked_and_kept_where_it_is_not_given(here: Here) -> None:
    settings = {"provider": "openai", "model": "gpt", "api_key": SECRET, "base_url": "http://127.0.0.1:9"}
    saved = await save(here.live, change("model", "gpt", **settings))
    assert saved.settings["api_key"] == MASK
    changed = await save(here.live, Change(kind="model", id=saved.id, settings={**saved.settings, "model": "gpt-5"}))
    assert (changed.settings["model"], changed.settings["api_key"]) == ("gpt-5", MASK)
    assert here.engine.config.models["gpt"].api_key.get_secret_value() == SECRET

    def raw(connection: Connection) -> bytes:
        row = connection.execute(select(definitions).where(definitions.c.id == saved.id)).one()
        return row.settings + row.secrets

    assert SECRET.encode() not in await here.store.read(raw)
    assert (here.engine.config.data_dir / "secret-key").stat().st_mode & 0o777 == 0o600


async def test_what_something_needs_is_not_taken_away(here: Here) -> None:
    model = await save(here.live, change("model", "second", provider="demo"))
    agent = await save(here.live, change("agent", "helper", model="second"))
    hall = await save(here.live, change("channel", "hall", kind="web", agent="helper"))
    with pytest.raises(Conflict, match=r"'second' is in use\. It is needed by the agent 'helper'"):
        await delete(here.live, model)
    with pytest.raises(Conflict, match="needed by the agent 'helper'"):
        await save(here.live, Change(kind="model", id=model.id, settings={"enabled": False}))
    with pytest.raises(Conflict, match="needed by the agent 'helper'"):
        await save(here.live, Change(kind="model", id=model.id, name="third", settings={}))
    with pytest.raises(Conflict, match="needed by the channel 'hall'"):
        await delete(here.live, agent)
    for one in (hall, agent, model):
        await delete(here.live, one)
    with pytest.raises(NotFound):
        await here.live.get("model", model.id)


@pytest.mark.parametrize(
    ("wrong", "param", "said"),
    [
        (change("model", "x", provider="openai", model="gpt"), "api_key", "is missing"),
        (change("model", "x", provider="nobody"), "provider", "is not one of demo, openai"),
        (change("model", "x", provider="demo", colour="red"), "colour", "unknown key"),
        (change("model", "Big Model", provider="demo"), "name", "is not a name"),
        (change("agent", "x", model="nobody"), "model", "there is no model 'nobody'"),
        (change("agent", "x", model="demo", tools=["fly"]), "tools", "there is no tool 'fly'"),
        (change("channel", "x", kind="pigeon"), "kind", "no such kind"),
        (change("channel", "api", kind="web"), "name", "reserved"),
        (change("channel", "x", kind="feishu", app_id="a"), "app_secret", "is missing"),
        (change("channel", "x", kind="web", agent="${HOME}"), "agent", r"there is no agent '\$\{HOME\}'"),
        (Change(kind="model", settings={"provider": "demo"}), "name", "is missing"),
    ],
)
async def test_what_cannot_be_is_not_saved(here: Here, wrong: Change, param: str, said: str) -> None:
    with pytest.raises(RequestError, match=said) as refused:
        await save(here.live, wrong)
    assert refused.value.param == param
    assert [one.source for one in await here.live.list(wrong.kind)] == ["config"]


async def test_what_cannot_be_read_any_more_stops_nothing_else(tmp_path: Path) -> None:
    async with running_hub(tmp_path, CONFIG) as here:
        settings = {"provider": "openai", "model": "gpt", "api_key": SECRET, "base_url": "http://127.0.0.1:9"}
        await save(here.live, change("model", "gpt", **settings))
        await save(here.live, change("agent", "helper", model="gpt"))
        await save(here.live, change("model", "second", provider="demo"))
    (tmp_path / "data" / "secret-key").write_text("another key that was made later, 0123456789")
    with structlog.testing.capture_logs() as logs:
        async with running_hub(tmp_path, CONFIG) as here:
            assert await ask(here, "second", "hello") == "You said: hello"
            errors = {one.name: one.error for one in [*await here.live.list("model"), *await here.live.list("agent")]}
            gpt = next(one for one in await here.live.list("model") if one.name == "gpt")
            assert "saved under another key" in (errors["gpt"] or "")
            assert "there is no model 'gpt'" in (errors["helper"] or "")
            assert (errors["demo"], errors["second"], errors["bot"]) == (None, None, None)
            assert gpt.settings["model"] == "gpt"
            mended = await save(here.live, Change(kind="model", id=gpt.id, settings={"api_key": SECRET}))
            assert mended.error is None
            assert {one.error for one in await here.live.list("agent")} == {None}
    assert SECRET not in str(logs)
    assert {log["name"] for log in logs if log["event"] == "what was saved is not in use"} == {"gpt", "helper"}


async def test_what_config_declares_later_wins_and_gives_way_again(tmp_path: Path) -> None:
    async with running_hub(tmp_path, CONFIG) as here:
        saved = await save(here.live, change("agent", "helper", model="demo", system_prompt="saved"))
    declared = {**CONFIG, "agents": {**CONFIG["agents"], "helper": {"model": "demo", "system_prompt": "declared"}}}
    async with running_hub(tmp_path, declared) as here:
        assert (await ask(here, "helper", "system")).startswith("declared")
        shown = await here.live.get("agent", saved.id)
        assert (shown.source, shown.settings["system_prompt"]) == ("config", "declared")
    async with running_hub(tmp_path, CONFIG) as here:
        assert (await ask(here, "helper", "system")).startswith("saved")


async def test_what_another_process_saved_is_known_when_it_is_asked_for(here: Here) -> None:
    other = Live(here.engine)
    await save(other, change("agent", "helper", model="demo", system_prompt="I help"))
    assert (await ask(here, "helper", "system")).startswith("I help")


async def test_two_processes_that_save_at_once_lose_nothing(here: Here) -> None:
    other = Live(here.engine)
    saved = await save(here.live, change("agent", "helper", model="demo"))
    await save(other, Change(kind="agent", id=saved.id, settings={"system_prompt": "mine"}))
    await save(here.live, Change(kind="agent", id=saved.id, settings={"busy": "steer"}))
    shown = await other.get("agent", saved.id)
    assert (shown.settings["system_prompt"], shown.settings["busy"]) == ("mine", "steer")
    with pytest.raises(Conflict, match="already"):
        await save(other, change("agent", "helper", model="demo"))


async def test_an_engine_that_cannot_leaves_what_it_did_as_it_was(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = here.engine.apply
    await save(here.live, change("agent", "good", model="demo"))

    async def fails(config: Any, gone: Any = ()) -> None:
        await apply(config, gone)
        if "bad" in config.agents:
            raise ValueError("it does not like its name")

    monkeypatch.setattr(here.engine, "apply", fails)
    with structlog.testing.capture_logs():
        shown = await save(here.live, change("agent", "bad", model="demo"))
        assert shown.error == "cannot be used (ValueError: it does not like its name)"
        await save(here.live, change("agent", "better", model="demo"))
    assert {"bot", "good", "better"} == here.engine.config.agents.keys()
    assert await ask(here, "better", "hello") == "You said: hello"
    await delete(here.live, shown)
    assert {one.error for one in await here.live.list("agent")} == {None}


async def test_a_store_that_is_away_is_asked_again(here: Here) -> None:
    await save(here.live, change("agent", "good", model="demo"))
    here.store.down = True
    with pytest.raises(StoreUnavailable):
        await save(here.live, change("agent", "helper", model="demo"))
    here.store.down = False
    assert [one.name for one in await here.live.list("agent")] == ["bot", "good"]
