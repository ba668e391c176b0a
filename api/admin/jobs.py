"""/admin/job: long work in the background: what was asked for, how far it is, what came of it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta
from quart import Blueprint, Response
from quart.wrappers.response import FileBody

from api import current, downloads
from api.acts import change
from api.auth import require
from api.document import Content, document
from api.envelope import Done, Id, Listed, Paging, Text, Word, done, listing
from api.repeats import once
from api.wire import query, read
from hub.accounts.audit import Act
from hub.errors import Conflict, NotFound, RequestError
from hub.message import Value
from hub.records import jobs
from hub.records.exports import What
from hub.records.exports.formats import MEDIA_TYPES, Format
from hub.records.jobs import Job, State

routes = Blueprint("admin-jobs", __name__)
HEADERS = downloads.FILE_HEADERS | {"Cache-Control": "private, no-store"}
TYPES = {".csv": MEDIA_TYPES["csv"], ".jsonl": MEDIA_TYPES["jsonl"], ".zip": "application/zip"}
"""What jobs write."""
Time = Annotated[float, Meta(ge=0, le=1e11, description="Unix seconds.")]


class JobQuery(Paging, kw_only=True):
    """Which jobs to list: of a kind, in a state."""

    kind: Text | None = None
    state: State | None = None


class JobId(msgspec.Struct, kw_only=True):
    """Which job."""

    id: Id


class NewExport(Value, frozen=True, kw_only=True):
    """What to export: from a time on, until before another one, of one agent, of one key."""

    what: What
    format: Format = "jsonl"
    since: Time | None = None
    until: Time | None = None
    agent: Word | None = None
    key_id: Id | None = None


class Nothing(Value, frozen=True, kw_only=True):
    """What a job is told that needs no more than its kind."""


class JobShown(TypedDict):
    """A job: `step` is what it is doing, `done` how much of that is done, `of` how much there is, where that is known.

    `file` says what it wrote, which can be downloaded until `expires_at`. Times are Unix seconds.
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
    result: dict[str, Any] | None
    file: str | None
    error: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    expires_at: int | None


@routes.post("/admin/export")
@require("admin")
@document({200: Done[JobShown]}, body=NewExport, example={"what": "usage", "format": "csv"}, once=True)
async def export() -> Response:
    """Have sessions, turns or usage written into a file, in the background.

    `sessions` has a row for each thing that was said, `turns` one for each turn, `usage` one for each day, agent, model
    and key. The answer is the job; its file can be downloaded for a day once it is `done`.
    """
    wanted = await read(NewExport)
    if wanted.since is not None and wanted.until is not None and wanted.until <= wanted.since:
        raise RequestError("until: must be later than since", param="until", code="invalid_value")
    return await start("export", wanted)


@routes.post("/admin/backup")
@require("admin")
@document({200: Done[JobShown]}, errors=(409,), once=True)
async def backup() -> Response:
    """Have a backup of the hub made, in the background.

    The answer is the job; its file, which `bothub restore` takes, can be downloaded for a day once it is `done`. A hub
    on PostgreSQL is backed up with that one's own tools, which the error names.
    """
    check_backup()
    return await start("backup", Nothing())


def check_backup() -> None:
    """Raise Conflict where the hub makes no backups of itself."""
    if (by_hand := current.hub().by_hand) is not None:
        folders = " and ".join(by_hand.folders)
        what = f"This hub is on PostgreSQL, whose own tools do this: {by_hand.command}; then copy {folders}."
        raise Conflict(what, code="by_hand")


async def start(kind: str, arguments: Value) -> Response:
    """Have a job done, once per Idempotency-Key, and answer with it."""

    async def act(request: str) -> tuple[int, Done[JobShown]]:
        return 200, {"success": True, "data": shown(await begin(kind, arguments, request))}

    return await once([kind, msgspec.to_builtins(arguments)], act)


async def begin(kind: str, arguments: Value, request: str | None = None) -> Job:
    """Have a job done, once per `request`."""
    told = msgspec.to_builtins(arguments)

    def unit(act: Act) -> Job:
        job, new = jobs.create(act.connection, kind, told, act.by, act.now, request)
        if new:
            act.note(f"job:{job.id}", after=told)
        return job

    return await change(f"{kind}.create", unit)


@routes.get("/admin/job/list")
@require("admin")
@document({200: Listed[JobShown]}, query=JobQuery)
async def index() -> Response:
    """Jobs, newest first; they are forgotten 30 days after they ended."""
    asked = query(JobQuery)
    return await listing(asked, partial(jobs.listed, kind=asked.kind, state=asked.state), shown)


@routes.get("/admin/job/detail/<int(max=2147483647):id>")
@require("admin")
@document({200: Done[JobShown]})
async def detail(id: int) -> Response:
    """One job, as far as it is now."""
    return done(shown(await _job(id)))


@routes.post("/admin/job/cancel")
@require("admin")
@document({200: Done[JobShown]}, body=JobId, errors=(404, 409))
async def cancel() -> Response:
    """End a job that is not over; what it has done until then stays done, and a file that it was writing goes."""
    return done(shown(await end((await read(JobId)).id)))


async def end(id: int) -> Job:
    """End a job that is not over; raises NotFound, Conflict."""

    def unit(act: Act) -> Job:
        job = jobs.cancel(act.connection, id, act.now)
        act.note(f"job:{id}", after={"state": job.state})
        return job

    return await change("job.cancel", unit)


@routes.get("/admin/job/download/<int(max=2147483647):id>")
@require("admin")
@document({200: Content("*/*")})
async def download(id: int) -> Response:
    """The file that a job wrote."""
    return await written(await _job(id))


async def written(job: Job) -> Response:
    """The answer that is the file of a job; raises NotFound."""
    path = None if job.file is None else current.hub().exports / job.file
    if path is None or (size := await asyncio.to_thread(_size, path)) is None:
        raise NotFound(f"Job {job.id} has no file: it wrote none, or that is a day old.", code="file_not_found")
    kind = TYPES[path.suffix]
    name = downloads.disposition(f"job-{job.id}-{Path(path.stem).suffix[1:]}{path.suffix}", kind)
    headers = HEADERS | {"Content-Disposition": name, "Content-Length": str(size)}
    return Response(FileBody(path), 200, headers, content_type=kind)


async def _job(id: int) -> Job:
    return await current.hub().store.read(lambda connection: jobs.get(connection, id))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def shown(job: Job) -> JobShown:
    """A job as admins see it."""
    return {
        "id": job.id,
        "kind": job.kind,
        "arguments": job.arguments,
        "key_id": job.key_id,
        "by": job.by,
        "state": job.state,
        "step": job.step,
        "done": job.done,
        "of": job.of,
        "result": job.result,
        "file": job.file,
        "error": job.error,
        "created_at": int(job.created_at),
        "started_at": None if job.started_at is None else int(job.started_at),
        "finished_at": None if job.finished_at is None else int(job.finished_at),
        "expires_at": None if job.expires_at is None else int(job.expires_at),
    }
