"""Tokens, where nobody counted them: a guess that needs no tokenizer.

English has about 4 characters a token; Chinese had about 1 with OpenAI's cl100k_base (0.75 with o200k_base), so what
takes more bytes in UTF-8 is counted higher. What a model really counts is learnt from its usage (`agents/context.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

IMAGE = 800
"""Of an image or the like."""
MESSAGE = 4
"""Of a message besides its text: its role and its ends."""


def of_text(text: str) -> int:
    """A quarter of a token for each character, and three eighths for each byte that it takes beyond one."""
    more = 0 if text.isascii() else len(text.encode("utf-8", "surrogatepass")) - len(text)
    return -(-(2 * len(text) + 3 * more) // 8)


def of_messages(messages: Sequence[dict[str, Any]]) -> int:
    """Of messages in OpenAI's shape."""
    return sum(map(_message, messages))


def of_inputs(inputs: Sequence[str | list[int]]) -> int:
    """Of texts to embed; those that are tokens already are counted."""
    return sum(of_text(each) if isinstance(each, str) else len(each) for each in inputs)


def of_json(value: object) -> int:
    """Of what a model is given as JSON: tools, calls."""
    return of_text(msgspec.json.encode(value).decode()) if value else 0


def longest(params: Mapping[str, Any], max_output: int | None) -> int | None:
    """The most tokens an answer may have: what the request says, but no more than the model's `max_output`."""
    asked = (params.get("max_completion_tokens"), params.get("max_tokens"))
    limit = next((each for each in asked if each is not None), max_output)
    return limit if limit is None or max_output is None else min(limit, max_output)


def _message(message: dict[str, Any]) -> int:
    return _content(message.get("content")) + of_json(message.get("tool_calls"))


def _content(content: object) -> int:
    if isinstance(content, str):
        return of_text(content)
    if not isinstance(content, list):
        return 0
    parts = cast("list[dict[str, Any]]", content)
    return sum(_content(part["text"]) if "text" in part else IMAGE for part in parts)
