"""The shapes of responses, as /openapi.json tells them."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from api.document import Stream
from api.openai.parameters import OfTheHub
from api.openai.responses.request import Conversation

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class Incomplete(TypedDict):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseFailure(TypedDict):
    """What a response failed of."""

    code: str
    message: str


class ResponseUsage(TypedDict):
    """Tokens used."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseItem(TypedDict):
    """A message, a function call or what it returned, or a thought; the other fields depend on the type."""

    id: str
    type: str


class ResponseShown(TypedDict):
    """A response; `id` is `resp_` and the id of its turn. What it repeats of its request is as it was sent."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Status
    error: ResponseFailure | None
    incomplete_details: Incomplete | None
    output: list[ResponseItem]
    usage: ResponseUsage | None
    model: str
    instructions: str | None
    background: bool
    store: bool
    conversation: Conversation | None
    session: NotRequired[str]
    previous_response_id: str | None
    metadata: dict[str, str]
    tools: list[dict[str, Any]]
    tool_choice: Any
    parallel_tool_calls: bool
    text: dict[str, Any]
    reasoning: dict[str, Any]
    temperature: float | None
    top_p: float | None
    top_logprobs: int
    max_output_tokens: int | None
    max_tool_calls: int | None
    truncation: Literal["auto", "disabled"]
    service_tier: str
    user: str | None
    bothub: OfTheHub


class ResponseEvent(TypedDict):
    """One event of a stream; those about the whole response have it as `response`."""

    type: str
    sequence_number: int
    response: NotRequired[ResponseShown]


class ResponseDeleted(TypedDict):
    """That a response is forgotten."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class InputItems(TypedDict):
    """A page of what a response was asked."""

    object: Literal["list"]
    data: list[ResponseItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


RESPONSE: dict[int | str, Any] = {200: (ResponseShown, Stream(ResponseEvent))}
"""What asking for a response answers."""
