"""`bothub groups`, `grants` and `agents`: who may use what, whether a hub runs or not."""

from __future__ import annotations

import io
import re

import pytest
from click.testing import CliRunner
from rich.console import Console

from hub.cli import main
from tests.hub.cli.command import Bothub


def names(bothub: Bothub, what: str, *words: str) -> list[str]:
    return [one["name"] for one in bothub.json(what, "list", *words)[what]]


def test_a_group_is_made_changed_listed_and_deleted(bothub: Bothub) -> None:
    made = bothub.json("groups", "save", "family", "--key", "F-1")
    assert (made["name"], made["key"], made["keys"]) == ("family", "F-1", 0)
    assert "saved" in bothub("groups", "save", "family", "--name", "kin").stdout
    bothub.json("keys", "create", "ann", "--group", str(made["id"]))
    assert bothub.json("groups", "save", str(made["id"]), "--key", "") == {
        **made,
        "name": "kin",
        "key": None,
        "keys": 1,
    }
    assert re.search(r"2 +kin +1", bothub("groups", "list").stdout)
    assert names(bothub, "groups") == ["default", "kin"]
    assert bothub.json("groups", "delete", "kin")["id"] == made["id"]
    assert names(bothub, "groups") == ["default"]
    assert bothub.json("keys", "list")[0]["group_id"] is None


def test_a_model_and_an_agent_are_granted_and_taken_back(bothub: Bothub) -> None:
    bothub.json("keys", "create", "ann")
    assert "demo" not in bothub("grants", "list").stdout
    added = bothub.json("grants", "add", "demo", "--group", "default")
    assert (added["group_id"], added["granted"]) == (1, True)
    assert "granted" in bothub("grants", "add", "demo", "--group", "1").stdout
    assert bothub("grants", "add", "assistant", "--key", "ann").exit_code == 0
    model, agent = bothub.json("grants", "list")["grants"]
    assert (model["group_name"], model["model_name"]) == ("default", "demo")
    assert (agent["key_name"], agent["agent_name"]) == ("ann", "assistant")
    assert bothub.json("grants", "list", "--key", "ann")["grants"] == [agent]
    assert re.search(r"key +ann \(1\) +agent +assistant", bothub("grants", "list").stdout)
    assert "taken back" in bothub("grants", "remove", "demo", "--group", "default").stdout
    assert bothub.json("grants", "list")["grants"] == [agent]


def test_an_agent_is_saved_changed_shown_and_deleted(bothub: Bothub) -> None:
    bothub.json("keys", "create", "ann")
    words = ("agents", "save", "poet", "model=demo", "tools=recall, fetch_url", 'params={"top_p": 0.9}', "public=false")
    read = CliRunner().invoke(
        main, ["--config", str(bothub.config), *words, "system_prompt=-", "--owner", "ann"], input="One\nTwo\n"
    )
    assert read.exit_code == 0, read.output
    _, poet = bothub.json("agents", "list")["agents"]
    assert {name: poet[name] for name in ("name", "model", "tools", "source", "public", "owner_id", "error")} == {
        "name": "poet",
        "model": "demo",
        "tools": ["recall", "fetch_url"],
        "source": "admin",
        "public": False,
        "owner_id": 1,
        "error": None,
    }
    assert re.search(r"poet +demo +recall fetch_url +admin +private +ann", bothub("agents", "list").stdout)
    assert bothub.json("agents", "save", "poet", "public=", "active=false", "--owner", "")["id"] == poet["id"]
    changed = bothub.json("agents", "list")["agents"][1]
    assert (changed["public"], changed["active"], changed["owner_id"]) == (True, False, None)
    assert "inactive" in bothub("agents", "list").stdout
    assert bothub("agents", "delete", "poet").exit_code == 0
    assert names(bothub, "agents") == ["assistant"]


def test_what_cannot_be_is_a_sentence(bothub: Bothub) -> None:
    bothub.json("keys", "create", "ann")
    bothub.json("groups", "save", "family")
    for words, code, said in (
        (("groups", "delete", "kin"), 1, "There is no group 'kin'."),
        (("groups", "save", "family", "--name", "default"), 1, "There is already a group 'default'."),
        (("grants", "add", "gpt", "--group", "default"), 1, "There is no model or agent 'gpt'."),
        (("grants", "add", "demo", "--group", "kin"), 1, "There is no group 'kin'."),
        (("grants", "add", "demo", "--key", "bob"), 1, "There is no API key 'bob'."),
        (("grants", "add", "demo"), 2, "Say to whom: --group GROUP or --key KEY."),
        (("grants", "list", "--key", "1", "--group", "1"), 2, "Say to whom"),
        (("agents", "save", "x", "model=demo", "kind=os:system"), 2, "kind: an agent with 'kind' runs code"),
        (("agents", "save", "x", "model=demo", "tools=os:system"), 2, "can only be declared in config.yaml"),
        (("agents", "save", "x", "model=demo", "params={"), 2, "params: is not JSON"),
        (("agents", "save", "x", "model=demo", "--owner", "bob"), 1, "There is no API key 'bob'."),
        (("agents", "save", "assistant", "busy=steer"), 2, "declared in config.yaml (agents.assistant)"),
        (("agents", "delete", "x"), 1, "There is no agent 'x'."),
    ):
        result = bothub(*words)
        assert result.exit_code == code, result.output
        assert said in result.stderr, words


@pytest.mark.parametrize("what", ["agents", "groups", "grants"])
def test_a_terminal_of_80_columns_has_room_for_it(bothub: Bothub, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bothub.json("keys", "create", "the laptop of ann")
    bothub.json("groups", "save", "everybody who works in the workshop", "--key", "WORKSHOP-DEPARTMENT-1234")
    long = "the-assistant-of-the-workshop"
    bothub.json("agents", "save", long, "model=demo", "tools=memory,fetch_url,schedule,react", "--owner", "1")
    bothub.json("grants", "add", long, "--group", "2")
    shown = io.StringIO()
    monkeypatch.setattr("hub.cli.output.console", lambda: Console(file=shown, width=80, highlight=False))
    assert bothub(what, "list").exit_code == 0
    lines = shown.getvalue().splitlines()
    assert len(lines) > 2
    assert all(len(line) <= 80 for line in lines)
    assert not any("…" in line for line in lines), lines
