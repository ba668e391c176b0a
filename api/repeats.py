"""`Idempotency-Key`: a request that is sent again under its key is done once.

For 24 hours the same key with the same request gets the same answer, marked `Idempotent-Replayed: true`; with another
request it is a 409. While the first still runs, a repetition joins it: both do the same thing under the same id, wait
for its end alike, and get the same answer. A request that was cut off is finished by its repetition for the same
reason. Errors are not remembered.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from quart import Response, request

from api import current
from api.wire import JSON
from hub.accounts import idempotency
from hub.accounts.idempotency import Claim
from hub.errors import RequestError
from hub.store import Connection

HEADER = "Idempotency-Key"
LONGEST = 255
_canonical = msgspec.json.Encoder(order="deterministic").encode
_encode = msgspec.json.Encoder().encode


async def once(asked: Any, act: Callable[[str], Awaitable[tuple[int, Any]]]) -> Response:
    """Answer with the status and body that `act` returns; it gets an id, the same one for every repetition of `asked`.

    `act` must be harmless to do again under its id. Raises Conflict when the key was used for something else.
    """
    key = request.headers.get(HEADER)
    if key is None:
        status, value = await act(uuid.uuid4().hex)
        return _response(status, _encode(value))
    claim = await _begin(key, asked)
    if claim.body is not None:
        return _replayed(claim)
    status, value = await _do(claim, act)
    body = _encode(value)
    final = await current.hub().store.write(lambda connection: idempotency.finish(connection, claim, status, body))
    return _response(status, body) if (final.status, final.body) == (status, body) else _replayed(final)


async def _begin(key: str, asked: Any) -> Claim:
    if not key or len(key) > LONGEST:
        raise RequestError(f"{HEADER} must have 1 to {LONGEST} characters.", param=HEADER, code="invalid_value")
    what = f"{request.method} {request.path}\n".encode() + _canonical(asked)
    fingerprint = hashlib.sha256(what).hexdigest()
    caller, now = current.key().id, current.hub().clock()

    def unit(connection: Connection) -> Claim:
        return idempotency.begin(connection, caller, key, fingerprint, now)

    return await current.hub().store.write(unit)


async def _do(claim: Claim, act: Callable[[str], Awaitable[tuple[int, Any]]]) -> tuple[int, Any]:
    try:
        return await act(claim.id)
    except RequestError:
        await current.hub().store.write(lambda connection: idempotency.forget(connection, claim))
        raise


def _replayed(claim: Claim) -> Response:
    return _response(claim.status or 200, claim.body or b"", {"Idempotent-Replayed": "true"})


def _response(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, content_type=JSON)
