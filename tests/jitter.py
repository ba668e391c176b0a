"""`pytest --jitter[=SEED]`: results come late at random, as on a busy machine, so that a test that races shows it.

What other threads hand to an event loop (answers of SQLite, of `to_thread`) keeps its order and comes up to
`LATE_SECONDS` later; now and then a whole loop stands still for as long. Nothing that asyncio promises is broken.
"""

from __future__ import annotations

import time
from asyncio import Handle, base_events
from random import Random
from typing import Any
from weakref import WeakKeyDictionary

LATE_SECONDS = 0.05
LATE_CHANCE = 0.5
STALL_CHANCE = 0.02

Loop = base_events.BaseEventLoop


def install(seed: int) -> None:
    """Make every event loop of this process late, in the same way for the same seed as far as threads allow."""
    random = Random(seed)
    due: WeakKeyDictionary[Loop, float] = WeakKeyDictionary()
    hand_over, run_once = Loop.call_soon_threadsafe, Loop._run_once  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]

    def lateness(chance: float) -> float:
        return random.random() * LATE_SECONDS if random.random() < chance else 0.0

    def call_soon_threadsafe(self: Loop, callback: Any, *args: Any, context: Any = None) -> Handle:
        def arrive() -> None:
            # Timers at one time have no order; two callbacks from one thread have.
            at = due[self] = max(due.get(self, 0.0) + 1e-6, self.time() + lateness(LATE_CHANCE))
            self.call_at(at, callback, *args, context=context)

        return hand_over(self, arrive)

    def _run_once(self: Loop) -> None:
        if pause := lateness(STALL_CHANCE):
            time.sleep(pause)
        run_once(self)

    setattr(Loop, "call_soon_threadsafe", call_soon_threadsafe)  # noqa: B010
    setattr(Loop, "_run_once", _run_once)  # noqa: B010
