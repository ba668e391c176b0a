"""Answers in OpenAI's words: whole completions, and the chunks of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import msgspec

from hub.model import ToolCall, Usage

_encode = msgspec.json.Encoder().encode


def completion(
    id: str, created: int, model: str, *, message: Mapping[str, Any], finish: str, usage: Mapping[str, Any]
) -> bytes:
    """A whole answer."""
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    head = {"id": chat_id(id), "object": "chat.completion", "created": created, "model": model}
    return _encode({**head, "choices": [choice], "usage": usage})


def message(text: str, reasoning: str = "", calls: Sequence[ToolCall] = ()) -> dict[str, Any]:
    """What the assistant said, in a whole answer."""
    said: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if reasoning:
        said["reasoning_content"] = reasoning
    if calls:
        said["tool_calls"] = [call.in_chat for call in calls]
    return said


class Cached(TypedDict):
    """Of the prompt: what the model had read before."""

    cached_tokens: int


class Thought(TypedDict):
    """Of the completion: what is not in the answer."""

    reasoning_tokens: int


class Used(TypedDict):
    """Tokens used."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Cached
    completion_tokens_details: Thought


def usage(used: Usage) -> Used:
    """Tokens used."""
    return {
        "prompt_tokens": used.prompt,
        "completion_tokens": used.completion,
        "total_tokens": used.prompt + used.completion,
        "prompt_tokens_details": {"cached_tokens": used.cached},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning},
    }


def chat_id(id: str) -> str:
    """The id of the completion that is this turn."""
    return f"chatcmpl-{id}"


class Chunks:
    """Writes the events of one stream; what they have in common is written once, and the role comes first."""

    def __init__(self, id: str, created: int, model: str, *, with_usage: bool) -> None:
        self._with_usage = with_usage
        self._begun = False
        self._next_call = 0
        self.ours: dict[str, Any] = {"id": chat_id(id), "model": model} | ({"usage": None} if with_usage else {})
        """The fields that are ours in a chunk of an upstream."""
        head = {"id": chat_id(id), "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + _encode(head)[:-1]
        self._start = self._head + b',"choices":[{"index":0,"delta":'
        self._end = b"}]" + (b',"usage":null' if with_usage else b"") + b"}\n\n"
        self._delta_end = b',"logprobs":null,"finish_reason":null' + self._end
        self._text_start = self._start + b'{"content":'
        self._text_end = b"}" + self._delta_end

    def text(self, text: str) -> bytes:
        """A piece of the answer."""
        return self._role() + self._text_start + _encode(text) + self._text_end

    def delta(self, delta: Mapping[str, Any]) -> bytes:
        """Any piece of the answer."""
        return self._role() + self._start + _encode(delta) + self._delta_end

    def calls(self, calls: Sequence[ToolCall]) -> bytes:
        """Tool calls: of each its start, then its arguments."""
        return b"".join(map(self._called, calls))

    def _called(self, call: ToolCall) -> bytes:
        index, self._next_call = self._next_call, self._next_call + 1
        start = call.in_chat | {"function": {"name": call.name, "arguments": ""}}
        return self.delta({"tool_calls": [{"index": index, **start}]}) + self.delta(
            {"tool_calls": [{"index": index, "function": {"arguments": call.arguments}}]}
        )

    def finish(self, reason: str) -> bytes:
        """The chunk that says why the answer ends."""
        return self._role() + self._start + b'{},"logprobs":null,"finish_reason":' + _encode(reason) + self._end

    def usage(self, used: Mapping[str, Any]) -> bytes:
        """The chunk with the tokens used, if it was asked for."""
        return self._head + b',"choices":[],"usage":' + _encode(used) + b"}\n\n" if self._with_usage else b""

    def with_role(self, delta: dict[str, Any]) -> dict[str, Any]:
        """The delta of an upstream, with the role if it is the first and without it if not."""
        if self._begun:
            delta.pop("role", None)
            return delta
        self._begun = True
        return {"role": "assistant"} | delta

    def _role(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._start + b'{"role":"assistant","content":"","refusal":null}' + self._delta_end
