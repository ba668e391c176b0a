"""Tools that agents may use, by name; what a tool needs is imported when an agent has it."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from typing import cast

from agents.tools import python
from agents.tools.python import Unusable
from agents.tools.tool import STAY_SILENT, Source, Tool, failure, schema

__all__ = [
    "CONVERSATIONAL",
    "SETS",
    "STAY_SILENT",
    "TOOLS",
    "Source",
    "Tool",
    "Unusable",
    "each",
    "failure",
    "make",
    "names",
    "schema",
]

TOOLS: dict[str, str] = {
    "message": "agents.tools.message:MessageTool",
    "fetch_url": "agents.tools.fetch_url:FetchUrlTool",
    "schedule": "agents.tools.schedule:ScheduleTool",
    STAY_SILENT: "agents.tools.silent:SilentTool",
    "react": "agents.tools.react:ReactTool",
    "remember": "agents.tools.memory:Remember",
    "recall": "agents.tools.memory:Recall",
    "forget": "agents.tools.memory:Forget",
}
"""The tools that are built in."""
CONVERSATIONAL = frozenset(("schedule", "react", "remember", "recall", "forget", STAY_SILENT))
"""Those of them that mean something only in a conversation that the hub remembers."""
SETS: dict[str, tuple[str, ...]] = {"memory": ("remember", "recall", "forget")}
"""Names that stand for several of them."""


def names() -> list[str]:
    """Every tool that has a name of its own: ours, then those that installed packages add."""
    return [*TOOLS, *SETS, *(name for name in python.names() if name not in TOOLS and name not in SETS)]


def each(named: Iterable[str]) -> list[str]:
    """The names of the single tools that an agent's `tools` amount to."""
    return [name for one in named for name in SETS.get(one, (one,))]


def make(name: str) -> Tool:
    """The tool of one of these names, or of `module:function`; raises Unusable."""
    if name in TOOLS:
        return cast("Tool", pkgutil.resolve_name(TOOLS[name])())
    tool = python.load(name)
    if tool.name in TOOLS:
        raise Unusable(f"is called '{tool.name}', as a tool that is built in")
    return tool
