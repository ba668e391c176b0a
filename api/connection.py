"""How a response leaves: so that a client that went away ends the work done for it, at whatever byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from http import HTTPStatus
from typing import cast

from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable
from quart import Quart, Request, Response
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from werkzeug.exceptions import BadHost

from api import cors, errors, request_id
from hub import tracing

_REQUESTS = "bothub.requests"
LAST_WORDS_SECONDS = 0.5
"""How long a client may take to be told that the hub stops."""
QUIET = ("/health", "/ready", "/metrics")
"""What is asked all the time and never traced."""
REST_SECONDS = 10.0
"""How long a client may go on sending the body of a request that is refused, before it is told so."""


def requests(app: Quart) -> set[asyncio.Task[None]]:
    """The requests that are being answered; cancelling one tells its client that the hub stops, and ends it."""
    return app.extensions.setdefault(_REQUESTS, set())


class Connection(ASGIHTTPConnection):
    """One request and its response.

    Quart's own sends the headers before it enters the body, so a client that goes at that moment would leave the
    body's source running; and it lets go of a request's task when the server stops.
    """

    _begun: Response | None = None
    """The response whose headers are on their way."""
    _span: tracing.Span | None = None
    _id: str
    """What the request is called."""
    _whole: asyncio.Event
    """Set when all of the request's body has come."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer the request until it is answered or the client is gone."""
        request = self._create_request_from_scope(send)
        self._whole = asyncio.Event()
        self._id = request_id.of(request)
        handler = asyncio.create_task(self.handle_request(request, send))
        receiver = asyncio.create_task(self.handle_messages(request, receive))
        running = requests(self.app)
        running.add(handler)
        try:
            await asyncio.wait((handler, receiver), return_when=asyncio.FIRST_COMPLETED)
            if handler.cancelled():
                await self._tell_stopping(request, send)
        finally:
            running.discard(handler)
            handler.cancel()
            receiver.cancel()
            await asyncio.wait((handler, receiver))
        if not handler.cancelled():
            handler.result()

    async def handle_request(self, request: Request, send: ASGISendCallable) -> None:
        """Send the response; nothing may wait between the view's return and the body's `__aenter__`."""
        tracing.name_request(self._id)
        if not tracing.is_on() or request.path in QUIET:
            await self._answer(request, send)
            return
        told, asked = {"http.request.method": request.method}, tracing.asked_by(request.headers.get("traceparent"))
        with tracing.span(request.method, told, kind="server", parent=asked) as span:
            self._span = span
            await self._answer(request, send)

    async def _answer(self, request: Request, send: ASGISendCallable) -> None:
        try:
            response = await self.app.handle_request(request)
        except BadHost:  # before there is a context in which errors are answered
            response = errors.response(request.path, errors.NO_HOST)
        assert isinstance(response, Response)
        if response.status_code >= HTTPStatus.BAD_REQUEST and response.status_code != HTTPStatus.REQUEST_TIMEOUT:
            await self._wait_for_the_rest()
        async with response.response as body:  # pyright: ignore[reportUnknownVariableType] - Quart's are bytes or str
            self._begun = response
            await self._start(request, response, send)
            async for data in cast(AsyncIterable[bytes | str], body):
                piece = data.encode() if isinstance(data, str) else data
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def handle_messages(self, request: Request, receive: ASGIReceiveCallable) -> None:
        """Take the body as it comes; what is over the limit is thrown away."""

        async def noted() -> ASGIReceiveEvent:
            event = await receive()
            if event["type"] == "http.request" and not event.get("more_body", False):
                self._whole.set()
            return event

        await super().handle_messages(request, noted)

    async def _wait_for_the_rest(self) -> None:
        """Many clients look at the answer only after they have sent it all; a closed socket tells them nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_SECONDS):
                await self._whole.wait()

    async def _start(self, request: Request, response: Response, send: ASGISendCallable) -> None:
        response.headers[request_id.HEADER] = self._id
        if self._span is not None:
            _tell(self._span, request, response)
        cors.mark(self.app, request, response)
        headers = encode_headers(response.headers)
        await send(
            {"type": "http.response.start", "status": response.status_code, "headers": headers, "trailers": False}
        )

    async def _tell_stopping(self, request: Request, send: ASGISendCallable) -> None:
        """The last words to a client whose answer is cut because the hub stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                if self._begun is None:
                    response = errors.response(request.path, errors.STOPPING)
                    await self._start(request, response, send)
                    last = await response.get_data(as_text=False)
                elif self._begun.mimetype == "text/event-stream":
                    last = errors.stopping_event(request.path)
                else:
                    return
                await send({"type": "http.response.body", "body": last, "more_body": False})


def _tell(span: tracing.Span, request: Request, response: Response) -> None:
    """Name the span of a request by its route; its path may have ids in it."""
    route = "" if request.url_rule is None else f" {request.url_rule.rule}"
    span.rename(f"{request.method}{route}")
    span.set({"http.response.status_code": response.status_code, **({"http.route": route.strip()} if route else {})})
