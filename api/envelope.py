"""What `/admin` and `/user` answer, as BRConnector's clients know it: `{"success": true, "data": ...}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, Protocol, TypedDict, TypeVar

import msgspec
from msgspec import Meta
from quart import Response

from api import current
from api.wire import answer
from hub.accounts.money import MOST
from hub.store import Connection
from hub.store.listing import Page, Part

T = TypeVar("T")
R = TypeVar("R")
LIMIT = 20
"""Items of a page unless asked for more."""
Id = Annotated[int, Meta(ge=1, le=2**31 - 1)]
"""Of a key, a group, a model ... : an integer of the database."""
Time = Annotated[float, Meta(ge=0, lt=2**33)]
"""In Unix seconds."""
Text = Annotated[str, Meta(max_length=200, pattern=r"\A[^\x00-\x1f\x7f-\x9f]*\Z")]
Moment = Annotated[float, Meta(ge=0, le=10**11)]
"""A time in Unix seconds."""
Word = Annotated[str, Meta(max_length=200, pattern=r"\A[^\s\x00-\x1f\x7f-\x9f]+\Z")]
"""The name of an agent or a model."""
Amount = (
    Annotated[float, Meta(ge=0, le=MOST)] | Annotated[str, Meta(max_length=40, pattern=r"\A[0-9]{1,10}(\.[0-9]+)?\Z")]
)
"""Of money; `hub.accounts.money.amount` makes the integer of it, and `shown` the text for an answer."""


class Done(TypedDict, Generic[T]):
    """What was asked for."""

    success: Literal[True]
    data: T


class Items(TypedDict, Generic[T]):
    """A page of a list: `next` is what `after` takes for the next page.

    `total` is how many there are in all; from 10,000 on it is 10,000, because counting them all would take long.
    """

    items: list[T]
    total: int
    limit: int
    offset: int
    next: int | None


class Listed(TypedDict, Generic[T]):
    """A page of a list, in the envelope."""

    success: Literal[True]
    data: Items[T]


class Window(msgspec.Struct, kw_only=True):
    """Which part of a list: so many items, past the first `offset`."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = LIMIT
    offset: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class Paging(Window, kw_only=True):
    """Which part of a list: so many items, past the first `offset`, or after the `next` of another page."""

    after: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None

    @property
    def part(self) -> Part:
        return Part(limit=self.limit, offset=self.offset, after=() if self.after is None else (self.after,))

    def cursor(self, key: tuple[Any, ...]) -> int:
        """What `next` says of the key that a part ends with."""
        return key[0]


class Cut(Protocol):
    """Which part of a list: Paging, or what a list says `after` in that has another key than numbers."""

    @property
    def limit(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def part(self) -> Part: ...

    def cursor(self, key: tuple[Any, ...]) -> int | str: ...


def done(data: Any = True) -> Response:
    """The answer of a route that did what it was asked to."""
    return answer({"success": True, "data": data})


async def listing(asked: Cut, unit: Callable[[Connection, Part], Page[R]], shown: Callable[[R], Any]) -> Response:
    """The answer of a list, the asked part of which a unit reads."""
    return page(asked, await current.hub().store.read(lambda connection: unit(connection, asked.part)), shown)


def page(asked: Cut, found: Page[R], shown: Callable[[R], Any]) -> Response:
    """The answer of a list whose asked part this is."""
    following = None if found.next is None else asked.cursor(found.next)
    paging = {"total": found.total, "limit": asked.limit, "offset": asked.offset, "next": following}
    return done({"items": [shown(each) for each in found.items], **paging})
