"""GET /v1/models: what a request may name."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from quart import Blueprint, Response

from api.auth import require
from api.document import document
from api.names import named, usable
from api.ports import Named
from api.wire import answer

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
    return answer({"object": "list", "data": [model(each) for each in usable()]})


@routes.get("/v1/models/<path:name>")
@require("chat", "read")
@document({200: Model})
async def show(name: str) -> Response:
    """One of them."""
    return answer(model(await named(name)))


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
