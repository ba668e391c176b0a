"""Settings that are accepted and do nothing in this version; whoever builds one takes it off these lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from hub.config import AgentSettings, ChannelSettings, Config, ModelSettings

Entry = TypeVar("Entry", ModelSettings, AgentSettings, ChannelSettings)

AGENTS: dict[str, str] = {}
MODELS: dict[str, str] = {}
CHANNELS: dict[str, str] = {}


def warnings(config: Config) -> list[str]:
    """A sentence for each setting of something enabled that differs from its default and does nothing yet."""
    return [
        *_each("models", config.models, lambda _: MODELS),
        *_each("agents", config.agents, lambda _: AGENTS),
        *_each("channels", config.channels, lambda _: CHANNELS),
    ]


def _each(section: str, entries: Mapping[str, Entry], idle: Callable[[Entry], Mapping[str, str]]) -> Iterator[str]:
    for name, entry in entries.items():
        if not entry.enabled:
            continue
        for key, instead in idle(entry).items():
            default: object = type(entry).model_fields[key].get_default(call_default_factory=True)
            if getattr(entry, key) != default:
                yield f"{section}.{name}.{key}: does nothing in this version yet; {instead}"
