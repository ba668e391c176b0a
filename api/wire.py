"""JSON in and out: bodies become values, values become responses."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
from quart import Response, request
from werkzeug.exceptions import RequestTimeout

from api.mistakes import told
from hub.errors import RequestError

T = TypeVar("T")
JSON = "application/json"
BODY_SECONDS = 60.0
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
    """Whatever JSON the body is; raises RequestError with the position of what is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"The body is not JSON: {error}", code="invalid_json") from error


def query(type: type[T]) -> T:
    """What stands behind the `?` as a Struct, empty parameters left out; raises RequestError that names the field."""
    return fit({name: value for name, value in request.args.items() if value}, type, strict=False)


def fit(value: Any, type: type[T], *, within: str = "", strict: bool = True) -> T:
    """The value as the type; raises RequestError that names the field, `within` another one, which does not fit."""
    try:
        return msgspec.convert(value, type, strict=strict)
    except msgspec.ValidationError as error:
        raise told(error, value, type, within) from error
