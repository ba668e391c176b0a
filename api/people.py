"""/api/v1/people: everything that is stored about one person, shown or erased."""

from __future__ import annotations

from quart import Blueprint, Response

from api import current, wire
from api.acts import change
from api.admin.jobs import JobShown, start
from api.auth import require
from api.document import document
from api.envelope import Done
from hub.records.people import Erased, Erasure, Export
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


@routes.post("/admin/people/erase")
@require("admin")
@document({200: Done[JobShown]}, body=Erasure, example={"person": "support:4242"}, once=True)
async def erase_in_background() -> Response:
    """Erase it in the background: the answer is a job, whose result says how much it was."""
    wanted = await wire.read(Erasure)
    Person.parse(wanted.person)
    return await start("erase", wanted)
