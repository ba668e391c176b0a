"""What many viewers look at, read once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from hub.errors import LimitReached
from hub.store import Connection, Store

T = TypeVar("T")
FRESH = 1.0
"""For how many seconds what was read is good for others too."""
KEPT = 60.0
"""For how many seconds what was read stays in memory at the most, once something else is read."""
MOST = 200
"""Viewers that are kept up to date at a time."""


class Shared:
    """Reads by name; two that are asked for at once are one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reads: dict[str, tuple[float, asyncio.Task[Any]]] = {}
        self.viewers = 0
        """How many are kept up to date now."""

    def check(self) -> None:
        """Raise LimitReached when there is no place for another viewer."""
        if self.viewers >= MOST:
            raise LimitReached("Too many pages are open.", retry_after=10)

    @contextmanager
    def watching(self) -> Generator[None]:
        """Somebody is kept up to date meanwhile."""
        self.viewers += 1
        try:
            yield
        finally:
            self.viewers -= 1

    async def read(self, name: str, unit: Callable[[Connection], T], fresh: float = FRESH) -> T:
        """What the unit reads, or read for somebody else less than `fresh` seconds ago; a name stands for one unit."""
        now = asyncio.get_running_loop().time()
        begun, task = self._reads.get(name, (0.0, None))
        if task is None or now - begun >= fresh or (task.done() and task.exception() is not None):
            self._forget(now)
            task = asyncio.create_task(self._store.read(unit))  # pyright: ignore[reportArgumentType] - is a coroutine
            self._reads[name] = (now, task)
        return await asyncio.shield(task)

    def _forget(self, now: float) -> None:
        """Let go of what nobody will be given any more."""
        old = [name for name, (begun, task) in self._reads.items() if task.done() and now - begun >= KEPT]
        for name in old:
            del self._reads[name]
