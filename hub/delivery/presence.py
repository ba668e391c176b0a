"""Shows in chats that an answer is being written."""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from hub.bus import Bus
from hub.channel import ShowsTyping
from hub.message import Address, Live

log = structlog.get_logger()
TYPING_FOR = 10.0
"""Typing is shown this long after a turn's last sign of life, in seconds."""


class Presence:
    """Shows typing in the chats whose turns run, for as long as they give signs of life."""

    def __init__(self, bus: Bus, name: str, channel: ShowsTyping, every: float) -> None:
        self._bus = bus
        self._topic = f"live.{name}"
        self._channel = channel
        self._every = every
        self._until: dict[Address, float] = {}
        self._tasks: dict[Address, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow the channel's turns until cancelled."""
        with self._bus.signals.listen(self._topic) as signs:
            try:
                while True:
                    payload = await signs.next()
                    if payload is not None:
                        self._notice(_LIVE.decode(payload))
            finally:
                for task in self._tasks.values():
                    task.cancel()
                await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _notice(self, live: Live) -> None:
        if live.kind == "done":
            self._until.pop(live.address, None)
            return
        self._until[live.address] = self._bus.clock() + TYPING_FOR
        if live.address not in self._tasks:
            self._tasks[live.address] = asyncio.create_task(self._show(live.address), name=f"typing {live.address}")

    async def _show(self, address: Address) -> None:
        while self._until.get(address, 0.0) > self._bus.clock():
            try:
                await self._channel.typing(address)
            except Exception as error:  # noqa: BLE001 - a sign of typing is worth no message
                log.debug("typing not shown", address=str(address), error=str(error))
            await asyncio.sleep(self._every)
        self._until.pop(address, None)
        del self._tasks[address]


_LIVE = msgspec.json.Decoder(Live)
