"""What agents are made of; the kinds are named by strings, so that nothing is imported before it is used."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of agent that config may name; `config` and `agent` are `module:Class` for `load`."""

    config: str
    agent: str


KINDS: dict[str, Kind] = {
    "runner": Kind(config="agents.config:AgentSettings", agent="agents.runner:Runner"),
}


def load(reference: str) -> Any:
    """Import what `module:Name` names."""
    return pkgutil.resolve_name(reference)
