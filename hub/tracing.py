"""PORT: where work comes from, kept with it from process to process, and spans of what is done.

A message and a delivery carry the `X-Request-Id` of the request they came with and the W3C `traceparent` of the span
they belong to. Whoever takes one up goes on under both (`resume`); whatever is made there is `marked` with them. Spans
are made by the tracer that is installed; without one nothing is done and nothing is imported.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar

import msgspec
from structlog.contextvars import bind_contextvars

from hub.message import Delivery, Message

Carried = TypeVar("Carried", Message, Delivery)
Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool | Sequence[str]]


class Span(Protocol):
    """Something that is being done; times are Unix seconds."""

    @property
    def traceparent(self) -> str:
        """The W3C name of it, for whatever is done because of it elsewhere."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Say more about it; never what a person or a model said, never a secret."""
        ...

    def rename(self, name: str) -> None:
        """Call it something else."""
        ...

    def end(self, error: BaseException | None = None, at: float | None = None) -> None:
        """It is over, now or at a time; of an error only the kind is told."""
        ...


class Tracer(Protocol):
    """Makes spans."""

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: Attributes, at: float | None) -> Span:
        """A span that began now or at a time; without a parent (a traceparent) it begins a trace."""
        ...


_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_tracer: list[Tracer] = []
"""The one that is installed, if any."""
_request: ContextVar[str | None] = ContextVar("bothub_request_id", default=None)
_here: ContextVar[str | None] = ContextVar("bothub_traceparent", default=None)


def install(tracer: Tracer | None) -> None:
    """Have spans made by a tracer from now on; by none with None."""
    _tracer[:] = [] if tracer is None else [tracer]


def is_on() -> bool:
    """Whether somebody wants spans."""
    return bool(_tracer)


def request_id() -> str | None:
    """What the request is called that is being answered here."""
    return _request.get()


def traceparent() -> str | None:
    """The W3C name of the span that is under way here."""
    return _here.get()


def trace_id(parent: str | None) -> str | None:
    """The trace that a traceparent names."""
    return None if parent is None else parent[3:35]


def name_request(id: str) -> None:
    """Say what the request is called that this task answers; its log lines tell it."""
    _request.set(id)
    bind_contextvars(request_id=id)


def marked(value: Carried) -> Carried:
    """A message or delivery with what it is made for here, unless it says so already."""
    request, here = value.request_id or _request.get(), value.trace or _here.get()
    if (request, here) == (value.request_id, value.trace):
        return value
    return msgspec.structs.replace(value, request_id=request, trace=here)


def resume(value: Message | Delivery) -> None:
    """Go on, for the rest of this task, with what a message or delivery was made for."""
    if value.request_id is not None:
        name_request(value.request_id)
    if value.trace is not None:
        _here.set(value.trace)


def stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Have a line of the log tell the trace that it belongs to; a processor of structlog."""
    if (here := _here.get()) is not None:
        event.setdefault("trace_id", trace_id(here))
    return event


def asked_by(header: str | None) -> str | None:
    """The traceparent that a request came with; None for none, and for one that nobody can read."""
    return header if header is not None and _TRACEPARENT.fullmatch(header) else None


def begin(name: str, attributes: Attributes, *, kind: Kind = "internal") -> Span:
    """A span that its maker ends, for what is done in pieces: it is not the one under way (`under` makes it that)."""
    return _tracer[0].begin(name, kind, _here.get(), attributes, None) if _tracer else _OFF


@contextmanager
def under(made: Span) -> Generator[None]:
    """Have a span be the one under way while a block runs."""
    before = _here.get()
    _here.set(made.traceparent or before)
    try:
        yield
    finally:
        _here.set(before)


def span(
    name: str, attributes: Attributes | None = None, *, kind: Kind = "internal", parent: str | None = None
) -> AbstractContextManager[Span]:
    """A span around a block, below the one under way here unless a parent is given."""
    if not _tracer:
        return _OFF
    return _Running(_tracer[0].begin(name, kind, parent or _here.get(), attributes or {}, None))


def past(name: str, since: float, until: float, attributes: Attributes, *, kind: Kind = "internal") -> None:
    """A span of something that is over, below the one under way here; times are Unix seconds."""
    if _tracer:
        _tracer[0].begin(name, kind, _here.get(), attributes, since).end(at=max(since, until))


class _Running:
    """A span that is the one under way while a block runs."""

    def __init__(self, made: Span) -> None:
        self._made = made
        self._before: str | None = None

    def __enter__(self) -> Span:
        self._before = _here.get()
        _here.set(self._made.traceparent)
        return self._made

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # No token: the end of a generator may run in another context than its beginning.
        _here.set(self._before)
        self._made.end(error)


class _Off:
    """The span that nobody wants."""

    traceparent = ""

    def set(self, attributes: Attributes) -> None:
        """Nothing."""

    def rename(self, name: str) -> None:
        """Nothing."""

    def end(self, error: BaseException | None = None, at: float | None = None) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing."""


_OFF = _Off()
