"""How a file leaves: so that a browser saves it, but for what cannot do harm when it is shown."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from quart import Response
from werkzeug.http import dump_options_header

from api import current
from hub.inline import file_name, media_type
from hub.message import File

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What a browser may show; SVG is none of them, because it can hold scripts."""
FILE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=86400, immutable",
}


def disposition(name: str, kind: str) -> str:
    """How a browser shall take a file: save it, but for pictures, sound and films; under a name that is safe."""
    name = file_name(name, kind)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    shows = kind in PICTURES or kind.startswith(("audio/", "video/"))
    names = {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='')}"}
    return dump_options_header("inline" if shows else "attachment", names)


async def stored(file: File) -> Response:
    """The answer that is a file; raises NotFound when it was removed."""
    kind = media_type(file.media_type)
    headers = FILE_HEADERS | {"Content-Disposition": disposition(file.name, kind)}
    return Response(await current.hub().files.read(file), 200, headers, content_type=kind)
