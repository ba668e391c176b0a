"""Tools that agents may use, by name; what a tool needs is imported when an agent has it."""

from __future__ import annotations

import pkgutil
from typing import cast

from agents.tools import python
from agents.tools.python import Unusable
from agents.tools.tool import STAY_SILENT, Source, Tool, failure, schema

__all__ = ["STAY_SILENT", "TOOLS", "Source", "Tool", "Unusable", "failure", "make", "names", "schema"]

TOOLS: dict[str, str] = {
    "message": "agents.tools.message:MessageTool",
    "fetch_url": "agents.tools.fetch_url:FetchUrlTool",
    STAY_SILENT: "agents.tools.silent:SilentTool",
}
"""The tools that are built in."""


def names() -> list[str]:
    """Every tool that has a name of its own: ours, then those that installed packages add."""
    return [*TOOLS, *(name for name in python.names() if name not in TOOLS)]


def make(name: str) -> Tool:
    """The tool that an agent's `tools` name: one of the `names`, or `module:function`; raises Unusable."""
    if name in TOOLS:
        return cast("Tool", pkgutil.resolve_name(TOOLS[name])())
    tool = python.load(name)
    if tool.name in TOOLS:
        raise Unusable(f"is called '{tool.name}', as a tool that is built in")
    return tool
