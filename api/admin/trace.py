"""/admin/trace: what happened to one message."""

from __future__ import annotations

from quart import Blueprint, Response

from api import current
from api.auth import require
from api.document import document
from api.envelope import Done, done
from hub.records import timeline
from hub.records.timeline import Timeline

routes = Blueprint("admin-trace", __name__)


@routes.get("/admin/trace/<path:id>")
@require("admin")
@document({200: Done[Timeline]}, errors=(400, 404))
async def show(id: str) -> Response:
    """What happened to a message from end to end; nothing of what was said.

    The id is that of a message, a turn, a delivery or an HTTP request (`X-Request-Id`), or what a platform calls a
    message that it was sent. Where it may mean several, 400 names them.
    """
    return done(await current.hub().store.read(lambda connection: timeline.find(connection, id)))
