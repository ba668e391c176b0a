"""config.yaml: what is read from the file and the environment."""

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from channels.telegram.config import Telegram
from hub.config import Config, load

SHIPPED = Path(__file__).parents[2] / "config.yaml"
MODEL = "models: {demo: {provider: demo}}\n"
AGENT = MODEL + "agents: {assistant: {model: demo}}\n"


def config(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, environ)


# What is read


def test_the_shipped_file_works_without_any_environment() -> None:
    shipped = load(SHIPPED, {})
    assert [name for name, model in shipped.models.items() if model.enabled] == ["demo"]
    assert [name for name, channel in shipped.channels.items() if channel.enabled] == ["web"]
    assert shipped.agents["assistant"].model == "demo"
    assert shipped.agents["assistant"].system_prompt
    assert shipped.channels["support"].kind == "telegram"
    assert not shipped.models["gpt"].enabled
    assert shipped.store_url == f"sqlite:///{SHIPPED.parent}/data/bothub.db"
    assert shipped.api.is_loopback


def test_the_shipped_telegram_channel_needs_no_more_than_a_token_and_a_yes() -> None:
    environ = {"TELEGRAM_TOKEN": "123:abc", "BOTHUB_CHANNELS__SUPPORT__ENABLED": "true"}
    support = load(SHIPPED, environ).channels["support"]
    assert isinstance(support, Telegram)
    assert support.token.get_secret_value() == "123:abc"


def test_an_empty_file_is_a_hub_with_nothing_in_it(tmp_path: Path) -> None:
    empty = config(tmp_path, "")
    assert (empty.agents, empty.roles, empty.api.port) == ({}, ("channels", "api", "agents"), 8080)


def test_a_key_without_a_value_is_a_key_left_out(tmp_path: Path) -> None:
    read = config(
        tmp_path, "api:\nchannels:\n  # all commented out\n" + MODEL + "agents: {a: {model: demo, tools: }}\n"
    )
    assert (read.api.port, read.channels, read.agents["a"].tools) == (8080, {}, ())


def test_every_key_of_the_hub_is_read(tmp_path: Path) -> None:
    read = config(
        tmp_path,
        """
store: {url: "postgresql+asyncpg://u:${PW}@h/db"}
roles: [api]
api: {host: "::1", port: 1, local_key: demo, turn_timeout: 5m, cors: ["https://a.example"]}
bus: {lease: 2s, extend: 500ms, tries: 1, lane_limit: 2, inbox_limit: 3}
""",
        PW="p",
    )
    assert read.store_url == "postgresql+asyncpg://u:p@h/db"
    assert (read.roles, read.api.local_key, read.api.turn_timeout) == (("api",), "demo", 300.0)
    assert (read.bus.lease, read.bus.extend, read.bus.tries) == (2.0, 0.5, 1)


def test_every_key_of_an_agent_is_read(tmp_path: Path) -> None:
    agent = config(
        tmp_path,
        MODEL
        + """
agents:
  a:
    {kind: runner, id: 7c1f4c1e-6f0f-4a51-9a3e-0d4b8a1a2b3c, enabled: true, public: false, model: demo, fallback: demo,
     system_prompt: hi, params: {top_p: 0.5}, temperature: 0.2, max_tokens: 9, tools: [message],
     mcp: {files: {command: npx, args: [x], env: {TOKEN: s3cret}}}, history: client, posts_to: ["*", "web:*", "tg:1:2"],
     busy: steer, debounce: 1.5, show_tools: true, limits: {steps: 3, seconds: 4, tokens: 5}, context: {budget: 1000},
     routes: [{command: sell}], month_quota: 1.1}
""",
    ).agents["a"]
    assert agent.params == {"top_p": 0.5, "temperature": 0.2, "max_tokens": 9}
    assert (agent.id, agent.fallback) == (UUID("7c1f4c1e-6f0f-4a51-9a3e-0d4b8a1a2b3c"), ("demo",))
    assert (agent.limits.steps, agent.context.budget, agent.month_quota) == (3, 1000, Decimal("1.1"))
    assert agent.mcp["files"].env["TOKEN"].get_secret_value() == "s3cret"


