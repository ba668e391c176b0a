"""The tools `remember`, `recall` and `forget`: what an agent knows beyond its session."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from hub.agent import Fact, Found, Scope, Turn


class _Remember(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    fact: str
    scope: Scope | None = None


class _Recall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    query: str


class _Forget(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    fact: str


class Remember:
    """Keeps a fact."""

    name = "remember"
    description = (
        "Keep a fact for later conversations: one short sentence that is understood by itself. Do so when somebody asks"
        " for it, or tells something that will matter again. Never keep passwords or the like."
    )
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {
            "fact": {"type": "string", "description": "The fact, e.g. 'Ann is allergic to peanuts.'"},
            "scope": {
                "type": "string",
                "enum": ["person", "chat", "agent"],
                "description": "Whom it is for: the `person` who asks (in private only), this `chat`, or everybody the"
                " `agent` talks to (only where its operator allows it). Left out: person in private, else chat.",
            },
        },
        "required": ["fact"],
        "additionalProperties": False,
    }

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:  # noqa: ARG002 - its port
        """Keep it and say so."""
        wanted = msgspec.convert(arguments, _Remember)
        return _json({"remembered": _shown(await turn.memory.remember(wanted.fact, wanted.scope))})


class Recall:
    """Searches."""

    name = "recall"
    description = (
        "Search what you remember, and everything that was said in this chat, also in sessions before this one. Give"
        " the words that may have been used; a few different ones find more."
    )
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {"query": {"type": "string", "description": "Words to look for."}},
        "required": ["query"],
        "additionalProperties": False,
    }

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:  # noqa: ARG002 - its port
        """What was found, the best first."""
        found = await turn.memory.recall(msgspec.convert(arguments, _Recall).query)
        return _json({"facts": [_shown(fact) for fact in found.facts], "said": [_said(one) for one in found.said]})


class Forget:
    """Forgets a fact."""

    name = "forget"
    description = "Forget a fact that you were asked to remember. What was said stays in the history."
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {"fact": {"type": "string", "description": "The fact, or words that only it has in it."}},
        "required": ["fact"],
        "additionalProperties": False,
    }

    async def call(self, turn: Turn, key: str, arguments: dict[str, Any]) -> str:  # noqa: ARG002 - its port
        """Forget it and say which it was."""
        return _json({"forgotten": _shown(await turn.memory.forget(msgspec.convert(arguments, _Forget).fact))})


def _shown(fact: Fact) -> dict[str, str]:
    return {"fact": fact.text, "scope": fact.scope, "since": _day(fact.at)}


def _said(found: Found) -> dict[str, str]:
    return {"at": _day(found.at), "by": found.by, "text": found.text}


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _json(report: dict[str, Any]) -> str:
    return msgspec.json.encode(report).decode()
