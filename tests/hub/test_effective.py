"""The configuration in effect: where each value came from, and that no secret is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from agents.models.config import ModelSettings
from api.ports import Setting
from channels.config import ChannelSettings
from channels.discord.config import Discord
from channels.feishu.config import Feishu
from channels.telegram.config import Telegram
from hub.app.effective import effective
from hub.config import Config, load
from hub.config.masking import without_password
from hub.config.stored import Written, merged
from hub.config.tree import is_mapping

TEXT = """
data_dir: ./data
store:
  url: postgresql+asyncpg://bot:${DB_PASSWORD}@db/bothub
api:
  port: 9000
bus: &spans {lease: 8s}
models:
  demo: {provider: demo, base_url: "${DEMO_URL}"}
agents:
  assistant:
    model: demo
    temperature: 0.5
    retention: 90d
    tools: [message,
      fetch_url]
    routes:
      - channel: web
  spare:
    enabled: false
    model: demo
channels:
  web:
    kind: web
    commands: {new: [42]}
"""
ENVIRON = {
    "DB_PASSWORD": "hunter-of-tea",
    "DEMO_URL": "https://user:pass@demo.example/v1",
    "BOTHUB_API__HOST": "::1",
    "BOTHUB_CHANNELS__WEB__RATE": '{"per_minute": 5}',
}


def read(folder: Path, text: str = TEXT, environ: dict[str, str] | None = None) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, ENVIRON if environ is None else environ)


def by_key(config: Config, saved: Sequence[Written] = ()) -> dict[str, Setting]:
    return {".".join(one.key): one for one in effective(config, saved).settings}


@pytest.mark.parametrize(
    ("key", "value", "origin", "where"),
    [
        ("api.port", 9000, "file", "config.yaml:6"),
        ("api.host", "::1", "environment", "BOTHUB_API__HOST"),
        ("api.turn_timeout", "300", "default", ""),
        ("bus.lease", "8s", "file", "config.yaml:7"),
        ("store.url", "postgresql+asyncpg://bot:${DB_PASSWORD}@db/bothub", "file", "config.yaml:4"),
        ("models.demo.base_url", "${DEMO_URL}", "file", "config.yaml:9"),
        ("models.demo.api_key", None, "default", ""),
        ("agents.assistant.retention", "90d", "file", "config.yaml:14"),
        ("agents.assistant.tools", ["message", "fetch_url"], "file", "config.yaml:15"),
        ("agents.assistant.temperature", "0.5", "file", "config.yaml:13"),
        ("agents.assistant.params", {}, "default", ""),
        ("agents.assistant.routes.0.channel", "web", "file", "config.yaml:18"),
        ("agents.assistant.routes.0.sender", None, "default", ""),
        ("agents.spare.enabled", False, "file", "config.yaml:20"),
        ("channels.web.agent", "assistant", "default", ""),
        ("channels.web.commands.new", [42], "file", "config.yaml:25"),
        ("channels.web.commands.stop", "everyone", "default", ""),
        ("channels.web.rate.per_minute", 5, "environment", "BOTHUB_CHANNELS__WEB__RATE"),
        ("channels.web.rate.per_day", None, "default", ""),
    ],
)
def test_each_value_says_where_it_came_from(tmp_path: Path, key: str, value: object, origin: str, where: str) -> None:
    found = by_key(read(tmp_path))[key]
    assert (found.value, found.origin, found.where) == (value, origin, where)


def test_a_variable_of_the_file_dotenv_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BOTHUB_API__PORT=1\nBOTHUB_BUS__TRIES=7\n")
    found = by_key(read(tmp_path, environ={**ENVIRON, "BOTHUB_BUS__TRIES": "8"}))
    assert (found["api.port"].value, found["api.port"].where) == (1, ".env: BOTHUB_API__PORT")
    assert (found["bus.tries"].value, found["bus.tries"].where) == (8, "BOTHUB_BUS__TRIES")


def test_what_was_saved_while_the_hub_ran_comes_from_the_store(tmp_path: Path) -> None:
    settings = {"provider": "openai", "model": "gpt", "api_key": "sk-very-secret", "base_url": "http://x/${HOME}"}
    saved = [Written(section="models", name="mine", settings=settings)]
    config, problems = merged(read(tmp_path), saved)
    found = by_key(config, saved)
    assert not problems
    assert (found["models.mine.model"].origin, found["models.mine.model"].value) == ("saved", "gpt")
    assert found["models.mine.base_url"].value == "http://x/${HOME}"
    assert found["models.mine.api_key"].value == "***"
    assert found["models.mine.price_in"].origin == "default"
    assert found["api.port"].where == "config.yaml:6"


def test_every_key_is_there_once(tmp_path: Path) -> None:
    keys = [one.key for one in effective(read(tmp_path), ()).settings]
    assert len(keys) == len(set(keys))
    for section in ("store", "signals", "api", "bus", "otel"):
        part: BaseModel = getattr(Config(), section)
        for name in type(part).model_fields:
            assert (section, name) in keys


# No secret is told, whatever way it came


def _each(model: type[BaseModel], number: Iterator[int]) -> dict[str, str]:
    """A value for each field that is a secret, all of them different."""
    return {
        name: f"{next(number)}:hush-hush" for name, one in model.model_fields.items() if one.annotation is SecretStr
    }


def whole(number: Iterator[int], wrap: Callable[[str], str] = str) -> dict[str, Any]:
    """A configuration with a secret wherever one can stand."""

    def given(kind_of: type[BaseModel], /, **more: Any) -> dict[str, Any]:
        return {**more, **{name: wrap(text) for name, text in _each(kind_of, number).items()}}

    tools = {
        "command": "serve",
        "args": ["--api-token", wrap("hush-1"), f"--key={wrap('hush-2')}", "--safe"],
        "env": {"ANYTHING": wrap("hush-3")},
    }
    remote = {"url": "https://me:hush-4@mcp.example/?key=hush-5", "headers": {"X": wrap("hush-6-hush")}}
    params = {"extra_headers": {"Authorization": wrap("hush-7")}, "user": {"password": {"is": wrap("hush-8")}}}
    return {
        "secret_key": wrap("hush-9-0123456789abcdefghijklmnopqrstuv"),
        "store": {"url": wrap("postgresql+asyncpg://bot:hush-10@db/x?password=hush-11")},
        "signals": {"url": wrap("nats://hush-12@host:4222")},
        "models": {
            "m": given(ModelSettings, provider="openai", model="x", base_url="http://u:hush/13@host/?token=hush-14"),
            "again": {"provider": "openai", "model": "hush-15-hush", "api_key": wrap("hush-15-hush")},
        },
        "agents": {"a": {"model": "m", "params": params, "mcp": {"local": tools, "remote": remote}}},
        "channels": {
            "t": given(Telegram, kind="telegram", base_url="http://hush-16@host", webhook_secret="hush"),
            "d": given(Discord, kind="discord"),
            "f": given(Feishu, kind="feishu", app_id="cli_1"),
        },
    }


def numbers() -> Iterator[int]:
    yield from range(1000, 2000)


def told(config: Config, saved: Sequence[Written] = ()) -> str:
    return repr(effective(config, saved)) + repr(config.origins)


def test_no_secret_of_the_file_is_told(tmp_path: Path) -> None:
    config = read(tmp_path, yaml.safe_dump(whole(numbers())), {})
    assert "hush" not in told(config)
    assert "everyone" in told(config)


def test_no_secret_of_a_variable_is_told_but_its_name(tmp_path: Path) -> None:
    environ: dict[str, str] = {}

    def refer(text: str) -> str:
        environ[f"NAME{len(environ)}"] = text
        return f"${{NAME{len(environ) - 1}}}"

    config = read(tmp_path, yaml.safe_dump(whole(numbers(), refer)), environ)
    assert "hush" not in told(config)
    assert not [name for name in environ if f"${{{name}}}" not in told(config)]


def test_no_secret_of_the_environment_is_told(tmp_path: Path) -> None:
    def variables(tree: dict[str, Any], *key: str) -> Iterator[tuple[str, str]]:
        for name, value in tree.items():
            if is_mapping(value) and len(key) < 2:
                yield from variables(value, *key, name)
            else:
                yield (
                    "BOTHUB_" + "__".join((*key, name)).upper(),
                    value if isinstance(value, str) else json.dumps(value),
                )

    config = read(tmp_path, "", dict(variables(whole(numbers()))))
    assert "hush" not in told(config)
    assert "BOTHUB_AGENTS__A" in told(config)


def test_no_secret_that_was_saved_is_told(tmp_path: Path) -> None:
    tree = whole(numbers())
    saved = [
        Written(section=section, name=name, settings=entry)
        for section in ("models", "agents", "channels")
        for name, entry in tree[section].items()
    ]
    config, problems = merged(read(tmp_path, "", {}), saved)
    assert not problems
    assert "hush" not in told(config, saved)
    assert "'saved'" in told(config, saved)


def test_what_only_looks_like_a_reference_is_a_secret_like_any_other(tmp_path: Path) -> None:
    environ = {"BOTHUB_MODELS__M__PROVIDER": "openai", "BOTHUB_MODELS__M__API_KEY": "a${HUSH}b"}
    config = read(tmp_path, "models: {m: {model: x}}", environ)
    assert by_key(config)["models.m.api_key"].value == "***"


def test_a_secret_of_a_kind_that_does_not_say_so_is_masked_by_its_name(tmp_path: Path) -> None:
    class Foreign(ChannelSettings):
        bot_token: str = "hush"
        password: SecretStr | None = None
        apiKey: dict[str, str] = {"one": "hush"}  # noqa: N815 - as others may write it

    config = read(tmp_path).model_copy(update={"channels": {"x": Foreign(kind="foreign")}})
    assert "hush" not in repr([one for one in effective(config, ()).settings if one.key[0] == "channels"])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////data/bothub.db", "sqlite:////data/bothub.db"),
        ("postgresql+asyncpg://me:se:cr@et@db/bothub", "postgresql+asyncpg://me:***@db/bothub"),
        ("postgresql+asyncpg://me:sec/ret@db/bothub", "postgresql+asyncpg://me:***@db/bothub"),
        ("postgresql+asyncpg://me@db/x?ssl=require&password=p", "postgresql+asyncpg://***@db/x?ssl=***&password=***"),
        ("nats://token:x@host:4222", "nats://token:***@host:4222"),
        ("nats://token@host:4222", "nats://***@host:4222"),
        ("nats://host:4222", "nats://host:4222"),
        ("see https://a:b@c/d#x=y and http://plain/", "see https://a:***@c/d#x=*** and http://plain/"),
    ],
)
def test_passwords_in_urls_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
