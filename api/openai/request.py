"""The body of a chat completion: what it may hold, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta
from werkzeug.datastructures import Headers

from api.wire import fit
from hub.errors import RequestError

DEFAULT_SESSION = "default"
SESSION_HEADERS = ("Session-Id", "X-Session-Id", "X-OpenWebUI-Chat-Id")
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MEDIA = ("image_url", "input_audio", "file")
"""Parts that a model may take beside text."""
_ABOUT_THE_REQUEST = {"model", "messages", "stream", "stream_options", "session_id", "bothub", "tools", "n"}
_FOR_AGENTS = {
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "thinking_budget",
    "enable_thinking",
}

Penalty = Annotated[float, Meta(ge=-2, le=2)]
Tokens = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(max_length=200, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]


class StreamOptions(msgspec.Struct, frozen=True):
    """How to stream; `include_usage` asks for a last chunk with the tokens used."""

    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields whose type and range bothub checks; others are accepted."""

    messages: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    model: str | None = None
    session_id: Name | None = None
    user: Name | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


def parse(body: Any) -> ChatRequest:
    """The request in a body; raises RequestError that names the field."""
    chat = fit(body, ChatRequest)
    if chat.stream_options is not None and not chat.stream:
        raise RequestError("stream_options: only allowed with stream: true", param="stream_options")
    return chat


def agent_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that agents honour."""
    return {name: value for name, value in body.items() if name in _FOR_AGENTS and value is not None}


def model_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter for the model, known to us or not."""
    return {name: value for name, value in body.items() if name not in _ABOUT_THE_REQUEST and value is not None}


def session_id(chat: ChatRequest, headers: Headers) -> str | None:
    """The session that the body or a header names."""
    if chat.session_id:
        return chat.session_id
    named = next((headers[name] for name in SESSION_HEADERS if headers.get(name)), None)
    return None if named is None else fit({"session_id": named}, _Session).session_id


def last_user(messages: list[dict[str, Any]]) -> tuple[Any, str]:
    """The content of the last user message, and its place in the request; raises RequestError when there is none."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") == "user":
            return messages[index].get("content"), f"messages[{index}].content"
    raise RequestError("There is no message with the role 'user'.", param="messages")


def check_messages(messages: list[dict[str, Any]], *, multiple: bool) -> None:
    """Raise RequestError for a message that has no known role, or more in it than the model takes."""
    for index, message in enumerate(messages):
        role = message.get("role")
        if role not in ROLES:
            where = f"messages[{index}].role"
            raise RequestError(f"{where}: one of {', '.join(ROLES)}, not {role!r}", param=where)
        if isinstance(message.get("content"), list):
            _check_parts(message["content"], f"messages[{index}].content", MEDIA if multiple else ())


def _check_parts(parts: Iterable[Any], where: str, media: Sequence[str] = ()) -> list[str]:
    """The texts of the parts."""
    return [_part(part, f"{where}[{index}]", media) for index, part in enumerate(parts)]


def _part(part: Any, where: str, media: Sequence[str]) -> str:
    fields = cast(dict[str, Any], part) if isinstance(part, dict) else {}
    kind = fields.get("type")
    if isinstance(kind, str) and kind in media and isinstance(fields.get(kind), dict):
        return ""
    if kind not in ("text", "refusal"):
        taken = ", ".join(f"'{each}'" for each in ("text", *media))
        raise RequestError(
            f"{where}: parts of type {kind!r} are not supported, only {taken}", param=where, code="unsupported_part"
        )
    text = fields.get(kind)
    if not isinstance(text, str):
        raise RequestError(f"{where}.{kind}: a text", param=f"{where}.{kind}")
    return text


class _Session(msgspec.Struct, frozen=True):
    session_id: Name