def test_every_key_of_a_model_is_read(tmp_path: Path) -> None:
    model = config(
        tmp_path,
        """
models:
  m: {provider: bedrock-converse, base_url: "https://x/", api_key: a, model: b, price_in: 0.1, price_out: 3,
      price_cached: 0.01, context: 1000, max_output: 10, multiple: true, region: eu, access_key_id: c,
      secret_access_key: d}
""",
    ).models["m"]
    assert (model.base_url, model.price_in, model.price_cached) == ("https://x", Decimal("0.1"), Decimal("0.01"))
    assert model.multiple


def test_every_key_of_every_channel_is_read(tmp_path: Path) -> None:
    read = config(
        tmp_path,
        AGENT
        + """
channels:
  t: {kind: telegram, token: "1:a", mode: webhook, webhook_secret: s, public_url: "https://h/", base_url: "http://b",
      direct: off, groups: listen, allow: [1, "2", 007], chats: {-100: {groups: open, agent: assistant}},
      rate: {per_minute: 1, per_day: 2}, bots: allow, preview: false,
      commands: {new: [7, "x"], stop: off, status: allowlist, help: false}}
  d: {enabled: false, kind: discord, token: x, ca_file: ca.pem, catch_up: 1h}
  f: {enabled: false, kind: feishu, app_id: a, app_secret: b, domain: lark, mode: webhook, verification_token: c,
      encrypt_key: d}
  w: {kind: web}
""",
    )
    telegram = read.channels["t"]
    assert isinstance(telegram, Telegram)
    assert (telegram.direct, telegram.allow) == ("off", ("1", "2", "007"))
    assert telegram.commands.who() == {
        "new": {"7", "x"},
        "stop": "off",
        "status": "allowlist",
        "agent": "everyone",
        "memory": "everyone",
        "help": "off",
        "pair": "everyone",
    }
    assert [*telegram.commands.menu()] == ["new", "status", "agent", "memory", "pair"]
    assert telegram.chats["-100"].agent == "assistant"
    assert (telegram.rate.per_minute, telegram.public_url, telegram.base_url) == (1, "https://h", "http://b")
    assert (read.channels["w"].direct, read.channels["w"].groups) == ("open", "open")


def test_a_channel_that_names_no_agent_gets_the_first_enabled_one(tmp_path: Path) -> None:
    text = MODEL + "agents: {off: {enabled: false}, a: {model: demo}, b: {model: demo}}\nchannels: {w: {kind: web}}\n"
    assert config(tmp_path, text).channels["w"].agent == "a"


@pytest.mark.parametrize(
    ("written", "seconds"), [("8s", 8.0), ("500ms", 0.5), ("5m", 300.0), ("24h", 86400.0), ("7", 7.0), ("1.5", 1.5)]
)
def test_a_time_is_a_number_of_seconds_or_has_a_unit(tmp_path: Path, written: str, seconds: float) -> None:
    assert config(tmp_path, f"api: {{turn_timeout: {written}}}").api.turn_timeout == seconds


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("h", False)],
)
def test_only_an_address_of_this_machine_is_loopback(tmp_path: Path, host: str, loopback: bool) -> None:
    assert config(tmp_path, f'api: {{host: "{host}"}}').api.is_loopback is loopback


def test_relative_paths_start_at_the_file_so_every_command_finds_the_same_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text("data_dir: ../data")
    monkeypatch.chdir(tmp_path)
    read = load(Path("conf/config.yaml"), {})
    assert read.data_dir == tmp_path / "conf/../data"
    assert read.store_url == f"sqlite:///{tmp_path}/conf/../data/bothub.db"
    assert config(tmp_path, 'store: {url: "sqlite:///my.db"}').store_url == f"sqlite:///{tmp_path}/my.db"


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    text = MODEL + "agents:\n  a: &a {model: demo, busy: steer, history: client}\n  b: {<<: *a, busy: interrupt}\n"
    agent = config(tmp_path, text).agents["b"]
    assert (agent.busy, agent.history) == ("interrupt", "client")


