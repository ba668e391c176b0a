"""A configuration with what was saved while the hub runs: checked as config.yaml is, which has the last word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from hub.accounts.definitions import Kind
from hub.config.checks import check_names
from hub.config.entries import SECTIONS, Entries, Name
from hub.config.environment import References
from hub.config.problems import Problem
from hub.config.settings import Config
from hub.config.tree import Key, is_mapping
from hub.message import Value

KINDS: Mapping[Kind, Name] = {"model": "models", "agent": "agents", "channel": "channels"}
Place = tuple[Name, str]
"""Section and name of an entry."""
Problems = Mapping[Place, Sequence[Problem]]
"""What is wrong with entries."""


class Written(Value, frozen=True, kw_only=True):
    """An entry as it would stand in config.yaml, its secrets too; `${NAME}` is a plain text here."""

    section: Name
    name: str
    settings: dict[str, Any]


class _Verbatim(References):
    """Nothing is replaced: who saves something over HTTP shall not read the environment."""

    def __init__(self) -> None:
        super().__init__({}, {})

    def resolve(self, value: Any, key: Key) -> Any:  # noqa: ARG002
        return value


def merged(config: Config, written: Iterable[Written]) -> tuple[Config, Problems]:
    """The configuration with all that was saved, and what is wrong with those that were left out of it.

    Who names something that is left out is left out too.
    """
    left = [one for one in written if one.name not in getattr(config, one.section)]
    problems: dict[Place, Sequence[Problem]] = {}
    while True:
        joined, found = _join(config, left)
        if not found:
            return joined, problems
        problems.update(found)
        left = [one for one in left if (one.section, one.name) not in found]


def _join(config: Config, written: Sequence[Written]) -> tuple[Config, Problems]:
    saved: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for one in written:
        saved[one.section][one.name] = one.settings
    entries = Entries(saved, saved, _Verbatim())
    models = {**config.models, **entries.models()}
    agents = {**config.agents, **entries.agents()}
    channels = {**config.channels, **entries.channels()}
    for section in SECTIONS:
        declared = {name: {"enabled": entry.enabled} for name, entry in getattr(config, section).items()}
        entries.written[section] = declared | entries.written[section]
    found: defaultdict[Place, list[Problem]] = defaultdict(list)
    for problem in [*entries.problems, *_clashes(config, written), *check_names(entries, models, agents, channels)]:
        section, name = problem.key[:2]
        found[_section(section), name].append(problem)
    ours = {(one.section, one.name) for one in written}
    joined = config.model_copy(update={"models": models, "agents": agents, "channels": channels})
    return joined.with_agents(), {at: problems for at, problems in found.items() if at in ours}


def _clashes(config: Config, written: Sequence[Written]) -> Iterable[Problem]:
    """Models that are called as an agent of config.yaml; of others it is the agent that has to go."""
    for one in written:
        if one.section == "models" and one.name in config.agents:
            what = "is also the name of an agent; agents and models share one name space"
            yield Problem((one.section, one.name), what)


def _section(name: str) -> Name:
    return next(section for section in SECTIONS if section == name)


def told(problem: Problem) -> str:
    """What is wrong with an entry, for who knows which."""
    return ": ".join(filter(None, [".".join(problem.key[2:]), problem.text]))


def secrets_in(values: Mapping[str, Any], checked: object) -> dict[str, Any]:
    """Those of an entry's values that are secrets, where they stand; `checked` is what was made of the values."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner: Any = checked.get(name) if is_mapping(checked) else getattr(checked, name, None)
        if isinstance(inner, SecretStr):
            found[name] = value
        elif is_mapping(value) and (below := secrets_in(value, inner)):
            found[name] = below
    return found


def without_secrets(values: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are no secrets."""
    return {
        name: without_secrets(value, secrets[name]) if name in secrets else value
        for name, value in values.items()
        if name not in secrets or is_mapping(secrets[name])
    }
