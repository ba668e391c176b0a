"""POST /webhooks/<kind>/<channel>: what a platform pushes. It has no key; the channel checks the platform's secret."""

from __future__ import annotations

from quart import Blueprint, Response, request

from api import current
from api.auth import without_key
from api.document import Content, document
from api.errors import Error
from hub.errors import NotFound, TooLarge

routes = Blueprint("webhooks", __name__)
LIMIT = 1024 * 1024
"""Bytes of one push: more than any platform sends."""


@routes.post("/webhooks/<kind>/<channel>")
@without_key
@document({"2XX": Content("*/*"), 503: (Error, Content("text/plain"))}, errors=(400, 401, 403, 413))
async def receive(kind: str, channel: str) -> Response:
    """Hand a push to its channel; a 2xx is answered only once it is stored."""
    hub = current.hub()
    door = await current.known(lambda: hub.webhooks.get((kind, channel)))
    if door is None:
        raise NotFound(f"There is no webhook at {request.path}.", code="unknown_webhook")
    body = await _body()
    answer = await door({name.lower(): value for name, value in request.headers.items()}, body)
    return Response(answer.body, answer.status, content_type=answer.content_type)


async def _body() -> bytes:
    """The body as it came: signatures are over its bytes. Raises TooLarge before it is all here."""
    body = bytearray()
    async for piece in request.body:
        body += piece
        if len(body) > LIMIT:
            raise TooLarge(f"The body is over the limit of {LIMIT // 1024 // 1024} MB.")
    return bytes(body)
