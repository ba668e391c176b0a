"""PORT: a model that completes chats; some can also embed texts or transcribe recordings.

Messages, tools and parameters have the shape of OpenAI's chat completions: it is what every provider can be
translated to, and what pass-through callers send.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

import msgspec

from hub.message import Value

T = TypeVar("T")


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


class Pace(Value, frozen=True, kw_only=True):
    """When a model was asked (Unix seconds), and after how many seconds its first word and its last came."""

    at: float
    first: float | None = None
    seconds: float


class ToolCall(Value, frozen=True, kw_only=True):
    """One call the model asks for; `arguments` is a JSON text."""

    id: str
    name: str
    arguments: str

    @property
    def in_chat(self) -> dict[str, Any]:
        """The call as the messages of chat completions have it."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}

    @property
    def sound(self) -> ToolCall:
        """The call as it may stand in a history: servers refuse one whose arguments are no JSON object.

        What was wrong with them is in the result.
        """
        try:
            msgspec.json.decode(self.arguments, type=dict[str, Any])
        except msgspec.DecodeError:
            return ToolCall(id=self.id, name=self.name, arguments="{}")
        return self


class Completion(Value, frozen=True, kw_only=True):
    """A request to a model: messages oldest first, tools and parameters in OpenAI's shape.

    In a `hurry` a failure is told at once instead of being tried again: another model waits to be asked.
    """

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    stream: bool = True
    hurry: bool = False


class Chunk(Value, frozen=True, kw_only=True):
    """A piece of an answer as it is written; an answer that does not stream is one chunk.

    `calls` holds complete tool calls and comes at most once, in the chunk with the `finish` reason or before it.
    `raw` is the upstream's own JSON of this chunk, where the provider speaks OpenAI's protocol.
    `ran` holds calls of the hub's own tools, which run now; they come from agents, and nobody else has to run them.
    `model` is the configured name of the model that answers, said once, by whoever asks one of several.
    """

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str | None = None
    usage: Usage | None = None
    raw: msgspec.Raw | None = None
    model: str = ""
    ran: tuple[ToolCall, ...] = ()


Embeddable = str | list[int]
"""A text, or its tokens as the model counts them."""


class Embeddings(Value, frozen=True, kw_only=True):
    """One vector a text, in the order of the texts."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage = Usage()


class Recording(Value, frozen=True, kw_only=True):
    """Speech in a file; `language` (ISO 639-1) and `prompt` (words to expect) help to understand it.

    `detailed` asks for OpenAI's `verbose_json`, with the times of the `granularities` (`segment`, `word`).
    """

    name: str
    media_type: str
    content: bytes
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    detailed: bool = False
    granularities: tuple[str, ...] = ()


class Transcript(Value, frozen=True, kw_only=True):
    """What is said in a recording, and the tokens it took where the server counts them.

    `raw` is the upstream's own JSON, where the provider speaks OpenAI's protocol.
    """

    text: str
    usage: Usage = Usage()
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


def step_in_chat(text: str, calls: Sequence[ToolCall], results: Sequence[str]) -> list[dict[str, Any]]:
    """What was said in a step, with its calls and what they returned, as messages of chat completions."""
    said: dict[str, Any] = {"role": "assistant", "content": text or None}
    returned = [
        {"role": "tool", "tool_call_id": call.id, "content": result}
        for call, result in zip(calls, results, strict=True)
    ]
    return [said | ({"tool_calls": [call.in_chat for call in calls]} if calls else {}), *returned]


def answering(model: Model, request: Completion) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
    """The chunks of an answer; the upstream is stopped however the block ends."""
    return stopping(model.complete(request))


@asynccontextmanager
async def stopping(source: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """What comes from a source, which is closed however the block ends."""
    try:
        yield source
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


@runtime_checkable
class Loads(Protocol):
    """A model whose library takes long to import."""

    async def load(self) -> None:
        """Do now, beside other things, what the first answer would have to wait for."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A model that turns texts into vectors."""

    async def embed(self, texts: Sequence[Embeddable], dimensions: int | None = None) -> Embeddings:
        """Embed some texts, in vectors of the model's own length unless told; raises a ModelError."""
        ...


@runtime_checkable
class Transcriber(Protocol):
    """A model that writes down what is said."""

    async def transcribe(self, recording: Recording) -> Transcript:
        """Write down a recording; raises a ModelError."""
        ...
