"""`bothub check`: every problem with its place, or what the settings amount to; and what every command shares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hub.cli.command import CONFIG, Bothub

HEAVY = {"rich", "pydantic", "sqlalchemy", "quart", "structlog", "yaml"}


def test_settings_in_order_are_summed_up(bothub: Bothub) -> None:
    result = bothub("check")
    assert result.exit_code == 0
    assert "is in order" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["web", "web", "assistant", "open", "open", "on"] in lines
    assert ["support", "telegram", "assistant", "pairing", "mention", "off"] in lines
    assert "http://127.0.0.1:8080 (this machine only)" in result.stdout


def test_every_problem_is_told_at_once_with_its_line(bothub: Bothub) -> None:
    bothub.configure({"api": {"prot": 1}, **CONFIG, "channels": {"web": {"kind": "webb"}}})
    result = bothub("check")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"{bothub.config}:2: api.prot: unknown key; did you mean 'port'?" in result.stderr
    assert "channels.web.kind" in result.stderr


def test_problems_as_json_have_a_place_and_a_sentence(bothub: Bothub) -> None:
    bothub.configure({"api": {"prot": 1}, **CONFIG})
    answer = bothub.json("check", code=2)
    assert answer["problems"] == [
        {"where": f"{bothub.config}:2", "problem": "api.prot: unknown key; did you mean 'port'?"}
    ]


def test_json_tells_what_the_tables_tell(bothub: Bothub) -> None:
    answer = bothub.json("check")
    assert answer["ok"] is True
    assert answer["listens"] == {"host": "127.0.0.1", "port": 8080}
    assert answer["channels"][1] == {"name": "support", "kind": "telegram", "agent": "assistant", "enabled": False}


def test_who_answers_what_is_a_table_in_the_order_in_which_it_is_decided(bothub: Bothub) -> None:
    route = {"channel": "web", "chat_id": "lobby", "sender": 7}
    agents = {
        **CONFIG["agents"],
        "off": {"enabled": False, "model": "demo", "routes": [{"command": "off"}]},
        "sales": {"model": "demo", "public": False, "routes": [route, {"command": "buy"}]},
    }
    channels = {
        **CONFIG["channels"],
        "web": {"kind": "web", "agent": "assistant", "chats": {"hall": {"agent": "sales"}}},
    }
    bothub.configure({**CONFIG, "agents": agents, "channels": channels})
    answer = bothub.json("check")
    assert answer["routes"] == [
        {"agent": "sales", "channel": "web", "chat_id": "lobby", "sender": "7"},
        {"agent": "sales", "command": "buy"},
    ]
    assert answer["public"] == ["assistant"]
    lines = [line.split() for line in bothub("check").stdout.splitlines()]
    rows = [
        ["1", "web", "lobby", "any", "7", "sales"],
        ["2", "any", "any", "any", "any", "/buy", "sales"],
        ["chat", "web", "hall", "any", "any", "sales"],
    ]
    at = [lines.index(row) for row in rows]
    assert at == sorted(at)
    assert ["in", "chats", "/agent", "offers", "assistant"] in lines


@pytest.mark.parametrize(
    ("groups", "told"),
    [({"groups": "mention"}, 0), ({"groups": "open"}, 1), ({"chats": {"-7": {"groups": "listen"}}}, 1)],
)
def test_a_telegram_bot_that_is_to_hear_groups_needs_its_privacy_mode_off(
    bothub: Bothub, groups: dict[str, Any], told: int
) -> None:
    bot = {"kind": "telegram", "token": "1:a", "agent": "assistant", **groups}
    bothub.configure({**CONFIG, "channels": {"tg": bot}})
    hints = bothub.json("check")["hints"]
    assert len(hints) == told
    for hint in hints:
        assert hint.startswith("channels.tg.groups: a bot sees only mentions")
        assert " ".join(hint.split()[:8]) in " ".join(bothub("check").stdout.split())


def test_without_the_role_api_it_listens_nowhere(bothub: Bothub) -> None:
    bothub.configure({**CONFIG, "roles": ["agents"]})
    assert bothub.json("check")["listens"] is None
    assert "nowhere" in bothub("check").stdout


def test_a_missing_file_is_a_sentence(bothub: Bothub) -> None:
    bothub.config.unlink()
    result = bothub("check")
    assert (result.exit_code, "there is no such file" in result.stderr) == (2, True)


def test_a_provider_whose_package_is_missing_is_a_problem(bothub: Bothub, monkeypatch: pytest.MonkeyPatch) -> None:
    claude = {"provider": "anthropic", "api_key": "k", "model": "claude"}
    bothub.configure({**CONFIG, "models": {**CONFIG["models"], "claude": claude}})
    assert bothub.json("check")["models"][-1]["name"] == "claude"
    monkeypatch.setattr("agents.models.config.find_spec", dict[str, object]().get)
    [problem] = bothub.json("check", code=2)["problems"]
    assert problem["problem"].endswith('needs a package that is not installed: pip install "bothub[providers]"')


def test_help_does_not_load_what_commands_need() -> None:
    code = f"import sys, hub.__main__; print(*{HEAVY!r} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ""


def test_python_m_hub_is_the_same_command(bothub: Bothub, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "hub", "--config", str(bothub.config), "check"]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    assert said.stdout == bothub("check").stdout


def test_the_file_may_be_named_by_the_environment(bothub: Bothub) -> None:
    from click.testing import CliRunner

    from hub.cli import main

    result = CliRunner().invoke(main, ["check"], env={"BOTHUB_CONFIG": str(bothub.config)})
    assert (result.exit_code, str(bothub.config) in result.stdout) == (0, True)


@pytest.mark.parametrize("words", [["nope"], ["send", "web:1"], ["dead"], ["send", "web:1", "x", "--wait", "soon"]])
def test_wrong_usage_is_exit_2(bothub: Bothub, words: list[str]) -> None:
    assert bothub(*words).exit_code == 2


def test_a_database_of_another_version_is_left_alone(bothub: Bothub) -> None:
    from sqlalchemy import text

    from hub.bus import Bus

    async def age(bus: Bus) -> None:
        await bus.store.write(lambda connection: connection.execute(text("update alembic_version set version_num='x'")))

    bothub.work(age)
    result = bothub("inbox")
    assert (result.exit_code, "at revision x" in result.stderr) == (1, True)
