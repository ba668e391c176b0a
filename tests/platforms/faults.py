"""What goes wrong on demand on a local platform."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web


@dataclass(kw_only=True)
class Fault:
    """What happens to the next `times` calls of `method` ("*": of any) in `chat` (None: in any).

    `refuse` gives `answer` instead of handling the call, `hang` holds the call until `released`, `drop` cuts the
    connection before the call is handled, `lose` after.
    """

    kind: Literal["refuse", "hang", "drop", "lose"]
    method: str
    chat: int | str | None
    times: int | None
    answer: Callable[[], web.Response] | None = None
    released: asyncio.Event | None = None

    def meets(self, method: str, chat: object) -> bool:
        return self.method in ("*", method) and self.chat in (None, chat)


class Faults:
    """The faults to come, used up in the order they were made."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, method: str, chat: object) -> Fault | None:
        """The fault this call meets, counted down."""
        fault = next((waiting for waiting in self._waiting if waiting.meets(method, chat)), None)
        if fault and fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._waiting.remove(fault)
        return fault


@dataclass(frozen=True, kw_only=True)
class Rate:
    """At most `count` calls in any `seconds`."""

    count: int
    seconds: float
