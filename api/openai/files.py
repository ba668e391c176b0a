"""/v1/files: files that are uploaded once and used by their id; each key has its own."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal, TypedDict

import msgspec
from msgspec import Meta
from quart import Blueprint, Response

from api import current, downloads, uploads
from api.auth import require
from api.document import Content, FileField, document
from api.repeats import once
from api.uploads import Upload
from api.wire import answer, fit, query
from hub.errors import RequestError
from hub.uploads import Order, Uploaded

routes = Blueprint("files", __name__)
HOUR = 3600
LONGEST = 30 * 24 * HOUR
"""Seconds that a file may ask to be kept; without asking it stays until it is deleted."""
LIMIT = 10_000
HEADERS = downloads.FILE_HEADERS | {"Cache-Control": "private, no-store"}
Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
Cursor = Annotated[str, Meta(pattern="^file-[0-9a-f]{24}$")]
Seconds = Annotated[int, Meta(ge=HOUR, le=LONGEST)]


class NewFile(msgspec.Struct, kw_only=True):
    """The fields beside the file; `purpose` is kept as a label."""

    purpose: Purpose
    anchor: Literal["created_at"] | None = msgspec.field(name="expires_after[anchor]", default=None)
    seconds: Seconds | None = msgspec.field(name="expires_after[seconds]", default=None)


class NewFileForm(NewFile, kw_only=True):
    """A file and what it is for; it is kept until it is deleted, or for some seconds."""

    file: FileField


class FileObject(TypedDict):
    """A file; times are Unix seconds."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"]


class FileList(TypedDict):
    """Files, and whether there are more behind the last one."""

    object: Literal["list"]
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(TypedDict):
    """That a file is gone."""

    id: str
    object: Literal["file"]
    deleted: Literal[True]


class Page(msgspec.Struct, kw_only=True):
    """Which files: those behind `after` (an id, also of a file that is gone), of one purpose."""

    after: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=LIMIT)] = LIMIT
    order: Order = "desc"
    purpose: str | None = None


@routes.post("/v1/files")
@require("chat")
@document({200: FileObject}, form=NewFileForm, once=True)
async def create() -> Response:
    """Upload a file."""
    fields, files = await uploads.form()
    new, file = fit(fields, NewFile, strict=False), one(files)
    asked = [new.purpose, new.seconds, file.name, file.media_type, sha256(file.content).hexdigest()]

    async def act(id: str) -> tuple[int, FileObject]:
        kept = current.hub().uploads
        return 200, _shown(await kept.add(current.key().id, id, *file, new.purpose, new.seconds))

    return await once(asked, act)


@routes.get("/v1/files")
@require("chat", "read")
@document({200: FileList}, query=Page)
async def index() -> Response:
    """The files of this key, the newest first unless `order` says otherwise."""
    page = query(Page)
    found = await current.hub().uploads.page(
        current.key().id, after=page.after, limit=page.limit + 1, order=page.order, purpose=page.purpose
    )
    here = [_shown(each) for each in found[: page.limit]]
    ends = (here[0]["id"], here[-1]["id"]) if here else (None, None)
    listed: FileList = {
        "object": "list",
        "data": here,
        "first_id": ends[0],
        "last_id": ends[1],
        "has_more": len(found) > len(here),
    }
    return answer(listed)


@routes.get("/v1/files/<id>")
@require("chat", "read")
@document({200: FileObject})
async def show(id: str) -> Response:
    """A file without what is in it."""
    return answer(_shown(await _mine(id)))


@routes.get("/v1/files/<id>/content")
@require("chat", "read")
@document({200: Content("*/*")})
async def content(id: str) -> Response:
    """What is in a file."""
    found = await _mine(id)
    kind = found.file.media_type
    headers = HEADERS | {"Content-Disposition": downloads.disposition(found.file.name, kind)}
    return Response(await current.hub().uploads.read(found), 200, headers, content_type=kind)


@routes.delete("/v1/files/<id>")
@require("chat")
@document({200: Deleted})
async def discard(id: str) -> Response:
    """Delete a file; conversations keep the copies that were sent in messages."""
    await current.hub().uploads.remove(current.key().id, id)
    return answer({"id": id, "object": "file", "deleted": True})


async def uploaded(id: str) -> Upload:
    """A file of this key by its id, with what is in it; raises NotFound."""
    found = await _mine(id)
    return Upload(found.file.name, found.file.media_type, await current.hub().uploads.read(found))


def one(files: list[Upload]) -> Upload:
    """The one file of a form; raises RequestError."""
    match files:
        case [file]:
            return file
        case []:
            raise RequestError("Missing required parameter: 'file'.", param="file", code="missing_parameter")
        case _:
            raise RequestError("There is more than one file.", param="file", code="invalid_value")


async def _mine(id: str) -> Uploaded:
    return await current.hub().uploads.find(current.key().id, id)


def _shown(uploaded: Uploaded) -> FileObject:
    expires = uploaded.expires_at
    return {
        "id": uploaded.id,
        "object": "file",
        "bytes": uploaded.file.size,
        "created_at": int(uploaded.created_at),
        "expires_at": None if expires is None else int(expires),
        "filename": uploaded.file.name,
        "purpose": uploaded.purpose,
        "status": "processed",
    }
