"""Files that come with a request: inline in its JSON, or as fields of a form; up to 10 MB each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, cast

from quart import request
from quart.datastructures import FileStorage
from werkzeug.exceptions import RequestTimeout

from api import current
from api.wire import BODY_SECONDS, fit
from api.wire import read as read_json
from hub.errors import RequestError
from hub.inline import file_name, image_type, media_type, read_data_url, too_large
from hub.message import File

T = TypeVar("T")
FORM = "multipart/form-data"
FILE_LIMIT = 10 * 2**20
"""Bytes of one file."""
MOST = 20
"""Files of one message."""


class Upload(NamedTuple):
    """A file on its way to the store, its name and type made safe."""

    name: str
    media_type: str
    content: bytes

    async def keep(self) -> File:
        """Store it."""
        return await current.hub().files.keep(*self)


def upload(name: str | None, kind: str | None, content: bytes) -> Upload:
    """A file by what others call it; raises TooLarge that names it."""
    kind = image_type(content) or media_type(kind, name or "")
    name = file_name(name, kind)
    if len(content) > FILE_LIMIT:
        raise too_large(FILE_LIMIT, name)
    return Upload(name, kind, content)


def inline(url: str, name: str | None, param: str) -> Upload:
    """The file in a `data:` URL; raises RequestError for the field `param`, TooLarge."""
    try:
        found = read_data_url(url, FILE_LIMIT, name or "")
        return upload(name, found.media_type, found.content)
    except RequestError as error:
        error.param = param
        raise


async def read(type: type[T]) -> tuple[T, Sequence[Upload]]:
    """The body as a value, JSON or a form, and the files of the form; raises what `wire.read` and `form` raise."""
    if request.mimetype != FORM:
        return await read_json(type), ()
    fields, files = await form()
    return fit(fields, type), files


async def form() -> tuple[dict[str, Any], list[Upload]]:
    """The fields and files of a form; raises TooLarge that names a file, RequestError.

    Raises what becomes a 408 when it does not arrive, a 413 when it is too large.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            fields: Any = await cast(Any, request).form  # Quart does not say what a form holds
            files: Any = await request.files
    except TimeoutError as error:
        raise RequestTimeout(f"The body did not arrive within {BODY_SECONDS:g} s.") from error
    found = [_field(name, file) for name, file in files.items(multi=True)]
    return fields.to_dict(), [file for file in found if file is not None]


def at_most(count: int, most: int = MOST, param: str | None = None) -> None:
    """Raise RequestError for more files than one message may have."""
    if count > most:
        raise RequestError(f"There are more than {most} files.", param=param, code="invalid_value")


def _field(param: str, field: FileStorage) -> Upload | None:
    """A file of a form; None for a field in which a browser had none to send."""
    content = field.stream.read(FILE_LIMIT + 1)
    if not content and not field.filename:
        return None
    try:
        return upload(field.filename, field.mimetype, content)
    except RequestError as error:
        error.param = param
        raise
