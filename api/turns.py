"""/api/v1/turns/ID: what became of a turn, what it does, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal, NotRequired, TypedDict

from quart import Blueprint, Response

from api import conversations, current, errors, sse
from api.auth import require
from api.document import document
from api.events import EVENTS, events
from api.openai import wire
from api.ports import Hub
from api.wire import answer
from hub.accounts.turns import Status, TurnRecord
from hub.errors import NotFound

routes = Blueprint("turns", __name__)


class Turn(TypedDict):
    """A turn as it is now; `response` and `finished_at` come with its end, `session` is the chat it was asked in."""

    id: str
    object: Literal["turn"]
    status: Status
    agent: str | None
    session_id: str | None
    session: NotRequired[str]
    response: str | None
    usage: wire.Used
    error: errors.Words | None
    created_at: int
    finished_at: int | None


@routes.get("/api/v1/turns/<id>")
@require("read", "chat")
@document({200: Turn})
async def show(id: str) -> Response:
    """The turn as it is now."""
    return answer(turn(await _mine(id)))


@routes.delete("/api/v1/turns/<id>")
@require("chat")
@document({200: Turn})
async def cancel(id: str) -> Response:
    """The turn after it was asked to stop; the same again for one that is over."""
    record = await _mine(id)
    return answer(turn(record if record.over else await current.hub().turns.cancel(id) or record))


@routes.get("/api/v1/turns/<id>/events")
@require("read", "chat")
@document({200: EVENTS})
async def follow(id: str) -> Response:
    """The turn from its beginning, then as it goes on; the last event is its `result` or an `error`.

    What happened before is told in whole steps. Leaving changes nothing.
    """
    record = await _mine(id)
    return sse.stream(_events(current.hub(), record.id, current.keep_alive()))


async def _events(hub: Hub, id: str, silence: float) -> AsyncGenerator[bytes]:
    async with hub.turns.follow(id) as answer, aclosing(events(answer, silence)) as lines:
        async for line in lines:
            yield line


async def _mine(id: str) -> TurnRecord:
    """The turn, if it is the key's; the id of a chat completion finds it, too."""
    record = await current.hub().turns.find(id.removeprefix("chatcmpl-"))
    if record is None or record.key_id != current.key().id:
        raise NotFound(f"There is no turn '{id}'.", code="turn_not_found")
    await conversations.check(record.agent, record.address)
    return record


def turn(record: TurnRecord) -> Turn:
    """A turn in the words of the API."""
    ended = record.status in ("failed", "cancelled")
    told: Turn = {
        "id": record.id,
        "object": "turn",
        "status": record.status,
        "agent": record.agent,
        "session_id": record.session_id,
        "response": record.response,
        "usage": wire.usage(record.usage),
        "error": errors.of_turn(record).body["error"] if ended else None,
        "created_at": int(record.created_at),
        "finished_at": None if record.finished_at is None else int(record.finished_at),
    }
    return told if conversations.is_own(record.address) else {**told, "session": record.address}
