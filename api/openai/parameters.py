"""What a request may ask of a model, with the ranges that OpenAI has; a request for an agent may ask the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from api.openai.tools import MOST, Choice, Tool, check_choice
from hub.errors import RequestError

Penalty = Annotated[float, Meta(ge=-2, le=2)]
Tokens = Annotated[int, Meta(ge=1)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
_FOR_AGENTS = {
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "response_format",
    "verbosity",
    "parallel_tool_calls",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "thinking_budget",
    "enable_thinking",
}
_NOT_FOR_AGENTS = ("logprobs", "top_logprobs")
"""What an answer cannot show that is made of several steps and kept as text."""


class PlainText(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Any text."""


class JsonObject(msgspec.Struct, frozen=True, tag_field="type", tag="json_object"):
    """Any JSON object."""


class Schema(msgspec.Struct, frozen=True):
    """A JSON Schema with a name."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[a-zA-Z0-9_-]*\Z")]
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class JsonSchema(msgspec.Struct, frozen=True, tag_field="type", tag="json_schema"):
    """JSON of a schema."""

    json_schema: Schema


class Thinking(msgspec.Struct, frozen=True):
    """Whether to think before the answer, and for how many tokens at most."""

    type: Literal["enabled", "disabled", "adaptive", "auto"]
    budget_tokens: Tokens | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """How to stream; `include_usage` asks for a last chunk with the tokens used."""

    include_usage: bool | None = None


class OfTheHub(msgspec.Struct, frozen=True):
    """What only bothub knows: `tools` has the calls of the hub's own tools shown in a stream, or not."""

    tools: bool | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """What any request for a text may ask: how it is streamed, drawn and ended."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Tokens | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def check(self) -> None:
        """Raise RequestError for parameters that contradict each other."""
        if self.stream_options is not None and not self.stream:
            raise _only("stream_options", "'stream' is true")


class Parameters(Sampling, frozen=True, kw_only=True):
    """The parameters of a chat whose type and range bothub checks; others are accepted."""

    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: PlainText | JsonObject | JsonSchema | None = None
    reasoning_effort: Effort | None = None
    thinking: Thinking | None = None
    tools: Annotated[list[Tool], Meta(max_length=MOST)] | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    metadata: Metadata | None = None
    bothub: OfTheHub | None = None

    def shows_tools(self, otherwise: bool) -> bool:
        """Whether the calls of the hub's own tools are shown in a stream."""
        return otherwise if self.bothub is None or self.bothub.tools is None else self.bothub.tools

    def check(self) -> None:
        super().check()
        if self.top_logprobs and not self.logprobs:
            raise _only("top_logprobs", "'logprobs' is true")
        check_choice(self.tool_choice, self.tools)


def agent_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that agents honour; raises RequestError for those that they cannot."""
    for name in _NOT_FOR_AGENTS:
        if body.get(name):
            problem = f"Invalid '{name}': an agent that remembers the conversation cannot return log probabilities."
            raise RequestError(problem, param=name, code="unsupported_parameter")
    return {name: value for name, value in body.items() if name in _FOR_AGENTS and value is not None}


def _only(param: str, when: str) -> RequestError:
    return RequestError(f"The '{param}' parameter is only allowed when {when}.", param=param, code="invalid_value")
