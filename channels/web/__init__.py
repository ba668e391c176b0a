"""Rooms that bothub keeps itself: what the panel and programs with a key talk in.

People speak over `POST /api/v1/web/{room}`, which hands the message to the hub at once, so nothing is heard here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from hub.channel import Intake, Limits, Rooms, Sending
from hub.errors import StoreUnavailable, Unreachable

LIMITS = Limits(
    length=32_768,
    unit="chars",
    per_chat=1_000.0,
    per_group=1_000.0,
    per_bot=10_000.0,
    burst=1_000,
    dedupes=True,
    live=True,
    file_size=50_000_000,
    image_size=50_000_000,
)


class Channel:
    """A channel whose platform is the hub's own store."""

    def __init__(self, name: str, _config: object, rooms: Rooms) -> None:
        self.name = name
        self._rooms = rooms

    @property
    def limits(self) -> Limits:
        return LIMITS

    async def listen(self, intake: Intake) -> None:
        """Be up until cancelled."""
        intake.up()
        await asyncio.Event().wait()

    async def send(self, sending: Sending) -> str:
        """Put the message into its room; the platform's id is the id of the post."""
        with _translated():
            return await self._rooms.post(sending)

    async def close(self) -> None:
        """There is nothing to let go of."""


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except StoreUnavailable as error:
        raise Unreachable("The rooms cannot be written now.", maybe_sent=True) from error
