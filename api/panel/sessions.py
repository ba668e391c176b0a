"""What was said: sessions to search, to read, to take along and to erase. A user sees their own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from quart import Response

from api import downloads
from api.acts import change
from api.admin.jobs import begin
from api.panel import forms, transcripts, work
from api.panel.pages import Page
from api.panel.transcripts import MARKS
from api.panel.view import View
from api.panel.words import N_
from api.sessions import HIGHEST, exported
from hub.accounts import keyring
from hub.accounts.turns import Status
from hub.errors import Forbidden, NotFound, RequestError
from hub.memory import Entry, Heard
from hub.message import API
from hub.records import jobs, listed
from hub.records.exports import Wanted
from hub.records.jobs import Job
from hub.records.listed import SessionTotals
from hub.records.search import Own, Sought
from hub.store import Connection, listing
from hub.store.listing import Part

page = Page("sessions", N_("Sessions"), icon="session")
SHOWN = 25
READ = 50
"""Entries that are shown at once."""
LONGEST = 200
"""Characters of what is looked for."""
DAY = 86_400.0
ID = f"<int(max={HIGHEST}):id>"
STATUSES: dict[Status, str] = {
    "queued": N_("Waiting"),
    "running": N_("Running"),
    "completed": N_("Answered"),
    "cancelled": N_("Stopped"),
    "failed": N_("Failed"),
}
FILTERS = ("q", "since", "until", "channel", "agent", "status", "key", "person")


@page.shows("sessions.html")
async def state(view: View) -> dict[str, Any]:
    """A list, the newest first."""
    whose, sought = await _own(view), await _sought(view, view.query)

    def unit(connection: Connection) -> tuple[listing.Page[SessionTotals], dict[int, Entry]]:
        found = listed.list_sessions(connection, sought, whose, view.part(SHOWN))
        return found, listed.openings(connection, [one.session.id for one in found.items])

    found, openings = await view.hub.store.read(unit)
    asked = {name: view.query.get(name, "") for name in FILTERS}
    agents = [named.name for named in view.hub.names() if named.kind == "agent" and (named.public or view.is_admin)]
    return {
        "found": found,
        "titles": {one.session.id: _title(one, openings.get(one.session.id)) for one in found.items},
        "place": transcripts.place,
        "asked": asked,
        "filtered": any(asked.values()),
        "narrowed": any(value for name, value in asked.items() if name != "q"),
        "statuses": [(name, view.say(said)) for name, said in STATUSES.items()],
        "channels": forms.options([API, *view.hub.channels()] if view.is_admin else [API], asked["channel"]),
        "agents": forms.options(agents, asked["agent"]),
    }


@page.shows("session.html", rule=f"/{ID}")
async def session(view: View, id: int) -> dict[str, Any]:
    """What was said in one, the newest page first."""
    whose = await _own(view)

    def unit(connection: Connection) -> dict[str, Any]:
        one = _found(listed.find_session(connection, id, whose), id)
        found = listed.transcript(connection, id, view.part(READ), newest=True)
        lines = list(reversed(found.items))
        return {
            "one": one,
            "found": found,
            "title": _title(one, listed.openings(connection, [id]).get(id)),
            "talk": transcripts.bubbles(one, lines, f"{page.path}/{id}/files", listed.speakers(connection, lines)),
        }

    shown = await view.hub.store.read(unit)
    return {**shown, "place": transcripts.place, "marks": MARKS}


@page.get(f"/{ID}/files/<int(max={HIGHEST}):entry>/<int(max=1000):index>")
async def file(view: View, id: int, entry: int, index: int) -> Response:
    """A file that came with something said: a picture to be shown, anything else to be saved."""
    await _session(view, id)
    found = await view.hub.store.read(lambda connection: listed.find_entry(connection, id, entry))
    files = found.files if isinstance(found, Heard) else ()
    if index >= len(files):
        raise NotFound(view.say("There is no such file."))
    return await downloads.stored(files[index])


@page.get(f"/{ID}/export")
async def take(view: View, id: int) -> Response:
    """All of a session, a message a line."""
    return exported((await _session(view, id)).session)


@page.shows("session-erase.html", rule=f"/{ID}/erase")
async def question(view: View, id: int) -> dict[str, Any]:
    """What would go, and what would stay."""
    one = _erasable(view, await _session(view, id))
    said, files = await view.hub.store.read(lambda connection: listed.holds(connection, id))
    return {"one": one, "said": said, "files": files, "many": said >= listing.COUNTED}


@page.post(f"/{ID}/erase")
async def erase(view: View, id: int) -> Response:
    """Erase it for good."""
    one = _erasable(view, await _session(view, id))
    await view.hub.sessions.erase(one.session)
    await change("session.erase", lambda act: act.note(f"session:{id}", before={"turns": one.turns}))
    return view.done(view.say("The session is erased."), page.path)


@page.post("/export")
async def ask(view: View) -> Response:
    """Have all that fits the filters written into a file, in the background."""
    _for_admins(view)
    sought = await _sought(view, dict(await view.form()))
    given = {name: getattr(sought, name) for name in Sought.__struct_fields__}
    job = await begin("export", Wanted(what="sessions", **given), await view.once())
    return view.go(f"{page.path}/exports/{job.id}")


@page.shows("session-export.html", rule="/exports/<int(max=2147483647):id>", live=("job",), every=1.0)
async def progress(view: View, id: int) -> dict[str, Any]:
    """How far an export is, and then its file."""
    return {"job": await _export(view, id), **work.WORDS}


def _title(one: SessionTotals, opening: Entry | None) -> str | None:
    if isinstance(opening, Heard) and not opening.text:
        return transcripts.title(one, ", ".join(file.name for file in opening.files))
    return transcripts.title(one, opening and opening.text)


async def _own(view: View) -> Own | None:
    """The keys whose sessions the viewer may see; None: all."""
    if not view.key.has("read"):
        raise Forbidden(view.say("This key may not read sessions: it lacks the scope 'read'."))
    if view.is_admin:
        return None
    return await view.hub.store.read(lambda connection: listed.owned(connection, view.key.id))


async def _session(view: View, id: int) -> SessionTotals:
    whose = await _own(view)
    return _found(await view.hub.store.read(lambda connection: listed.find_session(connection, id, whose)), id)


def _found(one: SessionTotals | None, id: int) -> SessionTotals:
    if one is None:
        raise NotFound(f"There is no session '{id}'.", code="session_not_found")
    return one


def _erasable(view: View, one: SessionTotals) -> SessionTotals:
    if one.session.chat is not None:
        raise NotFound(view.say("What was said in a chat is erased with the people who said it."))
    return one


def _for_admins(view: View) -> None:
    if not view.is_admin:
        raise Forbidden(view.say("This page is for admins."))


async def _export(view: View, id: int) -> Job:
    _for_admins(view)
    job = await view.hub.store.read(lambda connection: jobs.get(connection, id))
    if job.kind != "export":
        raise NotFound(view.say("There is no such export."))
    return job


async def _sought(view: View, given: Any) -> Sought:
    """What the filters ask for; raises RequestError for one that means nothing. Users cannot ask for others."""
    asked = {name: str(given.get(name) or "").replace("\x00", "").strip()[:LONGEST] or None for name in FILTERS}
    since, until = _day(view, asked["since"], "since"), _day(view, asked["until"], "until")
    if since is not None and until is not None and until < since:
        raise RequestError(view.say("The last day is before the first one."), param="until")
    status: Status | None = next((name for name in STATUSES if name == asked["status"]), None)
    if status is None and asked["status"] is not None:
        raise RequestError(view.say("There is no such state."), param="status")
    return Sought(
        text=asked["q"],
        since=None if since is None else since.timestamp(),
        until=None if until is None else until.timestamp() + DAY,  # the last day that there is has none after it
        channel=asked["channel"],
        agent=asked["agent"],
        status=status,
        key_id=await _key(view, asked["key"]) if view.is_admin else None,
        person=asked["person"] if view.is_admin else None,
    )


def _day(view: View, said: str | None, param: str) -> datetime | None:
    try:
        day = None if said is None else date.fromisoformat(said)
        return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError:
        raise RequestError(view.say("This is no day: write it as 2026-01-31."), param=param) from None


async def _key(view: View, said: str | None) -> int | None:
    """The number of a key, which may be given by its name; 0, which no key has, for one that there is not."""
    if said is None:
        return None
    if said.isascii() and said.isdecimal() and len(said) <= 9:
        return int(said)
    wanted, now = keyring.Wanted(name=said), view.hub.clock()
    found = await view.hub.store.read(lambda connection: keyring.listed(connection, wanted, now, Part(limit=1)))
    return found.items[0].key.id if found.items else 0
