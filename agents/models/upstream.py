"""What every model over a network does alike: its patience, its tries, its errors without our secrets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

from hub.errors import ModelError, ModelUnavailable
from hub.message import Value
from hub.retry import delay

_T = TypeVar("_T")
_LONGEST_WAIT = 30.0
"""Seconds; whoever asks us to wait longer is not asked again."""
_SHORTEST_SECRET = 8
"""A key shorter than this is a placeholder, and may be a word of any sentence."""


class Timeouts(Value, frozen=True, kw_only=True):
    """Seconds to wait for a connection, the first chunk, each further one, and an answer that is not streamed."""

    connect: float = 10.0
    first: float = 60.0
    idle: float = 60.0
    whole: float = 300.0


class Upstream:
    """One model of one server; `secrets` never stand in its errors."""

    def __init__(
        self,
        *,
        model: str,
        secrets: Sequence[str],
        timeouts: Timeouts | None = None,
        retries: int = 2,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.model = model
        self.timeouts = timeouts or Timeouts()
        self._secrets = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]
        self._retries = retries
        self._sleep = sleep

    def translate(self, error: Exception) -> ModelError | None:
        """What an error on the way to the upstream and back means; None for one that is not the upstream's."""
        raise NotImplementedError

    async def persistently(self, attempt: Callable[[], Awaitable[_T]], *, hurry: bool = False) -> _T:
        """Try again what may pass, unless in a hurry, and wait as long as the upstream asks; raises ModelError."""
        for number in count(1):
            try:
                with self.translated():
                    return await attempt()
            except ModelUnavailable as error:
                wait = error.retry_after
                if wait is None:
                    wait = delay(number, first=0.5, jitter=random.random())  # noqa: S311
                if hurry or number > self._retries or wait > _LONGEST_WAIT:
                    raise
            await self._sleep(wait)
        raise AssertionError

    @contextmanager
    def translated(self) -> Generator[None]:
        """Whatever goes wrong on the way to the upstream and back leaves as a ModelError without our secrets."""
        try:
            yield
        except Exception as error:
            known = self.translate(error)
            if known is None:
                raise
            text = str(known)
            for secret in self._secrets:
                text = text.replace(secret, "***")
            if text != str(known):
                raise type(known)(text, status=known.status, retry_after=known.retry_after) from None
            raise known from (error if error is not known else error.__cause__)
