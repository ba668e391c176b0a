"""The body of a chat completion: what it may hold, and what becomes of it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from werkzeug.datastructures import Headers

from api.openai.parameters import Parameters
from api.wire import fit
from hub.errors import InboxFull, RequestError

OWN_SESSION = "Requests without a session share one: pass session_id to have your own."
DEFAULT_SESSION = "default"
SESSION_HEADERS = ("Session-Id", "X-Session-Id", "X-OpenWebUI-Chat-Id")
SESSION_SENT: dict[str, str] = dict.fromkeys(SESSION_HEADERS, "The conversation, unless the body names one.")
WARNING_SENT = {"Warning": "What of the request was not heeded."}
TOOLS_IGNORED = '299 bothub "This agent uses its own tools; the tools of the request were ignored."'
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_ABOUT_THE_REQUEST = {"model", "messages", "stream", "stream_options", "session_id", "session", "bothub", "tools", "n"}
Name = Annotated[str, Meta(max_length=200, pattern=r"\A[^\x00-\x1f\x7f-\x9f]*\Z")]


class ChatRequest(Parameters, frozen=True, kw_only=True):
    """The fields whose type and range bothub checks; others are accepted."""

    messages: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=10_000)]
    model: str | None = None
    session_id: Name | None = None
    session: Name | None = None
    user: Name | None = None


def parse(body: Any) -> ChatRequest:
    """The request in a body; raises RequestError that names the field."""
    chat = fit(body, ChatRequest)
    chat.check()
    return chat


def model_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter for the model, known to us or not."""
    return {name: value for name, value in body.items() if name not in _ABOUT_THE_REQUEST and value is not None}


def session_id(chat: ChatRequest, headers: Headers) -> str | None:
    """The session that the body or a header names."""
    return chat.session_id or session_header(headers)


def session_header(headers: Headers) -> str | None:
    """The session that a header names."""
    named = next((headers[name] for name in SESSION_HEADERS if headers.get(name)), None)
    return None if named is None else fit({"session_id": _as_sent(named)}, _Session).session_id


@contextmanager
def own_session(*, named: bool) -> Generator[None]:
    """Where a request that names no session is refused for what waits in the one that all of them share, say so."""
    try:
        yield
    except InboxFull as full:
        if named:
            raise
        raise InboxFull(f"{full} {OWN_SESSION}", retry_after=full.retry_after) from full


def is_repeated(headers: Headers) -> bool:
    """Whether an SDK says that it sends this request again."""
    count = headers.get("X-Stainless-Retry-Count", "")
    return count.isdecimal() and int(count) > 0


def last_user(messages: list[dict[str, Any]]) -> tuple[Any, str]:
    """The content of the last user message, and its place in the request; raises RequestError when there is none."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") == "user":
            return messages[index].get("content"), f"messages[{index}].content"
    raise RequestError("There is no message with the role 'user'.", param="messages")


def check_messages(messages: list[dict[str, Any]]) -> None:
    """Raise RequestError for a message that has no known role."""
    for index, message in enumerate(messages):
        role = message.get("role")
        if role not in ROLES:
            where = f"messages[{index}].role"
            raise RequestError(f"{where}: one of {', '.join(ROLES)}, not {role!r}", param=where)


def _as_sent(header: str) -> str:
    """A header as it was sent in UTF-8, so that its session is the one that a body names with the same letters."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


class _Session(msgspec.Struct, frozen=True):
    session_id: Name
