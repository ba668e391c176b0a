"""What Open WebUI asks for itself: a chat's title, its tags, what to ask next, what to search for.

It asks the model of the chat, as if somebody had said it there, with the chat's id. An agent that remembers answers it
without its memory. Nothing in the body says that it is no message of a person: Open WebUI takes its `metadata` out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from werkzeug.datastructures import Headers

TASK = "X-OpenWebUI-Task"
"""Holds the kind of task, and nothing in a chat, where the connection's custom headers have it as `{{TASK}}`."""
_BEGIN, _CHAT = "### Task:", "<chat_history>"
_END = ("</chat_history>", "#### Output:")
"""How the prompts begin and end that Open WebUI ships; a question about documents begins alike, and ends otherwise."""


def is_task(headers: Headers, messages: Sequence[dict[str, Any]]) -> bool:
    """Whether a request is one of those, by its header or by its prompt."""
    if headers.get(TASK):
        return True
    said = [message for message in messages if message.get("role") != "system"]
    if len(said) != 1 or said[0].get("role") != "user":
        return False
    text = _text(said[0].get("content")).strip()
    return text.startswith(_BEGIN) and _CHAT in text and text.endswith(_END)


def _text(content: Any) -> str:
    """A message's content where it is nothing but text."""
    match content:
        case str(text) | [{"type": "text", "text": str(text)}]:
            return text
        case _:
            return ""
