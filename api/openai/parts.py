"""The content of a message: text, pictures, sound and documents, as OpenAI and BRConnector write them.

`read` tells what each part is and asks nobody. `heard` makes of it what an agent is told: files are stored, and the
conversation holds references. What a model is sent that nobody remembers anything for is made in `api/openai/shown.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from api import current, posting
from api.openai import files
from api.uploads import Upload, at_most, inline, upload
from hub.errors import RequestError, TooLarge
from hub.inline import MB, image_type, is_media, read_base64
from hub.message import Part, Text
from hub.turns.view import SHOWN

T = TypeVar("T")
PARTS = 1000
"""Parts of one message."""
LINKS = 50
"""URLs that one request may have fetched."""
FETCHED = 20 * MB
"""Bytes that they may send together."""
AT_ONCE = 4
"""URLs that are fetched at a time."""
AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "flac": "audio/flac", "m4a": "audio/mp4",
         "webm": "audio/webm", "aac": "audio/aac", "opus": "audio/opus"}  # fmt: skip
_URL = "a data URL (data:TYPE;base64,CONTENT) or an http(s) URL"


class Link(NamedTuple):
    """A picture at an http(s) URL, which the request has in the field `where`."""

    url: str
    where: str


class Stored(NamedTuple):
    """A file that was uploaded before; the field `where` says so."""

    id: str
    where: str


Found = str | Upload | Link | Stored
"""What a part is: a text, a file, or where a file is."""


class Piece(NamedTuple):
    """A part of a content: as it was sent, at its place in the request, and what it is."""

    part: Mapping[str, Any]
    where: str
    found: Found


Reader = Callable[[Mapping[str, Any], str], Found]
"""Reads a part at a place; raises RequestError that names the field."""


async def heard(content: Any, where: str, readers: Mapping[str, Reader] | None = None) -> tuple[Part, ...]:
    """What the content of a message tells an agent, its files stored, everything in its order.

    Raises RequestError that names what is wrong (a URL that does not answer, too), TooLarge.
    """
    if not (pieces := read(content, where, readers)):
        raise RequestError("The message is empty.", param=where, code="invalid_value")
    return await stored(pieces)


def read(content: Any, where: str, readers: Mapping[str, Reader] | None = None) -> list[Piece]:
    """What the parts of a content are, but for blank ones; a text is one part.

    Raises RequestError that names the field, TooLarge.
    """
    pieces = [Piece({}, where, content)] if isinstance(content, str) else each(content, where, readers or CHAT)
    return [piece for piece in pieces if not isinstance(piece.found, str) or piece.found.strip()]


def each(content: Any, where: str, readers: Mapping[str, Reader]) -> list[Piece]:
    """What each of a list of parts is; raises RequestError that names the field, TooLarge."""
    if not isinstance(content, list):
        raise _wrong(where, "a string or an array of parts")
    parts = cast(list[Any], content)
    if len(parts) > PARTS:
        raise _wrong(where, f"an array with maximum length {PARTS}")
    return [_piece(part, f"{where}[{index}]", readers) for index, part in enumerate(parts)]


def attached(files: Iterable[Upload]) -> list[Piece]:
    """The files of a form as pieces."""
    return [Piece({}, "files", file) for file in files]


async def posted(pieces: Sequence[Piece], param: str = "text") -> tuple[Part, ...]:
    """What the pieces say as a post, their files stored; raises RequestError that names what is wrong, TooLarge."""
    if not pieces:
        raise posting.missing(param)
    texts = [posting.text(piece.found, piece.where) for piece in pieces if isinstance(piece.found, str)]
    if sum(map(len, texts)) > posting.LONGEST_TEXT:
        raise TooLarge(f"The texts are over the limit of {posting.LONGEST_TEXT} characters.", param=param)
    return await stored(pieces)


async def stored(pieces: Sequence[Piece]) -> tuple[Part, ...]:
    """The pieces as parts of a message, the files of which are stored."""
    files = [piece for piece in pieces if not isinstance(piece.found, str)]
    at_most(len(files), param=files[0].where if files else None)
    return tuple([await _kept(piece) for piece in await fetched(pieces)])


async def fetched(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces with what their URLs name; each is fetched once, and only from the public internet."""
    places = {piece.found.url: piece.found.where for piece in reversed(pieces) if isinstance(piece.found, Link)}
    if not places:
        return list(pieces)
    at_most(len(places), LINKS)
    files = await _fetch_all(places)
    return [
        piece._replace(found=files[piece.found.url]) if isinstance(piece.found, Link) else piece for piece in pieces
    ]