# The environment


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    read = config(
        tmp_path,
        AGENT + "api: {port: 1}\nchannels: {my-bot: {kind: telegram, token: a}}\n",
        BOTHUB_API__PORT="9000",
        BOTHUB_ROLES="api, agents",
        BOTHUB_DATA_DIR="/d",
        BOTHUB_BUS='{"lease": "9s", "tries": 2}',
        BOTHUB_AGENTS__ASSISTANT__TEMPERATURE="0.5",
        BOTHUB_AGENTS__ASSISTANT__TOOLS='["message"]',
        BOTHUB_AGENTS__NEW__MODEL="demo",
        BOTHUB_CHANNELS__MY_BOT__TOKEN="123:${x}",
        BOTHUB_SERVICE_HOST="10.0.0.1",
        BOTHUB_CONFIG="elsewhere",
    )
    assert (read.api.port, read.roles, read.store_url) == (9000, ("api", "agents"), "sqlite:////d/bothub.db")
    assert (read.bus.lease, read.bus.tries) == (9.0, 2)
    assert (read.agents["assistant"].params, read.agents["assistant"].tools) == ({"temperature": 0.5}, ("message",))
    assert read.agents["new"].model == "demo"
    my_bot = read.channels["my-bot"]
    assert isinstance(my_bot, Telegram)
    assert my_bot.token.get_secret_value() == "123:${x}"


def test_a_dotenv_beside_the_file_is_environment_that_the_real_one_beats(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB=from_dotenv\nUSER=dotenv  # a comment\nBOTHUB_API__PORT=7\nODD='$DB'\n")
    text = 'store: {url: "postgresql+asyncpg://${USER}@h/${DB}"}\napi: {local_key: "${ODD}"}'
    read = config(tmp_path, text, USER="real")
    assert (read.store_url, read.api.port) == ("postgresql+asyncpg://real@h/from_dotenv", 7)
    assert read.api.local_key == "$DB"


def test_two_dollars_are_a_plain_one(tmp_path: Path) -> None:
    text = MODEL + "agents: {a: {model: demo, system_prompt: 'cost: $5, write $${NAME}'}}"
    assert config(tmp_path, text).agents["a"].system_prompt == "cost: $5, write ${NAME}"


def test_a_disabled_entry_keeps_its_references_as_they_are(tmp_path: Path) -> None:
    read = config(
        tmp_path,
        "models: {m: {enabled: '${ON}', provider: openai, api_key: '${NOPE}', context: '${NOPE}'}}\n"
        "channels: {t: {enabled: no, kind: telegram, token: '${NOPE}'}, u: {enabled: false, kind: telegram}}\n",
        ON="false",
    )
    assert read.models["m"].api_key.get_secret_value() == "${NOPE}"
    assert read.models["m"].context is None
    telegram = read.channels["t"]
    assert isinstance(telegram, Telegram)
    assert telegram.token.get_secret_value() == "${NOPE}"


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    secrets = {
        "PW": "s3cret-db",
        "NATS": "s3cret-nats",
        "KEY": "s3cret-key",
        "TOKEN": "1:s3cret",
        "HOOK": "s3cret-hook",
    }
    text = """
store: {url: "postgresql+asyncpg://u:${PW}@h/db"}
signals: {url: "nats://u:${NATS}@h"}
models: {m: {provider: openai, model: x, api_key: "${KEY}", secret_access_key: "${KEY}"}}
agents: {a: {model: m, mcp: {x: {url: "http://x", headers: {Authorization: "${KEY}"}}}}}
channels: {t: {kind: telegram, token: "${TOKEN}", webhook_secret: "${HOOK}"}}
"""
    read = config(tmp_path, text, **secrets)
    assert "s3cret" not in repr(read)
    assert "s3cret" not in str(read.model_dump())
    assert "s3cret-nats" in read.signals_url


def test_the_variable_of_opentelemetry_says_where_spans_go_and_ours_beats_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("otel: {endpoint: http://file}")
    standard, ours = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://standard"}, {"BOTHUB_OTEL__ENDPOINT": "http://ours"}
    assert load(path, {}).otel.endpoint == "http://file"
    assert load(path, standard).otel.endpoint == "http://standard"
    assert load(path, standard | ours).otel.endpoint == "http://ours"
    path.write_text("")
    assert load(path, {}).otel.endpoint is None
