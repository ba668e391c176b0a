"""Responses as they are stored: found by their ids, and put into the words of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from api import conversations, current, errors
from api.openai.responses.events import State
from api.openai.responses.items import Item
from api.openai.responses.request import PREFIX, SESSION
from hub.accounts import responses
from hub.accounts.responses import Kept
from hub.errors import NotFound, RequestError
from hub.model import Usage

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is incomplete, by its finish reason."""


async def mine(id: str) -> Kept:
    """The response of this id; raises NotFound where it is not this key's."""
    found = await find(id.removeprefix(PREFIX)) if id.startswith(PREFIX) else None
    if found is None:
        raise NotFound(f"There is no response '{id}'.", code="response_not_found")
    return found


async def previous(turn: str) -> Kept:
    """The response that another one continues; raises RequestError."""
    return await find(turn) or _gone(turn)


async def chain(turn: str) -> list[Kept]:
    """A response of a model and those before it, oldest first; raises RequestError where one of them is gone."""
    key = current.key().id
    found = await current.hub().store.read(lambda connection: responses.chain(connection, turn, key))
    return found or _gone(turn)


async def newest(conversation: str) -> str | None:
    """The newest response of a model in a conversation of this key."""
    key = current.key().id
    return await current.hub().store.read(lambda connection: responses.newest(connection, conversation, key))


def whole(kept: Kept) -> list[Item]:
    """What was asked of a model, and what it answered."""
    return [*kept.input, *([] if kept.answer is None else kept.answer["output"])]


async def find(turn: str) -> Kept | None:
    """The response of a turn, if it is this key's; raises Forbidden for a chat's that it is no longer granted."""
    key = current.key().id
    found = await current.hub().store.read(lambda connection: responses.find(connection, turn, key))
    if found is not None and (chat := found.asked.get(SESSION)):
        await conversations.check(found.agent, chat)
    return found


def _gone(turn: str) -> NoReturn:
    problem = (
        f"Previous response with id '{PREFIX}{turn}' not found; it, or one before it, was deleted or is not yours."
    )
    raise RequestError(problem, param="previous_response_id", code="previous_response_not_found")


def begun(kept: Kept) -> State:
    """A response that is being written."""
    return {
        "id": f"{PREFIX}{kept.id}",
        "object": "response",
        "created_at": int(kept.created_at),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "completed_at": None,
        "output": [],
        "usage": None,
        **kept.asked,
    }


def ended(
    kept: Kept, status: str, output: Sequence[Item], usage: Usage, *, at: float, finish: str | None = None
) -> State:
    """A response after its end; one that was cut short is incomplete."""
    reason = _CUT.get(finish or "") if status == "completed" else None
    return begun(kept) | {
        "status": "incomplete" if reason else status,
        "incomplete_details": {"reason": reason} if reason else None,
        "completed_at": int(at) if status == "completed" else None,
        "output": list(output),
        "usage": tokens(usage),
    }


def failed(state: State, problem: errors.Problem) -> State:
    """A response that came to nothing, and why."""
    code = "rate_limit_exceeded" if problem.status == 429 else "server_error"
    return state | {"status": "failed", "error": {"code": code, "message": problem.message}}


def tokens(used: Usage) -> dict[str, Any]:
    """Tokens used."""
    return {
        "input_tokens": used.prompt,
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": 0},
        "output_tokens": used.completion,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.prompt + used.completion,
    }
