"""What a local upstream is asked, and told to answer."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. Its arguments are one string, or the fragments they are streamed in."""

    name: str
    arguments: str | tuple[str, ...] = "{}"
    id: str = ""

    @property
    def fragments(self) -> tuple[str, ...]:
        if not isinstance(self.arguments, str):
            return self.arguments
        half = len(self.arguments) // 2
        return tuple(part for part in (self.arguments[:half], self.arguments[half:]) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An answer with an HTTP error status, or an error inside a stream."""

    status: int = 500
    message: str = "The server had an error while processing your request"
    type: str = "server_error"
    code: str | None = None
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One completion, in the order it is streamed: reasoning, text, tool calls, then how it ends."""

    text: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    finish: str | None = None
    """`stop`, or `tool_calls` if there are any, unless given."""
    usage: Usage | Literal["words", "never"] = "words"
    """`words` counts them. A stream tells it only when asked to by `stream_options`, as at OpenAI."""
    end: Literal["done", "cut", "silence"] | Failure = "done"
    """After the chunks: finish; close the connection; send nothing more and hold it; say an error, then close."""
    delay: float = 0
    """Seconds before each chunk after the first; without one, all chunks that need not wait leave in one write."""
    gate: asyncio.Event | None = None
    gate_after: int = 0
    """The answer waits for the gate when this many chunks (of reasoning, text and calls) have left."""
    role_first: bool = True
    """Whether a stream starts with a chunk that has the role and no text."""


Step = Answer | Failure | str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """What a client asked: header names in lower case, the body parsed."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def last_text(self) -> str:
        """The text of the last user message."""
        users = [message for message in self.body.get("messages", ()) if message.get("role") == "user"]
        content = users[-1].get("content") if users else ""
        if isinstance(content, str) or content is None:
            return content or ""
        return " ".join(part["text"] for part in content if part.get("type") == "text")


def echo(request: Request) -> Answer:
    """What is answered without a script."""
    return say("You said: ", request.last_text)


def say(*text: str, delay: float = 0, gate: asyncio.Event | None = None, gate_after: int = 0) -> Answer:
    """An answer of these chunks of text."""
    return Answer(text=tuple(chunk for chunk in text if chunk), delay=delay, gate=gate, gate_after=gate_after)


def call(*calls: Call) -> Answer:
    """An answer that calls tools, several in parallel."""
    return Answer(calls=calls)


def fail(status: int, message: str = "", *, code: str | None = None, retry_after: float | None = None) -> Failure:
    """An HTTP error as OpenAI words its kind."""
    kinds = {400: "invalid_request_error", 401: "invalid_request_error", 404: "invalid_request_error", 429: "requests"}
    headers = (("Retry-After", f"{retry_after:g}"),) if retry_after is not None else ()
    return Failure(
        status=status,
        message=message or f"An error with status {status}",
        type=kinds.get(status, "server_error"),
        code=code,
        headers=headers,
    )
