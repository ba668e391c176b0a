"""What every command is called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(kw_only=True)
class Call:
    """The settings file, the environment, and whether to answer in JSON."""

    path: Path = Path("config.yaml")
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    json: bool = False
