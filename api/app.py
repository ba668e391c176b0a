"""The façade: every route below one Quart app.

To add a route: a module with a Blueprint called `routes`, every view marked `@require(scope)` or `@without_key`
(api/auth.py) and, below that, `@document(...)` (api/document.py), and its line in ROUTES. So:

    @routes.post("/v1/things")
    @require("chat")
    @document({200: (Thing, Stream(Piece)), 202: Thing}, body=NewThing, errors=(429, 502), once=True)
    async def create() -> Response:
        ...

The docstring is its summary and, after an empty line, its description. The types are what the route reads and writes
anyway: Structs for bodies (`wire.read(NewThing)`) and for the parameters behind the `?` (`query=Page`, read with
`wire.query(Page)`), Structs or TypedDicts for answers. The range and the words of a field: `Annotated[int, Meta(ge=1,
description="...")]`. Errors that follow from the rest are not named again (`document` says which), their shape follows
from the path. Tests fail for a route without `@document`, and for an answer that its route does not announce.

A view reads `current.hub()` and `current.key()`, returns `wire.answer(value)` or `sse.stream(source)`, and raises what
hub/errors.py has; api/errors.py turns that into the response. A source runs after the request's context is gone: it is
handed what it needs.
"""

from __future__ import annotations

from importlib import import_module

from quart import Quart

from api import auth, cors, errors, panel
from api.connection import Connection
from api.current import HUB, KEEP_ALIVE
from api.ports import Hub

ROUTES = (
    "api.openai.models",
    "api.openai.chat",
    "api.openai.assistants",
    "api.openai.completions",
    "api.openai.embeddings",
    "api.openai.responses.routes",
    "api.openai.files",
    "api.openai.audio",
    "api.chat",
    "api.turns",
    "api.sessions",
    "api.deliveries",
    "api.messages",
    "api.web",
    "api.channels",
    "api.people",
    "api.user",
    "api.own_keys",
    "api.own_records",
    "api.admin.keys",
    "api.admin.conversations",
    "api.admin.payments",
    "api.admin.audit",
    "api.admin.statistics",
    "api.admin.trace",
    "api.admin.logs",
    "api.admin.records",
    "api.admin.models",
    "api.admin.agents",
    "api.admin.bots",
    "api.admin.groups",
    "api.admin.grants",
    "api.admin.jobs",
    "api.webhooks",
    "api.ops",
    "api.reference",
)


LAST_SECONDS = 0.1
"""How long what runs in the background has when all requests have ended."""


def create_app(hub: Hub, *, keep_alive: float = 15.0) -> Quart:
    """The ASGI app that answers for this hub; a stream that is silent for `keep_alive` seconds says so."""
    app = Quart(__name__, static_folder=None)
    app.asgi_http_class = Connection
    app.config["MAX_CONTENT_LENGTH"] = errors.BODY_LIMIT
    app.config["MAX_FORM_MEMORY_SIZE"] = errors.BODY_LIMIT  # a message in a form may be as long as one in JSON
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = LAST_SECONDS
    app.config[KEEP_ALIVE] = keep_alive
    app.extensions[HUB] = hub
    errors.register(app)
    cors.register(app, hub.cors)
    for module in ROUTES:
        app.register_blueprint(import_module(module).routes)
    panel.register(app)
    auth.refuse_unchecked(app)
    return app
