"""Long work that is done in the background: what was asked for, how far it is, what came of it.

A job is a row. `Runner` (hub/records/jobs/runner.py) does one after the other, in one process at a time, and whoever
asks looks at the row. Every function that takes a connection is a unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.accounts.audit import By
from hub.errors import Conflict, NotFound
from hub.message import Value
from hub.store import listing
from hub.store.listing import Page, Part
from hub.store.tables import jobs

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ITSELF = "bothub"
"""Who asks for what the hub does by itself."""
OPEN = ("waiting", "running")
WRITING = ("export", "backup")
"""Kinds whose files hold what was said."""


class Job(Value, frozen=True, kw_only=True, omit_defaults=False):
    """A job; times are Unix seconds.

    `step` says in a word what it is doing, `done` how much of that is done, and `of` how much there is to do, where
    that is known. `file` is the name of what it wrote, until `expires_at`.
    """

    id: int
    kind: str
    arguments: dict[str, Any]
    key_id: int | None
    by: str
    state: State
    step: str
    done: int
    of: int | None
    mark: Any
    tries: int
    result: dict[str, Any] | None
    file: str | None
    error: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    expires_at: float | None

    @property
    def over(self) -> bool:
        """Nothing more is done about it."""
        return self.state not in OPEN


def create(
    connection: Connection,
    kind: str,
    arguments: Mapping[str, Any],
    by: By | None,
    now: float,
    request: str | None = None,
) -> tuple[Job, bool]:
    """Have something done, once per `request`, and say whether that is new; without `by` the hub asks itself."""
    row = {
        "kind": kind,
        "arguments": msgspec.json.encode(arguments),
        "request": request,
        "key_id": by.key.id if by is not None and by.key is not None else None,
        "by": ITSELF if by is None else by.name,
        "state": "waiting",
        "step": "",
        "done": 0,
        "tries": 0,
        "created_at": now,
    }
    into: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = into(jobs).values(row).on_conflict_do_nothing(index_elements=["request"]).returning(jobs)
    if (made := connection.execute(new).first()) is not None:
        return _job(made), True
    return _job(connection.execute(select(jobs).where(jobs.c.request == request)).one()), False


def get(connection: Connection, id: int) -> Job:
    """One of them; raises NotFound."""
    row = connection.execute(select(jobs).where(jobs.c.id == id)).first()
    if row is None:
        raise NotFound(f"There is no job {id}.", code="job_not_found")
    return _job(row)


def listed(connection: Connection, part: Part, *, kind: str | None = None, state: State | None = None) -> Page[Job]:
    """Jobs, newest first."""
    exact = {"kind": kind, "state": state}
    fitting = [jobs.c[name] == value for name, value in exact.items() if value is not None]
    return listing.listed(connection, select(jobs).where(*fitting), [jobs.c.id], part, _job, newest=True)


def cancel(connection: Connection, id: int, now: float) -> Job:
    """End a job that is not over; whoever does it stops at its next step. Raises NotFound, Conflict for one that is."""
    ended = update(jobs).where(jobs.c.id == id, jobs.c.state.in_(OPEN)).values(state="cancelled", finished_at=now)
    row = connection.execute(ended.returning(jobs)).first()
    if row is not None:
        return _job(row)
    job = get(connection, id)
    if job.state == "cancelled":
        return job
    raise Conflict(f"Job {id} is over: it is {job.state}.", code="job_over")


def following(connection: Connection) -> Job | None:
    """What is to be done next: what was cut off, else what waits longest."""
    for state in reversed(OPEN):
        row = connection.execute(select(jobs).where(jobs.c.state == state).order_by(jobs.c.id).limit(1)).first()
        if row is not None:
            return _job(row)
    return None


def newest(connection: Connection, kind: str) -> Job | None:
    """The last one of a kind that was asked for."""
    row = connection.execute(select(jobs).where(jobs.c.kind == kind).order_by(jobs.c.id.desc()).limit(1)).first()
    return None if row is None else _job(row)


def begin(connection: Connection, id: int, now: float) -> Job | None:
    """Take a job up, or up again; None when it was cancelled meanwhile."""
    taken = {"state": "running", "started_at": func.coalesce(jobs.c.started_at, now), "tries": jobs.c.tries + 1}
    row = connection.execute(
        update(jobs).where(jobs.c.id == id, jobs.c.state.in_(OPEN)).values(taken).returning(jobs)
    ).first()
    return None if row is None else _job(row)


def save(connection: Connection, id: int, step: str, done: int, of: int | None, mark: Any) -> bool:
    """Note how far a job came, and where it goes on if it is cut off; False when it was cancelled."""
    here = {
        "step": step,
        "done": done,
        "of": of,
        "tries": 0,
        "mark": None if mark is None else msgspec.json.encode(mark),
    }
    return connection.execute(update(jobs).where(jobs.c.id == id, jobs.c.state == "running").values(here)).rowcount > 0


def finish(
    connection: Connection,
    id: int,
    state: State,
    now: float,
    *,
    result: Mapping[str, Any] | None = None,
    error: str | None = None,
    file: str | None = None,
    expires_at: float | None = None,
) -> bool:
    """End a job that runs; False when it was cancelled."""
    end = {
        "state": state,
        "finished_at": now,
        "result": None if result is None else msgspec.json.encode(result),
        "error": error,
        "file": file,
        "expires_at": expires_at,
        "mark": None,
    }
    return connection.execute(update(jobs).where(jobs.c.id == id, jobs.c.state == "running").values(end)).rowcount > 0


def withdraw_files(connection: Connection, now: float) -> int:
    """Take back what jobs wrote, and end exports and backups that are being written; returns how many.

    Nobody can fetch a file any more from then on, and the runner removes it within a minute.
    """
    written = update(jobs).where(jobs.c.file.is_not(None)).values(file=None, expires_at=None)
    why = "Somebody was erased meanwhile, who may be in it: ask for it again."
    writing = update(jobs).where(jobs.c.kind.in_(WRITING), jobs.c.state == "running")
    ended = writing.values(state="cancelled", finished_at=now, error=why, mark=None)
    return connection.execute(written).rowcount + connection.execute(ended).rowcount


def forget(connection: Connection, before: float, now: float) -> set[int]:
    """Forget what ended before a time, and files that have expired; returns the jobs that may have files."""
    connection.execute(delete(jobs).where(jobs.c.state.not_in(OPEN), jobs.c.finished_at < before))
    connection.execute(update(jobs).where(jobs.c.expires_at <= now).values(file=None, expires_at=None))
    having = select(jobs.c.id).where(jobs.c.state.in_(OPEN) | jobs.c.file.is_not(None))
    return set(connection.execute(having).scalars())


def _job(row: Any) -> Job:
    fields = {name: value for name, value in row._mapping.items() if name != "request"}
    for name in ("arguments", "mark", "result"):
        fields[name] = None if fields[name] is None else msgspec.json.decode(fields[name])
    return Job(**fields)
