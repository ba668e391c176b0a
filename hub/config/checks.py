"""What no single key can tell: names that others must have, and settings that contradict each other."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.util import find_spec
from uuid import UUID

from agents import tools
from agents.config import AgentSettings
from agents.models.config import ModelSettings
from channels.config import ChannelSettings
from hub.channel import RESERVED
from hub.config.entries import Entries, Name
from hub.config.problems import Problem, guess
from hub.config.settings import Config
from hub.config.tree import Key


def check_names(
    entries: Entries,
    models: dict[str, ModelSettings],
    agents: dict[str, AgentSettings],
    channels: dict[str, ChannelSettings],
) -> Iterator[Problem]:
    """What enabled entries name must be there and enabled; agents and models share one name space."""
    for name in entries.written["agents"].keys() & entries.written["models"].keys():
        yield Problem(("agents", name), "is also the name of a model; agents and models share one name space")
    yield from _ids_of(agents)
    for name, agent in agents.items():
        if agent.enabled:
            yield from _models_of(entries, models, name, agent)
            yield from _tools_of(name, agent)
            yield from _routes_of(entries, name, agent)
            if agent.mcp and find_spec("mcp") is None:
                yield Problem(("agents", name, "mcp"), 'needs what is not installed: pip install "bothub[mcp]"')
    for name, channel in channels.items():
        if channel.enabled:
            yield from _agents_of(entries, name, channel)


def _models_of(
    entries: Entries, models: dict[str, ModelSettings], name: str, agent: AgentSettings
) -> Iterator[Problem]:
    if agent.model:
        yield from _named(entries, "models", agent.model, ("agents", name, "model"))
    for other in agent.fallback:
        yield from _named(entries, "models", other, ("agents", name, "fallback"))
    if agent.transcribe:
        key = ("agents", name, "transcribe")
        yield from _named(entries, "models", agent.transcribe, key)
        if (model := models.get(agent.transcribe)) and not model.transcribes:
            yield Problem(key, f"the provider '{model.provider}' cannot transcribe; 'openai' can")


def _ids_of(agents: dict[str, AgentSettings]) -> Iterator[Problem]:
    """Two agents that are called by the same id."""
    owners: dict[UUID, str] = {}
    for name, agent in agents.items():
        if agent.enabled and agent.id is not None and (owner := owners.setdefault(agent.id, name)) != name:
            yield Problem(("agents", name, "id"), f"is also the id of the agent '{owner}'")


def _tools_of(name: str, agent: AgentSettings) -> Iterator[Problem]:
    wrong, called = list[str](), list[str]()
    for tool in tools.each(agent.tools):
        if ":" not in tool and tool not in tools.names():
            wrong.append(f"there is no tool '{tool}'; {guess(tool, tools.names())}")
            continue
        try:
            called.append(tools.make(tool).name)
        except tools.Unusable as error:
            wrong.append(f"'{tool}' {error}")
    wrong += [f"more than one tool is called '{twice}'" for twice in sorted(set(called)) if called.count(twice) > 1]
    if wrong:
        yield Problem(("agents", name, "tools"), "; ".join(wrong))


def _routes_of(entries: Entries, name: str, agent: AgentSettings) -> Iterator[Problem]:
    channels = entries.written["channels"]
    for number, route in enumerate(agent.routes):
        key = ("agents", name, "routes", str(number))
        if route.channel is not None and route.channel not in channels:
            yield Problem((*key, "channel"), f"there is no channel '{route.channel}'; {guess(route.channel, channels)}")
        if route.command in RESERVED:
            yield Problem((*key, "command"), f"/{route.command} is a command of the hub; choose another word")


def _agents_of(entries: Entries, name: str, channel: ChannelSettings) -> Iterator[Problem]:
    key = ("channels", name)
    if channel.agent:
        yield from _named(entries, "agents", channel.agent, (*key, "agent"))
    elif not entries.running("agents"):
        yield Problem((*key, "agent"), "is missing, and there is no enabled agent to take")
    for chat_id, chat in channel.chats.items():
        if chat.agent:
            yield from _named(entries, "agents", chat.agent, (*key, "chats", chat_id, "agent"))


def _named(entries: Entries, section: Name, name: str, key: Key) -> Iterator[Problem]:
    what = section.removesuffix("s")
    running = entries.running(section)
    if name not in entries.written[section]:
        yield Problem(key, f"there is no {what} '{name}'; {guess(name, running)}")
    elif name not in running:
        yield Problem(key, f"the {what} '{name}' is disabled; {guess('', running)}")


def check_whole(config: Config) -> Iterator[Problem]:
    """Settings that contradict each other."""
    if config.bus.extend >= config.bus.lease:
        yield Problem(("bus", "extend"), "must be shorter than bus.lease, or every lease runs out")
    if config.signals_url != "local" and importlib.util.find_spec("nats") is None:
        yield Problem(("signals", "url"), 'needs a package that is not installed: pip install "bothub[nats]"')
    if config.otel.endpoint and not _has_otel():
        yield Problem(("otel", "endpoint"), 'needs a package that is not installed: pip install "bothub[otel]"')
    if config.api.local_key and not config.api.is_loopback:
        yield Problem(("api", "local_key"), "lets everyone in without a key, so api.host must be 127.0.0.1 or ::1")


def _has_otel() -> bool:
    """Whether the extra is there; its namespace alone comes with other packages."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False
