"""config.yaml and the environment, as closed models: what is wrong is told at once, with where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agents.config import AgentSettings
from agents.models.config import ModelSettings
from channels.config import ChannelSettings
from hub.config.checks import check_names, check_whole
from hub.config.document import read
from hub.config.entries import SECTIONS, Entries
from hub.config.environment import Overrides, References, with_dotenv
from hub.config.origins import Origins
from hub.config.problems import Problem, check
from hub.config.settings import (
    ApiSettings,
    BusSettings,
    Config,
    OtelSettings,
    Role,
    SignalsSettings,
    StoreSettings,
)
from hub.config.tree import merge
from hub.errors import ConfigError

__all__ = [
    "AgentSettings",
    "ApiSettings",
    "BusSettings",
    "ChannelSettings",
    "Config",
    "ModelSettings",
    "OtelSettings",
    "Role",
    "SignalsSettings",
    "StoreSettings",
    "load",
]


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read a configuration; raises ConfigError with everything that is wrong.

    The environment beats the file, and a `.env` beside the file counts as environment. Relative paths are relative
    to the file's folder, so every command finds the same store from wherever it is called.
    """
    document = read(path)
    known = with_dotenv(path.parent, environ)
    overrides = Overrides(Config, known, document.tree)
    references = References(known, overrides.variables)
    origins = Origins(
        path=path,
        lines=document.lines,
        variables=overrides.variables,
        dotenv=known.keys() - environ.keys(),
        file=document.tree,
        environment=overrides(),
    )
    tree = merge(document.tree, origins.environment)
    entries = Entries(tree, document.tree, references)
    models, agents, channels = entries.models(), entries.agents(), entries.channels()
    problems = [*document.problems, *overrides.problems]
    config, wrong = _whole(tree, document.tree, references, {"models": models, "agents": agents, "channels": channels})
    problems += [*references.problems, *entries.problems, *wrong]
    problems += check_names(entries, models, agents, channels)
    problems += check_whole(config) if config else []
    if config is None or problems:
        raise ConfigError(origins.tell(problems))
    return _settle(config, path.parent.absolute()).read_from(origins)


def _whole(
    tree: Mapping[str, Any], written: Mapping[str, Any], references: References, checked: dict[str, Any]
) -> tuple[Config | None, list[Problem]]:
    rest = {
        name: references.resolve(value, (name,))
        for name, value in tree.items()
        if name not in SECTIONS and (value is not None or name not in Config.model_fields)
    }
    return check(Config, rest | checked, (), written)


def _settle(config: Config, folder: Path) -> Config:
    """The configuration with paths made absolute and channels given the agent they leave out."""
    data_dir = folder / config.data_dir.expanduser()
    url = config.store.url.get_secret_value().replace("{data_dir}", str(data_dir))
    if url.startswith("sqlite:///"):
        url = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    update = {"data_dir": data_dir, "store": StoreSettings(url=SecretStr(url))}
    return config.model_copy(update=update).with_agents()
