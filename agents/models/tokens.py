"""Tokens, where nobody counted them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from hub.model import Completion, Usage

_BYTES = 4
"""Of a token, in most languages and by most tokenizers."""
_MEDIA = 800
"""Tokens of an image or the like."""


def estimate(request: Completion, answer: str) -> Usage:
    """A rough count, marked as such."""
    prompt = sum(map(_message, request.messages))
    if request.tools:
        prompt += _count(len(msgspec.json.encode(request.tools)))
    return Usage(prompt=prompt, completion=_count(len(answer.encode())), estimated=True)


def _message(message: dict[str, Any]) -> int:
    calls: object = message.get("tool_calls")
    return _content(message.get("content")) + (_count(len(msgspec.json.encode(calls))) if calls else 0)


def _content(content: object) -> int:
    if isinstance(content, str):
        return _count(len(content.encode()))
    if not isinstance(content, list):
        return 0
    parts = cast("list[dict[str, Any]]", content)
    return sum(_content(part["text"]) if "text" in part else _MEDIA for part in parts)


def _count(size: int) -> int:
    return -(-size // _BYTES)


def most(params: Mapping[str, Any], max_output: int | None) -> int | None:
    """The most tokens an answer may have: what the request says, but no more than the model's `max_output`."""
    asked = (params.get("max_completion_tokens"), params.get("max_tokens"))
    limit = next((each for each in asked if each is not None), max_output)
    return limit if limit is None or max_output is None else min(limit, max_output)
