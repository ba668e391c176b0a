"""config.yaml: how every kind of mistake is told."""

import importlib.util
from pathlib import Path
from typing import get_args

import pytest

from agents.models.config import Provider
from hub.config import load
from hub.errors import ConfigError

MODEL = "models: {demo: {provider: demo}}\n"
UUID = "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e10"
AGENT = MODEL + "agents: {assistant: {model: demo}}\n"


def problems(folder: Path, text: str, **environ: str) -> list[str]:
    """What is wrong, with the folder left out."""
    path = folder / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(path, environ)
    return [problem.replace(f"{folder}/", "") for problem in raised.value.problems]


MISTAKES = [
    ("stroe: {}", "config.yaml:1: stroe: unknown key; did you mean 'store'?"),
    ("\napi:\n  prot: 1", "config.yaml:3: api.prot: unknown key; did you mean 'port'?"),
    ("api: {x: 1}", "config.yaml:1: api.x: unknown key; known: host, port, local_key, turn_timeout, retention, cors"),
    ("api: {port: much}", "config.yaml:1: api.port: must be a whole number"),
    ("api: {port: 99999}", "config.yaml:1: api.port: must be at most 65535"),
    ("api: [1]", "config.yaml:1: api: must hold keys with values"),
    ("api: {cors: x}", "config.yaml:1: api.cors: must be a list"),
    (
        "api: {turn_timeout: soon}",
        "config.yaml:1: api.turn_timeout: must be a time such as 500ms, 8s, 5m or 1h, or a number of seconds",
    ),
    (
        "api:\n  host: 0.0.0.0\n  local_key: demo",
        "config.yaml:3: api.local_key: lets everyone in without a key, so api.host must be 127.0.0.1 or ::1",
    ),
    (
        "api: {retention: 1d}",
        "config.yaml:1: api.retention: must be 2d at least: so long every message is known, that it is not taken twice",
    ),
    (
        MODEL + "agents: {a: {model: demo, retention: long}}",
        "config.yaml:2: agents.a.retention: must be a time such as 500ms, 8s, 5m or 1h, or a number of seconds",
    ),
    (
        "bus: {lease: 3s}",
        "config.yaml:1: bus.extend: must be shorter than bus.lease, or every lease runs out",
    ),
    (
        "roles:\n- api\n- apis",
        "config.yaml:3: roles.1: 'apis' is not one of channels, api, agents; did you mean 'api'?",
    ),
    (
        "store: {url: 'mysql://u:p@h/db'}",
        (
            "config.yaml:1: store.url: is not supported; "
            "use sqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE"
        ),
    ),
    (
        MODEL + f"agents:\n  a: &a {{model: demo, id: {UUID}}}\n  b: *a\n  c: {{<<: *a, enabled: false}}",
        "config.yaml:3: agents.b.id: is also the id of the agent 'a'",
    ),
    (
        AGENT + "channels: {w: {kind: web, commands: {nwe: [1]}}}",
        "config.yaml:3: channels.w.commands.nwe: unknown key; did you mean 'new'?",
    ),
    (
        AGENT + "channels:\n  w:\n    kind: web\n    commands:\n      new: [1]\n      stop: nobody",
        "config.yaml:8: channels.w.commands.stop: must be everyone, allowlist, off, or a list of the ids of people",
    ),
    (
        AGENT + "channels: {w: {kind: web, commands: [new]}}",
        (
            "config.yaml:3: channels.w.commands: must be true, false, or who may use which command, "
            "such as {new: [123], stop: off}"
        ),
    ),
    ("signals: {url: redis://h}", "config.yaml:1: signals.url: is not supported; use local or nats://HOST:4222"),
    (
        "store: {url: 'sqlite:///${NOPE}'}",
        "config.yaml:1: store.url: needs the environment variable NOPE, which is not set",
    ),
    (
        "data_dir: ${A:-b}",
        "config.yaml:1: data_dir: '${A:-b}' does not name an environment variable; '$${' is a plain '${'",
    ),
    *(
        (
            MODEL + f"agents:\n  a:\n    model: demo\n    routes:\n    - channel: web\n    - {route}\n"
            "channels: {web: {kind: web}}",
            f"config.yaml:7: agents.a.routes.1{problem}",
        )
        for route, problem in [
            ("{channel: wbe}", ".channel: there is no channel 'wbe'; did you mean 'web'?"),
            ("{chanel: web}", ".chanel: unknown key; did you mean 'channel'?"),
            ("{}", ": must say what goes to the agent: channel, chat_id, thread_id, sender or command"),
            ("{sender: 7}", ": needs 'channel' beside chat_id, thread_id or sender: ids mean something in one only"),
            ("{channel: web, thread_id: 7}", ": needs 'chat_id' beside thread_id"),
            ("{command: /sell}", ": has a command that is not a word of a-z 0-9 _, written without the slash"),
            ("{command: new}", ".command: /new is a command of the hub; choose another word"),
        ]
    ),
    # YAML itself
    ("a: 1\n b: 2", "config.yaml:2:3: is not YAML: mapping values are not allowed here"),
    (
        "api:\n\tport: 1",
        (
            "config.yaml:2:1: is not YAML: while scanning for the next token, "
            "found character '\\t' that cannot start any token; YAML indents with spaces, not tabs"
        ),
    ),
    ("- a", "config.yaml:1: the file must hold keys such as 'agents:'"),
    ("api:\n  port: 1\n  port: 2", "config.yaml:3: api.port: is given twice (first on line 2)"),
    ("api: &a {cors: [*a]}", "config.yaml:1: api.cors.0: holds itself (an alias inside its own anchor)"),
    ("? [a]\n: b", "config.yaml:1: holds a mapping or list where a key belongs; put {{...}} in quotes"),
    ("roles: []", "config.yaml:1: roles: must not be empty"),
    ("data_dir: !x y", "config.yaml:1: data_dir: has a YAML tag that means nothing here: !x"),
    ("data_dir: [a]", "config.yaml:1: data_dir: must be a path"),
    (
        "api:\n  host: {{ X }}",
        "config.yaml:2: api.host: holds a mapping or list where a key belongs; put {{...}} in quotes",
    ),
    (
        "api: {host: ${X}}",
        (
            "config.yaml:1:14: is not YAML: while parsing a flow mapping, expected ',' or '}', but got '{'; "
            "inside {...}, ${NAME} needs quotes"
        ),
    ),
    # Models
    ("models: [x]", "config.yaml:1: models: must hold names, each with keys of its own"),
    ("models: {x: }", "config.yaml:1: models.x: must hold keys with values"),
    ("models: {x: {}}", "config.yaml:1: models.x.provider: is missing"),
    (
        "models: {x: {provider: opnai}}",
        (
            f"config.yaml:1: models.x.provider: 'opnai' is not one of {', '.join(get_args(Provider))}; "
            "did you mean 'openai'?"
        ),
    ),
    (
        "models: {x: {provider: openai, api_key: k}}",
        "config.yaml:1: models.x.model: is missing; what does the provider call it?",
    ),
    (
        "models: {x: {provider: openai, model: m}}",
        "config.yaml:1: models.x.api_key: is missing; only a server of your own (base_url) may do without",
    ),
    (
        "models:\n  x:\n    provider: openai\n    model: m\n    api_key: ${NOPE}",
        (
            "config.yaml:5: models.x.api_key: needs the environment variable NOPE, which is not set; "
            "set it, or give this entry 'enabled: false'"
        ),
    ),
    (
        "models: {x: {provider: demo, base_url: h}}",
        "config.yaml:1: models.x.base_url: must be a URL that starts with http:// or https://",
    ),
    ('models: {x: {provider: demo, price_in: "1_000"}}', "config.yaml:1: models.x.price_in: must be a number"),
    ('models: {x: {provider: demo, price_in: "٣"}}', "config.yaml:1: models.x.price_in: must be a number"),
    ("models: {x: {provider: demo, price_in: -1}}", "config.yaml:1: models.x.price_in: must be at least 0"),
    ("models: {x: {provider: demo, multiple: perhaps}}", "config.yaml:1: models.x.multiple: must be true or false"),
    ("models: {X: {provider: demo}}", "config.yaml:1: models.X: is not a name: use the characters a-z 0-9 _ -"),
    (
        "models: {x: {provider: demo, price_in: 0.1234567891}}",
        "config.yaml:1: models.x.price_in: may have at most 9 decimal places",
    ),
    # Agents
    ("agents: {a: {}}", "config.yaml:1: agents.a.model: is missing"),
    (
        MODEL + "agents: {a: {model: dmo}}",
        "config.yaml:2: agents.a.model: there is no model 'dmo'; did you mean 'demo'?",
    ),
    (
        MODEL + "agents: {a: {model: demo, fallback: [x]}}",
        "config.yaml:2: agents.a.fallback: there is no model 'x'; known: demo",
    ),
    (
        MODEL + "agents: {a: {model: demo, transcribe: x}}",
        "config.yaml:2: agents.a.transcribe: there is no model 'x'; known: demo",
    ),
    (
        "models: {c: {provider: anthropic, api_key: k, model: m}}\nagents: {a: {model: c, transcribe: c}}",
        "config.yaml:2: agents.a.transcribe: the provider 'anthropic' cannot transcribe; 'openai' can",
    ),
    (
        "models: {off: {enabled: false, provider: demo}}\nagents: {a: {model: off}}",
        "config.yaml:2: agents.a.model: the model 'off' is disabled; known: none",
    ),
    (
        MODEL + "agents: {demo: {model: demo}}",
        "config.yaml:2: agents.demo: is also the name of a model; agents and models share one name space",
    ),
    (MODEL + "agents: {a: {kind: runer}}", "config.yaml:2: agents.a.kind: no such kind; did you mean 'runner'?"),
    (
        MODEL + "agents: {a: {model: demo, posts_to: [web]}}",
        "config.yaml:2: agents.a.posts_to.0: is not an address pattern: write channel:chat_id, channel:* or *",
    ),
    (
        MODEL + "agents: {a: {model: demo, id: 1}}",
        "config.yaml:2: agents.a.id: must be a UUID such as 7c1f4c1e-6f0f-4a51-9a3e-0d4b8a1a2b3c",
    ),
    (
        MODEL + "agents: {a: {model: demo, limits: {step: 1}}}",
        "config.yaml:2: agents.a.limits.step: unknown key; did you mean 'steps'?",
    ),
    (MODEL + "agents: {a: {model: demo, temperature: 3}}", "config.yaml:2: agents.a.temperature: must be at most 2"),
    (
        MODEL + "agents: {a: {model: demo, mcp: {x: {}}}}",
        "config.yaml:2: agents.a.mcp.x: needs either 'command' or 'url'",
    ),
    # Channels
    (AGENT + "channels: {w: {}}", "config.yaml:3: channels.w.kind: is missing; known: telegram, discord, feishu, web"),
    (
        AGENT + "channels: {w: {kind: slack}}",
        "config.yaml:3: channels.w.kind: no such kind; known: telegram, discord, feishu, web",
    ),
    (
        AGENT + "channels: {w: {kind: [web]}}",
        "config.yaml:3: channels.w.kind: no such kind; did you mean 'web'?",
    ),
    (
        AGENT + "channels: {api: {kind: web}}",
        "config.yaml:3: channels.api: 'api' is reserved for conversations over HTTP; choose another name",
    ),
    (
        AGENT + "channels:\n  w: {kind: web, agent: asistant}",
        "config.yaml:4: channels.w.agent: there is no agent 'asistant'; did you mean 'assistant'?",
    ),
    (
        AGENT + "channels:\n  w: {kind: web, chats: {lobby: {agent: x}}}",
        "config.yaml:4: channels.w.chats.lobby.agent: there is no agent 'x'; known: assistant",
    ),
    (
        "channels: {w: {kind: web}}",
        "config.yaml:1: channels.w.agent: is missing, and there is no enabled agent to take",
    ),
    (
        AGENT + "channels: {w: {kind: web, direct: pair}}",
        "config.yaml:3: channels.w.direct: 'pair' is not one of pairing, allowlist, open, off; did you mean 'pairing'?",
    ),
    (
        AGENT + "channels: {w: {kind: web, chats: {1: {group: off}}}}",
        "config.yaml:3: channels.w.chats.1.group: unknown key; did you mean 'groups'?",
    ),
    (
        AGENT + "channels: {t: {kind: telegram}}",
        "config.yaml:3: channels.t.token: is missing; @BotFather in Telegram gives one",
    ),
    (
        AGENT + "channels: {t: {kind: telegram, token: nonsense}}",
        (
            "config.yaml:3: channels.t.token: does not look like a bot token; "
            "@BotFather gives one such as 123456:ABC-DEF..."
        ),
    ),
    (
        AGENT + "channels: {t: {kind: telegram, token: '1:a', mode: webhook, public_url: 'https://h'}}",
        "config.yaml:3: channels.t.webhook_secret: is missing; mode webhook takes nothing that is not signed with it",
    ),
    (
        AGENT
        + "channels: {t: {kind: telegram, token: '1:a', mode: webhook, webhook_secret: s, public_url: 'http://h'}}",
        "config.yaml:3: channels.t.public_url: must start with https://: Telegram pushes to no other address",
    ),
    (
        AGENT + "channels: {t: {enabled: false, kind: telegram, tokn: x}}",
        "config.yaml:3: channels.t.tokn: unknown key; did you mean 'token'?",
    ),
]


