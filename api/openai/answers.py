"""The shapes of chat completions, as /openapi.json tells them; an upstream may add fields of its own."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from api.document import Stream


class Usage(TypedDict, total=False):
    """Tokens used, as far as the upstream says."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, Any] | None
    completion_tokens_details: dict[str, Any] | None


class Function(TypedDict):
    """What a tool call asks for; `arguments` is JSON."""

    name: str
    arguments: str


class Call(TypedDict):
    """A tool that the model asks the client to run."""

    id: str
    type: Literal["function"]
    function: Function


class Answer(TypedDict):
    """What the assistant says."""

    role: Literal["assistant"]
    content: str | None
    refusal: NotRequired[str | None]
    reasoning_content: NotRequired[str | None]
    tool_calls: NotRequired[list[Call] | None]


class Choice(TypedDict):
    """The answer; there is one."""

    index: int
    message: Answer
    finish_reason: str | None
    logprobs: NotRequired[Any]


class ChatCompletion(TypedDict):
    """A whole answer; `id` is `chatcmpl-` and the id of the turn."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class ChunkChoice(TypedDict):
    """A piece: the role first, then content, reasoning or tool calls, then `finish_reason`."""

    index: int
    delta: dict[str, Any]
    finish_reason: NotRequired[str | None]
    logprobs: NotRequired[Any]


class ChatChunk(TypedDict):
    """One event of a streamed answer; the last is `[DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: NotRequired[Usage | None]


CHAT: dict[int | str, Any] = {200: (ChatCompletion, Stream(ChatChunk))}
"""What a chat completion answers."""
CHAT_ERRORS = (402, 404, 409, 415, 422, 429, 502, 504)
HELLO = {"messages": [{"role": "user", "content": "count to 3"}]}
"""An example that an agent answers and a model too."""
