"""When keys were last used: noted in memory, and written for all of them together every few seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hub.accounts import keyring
from hub.errors import StoreUnavailable
from hub.store import Store

log = logging.getLogger(__name__)
EVERY = 5.0


class LastUse:
    """Notes uses of keys, so that no request waits for a write."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._noted: dict[int, float] = {}

    def note(self, id: int) -> None:
        """A key was used now."""
        self._noted[id] = self._clock()

    async def flush(self) -> None:
        """Write what was noted; what cannot be written stays noted."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            await self._store.write(lambda connection: keyring.used(connection, noted))
        except BaseException as error:
            self._noted = noted | self._noted  # also where this is cancelled: it may be written twice
            if not isinstance(error, StoreUnavailable):
                raise
            log.warning("The last use of keys is not written: %s", error)

    async def run(self) -> None:
        """Write it every few seconds until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.flush()
