"""Holds every answer of the API against what /openapi.json announces of its route."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import jsonschema
import msgspec
from quart import Quart, Response, request
from quart.signals import request_finished
from quart.wrappers.response import DataBody

from api import openapi
from api.connection import Connection

JSON = "application/json"


@contextmanager
def watched() -> Generator[list[str]]:
    """What the apps of this process answer meanwhile without announcing it."""
    found: list[str] = []
    documents: dict[Quart, Any] = {}

    async def look(app: Quart, *, response: Response, **_: Any) -> None:
        rule = request.url_rule
        if app.asgi_http_class is not Connection or rule is None or request.method in ("HEAD", "OPTIONS"):
            return
        if openapi.for_people(rule.rule):
            return
        if app not in documents:
            documents[app] = openapi.build(app)
        if problem := unannounced(documents[app], openapi.path(rule.rule), response):
            found.append(f"{request.method} {rule.rule}: {problem}")

    with request_finished.connected_to(look):
        yield found


def unannounced(document: Any, path: str, response: Response) -> str | None:
    """What about the answer is not in the document."""
    status, answers = str(response.status_code), document["paths"][path][request.method.lower()]["responses"]
    announced = answers.get(status, answers.get(f"{status[0]}XX"))
    if announced is None:
        return f"{status} is not announced"
    content = announced["content"].get(response.mimetype, announced["content"].get("*/*"))
    if content is None:
        return f"{status} is not announced as {response.mimetype}"
    if response.mimetype != JSON or "schema" not in content or not isinstance(response.response, DataBody):
        return None
    schema = {**content["schema"], "components": document["components"]}
    try:
        jsonschema.validate(msgspec.json.decode(response.response.data), schema)  # pyright: ignore[reportUnknownMemberType]
    except jsonschema.ValidationError as error:
        return f"{status} is not as announced: {error.message}"
    return None
