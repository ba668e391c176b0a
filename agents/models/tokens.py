"""Usage, where the server counted nothing."""

from __future__ import annotations

from hub import tokens
from hub.model import Completion, Usage


def estimate(request: Completion, answer: str) -> Usage:
    """A rough count, marked as such."""
    prompt = tokens.of_messages(request.messages) + tokens.of_json(request.tools)
    return Usage(prompt=prompt, completion=tokens.of_text(answer), estimated=True)
