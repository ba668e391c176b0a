"""Tools that agents may use, by name."""

from __future__ import annotations

from collections.abc import Callable

from agents.tools.message import MessageTool
from agents.tools.tool import Tool, failure, schema

__all__ = ["TOOLS", "MessageTool", "Tool", "failure", "schema"]

TOOLS: dict[str, Callable[[], Tool]] = {"message": MessageTool}
"""What an agent's `tools` may name."""
