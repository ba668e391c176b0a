"""/api/v1/people: everything that is stored about one person, shown or erased."""

from __future__ import annotations

from quart import Blueprint, Response

from api import current, wire
from api.acts import change
from api.auth import require
from api.document import document
from hub.records.people import Erased, Export
from hub.records.traces import Person

routes = Blueprint("people", __name__)


@routes.get("/api/v1/people/<path:person>")
@require("admin")
@document({200: Export}, errors=(400,))
async def export(person: str) -> Response:
    """All of it; the person is `channel:sender`."""
    return wire.answer(await current.hub().people.export(person))


@routes.delete("/api/v1/people/<path:person>")
@require("admin")
@document({200: Erased}, errors=(400, 409))
async def erase(person: str) -> Response:
    """Erase it for good, and say how much it was."""
    await change("person.erase", lambda act: act.note(str(Person.parse(person))))
    return wire.answer(await current.hub().people.erase(person))
