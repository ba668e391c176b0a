"""A turn as server-sent events, in LettaBot's words: thoughts, text and tool calls as they come, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal, TypedDict

from api import errors, sse
from api.document import Stream
from api.ports import Answer
from hub.model import ToolCall
from hub.turns.progress import Happening, Returned, Thought, Words


class Piece(TypedDict):
    """A piece of the reply, or of what the model thinks; the latter is told live only."""

    type: Literal["assistant", "reasoning"]
    content: str


class Called(TypedDict):
    """A tool that is being called, or a function that the asker is to run now; `arguments` is JSON."""

    type: Literal["tool_call"]
    id: str
    name: str
    arguments: str


class Result(TypedDict):
    """What a tool returned."""

    type: Literal["tool_result"]
    id: str
    content: str
    is_error: bool


class End(TypedDict):
    """The last event: the whole reply, which counts where it differs from its pieces after a crash."""

    type: Literal["result"]
    success: Literal[True]
    response: str


class Failed(TypedDict):
    """The last event of a turn that was not answered."""

    type: Literal["error"]
    message: str
    code: str | None


EVENTS = Stream(Piece, Called, Result, End, Failed)


async def events(answer: Answer, silence: float) -> AsyncGenerator[bytes]:
    """All that a turn does, as events; a comment after every `silence` seconds."""
    try:
        async with aclosing(sse.batches(answer.happenings(), silence)) as batches:
            async for batch in batches:
                yield b"".join(map(_event, batch)) if batch else sse.KEEP_ALIVE
        record = answer.record
        if record.status == "completed":
            end: End = {"type": "result", "success": True, "response": record.response or ""}
            yield sse.event(end)
            return
        problem = errors.of_turn(record)
    except Exception as error:  # noqa: BLE001 - its words go to the client, and what nobody foresaw to the log
        problem = errors.describe(error)
    failed: Failed = {"type": "error", "message": problem.message, "code": problem.code}
    yield sse.LastWords(sse.event(failed))


def _event(one: Happening) -> bytes:
    said: dict[str, Any]
    match one:
        case Words(text=text):
            said = {"type": "assistant", "content": text}
        case Thought(text=text):
            said = {"type": "reasoning", "content": text}
        case ToolCall():
            said = {"type": "tool_call", "id": one.id, "name": one.name, "arguments": one.arguments}
        case Returned():
            said = {"type": "tool_result", "id": one.id, "content": one.content, "is_error": one.is_error}
    return sse.event(said)
