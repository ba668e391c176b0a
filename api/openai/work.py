"""What a request asks of a model beside a completion, as a turn."""

from __future__ import annotations

import uuid

from quart import request

from api import current
from api.openai.request import SESSION_HEADERS, session_header
from api.ports import Named
from api.wire import TURN
from hub.accounts.turns import Work

SENDS = {TURN: "The id of the turn that this is recorded as."}
SESSION: dict[str, str] = dict.fromkeys(SESSION_HEADERS, "The session that the turn is recorded in.")
WORK_ERRORS = (402, 404, 415, 422, 429, 502, 504)


def work_of(target: Named) -> Work:
    """A new turn of the key of this request, under the session that its header names."""
    return Work(
        id=uuid.uuid4().hex,
        name=target.name,
        key_id=current.key().id,
        payer=current.key().pays,
        session_id=session_header(request.headers),
    )