@pytest.mark.parametrize(("text", "problem"), MISTAKES, ids=[problem.split(": ", 1)[1][:50] for _, problem in MISTAKES])
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, text) == [problem]


ENVIRONMENT_MISTAKES = [
    ("BOTHUB_API__PORT", "x", "BOTHUB_API__PORT: api.port: must be a whole number"),
    ("BOTHUB_API__PROT", "1", "BOTHUB_API__PROT: api.prot: unknown key; did you mean 'port'?"),
    ("BOTHUB_APII__PORT", "1", "BOTHUB_APII__PORT: apii.port: unknown key; did you mean 'api'?"),
    ("BOTHUB_DATADIR", "1", "BOTHUB_DATADIR: datadir: unknown key; did you mean 'data_dir'?"),
    ("BOTHUB_API__CORS", "x", 'BOTHUB_API__CORS: api.cors: must be a list; write a list as JSON: ["a", "b"]'),
    (
        "BOTHUB_AGENTS__ASSISTANT__MODEL",
        "x",
        "BOTHUB_AGENTS__ASSISTANT__MODEL: agents.assistant.model: there is no model 'x'; known: demo",
    ),
    (
        "BOTHUB_AGENTS__ASSISTANT__BUSY",
        "x",
        "BOTHUB_AGENTS__ASSISTANT__BUSY: agents.assistant.busy: must be one of queue, steer, interrupt",
    ),
]