async def known(file: Stored) -> Upload:
    """A file of this key that was uploaded before; raises NotFound that names the field."""
    try:
        return await files.uploaded(file.id)
    except RequestError as error:
        error.param = file.where
        raise


def unsupported(kind: object, where: str, taken: Collection[str]) -> RequestError:
    """The error for a part of a kind that is not taken here."""
    names = ", ".join(f"'{each}'" for each in taken)
    return RequestError(
        f"{where}: parts of type {kind!r} are not supported, only {names}", param=where, code="unsupported_part"
    )


def text(part: Mapping[str, Any], where: str) -> str:
    """The text of a part that has one under its own name."""
    return _string(part, str(part["type"]), where)


def image(url: Any, where: str) -> Found:
    """A picture or document by its URL, or a picture in bare base64."""
    if not isinstance(url, str):
        raise _wrong(where, _URL)
    scheme = url[:8].lower()
    if scheme.startswith(("http://", "https://")):
        return Link(url, where)
    if scheme.startswith("data:"):
        return _seen(inline(url, None, where), where)
    content = _base64(url, where)
    if image_type(content) is None:
        raise _wrong(where, _URL)
    return _upload(None, None, content, where)


def file(fields: Mapping[str, Any], where: str) -> Found:
    """A file inline (`file_data`: a data URL or bare base64, `filename`), or one that was uploaded (`file_id`)."""
    if fields.get("file_id") is not None:
        return Stored(_string(fields, "file_id", where), f"{where}.file_id")
    name = fields.get("filename")
    if name is not None and not isinstance(name, str):
        raise _wrong(f"{where}.filename", "a string")
    data, place = _string(fields, "file_data", where), f"{where}.file_data"
    if data[:5].lower() == "data:":
        return inline(data, name, place)
    return _upload(name, None, _base64(data, place), place)


def _image_url(part: Mapping[str, Any], where: str) -> Found:
    return image(_object(part, "image_url", where).get("url"), f"{where}.image_url.url")


def _input_audio(part: Mapping[str, Any], where: str) -> Found:
    place = f"{where}.input_audio"
    fields = _object(part, "input_audio", where)
    kind = _string(fields, "format", place)
    if kind not in AUDIO:
        raise _wrong(f"{place}.format", f"one of {', '.join(AUDIO)}")
    data = _base64(_string(fields, "data", place), f"{place}.data")
    return _upload(f"audio.{kind}", AUDIO[kind], data, f"{place}.data")


def _file(part: Mapping[str, Any], where: str) -> Found:
    return file(_object(part, "file", where), f"{where}.file")


def _doc(part: Mapping[str, Any], where: str) -> Found:
    """BRConnector's document: `name`, `format`, and its bytes in one of the ways that JavaScript writes them."""
    place = f"{where}.doc"
    fields = _object(part, "doc", where)
    name, kind = _string(fields, "name", place), fields.get("format")
    if kind is not None and not isinstance(kind, str):
        raise _wrong(f"{place}.format", "a string")
    if kind and not name.lower().endswith(f".{kind.lower()}"):
        name = f"{name}.{kind}"
    place = f"{place}.source.bytes"
    return _upload(name, None, _bytes(_object(fields, "source", f"{where}.doc").get("bytes"), place), place)


