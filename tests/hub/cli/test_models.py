"""`bothub models`: models are listed, saved and deleted, whether a hub runs or not."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner

from hub.accounts import definitions
from hub.accounts.audit import By
from hub.accounts.definitions import Draft
from hub.bus import Bus
from hub.cli import main
from hub.store import Connection
from tests.hub.cli.command import Bothub

SECRET = "sk-upstream-0123456789"


def listed(bothub: Bothub) -> dict[str, Any]:
    return {one["name"]: one for one in bothub.json("models", "list")["models"]}


def test_a_model_is_saved_changed_and_deleted(bothub: Bothub) -> None:
    words = ("models", "save", "gpt", "provider=openai", "model=gpt-test", "price_in=0.25")
    saved = CliRunner().invoke(main, ["--config", str(bothub.config), *words, "api_key=-"], input=f"{SECRET}\n")
    assert saved.exit_code == 0, saved.output
    assert SECRET not in saved.output
    assert bothub("models", "save", "gpt", "model=another").exit_code == 0
    found = listed(bothub)
    assert {name: (one["source"], one["model"], one["error"]) for name, one in found.items()} == {
        "demo": ("config", "", None),
        "gpt": ("admin", "another", None),
    }
    assert "another" in bothub("models", "list").stdout
    assert bothub.json("models", "delete", "gpt")["id"] == found["gpt"]["id"]
    assert listed(bothub).keys() == {"demo"}


def test_what_cannot_be_is_a_sentence(bothub: Bothub) -> None:
    for words, code, said in (
        (("save", "gpt", "provider"), 2, "'provider' is not KEY=VALUE"),
        (("save", "gpt", "provider=openai"), 2, "model: is missing"),
        (("save", "demo", "max_output=7"), 2, "declared in config.yaml (models.demo)"),
        (("delete", "gpt"), 1, "There is no model 'gpt'"),
    ):
        result = bothub("models", *words)
        assert result.exit_code == code, result.output
        assert said in result.stderr


def test_a_saved_channel_is_known_to_the_other_commands(bothub: Bothub) -> None:
    draft = Draft(kind="channel", name="hall", settings={"kind": "web"})

    async def save(bus: Bus) -> None:
        def unit(connection: Connection) -> None:
            definitions.write(connection, [draft], definitions.version(connection), 1.0, By())

        await bus.store.write(unit)

    bothub.work(save)
    assert [one["channel"] for one in bothub.json("channels", "list")["channels"]] == ["web", "hall"]
    assert bothub("send", "hall:lobby", "hello").exit_code == 0