@pytest.mark.parametrize(("name", "value", "problem"), ENVIRONMENT_MISTAKES)
def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, name: str, value: str, problem: str) -> None:
    assert problems(tmp_path, AGENT, **{name: value}) == [f"environment variable {problem}"]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
api: {prot: 1, port: x}
bus: {tries: 0, lease: 1s}
models: {demo: {provider: demo, price_in: x}}
agents: {a: {model: dmo, busy: x}}
channels:
  t: {kind: telegram, agent: b, rate: {per_day: 0}}
  t: {kind: web}
"""
    assert [problem.split(": ")[:2] for problem in problems(tmp_path, text, BOTHUB_STORE__URL="x")] == [
        ["config.yaml:2", "api.port"],
        ["config.yaml:2", "api.prot"],
        ["config.yaml:3", "bus.tries"],
        ["config.yaml:3", "bus.extend"],
        ["config.yaml:4", "models.demo.price_in"],
        ["config.yaml:5", "agents.a.busy"],
        ["config.yaml:5", "agents.a.model"],
        ["config.yaml:7", "channels.t.rate.per_day"],
        ["config.yaml:7", "channels.t.token"],
        ["config.yaml:7", "channels.t.agent"],
        ["config.yaml:8", "channels.t"],
        ["environment variable BOTHUB_STORE__URL", "store.url"],
    ]


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "no.yaml", {})
    assert raised.value.problems == [
        f"{tmp_path}/no.yaml: there is no such file; name yours with --config PATH or BOTHUB_CONFIG"
    ]


@pytest.mark.parametrize(
    ("make", "why"), [("mkdir", "Is a directory"), ("latin", "it is not UTF-8 text")], ids=["directory", "latin"]
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, make: str, why: str) -> None:
    path = tmp_path / "config.yaml"
    path.mkdir() if make == "mkdir" else path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert raised.value.problems == [f"{path}: cannot be read: {why}"]


@pytest.mark.parametrize(
    ("text", "key", "extra"),
    [
        (AGENT + "channels: {t: {kind: telegram, token: '1:a'}}", "3: channels.t.kind", "telegram"),
        ("signals: {url: nats://h}", "1: signals.url", "nats"),
        ("otel: {endpoint: http://h}", "1: otel.endpoint", "otel"),
    ],
)
def test_a_missing_package_names_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, key: str, extra: str
) -> None:
    def nothing(name: str) -> None:
        assert name in ("aiogram", "nats", "opentelemetry.exporter.otlp.proto.http")

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    assert problems(tmp_path, text) == [
        f'config.yaml:{key}: needs a package that is not installed: pip install "bothub[{extra}]"'
    ]


def test_a_variable_that_others_named_is_told_where_it_is_wrong(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, "", OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318")
    assert problem == (
        "environment variable OTEL_EXPORTER_OTLP_ENDPOINT: otel.endpoint: "
        "must be the URL of a collector, such as http://127.0.0.1:4318"
    )


def test_secrets_are_in_no_error(tmp_path: Path) -> None:
    text = AGENT + "channels: {t: {kind: telegram, token: s3cret, webhook_secret: 's3 cret', mode: '${MODE}'}}\n"
    told = problems(tmp_path, text, MODE="s3cret", BOTHUB_CHANNELS__T__BOTS="s3cret", BOTHUB_STORE__URL="x://s3cret")
    assert len(told) == 4
    assert "s3cret" not in "\n".join(told)
