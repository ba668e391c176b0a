"""What is said in parts: texts, and files inline in the JSON or as fields of a form, up to 10 MB each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from quart import request
from quart.datastructures import FileStorage
from werkzeug.exceptions import RequestTimeout

from api import current, posting
from api.wire import BODY_SECONDS
from hub.errors import RequestError
from hub.inline import file_name, media_type, read_data_url, too_large
from hub.message import File, Part, Text

FILE_LIMIT = 10 * 2**20
"""Bytes of one file."""
MOST = 20
"""Files of one message."""


class Document(msgspec.Struct):
    """A file inline: `file_data` is a `data:` URL."""

    filename: str | None = None
    file_data: str | None = None


class Picture(msgspec.Struct):
    """A picture inline: `url` is a `data:` URL."""

    url: str


class Piece(msgspec.Struct):
    """One part, in the shape of OpenAI's content parts: `text`, `file` or `image_url`."""

    type: str
    text: str | None = None
    file: Document | None = None
    image_url: Picture | None = None


async def parts(text: str | None, pieces: Sequence[Piece], fields: Sequence[FileStorage] = ()) -> tuple[Part, ...]:
    """What was said, its files stored; raises RequestError that names what is wrong, TooLarge."""
    texts = [] if text is None or not text.strip() else [text]
    files: list[tuple[str, str, bytes]] = []
    for index, piece in enumerate(pieces):
        match piece:
            case Piece(type="text", text=str(said)):
                texts.append(said)
            case Piece(type="file", file=Document(file_data=str(url), filename=name)):
                files.append(_inline(url, name, f"parts[{index}].file.file_data"))
            case Piece(type="image_url", image_url=Picture(url=url)):
                files.append(_inline(url, None, f"parts[{index}].image_url.url"))
            case _:
                problem = f"parts[{index}] must be a text, a file or an image_url, with a field of that name."
                raise RequestError(problem, param=f"parts[{index}]", code="invalid_value")
    files += [_field(field) for field in fields]
    said = [Text(text=posting.text(words)) for words in texts]
    if not said and not files:
        raise posting.missing("text")
    return (*said, *await _kept(files))


async def form() -> tuple[dict[str, Any], list[FileStorage]]:
    """The fields and files of a form; raises what becomes a 408 when it does not arrive, a 413 when it is too large."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            fields: Any = await cast(Any, request).form  # Quart does not say what a form holds
            files: Any = await request.files
    except TimeoutError as error:
        raise RequestTimeout(f"The body did not arrive within {BODY_SECONDS:g} s.") from error
    return fields.to_dict(), [file for _, file in files.items(multi=True)]


async def _kept(files: Sequence[tuple[str, str, bytes]]) -> list[File]:
    if len(files) > MOST:
        raise RequestError(f"There are more than {MOST} files.", code="invalid_value")
    return [await current.hub().files.keep(*file) for file in files]


def _inline(url: str, name: str | None, param: str) -> tuple[str, str, bytes]:
    try:
        found = read_data_url(url, FILE_LIMIT)
    except RequestError as error:
        error.param = param
        raise
    kind = media_type(found.media_type, name or "")
    return file_name(name, kind), kind, found.content


def _field(field: FileStorage) -> tuple[str, str, bytes]:
    kind = media_type(field.mimetype, field.filename or "")
    name, content = file_name(field.filename, kind), field.stream.read(FILE_LIMIT + 1)
    if len(content) > FILE_LIMIT:
        raise too_large(FILE_LIMIT, name)
    return name, kind, content
