"""GET /openapi.json and /docs: what every route takes and answers, for programs and for people."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Blueprint, Quart, Response, current_app

from api import openapi
from api.auth import without_key
from api.document import Content, document
from api.wire import JSON

routes = Blueprint("reference", __name__)
HTML = "text/html; charset=utf-8"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_MADE = "bothub.reference"


@routes.get("/openapi.json")
@without_key
@document({200: dict[str, Any]})
async def show() -> Response:
    """This API as OpenAPI 3.1."""
    return Response(_made().document, content_type=JSON)


@routes.get("/docs")
@without_key
@document({200: Content("text/html")})
async def read() -> Response:
    """The same as a page to read; it needs nothing from elsewhere."""
    return Response(_made().page, content_type=HTML, headers={"Content-Security-Policy": POLICY})


class _Reference:
    """Both, made when the first of them is asked for."""

    def __init__(self, app: Quart) -> None:
        from api.page import render

        found = openapi.build(app)
        self.document = msgspec.json.encode(found)
        self.page = render(found)


def _made() -> _Reference:
    app: Quart = current_app
    if _MADE not in app.extensions:
        app.extensions[_MADE] = _Reference(app)
    return app.extensions[_MADE]
