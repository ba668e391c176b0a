"""PORT: signals between tasks and processes: wake-ups and signs of life.

A signal is a topic (any text, by custom words joined by dots) and a small payload. It may be lost and never blocks
its sender; whoever waits for one falls back to looking for itself.
"""

from __future__ import annotations

from typing import Protocol, Self

POLL = 1.0
"""How long to wait for a signal before looking for oneself, in seconds."""
BACKLOG = 4096
"""Signals a listener keeps that it has not looked at; older ones are lost."""
LARGEST = 1 << 20
"""The longest payload, in bytes; a signal with a longer one is lost."""


class Listener(Protocol):
    """Receives the signals of one topic from the moment it was made; a context manager, for one task at a time."""

    async def next(self, timeout: float | None = None) -> bytes | None:
        """The next payload, or None after `timeout` seconds without one."""
        ...

    def clear(self) -> None:
        """Forget what came so far."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Signals(Protocol):
    """Carries signals."""

    def send(self, topic: str, payload: bytes = b"") -> None:
        """Tell everyone who listens to the topic now; never waits, never raises."""
        ...

    def listen(self, topic: str) -> Listener:
        """Start to listen to a topic; signals of other processes may take a moment to arrive from then on."""
        ...

    async def close(self) -> None:
        """Carry nothing any more."""
        ...
