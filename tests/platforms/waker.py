"""Waiting for what happens on a local platform."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Signal:
    """Wakes everyone who waits for a change. Without a lock: all of it lives on one loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, predicate: Callable[[], T], timeout: float | None) -> T:
        """The first true value of `predicate`; TimeoutError when there was none in time."""
        async with asyncio.timeout(timeout):
            while not (value := predicate()):
                await self._event.wait()
        return value
