"""How the hub is set up, what it does in the background, and who changed what."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from quart import Response

from api.admin.jobs import Nothing, begin, check_backup, end, written
from api.panel import configured, work
from api.panel.pages import Page
from api.panel.view import View
from api.panel.words import N_
from hub.accounts import audit
from hub.accounts.audit import Record
from hub.records import jobs
from hub.store.listing import sliced
from hub.store.migrate import HEAD

page = Page("settings", N_("Settings"), icon="settings", admin=True)
SHOWN = 50
PLACES = {
    **{kind: f"/panel/{kind}s/" for kind in ("agent", "channel", "group", "key", "model", "session")},
    "job": "/panel/settings/jobs#job-",
}
"""Where things are that the audit names by their ids."""
FIELDS = {
    **dict.fromkeys(("delivery", "message", "turn"), "/panel/trace?id="),
    **{f"{kind}_id": PLACES[kind] for kind in ("agent", "group", "key", "model")},
    "owner_id": PLACES["key"],
}
"""The fields of a change that lead somewhere."""
JOBS = 25
EVERY = 1.0
"""Seconds between two looks at how far work is."""
ID = "<int(max=2147483647):id>"
GROUPS = 20
"""Groups of settings that are shown at once."""
LONGEST = 200
"""Characters of what is looked for."""
LIBRARIES = ("quart", "hypercorn", "sqlalchemy", "msgspec", "openai", "aiogram", "discord.py", "lark-oapi", "nats-py")
TABS = (
    (N_("This hub"), "/panel/settings"),
    (N_("Configuration"), "/panel/settings/config"),
    (N_("Work"), "/panel/settings/jobs"),
    (N_("Backup"), "/panel/settings/backup"),
    (N_("Audit log"), "/panel/settings/audit"),
)


@page.shows("settings.html")
async def state(view: View) -> dict[str, Any]:
    """What runs here."""
    ready = await view.hub.ready()
    return {"tabs": TABS, "versions": _versions(), "ready": ready, "head": HEAD}


@page.shows("settings-config.html", rule="/config")
async def config(view: View) -> dict[str, Any]:
    """The configuration in effect, and where each value came from."""
    effective, asked = view.hub.effective(), view.query
    text = asked.get("q", "").strip()[:LONGEST]
    part = next((name for name in configured.PARTS if name == asked.get("part")), None)
    only_set = asked.get("only") == "set"
    groups = configured.grouped(effective.settings, text=text, part=part, only_set=only_set)
    numbered = list(enumerate(groups, 1))
    return {
        "tabs": TABS,
        "path": effective.path,
        "found": sliced(numbered, lambda one: one[0], view.part(GROUPS)),
        "layers": configured.LAYERS,
        "parts": [(name, view.say(said)) for name, said in configured.PARTS.items()],
        "part": part or "",
        "text": text,
        "only_set": only_set,
        "choices": [
            (view.say(label), view.with_query(only=only, after=None), only_set == bool(only))
            for only, label in ((None, N_("Everything")), ("set", N_("Only what is set")))
        ],
    }


@page.shows("audit.html", rule="/audit")
async def changes(view: View) -> dict[str, Any]:
    """Who changed what, the newest first."""
    found = await view.hub.store.read(lambda connection: audit.listed(connection, view.part(SHOWN)))
    return {"tabs": TABS, "records": found, "place": _place, "fields": FIELDS}


def _place(record: Record) -> str | None:
    """Where what was changed is, if it has a page and is not gone; a person may be called as a thing is."""
    kind, _, number = record.target.partition(":")
    deed, _, done = record.what.partition(".")
    if kind not in PLACES or not number.isdecimal() or deed not in (kind, "grant") or done in ("delete", "erase"):
        return None
    return PLACES[kind] + number


@page.shows("settings-jobs.html", rule="/jobs", live=("jobs",), every=EVERY)
async def background(view: View) -> dict[str, Any]:
    """What is done in the background, the newest first."""
    found = await view.hub.store.read(lambda connection: jobs.listed(connection, view.part(JOBS)))
    return {"tabs": TABS, "found": found, **work.WORDS}


@page.post(f"/jobs/{ID}/cancel")
async def cancel(view: View, id: int) -> Response:
    """End a job."""
    await end(id)
    return view.done(view.say("It is stopped."), f"{page.path}/jobs")


@page.get(f"/jobs/{ID}/file")
async def download(view: View, id: int) -> Response:
    """What a job wrote."""
    return await written(await view.hub.store.read(lambda connection: jobs.get(connection, id)))


@page.shows("settings-backup.html", rule="/backup", live=("jobs",), every=EVERY)
async def backups(view: View) -> dict[str, Any]:
    """The backups that were made, the newest first."""
    found = await view.hub.store.read(lambda connection: jobs.listed(connection, view.part(JOBS), kind="backup"))
    return {
        "tabs": TABS,
        "found": found,
        "folder": str(view.hub.exports),
        "by_hand": view.hub.by_hand,
        **work.WORDS,
    }


@page.post("/backup")
async def back_up(view: View) -> Response:
    """Make one, in the background."""
    check_backup()
    await begin("backup", Nothing(), await view.once())
    return view.done(view.say("The backup is being made; you may leave this page."), f"{page.path}/backup")


def _versions() -> list[tuple[str, str]]:
    found = [("bothub", version("bothub")), ("Python", sys.version.partition(" ")[0])]
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found
