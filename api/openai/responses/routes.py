"""/v1/responses: OpenAI's newer way to ask agents and models, and to come back for the answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from quart import Blueprint, Response

from api import current, wire
from api.auth import require
from api.document import document
from api.names import named
from api.openai.answers import CHAT_ERRORS
from api.openai.reply import begin
from api.openai.request import SESSION_SENT
from api.openai.responses import background, follow, models, stored, turns
from api.openai.responses.answers import RESPONSE, InputItems, ResponseDeleted, ResponseShown
from api.openai.responses.request import ResponseRequest, parse
from api.wire import TURN_SENT, answer
from hub.accounts import responses
from hub.accounts.responses import Kept
from hub.errors import NotFound, RequestError

routes = Blueprint("responses", __name__)


class Retrieval(msgspec.Struct):
    """How to read a response; `starting_after` is the number of the last event that is known."""

    stream: Literal["true", "false"] = "false"
    starting_after: Annotated[int, Meta(ge=0)] | None = None


class ItemsPage(msgspec.Struct):
    """Which items; `after` is the id of the last one that is known."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None


@routes.post("/v1/responses")
@require("chat")
@document(
    RESPONSE,
    body=ResponseRequest,
    example={"input": "count to 3"},
    errors=CHAT_ERRORS,
    headers=SESSION_SENT,
    sends=TURN_SENT,
    once=True,
)
async def create() -> Response:
    """An answer: whole, as a stream, or in the background."""
    raw = await wire.body()
    body = wire.decode(raw)
    asked = parse(body)
    target = await named(asked.model)
    if target.kind == "model" or target.history == "client":
        return await models.create(target, asked, body)
    return await turns.create(target, asked, body, raw)


@routes.get("/v1/responses/<id>")
@require("read", "chat")
@document(RESPONSE, query=Retrieval)
async def show(id: str) -> Response:
    """The response as it is now, or its events from the beginning or after a number."""
    how = wire.query(Retrieval)
    kept, hub = await stored.mine(id), current.hub()
    if how.stream == "false":
        return answer(await _state(kept))
    after = -1 if how.starting_after is None else how.starting_after
    taken_up = models.taken_up if kept.agent is None else follow.taken_up
    return await begin(taken_up(hub, kept, after, current.keep_alive()))


@routes.delete("/v1/responses/<id>")
@require("chat")
@document({200: ResponseDeleted})
async def delete(id: str) -> Response:
    """Forget a response, and stop it if it is still being written; what an agent remembers of it stays."""
    kept, hub = await stored.mine(id), current.hub()
    await _cancel(kept)
    await hub.store.write(lambda connection: responses.remove(connection, kept.id, kept.key_id))
    return answer({"id": id, "object": "response", "deleted": True})


@routes.post("/v1/responses/<id>/cancel")
@require("chat")
@document({200: ResponseShown})
async def cancel(id: str) -> Response:
    """The response after it was asked to stop; the same again for one that is over."""
    kept = await stored.mine(id)
    return answer(await _state(await _cancel(kept)))


@routes.get("/v1/responses/<id>/input_items")
@require("read", "chat")
@document({200: InputItems}, query=ItemsPage)
async def input_items(id: str) -> Response:
    """What the response was asked, a page at a time, the newest first."""
    page, kept = wire.query(ItemsPage), await stored.mine(id)
    found = kept.input if page.order == "asc" else kept.input[::-1]
    if page.after is not None:
        ids = [item["id"] for item in found]
        if page.after not in ids:
            raise RequestError(f"after: there is no item '{page.after}'", param="after", code="invalid_value")
        found = found[ids.index(page.after) + 1 :]
    shown = found[: page.limit]
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    listed = {"object": "list", "data": shown, "first_id": first, "last_id": last}
    return answer(listed | {"has_more": len(found) > len(shown)})


async def _state(kept: Kept) -> dict[str, Any]:
    hub = current.hub()
    if kept.agent is not None:
        state = await follow.show(hub, kept)
    else:
        found = await background.look(hub, kept)
        state = None if found is None else found.answer or stored.begun(found)
    if state is None:
        raise NotFound(f"There is no response 'resp_{kept.id}'.", code="response_not_found")
    return state


async def _cancel(kept: Kept) -> Kept:
    hub = current.hub()
    if kept.agent is None:
        return await background.cancel(hub, kept)
    await hub.turns.cancel(kept.id)
    return kept
