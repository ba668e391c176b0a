"""Exports and erases everything that is stored about one person.

Theirs is what they said, wherever that was, their private chats with both sides of them, and the facts they had
remembered. Both go through the store page by page, so a large one is neither locked nor held in a transaction. An erase
that was cut off is done again from its beginning: what is gone is not found any more. Files go first, because it is the
rows that tell whose they are; the private sessions last, because they tell which chats are private.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import msgspec
from sqlalchemy import Table

from hub import access
from hub.accounts import turns as asked
from hub.bus import Bus
from hub.errors import Conflict
from hub.files import FileStore
from hub.message import Value
from hub.records import jobs, traces
from hub.records.jobs.runner import Outcome, Run
from hub.records.sweep import refs_in
from hub.records.traces import MESSAGES, PAGE, POSTS, SCHEDULES, STOP_WAIT, TURNS, Person, Shown, Trace
from hub.signals import POLL
from hub.store import Connection
from hub.store.tables import entries, facts, messages, posts, responses, sessions, turns, uploads
from hub.uploads import Uploads

Progress = Callable[[str, int], Awaitable[None]]
"""Is told what is being done, and how much of it is done; what it raises ends the erase there."""
Tell = Callable[[int], Awaitable[None]]
Unit = Callable[[Connection, Person], int]


async def _untold(_step: str, _done: int) -> None:
    """Nobody wants to know."""


class Erased(Value, frozen=True, kw_only=True, omit_defaults=False):
    """How much of each was erased."""

    person: str
    schedules: int = 0
    """Of private chats; they go first, or they would fire meanwhile."""
    discarded: int = 0
    """Messages and posts that waited."""
    files: int = 0
    posts: int = 0
    messages: int = 0
    turns: int = 0
    """Of a key; those of private chats go with their entries."""
    facts: int = 0
    said: int = 0
    """Entries of groups, which say `(erased)` now."""
    entries: int = 0
    """Of private chats."""
    sessions: int = 0
    responses: int = 0
    """Of a key."""
    answers: int = 0
    """Remembered for an `Idempotency-Key`."""
    uploads: int = 0
    """Files that a key uploaded to use them later."""
    pairings: int = 0
    exports: int = 0
    """Files that jobs wrote before, whoever is in them."""

    @property
    def counts(self) -> dict[str, int]:
        """What there was anything of."""
        return {name: count for name, count in msgspec.structs.asdict(self).items() if name != "person" and count}


class Export(Value, frozen=True, kw_only=True, omit_defaults=False):
    """Everything that is stored about a person; times are Unix seconds."""

    person: str
    at: float
    pairing: Shown | None
    facts: list[Shown]
    sessions: list[Shown]
    """Private chats with their `entries`, both sides of them."""
    said: list[Shown]
    """In groups."""
    schedules: list[Shown]
    """In private chats."""
    messages: list[Shown]
    """What is on its way or was in the last days, both ways."""
    posts: list[Shown]
    """In web rooms."""
    turns: list[Shown]
    responses: list[Shown]
    """What a key asked, and models answered."""
    uploads: list[Shown]
    """Files that a key uploaded to use them later; they lie in a store of their own."""
    files: list[Shown]
    """All that is named above; what is in them is in the file store, by its `ref`."""


class People:
    """Exports and erases; at most PAGE rows a transaction."""

    def __init__(self, bus: Bus, files: FileStore, stored: Uploads) -> None:
        self._bus = bus
        self._store = bus.store
        self._files = files
        self._uploads = stored

    async def export(self, name: str) -> Export:
        """Everything about `channel:sender`; raises RequestError for what names nobody."""
        person = await self._find(Person.parse(name))
        of_chats = [traces.plain(row) async for row in self._rows(sessions, where=traces.in_private(person))]
        for one in of_chats:
            here = self._rows(entries, where=entries.c.session == one["id"])
            one["entries"] = [traces.plain(row, "session") async for row in here]
        mine = None if person.key is None else self._rows(responses, where=responses.c.key_id == person.key)
        answered = [] if mine is None else [traces.plain(row) async for row in mine]
        said = [traces.plain(row) async for row in self._rows(entries, where=entries.c.author == str(person))]
        written = [traces.plain(row) async for row in self._theirs(POSTS, person)]
        sent = [traces.plain(row, "lane_id", "seq") async for row in self._theirs(MESSAGES, person)]
        return Export(
            person=str(person),
            at=self._bus.clock(),
            pairing=await self._store.read(lambda connection: traces.of_pairing(connection, person)),
            facts=[traces.plain(row) async for row in self._rows(facts, where=traces.remembered(person))],
            sessions=of_chats,
            said=said,
            schedules=[traces.plain(row) async for row in self._theirs(SCHEDULES, person)],
            messages=sent,
            posts=written,
            turns=await self._turns(person, {entry["turn"] for one in of_chats for entry in one["entries"]}),
            responses=answered,
            uploads=await self._uploaded(person),
            files=list({file["ref"]: file for file in _files([of_chats, said, written, sent])}.values()),
        )

    async def erase(self, name: str, progress: Progress = _untold) -> Erased:
        """Erase everything about `channel:sender`; harmless when that was done, or begun, before.

        What waits of theirs is settled as discarded. Raises RequestError for what names nobody, Conflict when a turn of
        theirs runs and does not stop.
        """
        person = await self._find(Person.parse(name))
        done = {"schedules": await self._erase(SCHEDULES, person, partial(progress, "schedules"))}
        done["discarded"] = await self._stop(person, progress)
        done["files"] = await self._remove_files(person, progress)
        for step, trace in (("posts", POSTS), ("messages", MESSAGES), ("turns", TURNS)):
            if trace is not TURNS or person.key is not None:
                done[step] = await self._erase(trace, person, partial(progress, step))
        for step, unit in _UNITS.items():
            done[step] = await self._repeat(unit, person, partial(progress, step))
        done["uploads"] = 0 if person.key is None else await self._uploads.forget(person.key)
        await traces.clean(self._store)
        done["exports"] = await self._store.write(partial(jobs.withdraw_files, now=self._bus.clock()))
        return Erased(person=str(person), **done)

    async def _find(self, person: Person) -> Person:
        """The person with their private chats: those of sessions, and those where they got no answer yet."""
        if person.key is not None:
            return Person(person.channel, person.sender, frozenset({str(person)}))
        mine = self._rows(sessions, where=traces.in_private(person))
        chats = {traces.address_of(row) async for row in mine}
        confided = [traces.confides(person, row) async for row in self._rows(messages)]
        return Person(person.channel, person.sender, frozenset(chats.union(filter(None, confided))))

    async def _turns(self, person: Person, of_chats: set[str]) -> list[Shown]:
        """The turns of a key, and those of private chats."""
        mine = None if person.key is None else self._rows(turns, where=turns.c.key_id == person.key)
        found = {} if mine is None else {row.id: traces.plain(row) async for row in mine}
        left = sorted(of_chats - found.keys())
        for at in range(0, len(left), PAGE):
            async for row in self._rows(turns, where=turns.c.id.in_(left[at : at + PAGE])):
                found[row.id] = traces.plain(row)
        return list(found.values())

    async def _uploaded(self, person: Person) -> list[Shown]:
        mine = None if person.key is None else self._rows(uploads, where=uploads.c.key_id == person.key)
        return [] if mine is None else [traces.plain(row, "request") async for row in mine]

    async def _stop(self, person: Person, progress: Progress) -> int:
        """Discard what waits of theirs, and stop the turn that runs; returns how much was discarded."""
        now, loop, done = self._bus.clock, asyncio.get_running_loop(), 0
        deadline = loop.time() + STOP_WAIT
        while True:
            running: list[str] = []
            async for row in self._theirs(MESSAGES, person, messages.c.outcome.is_(None)):

                def close(connection: Connection, id: str = row.mid) -> None:
                    asked.close(connection, id, "cancelled", now())

                state = await self._bus.withdraw(row.inbox, row.mid, "dead", "discarded", also=close)
                done += state == "done"
                running += [row.mid] if state == "running" else []
            await progress("discarded", done)
            if not running:
                return done
            if loop.time() >= deadline:
                what = f"{person} is still being answered (turn {running[0]}); it was told to stop."
                raise Conflict(f"{what} Erase again when it is over.", code="turn_running")
            await asyncio.sleep(min(POLL, STOP_WAIT))

    async def _remove_files(self, person: Person, progress: Progress) -> int:
        """Remove the files that nothing but their rows refers to."""
        began = self._bus.clock()
        stored = await self._files.kept()
        if not stored:
            return 0
        theirs: set[str] = set()
        others: set[str] = set()
        private = {row.id async for row in self._rows(sessions, where=traces.in_private(person))}
        looked = 0
        for table in (messages, posts, entries):
            async for row in self._rows(table):
                mine = self._owns(person, table, row, private) if (found := refs_in(row)) else False
                (theirs if mine else others).update(found)
                looked += 1
                if looked % PAGE == 0:
                    await progress("files", looked)
        return sum([await self._files.remove(ref, began) for ref in stored.keys() & (theirs - others)])

    def _owns(self, person: Person, table: Table, row: Any, private: set[int]) -> bool:
        if table is entries:
            return row.author == str(person) or row.session in private
        return (MESSAGES if table is messages else POSTS).theirs(person, row)

    async def _erase(self, trace: Trace, person: Person, tell: Tell) -> int:
        """Go through a table once, and erase what is theirs."""
        done, some = 0, list[Any]()
        async for row in self._theirs(trace, person):
            some.append(row)
            if len(some) == PAGE:
                done += await self._write(trace, some)
                some = []
                await tell(done)
        return done + await self._write(trace, some)

    async def _write(self, trace: Trace, rows: Sequence[Any]) -> int:
        now = self._bus.clock()
        return await self._store.write(lambda connection: trace.erase(connection, rows, now)) if rows else 0

    async def _repeat(self, unit: Unit, person: Person, tell: Tell) -> int:
        """Do a unit until there is no more for it to do."""
        done = 0
        while more := await self._store.write(lambda connection: unit(connection, person)):
            done += more
            await tell(done)
        return done

    async def _theirs(self, trace: Trace, person: Person, where: Any = None) -> AsyncGenerator[Any]:
        async for row in self._rows(trace.table, where):
            if trace.theirs(person, row):
                yield row

    async def _rows(self, table: Table, where: Any = None) -> AsyncGenerator[Any]:
        """The rows of a table in the order of their key, a page at a time."""
        last: Any = None
        while True:
            rows = await self._store.read(partial(traces.page, table=table, after=last, where=where))
            for row in rows:
                yield row
            if len(rows) < PAGE:
                return
            last = rows[-1]


class Erasure(Value, frozen=True, kw_only=True):
    """What an erase as a job is told: `channel:sender`."""

    person: str


async def erase(people: People, run: Run) -> Outcome:
    """Erase a person as a job; one that was cut off begins again, and finds less."""
    person = msgspec.convert(run.job.arguments, Erasure).person
    erased = await people.erase(person, run.save)
    return Outcome(result=erased.counts)


_UNITS: dict[str, Unit] = {
    "facts": traces.drop_facts,
    "said": traces.blank_said,
    "entries": traces.drop_entries,
    "sessions": traces.drop_sessions,
    "responses": traces.drop_responses,
    "answers": traces.drop_answers,
    "pairings": lambda connection, person: access.drop(connection, person.channel, person.sender),
}


def _files(shown: object) -> Iterator[Shown]:
    """The files that are named anywhere in what is shown."""
    inside: Iterable[object] = ()
    if isinstance(shown, dict):
        named = cast(Shown, shown)
        if "ref" in named and "media_type" in named:
            yield named
        inside = named.values()
    elif isinstance(shown, list):
        inside = cast(list[object], shown)
    for one in inside:
        yield from _files(one)
