"""Files as others hand them over: inline as `data:` URLs (RFC 2397), under names and types that are not to be trusted.

Pure. What comes out of here is safe to store, to put into a header and to hand to a platform.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from hub.errors import RequestError, TooLarge

ANY = "application/octet-stream"
"""The type of a file of which nothing else is known."""
LONGEST_NAME = 150
MB = 2**20
_WORD = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
_TYPE = re.compile(f"{_WORD}/{_WORD}")
_SAME = {"image/jpg": "image/jpeg", "audio/x-wav": "audio/wav", "audio/mp3": "audio/mpeg"}
"""Types as they are often written, and what they are called."""
_SOUNDS = (
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "audio/webm"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
)
_BEGINS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


class Inline(NamedTuple):
    """What a `data:` URL holds."""

    media_type: str
    content: bytes


def read_data_url(url: str, most: int, name: str = "") -> Inline:
    """What a `data:` URL holds; raises RequestError when it is none, TooLarge (for `name`) over `most` bytes."""
    head, comma, data = url.partition(",")
    scheme, _, kind = head.partition(":")
    if scheme.lower() != "data" or not comma:
        raise RequestError("That is not a data URL: write data:TYPE;base64,CONTENT.", code="invalid_value")
    if len(data) > 4 * most:
        raise too_large(most, name)
    kind, marked, _ = kind.partition(";base64")
    content = read_base64(data) if marked else unquote_to_bytes(data)
    if len(content) > most:
        raise too_large(most, name)
    return Inline(media_type(kind or "text/plain"), content)


def too_large(most: int, name: str = "") -> TooLarge:
    """The error for a file over a limit in bytes."""
    called = f" '{name}'" if name else ""
    return TooLarge(f"The file{called} is over the limit of {most / MB:g} MB.")


def media_type(given: str | None, name: str = "") -> str:
    """A type without its parameters, in lower case; else the one that the name's ending stands for."""
    plain = (given or "").partition(";")[0].strip().lower()
    if _TYPE.fullmatch(plain) and plain != ANY:
        return _SAME.get(plain, plain)
    return mimetypes.guess_type(name)[0] or ANY


def is_media(media_type: str) -> bool:
    """Whether it is a type of pictures, sound or films; everything else may have text in it that can be read."""
    return media_type.startswith(("image/", "audio/", "video/"))


def image_type(content: bytes) -> str | None:
    """PNG, JPEG, GIF or WebP, told by how the content begins; None for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begins, kind in _BEGINS if content.startswith(begins)), None)


def audio_type(content: bytes) -> str | None:
    """WAV, MP3, AAC, Ogg, FLAC, MP4 or WebM, told by how the content begins; None for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return "audio/wav"
    if content[4:8] == b"ftyp":
        return "audio/mp4"
    if len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2:
        return "audio/mpeg"
    return next((kind for begins, kind in _SOUNDS if content.startswith(begins)), None)


def file_name(given: str | None, kind: str) -> str:
    """A name without folders and without what does not print; `file`, with the ending of its type, for none."""
    last = re.split(r"[/\\]", given or "")[-1]
    name = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    if not name:
        return f"file{mimetypes.guess_extension(kind) or ''}"
    stem, dot, ending = name.rpartition(".")
    keeps = dot and len(ending) <= 10
    return f"{stem[: LONGEST_NAME - 11]}.{ending}" if keeps and stem else name[:LONGEST_NAME]


def read_base64(data: str) -> bytes:
    """What is written in base64; raises RequestError for what is not."""
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("The content of the data URL is not base64.", code="invalid_value") from error
