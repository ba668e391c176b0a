"""`X-Request-Id`: what a request is called, in its answer and in every line that is logged while it is answered."""

from __future__ import annotations

import re
import uuid

from quart import Request

HEADER = "X-Request-Id"
LONGEST = 128
_SANE = re.compile(rf"[A-Za-z0-9._~:/+=@-]{{1,{LONGEST}}}")


def of(request: Request) -> str:
    """What the caller calls it, if that may stand in a header and in a log; else a new name."""
    given = request.headers.get(HEADER, "")
    return given if _SANE.fullmatch(given) else uuid.uuid4().hex
