"""/api/v1/assistants/UUID/v1: any agent without a conversation: the caller's history, nothing stored but tokens."""

from __future__ import annotations

from typing import Any, cast

from quart import Blueprint, Response

from api.auth import require
from api.document import document
from api.names import find
from api.openai import passthrough
from api.openai.answers import CHAT, CHAT_ERRORS, HELLO
from api.openai.forms import ChatForm, read_chat
from api.openai.models import Models, model
from api.openai.request import ChatRequest, parse
from api.ports import Named
from api.wire import TURN_SENT, answer
from hub.errors import NotFound

routes = Blueprint("assistants", __name__, url_prefix="/api/v1/assistants/<id>/v1")


@routes.post("/chat/completions")
@require("chat")
@document(
    CHAT,
    body=ChatRequest,
    form=ChatForm,
    example=HELLO,
    errors=CHAT_ERRORS,
    sends=TURN_SENT,
    once=True,
)
async def complete(id: str) -> Response:
    """An answer, whole or as a stream."""
    assistant = await _assistant(id)
    sent, _ = await read_chat()
    if isinstance(sent, dict):
        sent = {name: value for name, value in cast(dict[str, Any], sent).items() if name != "model"}
    return await passthrough.complete(assistant, parse(sent), sent, kept=False)


@routes.get("/models")
@require("chat", "read")
@document({200: Models})
async def index(id: str) -> Response:
    """The assistant itself."""
    return answer({"object": "list", "data": [model(await _assistant(id))]})


async def _assistant(id: str) -> Named:
    """The agent with this id, in capitals or not; raises NotFound."""
    found = await find(lambda each: each.id == id.lower())
    if found is None:
        raise NotFound(f"There is no assistant '{id}'.", code="assistant_not_found")
    return found
