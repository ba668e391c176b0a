"""How long a model takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from hub.model import Pace


class Stopwatch:
    """Times one model call; `clock` gives Unix seconds, what lies between is measured by a clock that nobody sets."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.pace: Pace | None = None
        self._clock = clock
        self._at = 0.0
        self._began = 0.0
        self._first: float | None = None

    def start(self) -> None:
        """The model is asked."""
        self._at, self._began = self._clock(), time.perf_counter()

    def lap(self) -> None:
        """It says something; the first time counts."""
        if self._first is None:
            self._first = self._passed()

    def stop(self) -> None:
        """It has ended; `pace` is known from now on."""
        self.pace = Pace(at=self._at, first=self._first, seconds=self._passed())

    def _passed(self) -> float:
        return round(time.perf_counter() - self._began, 4)
