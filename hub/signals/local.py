"""Signals within one process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from math import inf
from typing import Self

import structlog

from hub.signals import BACKLOG, LARGEST

log = structlog.get_logger()


class LocalListener:
    """Receives the signals of one topic in one event loop."""

    def __init__(self, signals: LocalSignals, topic: str) -> None:
        self._signals = signals
        self._topic = topic
        self._waiting: deque[bytes] = deque(maxlen=BACKLOG)
        self._waker: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = inf

    def put(self, payload: bytes) -> None:
        self._waiting.append(payload)
        self._wake()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def next(self, timeout: float | None = None) -> bytes | None:
        if not self._waiting:
            await self._wait(timeout)
        return self._waiting.popleft() if self._waiting else None

    async def _wait(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._waker = loop.create_future()
        self._until = inf if timeout is None else loop.time() + timeout
        # One timer for many waits: this is done for every piece of every stream, and a timer a piece costs 5 µs.
        if timeout is not None and (self._timer is None or self._timer.when() > self._until):
            self._set_timer(loop)
        try:
            await self._waker
        finally:
            self._waker = None

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._stop_timer()
        self._timer = loop.call_at(self._until, self._look, loop)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the wait that is over; the present one may have begun later than the timer."""
        self._timer = None
        if self._waker is None or self._until == inf:
            return
        if loop.time() < self._until:
            self._set_timer(loop)
        else:
            self._wake()

    def clear(self) -> None:
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_timer()
        self._signals.forget(self._topic, self)


class LocalSignals:
    """Signals between the tasks of one event loop."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[LocalListener]] = {}

    @property
    def topics(self) -> Collection[str]:
        """The topics that somebody listens to."""
        return self._listeners.keys()

    def send(self, topic: str, payload: bytes = b"") -> None:
        if len(payload) > LARGEST:
            log.debug("signal lost: too large", topic=topic, bytes=len(payload))
            return
        for listener in self._listeners.get(topic, ()):
            listener.put(payload)

    def listen(self, topic: str) -> LocalListener:
        listener = LocalListener(self, topic)
        self._listeners.setdefault(topic, set()).add(listener)
        return listener

    def forget(self, topic: str, listener: LocalListener) -> None:
        listeners = self._listeners.get(topic, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(topic, None)

    async def close(self) -> None:
        self._listeners.clear()
