"""`bothub people`: what is stored about one person, shown or erased."""

from __future__ import annotations

from functools import partial

import click
from rich.console import RenderableType
from rich.status import Status
from rich.text import Text

from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import Failed, console, table, tell
from hub.errors import Conflict, RequestError
from hub.files import FileStore
from hub.records.people import Erased, Export, People
from hub.records.traces import Person
from hub.uploads import Uploads

WORDS = {
    "schedules": "schedules",
    "discarded": "messages and posts that waited, discarded",
    "files": "files",
    "posts": "messages in web rooms",
    "messages": "messages of the last days, both ways",
    "turns": "turns over HTTP, what was answered",
    "facts": "facts",
    "said": "messages in groups, which say (erased) now",
    "entries": "messages of private chats, both sides",
    "sessions": "sessions of private chats",
    "responses": "responses, what was asked and answered",
    "answers": "answers kept for an Idempotency-Key",
    "pairings": "pairing",
    "uploads": "files that were uploaded for later",
    "exports": "exports of anybody, which are taken back",
}


def export(call: Call, person: str) -> None:
    """Print everything about a person, as JSON in any case."""

    async def task(desk: Desk) -> Export:
        return await _people(desk).export(person)

    tell(work(call, task), json=True)


def erase(call: Call, person: str, *, yes: bool) -> None:
    """Erase everything about a person, after a question; raises Failed while a turn of theirs does not stop."""
    Person.parse(person)
    if not yes:
        if call.json:
            raise RequestError("Nothing was erased: with --json say --yes as well.")
        question = f"Erase everything that is stored about {person}? It cannot be brought back."
        click.confirm(question, abort=True, err=True)

    async def task(desk: Desk) -> Erased:
        with console(stderr=True).status("erasing") as status:
            try:
                await desk.change("person.erase", lambda act: act.note(person))
                return await _people(desk).erase(person, partial(_show, status))
            except Conflict as error:
                raise Failed(str(error)) from None

    erased = work(call, task)
    tell(erased, *_shown(erased), json=call.json)


async def _show(status: Status, step: str, done: int) -> None:
    status.update(f"erasing: {done} {WORDS[step]}")


def _people(desk: Desk) -> People:
    folder = desk.config.data_dir
    uploads = Uploads(desk.bus.store, desk.bus.clock, folder / "uploads")
    return People(desk.bus, FileStore(folder / "files"), uploads)


def _shown(erased: Erased) -> list[RenderableType]:
    if not erased.counts:
        return [Text(f"Nothing is stored about {erased.person}.", style="green")]
    shown = table(("erased", {"justify": "right"}), f"of {erased.person}")
    for name, count in erased.counts.items():
        shown.add_row(str(count), WORDS[name])
    return [shown]
