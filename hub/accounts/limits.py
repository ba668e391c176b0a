"""How much a key may ask: requests and tokens per minute and per day, counted in the store for every process.

Windows are whole minutes and days of UTC. A request counts when it comes, its tokens when they are known: the call
that goes over a limit of tokens is the last one of its window.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from sqlalchemy import Connection, and_, bindparam, case, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.errors import LimitReached
from hub.message import Value
from hub.store.tables import rates

Window = Literal["minute", "day"]
What = Literal["requests", "tokens"]
SECONDS: dict[Window, int] = {"minute": 60, "day": 86_400}


class Limits(Value, frozen=True, kw_only=True):
    """What a key may ask in a minute and in a day; None is no limit."""

    requests_minute: int | None = None
    requests_day: int | None = None
    tokens_minute: int | None = None
    tokens_day: int | None = None


class Room(Value, frozen=True, kw_only=True):
    """What is left of one limit, and in how many seconds it begins anew."""

    what: What
    window: Window
    limit: int
    remaining: int
    resets_in: float


class Counted(Value, frozen=True, kw_only=True):
    """A request as it was counted: whether it is within the limits, and what is left of each."""

    ok: bool
    rooms: tuple[Room, ...] = ()

    @property
    def full(self) -> Room | None:
        """The limit that takes longest to begin anew, of those with nothing left; None when the request is let in."""
        if self.ok:
            return None
        return max((room for room in self.rooms if room.remaining == 0), key=lambda room: room.resets_in)


WINDOWS: tuple[Window, ...] = ("minute", "day")
WHAT: tuple[What, ...] = ("requests", "tokens")
_NOTHING = dict.fromkeys((f"{what}_{window}" for what in WHAT for window in WINDOWS), 0)


def count(connection: Connection, key_id: int, limits: Limits, now: float) -> Counted:
    """A unit: let a request in and count it, in one statement; one that is over a limit is not counted."""
    if limits == Limits():
        return Counted(ok=True)
    if any(_limit(limits, what, window) == 0 for what in WHAT for window in WINDOWS):
        return Counted(ok=False, rooms=_rooms(limits, _NOTHING, now))
    values: dict[str, Any] = {"key_id": key_id, **_windows(now)}
    values |= {f"most_{what}_{window}": _limit(limits, what, window) for what in WHAT for window in WINDOWS}
    row = connection.execute(_count(connection.dialect.name), values).first()
    counted = row is not None
    row = row or connection.execute(_FIND, {"key_": key_id}).one()
    used: dict[str, int] = _NOTHING | {
        name: getattr(row, name) for name in _NOTHING if getattr(row, name.partition("_")[2]) == values[_window(name)]
    }
    return Counted(ok=counted, rooms=_rooms(limits, used, now))


class Over(LimitReached):
    """A limit is reached; `rooms` is what is left of each of the key's."""

    def __init__(self, full: Room, rooms: tuple[Room, ...]) -> None:
        super().__init__(
            f"Rate limit reached: {full.limit} {full.what} per {full.window}. Please try again later.",
            retry_after=full.resets_in,
        )
        self.rooms = rooms


def count_all(connection: Connection, limited: Mapping[int, Limits], now: float) -> tuple[Room, ...]:
    """A unit: count a request for each of some keys; what is left of their limits. Raises Over, and counts nothing."""
    rooms: tuple[Room, ...] = ()
    for key_id, most in limited.items():
        counted = count(connection, key_id, most, now)
        rooms += counted.rooms
        if (full := counted.full) is not None:
            raise Over(full, counted.rooms)
    return rooms


def add_tokens(connection: Connection, key_id: int, tokens: int, now: float) -> None:
    """A unit: count the tokens of a call that is over; nothing for a key that was never limited."""
    connection.execute(_ADD, {"key_": key_id, "tokens": tokens, **_windows(now)})


def _windows(now: float) -> dict[str, int]:
    return {f"this_{window}": int(now // SECONDS[window]) for window in WINDOWS}


def _window(name: str) -> str:
    return f"this_{name.partition('_')[2]}"


def _limit(limits: Limits, what: What, window: Window) -> int | None:
    return getattr(limits, f"{what}_{window}")


def _rooms(limits: Limits, used: dict[str, int], now: float) -> tuple[Room, ...]:
    return tuple(
        Room(
            what=what,
            window=window,
            limit=limit,
            remaining=max(0, limit - used[f"{what}_{window}"]),
            resets_in=SECONDS[window] - now % SECONDS[window],
        )
        for what in WHAT
        for window in WINDOWS
        if (limit := _limit(limits, what, window)) is not None
    )


def _now(what: What, window: Window) -> Any:
    """What the present window has counted."""
    return case((rates.c[window] == bindparam(f"this_{window}"), rates.c[f"{what}_{window}"]), else_=literal(0))


def _has_room(what: What, window: Window) -> Any:
    most = bindparam(f"most_{what}_{window}", type_=rates.c.key_id.type)
    return or_(most.is_(None), _now(what, window) < most)


_FIND = select(rates).where(rates.c.key_id == bindparam("key_"))
_PRESENT: dict[str, Any] = {window: bindparam(f"this_{window}") for window in WINDOWS}
_ADD = (
    update(rates)
    .where(rates.c.key_id == bindparam("key_"))
    .values(
        **_PRESENT,
        **{f"requests_{window}": _now("requests", window) for window in WINDOWS},
        **{f"tokens_{window}": _now("tokens", window) + bindparam("tokens") for window in WINDOWS},
    )
)


@cache
def _count(dialect: str) -> Any:
    first = {f"requests_{window}": 1 for window in WINDOWS} | {f"tokens_{window}": 0 for window in WINDOWS}
    into: Any = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(rates)
    into = into.values(key_id=bindparam("key_id"), **_PRESENT, **first)
    further = {f"requests_{window}": _now("requests", window) + 1 for window in WINDOWS}
    further |= {f"tokens_{window}": _now("tokens", window) for window in WINDOWS}
    room = and_(*(_has_room(what, window) for what in WHAT for window in WINDOWS))
    return into.on_conflict_do_update(index_elements=["key_id"], set_=_PRESENT | further, where=room).returning(rates)
