"""What is done once a minute: statistics, old messages and files forgotten, overdue posts ended, a residue told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from hub.accounts import idempotency
from hub.bus import Bus
from hub.delivery import deliveries
from hub.errors import StoreUnavailable
from hub.message import Message, channel_inbox
from hub.metrics import RESIDUE
from hub.records.rollup import roll_up
from hub.records.rooms import StoredRooms
from hub.uploads import Uploads

log = structlog.get_logger()
EVERY = 60.0
KEEP = 48 * 3600.0
"""How long settled messages are known, in seconds; law 1 asks for 24 h."""
RESIDUE_OVER = 3600.0
HAND_OVER_AFTER = 10.0
"""What was said in a room this long ago and not heard by the hub was cut off in between, in seconds."""


class Upkeep:
    """Keeps the store small and honest."""

    def __init__(
        self,
        bus: Bus,
        rooms: StoredRooms,
        uploads: Uploads,
        accept: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._bus = bus
        self._rooms = rooms
        self._uploads = uploads
        self._accept = accept
        self.parked: Sequence[str] = ()
        """Channels that are not enabled."""

    async def run(self) -> None:
        """Do it every minute until cancelled."""
        while True:
            try:
                await self.once()
            except StoreUnavailable as error:
                log.warning("upkeep put off", error=str(error))
            except Exception:
                log.exception("upkeep failed")
            await asyncio.sleep(EVERY)

    async def once(self) -> None:
        """Do it now."""
        now = self._bus.clock()
        await roll_up(self._bus.store, now)  # before anything goes that is still to be counted
        while await self._bus.sweep(now - KEEP) > 0:
            pass
        while await self._bus.store.write(lambda connection: idempotency.sweep(connection, now)) > 0:
            pass
        while await self._uploads.sweep() > 0:
            pass
        await self._rooms.hand_over(self._accept, now - HAND_OVER_AFTER)
        for channel in self.parked:
            await self._expire(channel)
        residue = await self._bus.residue(now - RESIDUE_OVER)
        if residue:
            log.error("messages without an outcome", residue=residue)
        RESIDUE.set(residue)

    async def _expire(self, channel: str) -> None:
        """End posts that waited too long for a channel that is not enabled."""
        now = self._bus.clock()
        overdue = await self._bus.store.read(lambda connection: deliveries.overdue(connection, channel, now))
        for id in overdue:  # noqa: A001 - the word of the bus
            await self._bus.withdraw(channel_inbox(channel), id, "dead", "expired")
            self._bus.signals.send(f"delivery.{id}")
