"""A response whose work goes on while it is sent, and ends with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar, cast

from quart import Response

from api import errors, sse
from api.wire import JSON, TURN
from hub.message import Value

T = TypeVar("T")


class Head(Value, frozen=True, kw_only=True):
    """What a source knows before its first byte: the turn's id, and the length if it is no stream."""

    id: str
    length: int | None = None


Source = AsyncGenerator[Head | bytes, None]
"""First a Head, then bytes."""


async def begin(source: Source) -> Response:
    """The response that sends a source; what fails before the Head is raised here.

    The source is closed when the response is out, or the client gone.
    """
    head = await anext(source)
    assert isinstance(head, Head)
    body = cast(AsyncGenerator[bytes, None], source)
    headers = {TURN: head.id}
    if head.length is None:
        return sse.stream(body, headers)
    return Response(body, 200, {**headers, "Content-Length": str(head.length)}, content_type=JSON)


async def events(
    source: AsyncIterator[T], silence: float, write: Callable[[T], bytes], end: Callable[[], bytes]
) -> AsyncGenerator[bytes, None]:
    """The source's items as `write` puts them, then what `end` says; a comment after every `silence` seconds.

    An error before the first event is raised, a later one is the last event.
    """
    begun = False
    try:
        async with aclosing(sse.batches(source, silence)) as batches:
            async for batch in batches:
                event = b"".join(map(write, batch)) if batch else sse.KEEP_ALIVE
                if event:
                    yield event
                    begun = True
        last = end()
    except Exception as error:
        if not begun:
            raise
        yield sse.LastWords(sse.event(errors.describe(error).body) + sse.DONE)
    else:
        yield last + sse.DONE
