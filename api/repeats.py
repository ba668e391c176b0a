"""`Idempotency-Key`: a request that is sent again under its key is done once.

For 24 hours the same key with the same request gets the same answer, marked `Idempotent-Replayed: true`; with another
request it is a 409. There are three ways to answer, all of them under the key's claim in the store:

- `once`, for what can be done again under the same id without harm: a repetition that comes while the first still
  runs, or after it was cut off, does the same thing under the same id and gets the same answer.
- `turn`, for a turn of an agent: its id is the claim's, and its answer is made of its row as often as it is asked for.
  It goes on when its client is gone, for the client said that it would ask again.
- `kept`, for what leaves nothing behind but its answer: a repetition waits for the first one of this process, then
  gets the bytes it was answered with, also those of a stream.

Errors are not remembered, but for those of a turn: it failed, and stays so. What `turn` and `kept` begin counts for
the limits of the API key that asks (api/rates.py); an answer that is sent again does not.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, cast
from weakref import WeakValueDictionary

import msgspec
from quart import Response, after_this_request, current_app, request
from quart.wrappers.response import ResponseBody

from api import current, rates, sse
from api.wire import answer
from hub.accounts import idempotency
from hub.accounts.idempotency import Claim
from hub.accounts.turns import Ask
from hub.errors import InboxFull, LimitReached, RequestError, StoreUnavailable
from hub.store import Store

log = logging.getLogger(__name__)
HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
LONGEST = 255
UNDONE = (RequestError, InboxFull, LimitReached)
"""Errors after which nothing was done."""
_LOCKS = "bothub.repeats"
_OWN = ("content-length", "idempotent-replayed")
"""Headers that each answer has its own of."""
_canonical = msgspec.json.Encoder(order="deterministic").encode
Make = Callable[[str], Awaitable[Response]]


async def once(asked: Any, act: Callable[[str], Awaitable[tuple[int, Any]]]) -> Response:
    """Answer with the status and body that `act` returns; it gets an id, the same one for every repetition of `asked`.

    `act` must be harmless to do again under its id. Raises Conflict when the key was used for something else.
    """

    async def make(id: str) -> Response:
        status, value = await act(id)
        return answer(value, status)

    key = _key()
    return await (make(uuid.uuid4().hex) if key is None else _remembered(key, asked, make, UNDONE))


async def turn(ask: Ask, asked: Any, make: Callable[[Ask], Awaitable[Response]]) -> Response:
    """Answer with what `make` makes of the turn: under a key always the same one, which goes on without its client.

    `asked` is what the request says, where it goes to included. Raises Conflict when the key was used for another.
    """
    key = _key()
    if key is None:
        await rates.count()
        return await make(ask)
    claim = await _begin(key, asked)
    if not claim.first:
        after_this_request(_mark)
    try:
        if claim.first:
            await rates.count()
        return await make(msgspec.structs.replace(ask, id=claim.id, goes_on=True, repeats=False))
    except UNDONE:
        await _forget(claim)
        raise


async def kept(asked: Any, make: Callable[[], Awaitable[Response]]) -> Response:
    """Answer with what `make` returns, whole or a stream; a repetition is sent the same.

    Raises Conflict when the key was used for something else.
    """

    async def counted(_id: str = "") -> Response:
        await rates.count()
        return await make()

    key = _key()
    if key is None:
        return await counted()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_lock(key))
        response = await _remembered(key, asked, counted, (Exception,))
        if isinstance(response.response, _Remembered):
            response.response.then = stack.pop_all()
        return response


def _key() -> str | None:
    key = request.headers.get(HEADER)
    if key is not None and not 0 < len(key) <= LONGEST:
        raise RequestError(f"{HEADER} must have 1 to {LONGEST} characters.", param=HEADER, code="invalid_value")
    return key


def _lock(key: str) -> asyncio.Lock:
    """What one request at a time holds, of those under a key in this process."""
    locks = cast(
        "WeakValueDictionary[tuple[int, str], asyncio.Lock]",
        current_app.extensions.setdefault(_LOCKS, WeakValueDictionary()),
    )
    return locks.setdefault((current.key().id, key), asyncio.Lock())


async def _remembered(key: str, asked: Any, make: Make, undone: tuple[type[Exception], ...]) -> Response:
    """The answer that is remembered; else what `make` returns, which is from now on."""
    claim = await _begin(key, asked)
    if claim.body is not None:
        return _replayed(claim)
    try:
        response = await make(claim.id)
    except undone:
        await _forget(claim)
        raise
    store, head = current.hub().store, _head(response)
    if response.mimetype == "text/event-stream":
        response.response = _Remembered(response, partial(_finish, store, claim, response.status_code, head))
        return response
    async with response.response as pieces:  # pyright: ignore[reportUnknownVariableType] - Quart's are bytes or str
        body = b"".join([piece async for piece in cast(AsyncIterator[bytes], pieces)])
    final = await _finish(store, claim, response.status_code, head, body)
    if (final.status, final.body) != (response.status_code, body):
        return _replayed(final)
    response.set_data(body)
    return response


async def _begin(key: str, asked: Any) -> Claim:
    what = f"{request.method} {request.path}\n".encode() + _canonical(asked)
    fingerprint = hashlib.sha256(what).hexdigest()
    caller, now = current.key().id, current.hub().clock()
    return await current.hub().store.write(
        lambda connection: idempotency.begin(connection, caller, key, fingerprint, now)
    )


async def _forget(claim: Claim) -> None:
    await current.hub().store.write(lambda connection: idempotency.forget(connection, claim))


async def _finish(store: Store, claim: Claim, status: int, head: str, body: bytes) -> Claim:
    return await store.write(lambda connection: idempotency.finish(connection, claim, status, body, head))


def _head(response: Response) -> str:
    """The headers of an answer that a repetition gets too."""
    headers = [(name, value) for name, value in response.headers.items() if name.lower() not in _OWN]
    return msgspec.json.encode(headers).decode()


def _replayed(claim: Claim) -> Response:
    headers: list[tuple[str, str]] = msgspec.json.decode(claim.head or '[["Content-Type", "application/json"]]')
    response = Response(claim.body or b"", claim.status or 200)
    for name, value in headers:
        response.headers[name] = value
    return _mark(response)


def _mark(response: Any) -> Any:
    response.headers[REPLAYED] = "true"
    return response


class _Remembered(ResponseBody):
    """A stream that is remembered when it has come to a good end."""

    then: AsyncExitStack | None = None
    """What is left when the stream is over."""

    def __init__(self, response: Response, finish: Callable[[bytes], Awaitable[Claim]]) -> None:
        self._stream: Any = response.response
        self._finish = finish

    async def __aenter__(self) -> AsyncIterator[bytes]:
        return self._read(await self._stream.__aenter__())

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._stream.__aexit__(*error)
        finally:
            if self.then is not None:
                await self.then.aclose()

    async def _read(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        sent: list[bytes] = []
        async for piece in pieces:
            sent.append(piece)
            yield piece
        if isinstance(sent[-1], sse.LastWords):
            return
        try:
            await self._finish(b"".join(sent))
        except StoreUnavailable as error:
            log.warning("An answer is not remembered: %s", error)
