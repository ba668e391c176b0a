"""JSON in and out: bodies become values, values become responses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec
from quart import Response, request
from werkzeug.exceptions import RequestTimeout

from api.mistakes import told
from hub.errors import RequestError

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
JSON = "application/json"
TURN = "X-Turn-Id"
"""The header of an answer that names its turn."""
TURN_SENT = {TURN: "The id of the turn."}
BODY_SECONDS = 60.0
DEEPEST = 100
"""Levels of arrays and objects in a body."""
MOST = 1_000_000
"""Brackets and braces in a body, those in texts too: each array or object takes many times the memory of its JSON."""
_encode = msgspec.json.Encoder().encode


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response of any value msgspec can write."""
    return Response(_encode(value), status, headers, content_type=JSON)


async def read(type: type[T]) -> T:
    """The request's body as a value; raises RequestError with the position, or the field that does not fit."""
    return fit(decode(await body()), type)


async def body() -> bytes:
    """The request's body; raises what becomes a 408 when it does not arrive, a 413 when it is too large."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body
    except TimeoutError as error:
        raise RequestTimeout(f"The body did not arrive within {BODY_SECONDS:g} s.") from error


def decode(body: bytes) -> Any:
    """Whatever JSON the body is; raises RequestError with the position of what is not JSON, or for too much of it."""
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > MOST:
        raise RequestError(f"The body has more than {MOST} brackets and braces.", code="too_complex")
    try:
        value = msgspec.json.decode(body)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"The body is not JSON: {error}", code="invalid_json") from error
    if brackets > DEEPEST and _is_deeper(value, DEEPEST):
        raise _too_deep()
    return value


def _is_deeper(value: Any, most: int) -> bool:
    """Whether arrays and objects are nested in more levels."""
    level = [value]
    for _ in range(most):
        level = [below for each in level for below in _values(each) if isinstance(below, (list, dict))]
        if not level:
            return False
    return True


def _values(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast(dict[str, Any], value).values()
    return cast(list[Any], value) if isinstance(value, list) else ()


def _too_deep() -> RequestError:
    return RequestError(f"The body is nested deeper than {DEEPEST} levels.", code="too_complex")


def query(type: type[S]) -> S:
    """What stands behind the `?` as a Struct, empty parameters left out; raises RequestError that names the field."""
    for field in msgspec.structs.fields(type):
        if len(request.args.getlist(field.encode_name)) > 1:
            raise RequestError(f"{field.encode_name}: is given more than once", param=field.encode_name)
    return fit({name: value for name, value in request.args.items() if value}, type, strict=False)


def fit(value: Any, type: type[T], *, within: str = "", strict: bool = True) -> T:
    """The value as the type; raises RequestError that names the field, `within` another one, which does not fit."""
    try:
        return msgspec.convert(value, type, strict=strict)
    except msgspec.ValidationError as error:
        raise told(error, value, type, within) from error
