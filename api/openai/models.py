"""GET /v1/models: what a request may name."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from quart import Blueprint, Response

from api import current
from api.auth import require
from api.document import document
from api.ports import Named
from api.wire import answer
from hub.errors import Forbidden, NotFound

routes = Blueprint("models", __name__)


class Model(TypedDict):
    """An agent or a model; `created` a Unix time, `multiple` whether it takes images."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    multiple: bool
    assistant_id: NotRequired[str]


class Models(TypedDict):
    """What this key may name."""

    object: Literal["list"]
    data: list[Model]


@routes.get("/v1/models")
@require("chat", "read")
@document({200: Models})
async def index() -> Response:
    """Agents, the default one first, then models."""
    return answer({"object": "list", "data": [model(named) for named in current.names()]})


@routes.get("/v1/models/<path:name>")
@require("chat", "read")
@document({200: Model})
async def show(name: str) -> Response:
    """One of them."""
    return answer(model(await named(name)))


async def named(name: str | None) -> Named:
    """The agent or model of this name, the default agent for none.

    Raises NotFound that lists what there is for the request's key, Forbidden for a model that others may use.
    """
    found = await current.known(lambda: next((each for each in current.names() if name in (None, each.name)), None))
    if found is not None:
        return found
    if any(each.name == name and each.kind == "model" for each in current.hub().names()):
        raise Forbidden(f"This key may not use the model '{name}'.", param="model", code="model_not_allowed")
    there = ", ".join(each.name for each in current.names()) or "nothing"
    raise NotFound(f"There is no model '{name}'; there is: {there}.", param="model", code="model_not_found")


def model(named: Named) -> Model:
    """An agent or model in OpenAI's words, and what they lack: whether it takes images, an agent's UUID."""
    known: Model = {
        "id": named.name,
        "object": "model",
        "created": named.created,
        "owned_by": "bothub",
        "multiple": named.multiple,
    }
    if named.id is not None:
        known["assistant_id"] = named.id
    return known