def _bytes(value: Any, where: str) -> bytes:
    """Bytes as an array, as an object from index to byte, or in base64."""
    try:
        match value:
            case str():
                return read_base64(value)
            case {"type": "Buffer", "data": list()}:
                return bytes(cast(list[int], value["data"]))
            case list():
                return bytes(cast(list[int], value))
            case dict():
                byte = cast(dict[str, int], value).__getitem__
                return bytes(map(byte, map(str, range(len(cast(dict[str, int], value))))))
            case _:
                pass
    except (TypeError, ValueError, KeyError, RequestError):
        pass
    raise _wrong(where, "numbers from 0 to 255 in an array or an object by index, or base64")


def _piece(part: Any, where: str, readers: Mapping[str, Reader]) -> Piece:
    fields = cast(dict[str, Any], part) if isinstance(part, dict) else {}
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in readers:
        raise unsupported(kind, where, readers)
    return Piece(fields, where, readers[kind](fields, where))


def _object(part: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], _field(part, name, where, dict, "an object"))


def _string(part: Mapping[str, Any], name: str, where: str) -> str:
    return _field(part, name, where, str, "a string")


def _field(part: Mapping[str, Any], name: str, where: str, type: type[T], wanted: str) -> T:
    found, place = part.get(name), f"{where}.{name}"
    if found is None:
        raise RequestError(f"Missing required parameter: '{place}'.", param=place, code="missing_parameter")
    if not isinstance(found, type):
        raise _wrong(place, wanted)
    return found


def _base64(data: str, where: str) -> bytes:
    try:
        return read_base64(data)
    except RequestError as error:
        raise _wrong(where, "a data URL (data:TYPE;base64,CONTENT) or base64") from error


def _upload(name: str | None, kind: str | None, content: bytes, where: str) -> Upload:
    try:
        return upload(name, kind, content)
    except RequestError as error:
        error.param = where
        raise


def _seen(found: Upload, where: str) -> Upload:
    """A picture that models take, or a document."""
    if found.media_type in SHOWN or not is_media(found.media_type):
        return found
    kinds = ", ".join(kind.removeprefix("image/").upper() for kind in SHOWN)
    raise RequestError(
        f"Invalid '{where}'. Pictures are {kinds}, not {found.media_type}.",
        param=where,
        code="invalid_image_format",
    )


def _wrong(where: str, wanted: str) -> RequestError:
    return RequestError(f"Invalid '{where}'. Expected {wanted}.", param=where, code="invalid_value")


async def _kept(piece: Piece) -> Part:
    match piece.found:
        case Upload():
            return await piece.found.keep()
        case Stored():
            return await (await known(piece.found)).keep()
        case said:
            return Text(text=str(said))


async def _fetch_all(places: Mapping[str, str]) -> Mapping[str, Upload]:
    """What URLs name, given the place of each in the request; the first that fails ends it for all."""
    gate, sizes = asyncio.Semaphore(AT_ONCE), list[int]()

    async def fetch(url: str, where: str) -> Upload:
        async with gate:
            found = await _fetch(url, where)
        sizes.append(len(found.content))
        if sum(sizes) > FETCHED:
            raise TooLarge(f"The URLs of the request name more than {FETCHED // MB} MB.", param=where)
        return found

    try:
        async with asyncio.TaskGroup() as group:
            tasks = {url: group.create_task(fetch(url, where)) for url, where in places.items()}
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return {url: task.result() for url, task in tasks.items()}


async def _fetch(url: str, where: str) -> Upload:
    try:
        found = await current.hub().fetch.get(url, accept="image/*,*/*;q=0.5")
        return _seen(upload(found.name, found.media_type, found.data), where)
    except RequestError as error:
        error.param = where
        raise


CHAT: Mapping[str, Reader] = {
    "text": text,
    "image_url": _image_url,
    "input_audio": _input_audio,
    "file": _file,
    "doc": _doc,
}
"""The parts of a user's message in chat completions."""
