"""The `stay_silent` tool: an answer that is none."""

from __future__ import annotations

from typing import Any

from agents.tools.tool import STAY_SILENT
from hub.agent import Turn


class SilentTool:
    """Ends the turn without a message; the runner sees to that."""

    name = STAY_SILENT
    description = (
        "End this turn without any message. Use it when nobody asked you, when others talk among themselves, or when"
        " an answer would only be noise."
    )
    parameters: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:  # noqa: ARG002 - the port's
        return '{"status":"silent"}'
