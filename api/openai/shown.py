"""What a model is sent that nobody remembers anything for: the caller's messages, with what it takes in them.

Pictures by URL are fetched here and sent inline. So every upstream gets the same, also one that cannot reach the
internet, and nobody can have an upstream inside a private network fetch what is there.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from api import current
from api.openai.parts import CHAT, Found, Piece, Reader, Stored, each, fetched, known, text, unsupported
from api.uploads import Upload, at_most
from hub.errors import HubError, RequestError
from hub.inline import is_media
from hub.message import File
from hub.turns.view import SHOWN, note

MESSAGES: Mapping[str, Reader] = {**CHAT, "refusal": text}
"""The parts of anybody's messages."""
TEXTS = ("text", "file", "doc")
"""Parts that a model without eyes and ears may be sent."""
DOCUMENTS = 50
"""Documents of one request that are read."""
PDF = "application/pdf"


async def shown(messages: Sequence[dict[str, Any]], *, multiple: bool) -> list[dict[str, Any]]:
    """The messages as a model is sent them: text, documents as text, and as they are the rest, if it takes `multiple`.

    A PDF in a `file` part is left as it is for such a model, too. Raises RequestError that names a part which is wrong
    or not taken, TooLarge, NotFound.
    """
    pieces = [
        _taken(piece, index, multiple)
        for index, message in enumerate(messages)
        if isinstance(message.get("content"), list)
        for piece in each(message["content"], f"messages[{index}].content", MESSAGES)
    ]
    if not pieces:
        return list(messages)
    rendered: dict[int, list[Any]] = {}
    found = await fetched([piece for _, piece in pieces])
    at_most(sum(_is_document(piece.found) for piece in found), DOCUMENTS)
    for (index, _), piece in zip(pieces, found, strict=True):
        rendered.setdefault(index, []).append(await _render(piece, multiple))
    return [
        message | {"content": rendered[index]} if index in rendered else message
        for index, message in enumerate(messages)
    ]


def _taken(piece: Piece, index: int, multiple: bool) -> tuple[int, Piece]:
    """The piece with the index of its message, if its kind is taken."""
    kind = piece.part["type"]
    if not (multiple or kind in TEXTS or isinstance(piece.found, str) or _is_document(piece.found)):
        raise unsupported(kind, piece.where, TEXTS)
    return index, piece


def _is_document(found: Found) -> bool:
    return isinstance(found, Upload) and not is_media(found.media_type)


async def _render(piece: Piece, multiple: bool) -> Mapping[str, Any]:
    match piece.found:
        case Stored():
            found = await known(piece.found)
        case Upload():
            found = piece.found
        case _:
            return piece.part
    if piece.part["type"] == "input_audio":
        return piece.part
    if _is_document(found):
        passes = multiple and found.media_type == PDF and piece.part["type"] == "file"
        return _as_file(found) if passes else await _as_text(found, piece.where)
    if not multiple:
        problem = f"{piece.where}: this model takes documents, not {found.media_type}"
        raise RequestError(problem, param=piece.where, code="unsupported_part")
    return _as_image(piece, found) if found.media_type in SHOWN else _as_file(found)


def _as_file(found: Upload) -> Mapping[str, Any]:
    return {"type": "file", "file": {"filename": found.name, "file_data": _data_url(found)}}


def _as_image(piece: Piece, found: Upload) -> Mapping[str, Any]:
    """A picture inline, with what else was said of it (`detail`)."""
    said = piece.part.get("image_url", {})
    if said.get("url", "").startswith(f"data:{found.media_type};base64,"):
        return piece.part
    return {"type": "image_url", "image_url": {**said, "url": _data_url(found)}}


async def _as_text(found: Upload, where: str) -> Mapping[str, Any]:
    """A document as what it says; raises RequestError when it cannot be read."""
    try:
        said = await current.hub().read_document(found.name, found.content)
    except HubError as error:
        raise RequestError(str(error), param=where, code="unreadable_document") from error
    file = File(ref="", name=found.name, media_type=found.media_type, size=len(found.content))
    return {"type": "text", "text": f"{note(file)}\n\n{said}"}


def _data_url(found: Upload) -> str:
    return f"data:{found.media_type};base64,{b64encode(found.content).decode()}"
