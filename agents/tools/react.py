"""The `react` tool: an emoji below the message that is answered."""

from __future__ import annotations

from typing import Any

import msgspec

from hub.agent import Turn
from hub.message import Value


class Reaction(Value, frozen=True, kw_only=True):
    """The tool's arguments."""

    emoji: str


class ReactTool:
    """Puts an emoji below the newest message of the turn, where the platform has that."""

    name = "react"
    description = (
        "Put one emoji below the message you answer, such as 👍 or ❤, beside an answer or in place of one. Platforms"
        " take only some emojis; the result says what became of it."
    )
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {"emoji": {"type": "string", "description": "One emoji"}},
        "required": ["emoji"],
        "additionalProperties": False,
    }

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:
        """React, and tell what became of it."""
        reaction = msgspec.convert(arguments, Reaction)
        receipt = await turn.react(key, reaction.emoji)
        return msgspec.json.encode({"status": receipt.status, "reason": receipt.reason}).decode()
