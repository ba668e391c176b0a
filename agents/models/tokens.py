"""Usage, where the server counted nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub import tokens
from hub.model import Completion, Usage


def estimate(request: Completion, answer: str) -> Usage:
    """A rough count, marked as such."""
    prompt = tokens.of_messages(request.messages) + tokens.of_json(request.tools)
    return Usage(prompt=prompt, completion=tokens.of_text(answer), estimated=True)


def most(params: Mapping[str, Any], max_output: int | None) -> int | None:
    """The most tokens an answer may have: what the request says, but no more than the model's `max_output`."""
    asked = (params.get("max_completion_tokens"), params.get("max_tokens"))
    limit = next((each for each in asked if each is not None), max_output)
    return limit if limit is None or max_output is None else min(limit, max_output)
