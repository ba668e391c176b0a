"""What a tool is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from hub.agent import Turn

STAY_SILENT = "stay_silent"
"""The tool after which the runner ends the turn without a message."""


class Tool(Protocol):
    """Something the hub does when a model asks for it."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str:
        """What it does and when to use it, for the model."""
        ...

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of its arguments."""
        ...

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:
        """Do it and return what the model shall read; `key` tells the calls of one step apart.

        RequestError and msgspec.ValidationError become results that say so.
        """
        ...


class Source(Protocol):
    """Something that lends tools, other ones from turn to turn."""

    async def tools(self) -> Sequence[Tool]:
        """The tools of a turn that begins; none while they cannot be had."""
        ...

    async def close(self) -> None:
        """Let go of what runs."""
        ...


def schema(tool: Tool) -> dict[str, Any]:
    """The tool as a request to a model names it."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def failure(why: str) -> str:
    """The result of a call that did nothing; `hub/turns/progress.py` knows it by its form."""
    return msgspec.json.encode({"error": why}).decode()
