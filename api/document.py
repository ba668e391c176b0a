"""What a route says of itself to those who call it: `@document(...)` beside `@require`.

It only notes what it is told; api/openapi.py writes the notes down when somebody asks for /openapi.json.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from msgspec import Meta

V = TypeVar("V", bound=Callable[..., Any])
_NOTED = "_bothub_documented"
FileField = Annotated[str, Meta(extra_json_schema={"format": "binary"})]
"""A file in a form, in the Struct that documents the form."""


class Stream:
    """Server-sent events; the data of each is one of these, and its `event:` the name it is given here if any."""

    def __init__(self, *unnamed: Any, **named: Any) -> None:
        self.events: tuple[tuple[str | None, Any], ...] = (*((None, each) for each in unnamed), *named.items())


@dataclass(frozen=True)
class Content:
    """Whatever is no JSON: its media type."""

    media_type: str


@dataclass(frozen=True, kw_only=True)
class Documented:
    """A route in the words of `document`."""

    body: Any = None
    form: Any = None
    query: Any = None
    example: Any = None
    answers: Mapping[int | str, Any] = field(default_factory=dict[int | str, Any])
    errors: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    sends: Mapping[str, str] = field(default_factory=dict[str, str])
    once: bool = False


def document(
    answers: Mapping[int | str, Any],
    *,
    body: Any = None,
    form: Any = None,
    query: Any = None,
    example: Any = None,
    errors: tuple[int, ...] = (),
    headers: Mapping[str, str] | None = None,
    sends: Mapping[str, str] | None = None,
    once: bool = False,
) -> Callable[[V], V]:
    """Note what the route takes and answers; its summary and description are the view's docstring.

    answers: by status (or `"2XX"`) what msgspec writes (a Struct, a TypedDict, `Any`), `Stream(types)`,
        `Content(media type)`, None for an empty one, or a tuple of these where the request chooses.
    body, form: what msgspec reads from a JSON body, and from a form; both where the route takes either.
    example: a JSON body that any hub with the shipped settings takes; readers see it, tests send it.
    query: a Struct whose fields are the parameters behind the `?`; read them with `wire.query(Struct)`.
    errors: statuses that this route raises, beside those that follow from the rest: 500 and 503 everywhere, 401 and
        403 with `@require`, 404 with a name in the path, 400 with anything to read, 408 and 413 with a body.
    headers, sends: request headers it reads, response headers it sends, each with a sentence.
    once: it takes an `Idempotency-Key` (api/repeats.py), and so has 409 and `Idempotent-Replayed`.
    """
    noted = Documented(
        body=body,
        form=form,
        query=query,
        example=example,
        answers=answers,
        errors=errors,
        headers=headers or {},
        sends=sends or {},
        once=once,
    )

    def decorate(view: V) -> V:
        setattr(view, _NOTED, noted)
        return view

    return decorate


def documented(view: Callable[..., Any]) -> Documented | None:
    """What the route said of itself."""
    return getattr(view, _NOTED, None)
