"""GET /v1/models: what a request may name."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, Response

from api import current
from api.auth import require
from api.ports import Named
from api.wire import answer
from hub.errors import NotFound

routes = Blueprint("models", __name__)


@routes.get("/v1/models")
@require("chat", "read")
async def index() -> Response:
    """Agents, the default one first, then models."""
    return answer({"object": "list", "data": [model(named) for named in current.hub().names()]})


@routes.get("/v1/models/<path:name>")
@require("chat", "read")
async def show(name: str) -> Response:
    """One of them."""
    return answer(model(named(name)))


def named(name: str | None) -> Named:
    """The agent or model of this name, the default agent for none; raises NotFound that lists what there is."""
    names = current.hub().names()
    for each in names:
        if name is None or each.name == name:
            return each
    there = ", ".join(each.name for each in names) or "nothing"
    raise NotFound(f"There is no model '{name}'; there is: {there}.", param="model", code="model_not_found")


def model(named: Named) -> dict[str, Any]:
    """An agent or model in OpenAI's words, and what they lack: whether it takes images, an agent's UUID."""
    known = {"id": named.name, "object": "model", "created": named.created, "owned_by": "bothub"}
    return known | {"multiple": named.multiple} | ({} if named.id is None else {"assistant_id": named.id})
