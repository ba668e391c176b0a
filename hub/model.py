"""PORT: a model that completes chats.

Messages, tools and parameters have the shape of OpenAI's chat completions: it is what every provider can be
translated to, and what pass-through callers send.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec

from hub.message import Value


class Usage(Value, frozen=True, kw_only=True):
    """Tokens of one model call; `estimated` when the server gave no count."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            cached=self.cached + other.cached,
            reasoning=self.reasoning + other.reasoning,
            estimated=self.estimated or other.estimated,
        )


class ToolCall(Value, frozen=True, kw_only=True):
    """One call the model asks for; `arguments` is a JSON text."""

    id: str
    name: str
    arguments: str


class Completion(Value, frozen=True, kw_only=True):
    """A request to a model: messages oldest first, tools and parameters in OpenAI's shape."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    stream: bool = True


class Chunk(Value, frozen=True, kw_only=True):
    """A piece of an answer as it is written; an answer that does not stream is one chunk.

    `calls` holds complete tool calls and comes at most once, in the chunk with the `finish` reason or before it.
    `raw` is the upstream's own JSON of this chunk, where the provider speaks OpenAI's protocol.
    """

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str | None = None
    usage: Usage | None = None
    raw: msgspec.Raw | None = None


class Model(Protocol):
    """Something that completes chats."""

    def complete(self, request: Completion) -> AsyncIterator[Chunk]:
        """Answer in chunks; closing the iterator stops the upstream.

        Raises ModelRefused or ModelUnavailable; usage is in the last chunk, estimated if the server gave none.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
