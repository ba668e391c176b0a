"""One Discord bot as a channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from channels.discord import send
from channels.discord.client import Speaker
from channels.discord.config import Discord
from channels.discord.errors import translated
from channels.discord.listen import Session
from channels.discord.memory import Memory
from channels.discord.render import render
from hub import text
from hub.channel import Intake, Limits, Sending
from hub.errors import ChatGone, MessageRefused, RateLimited, Unreachable
from hub.message import Address

LIMITS = Limits(
    length=send.LENGTH,
    unit="utf16",
    per_chat=1.0,
    per_group=1.0,
    per_bot=45.0,
    burst=4,
    typing_seconds=8.0,
    dedupes=True,
    edit_every=1.2,
    edit_every_group=1.2,
    file_size=10 * 2**20,
    image_size=10 * 2**20,
)
"""Discord takes five messages in five seconds from a bot in a channel, and fifty calls in a second altogether."""

SLOWEST = 100_000.0
"""How many bytes a second a connection must take at least."""


class Channel:
    """A bot at Discord's gateway.

    `timeout` is how long Discord may take to answer, `back_off` the first wait when the hub cannot store, `settle` how
    long a new session waits for its servers to be named, `pause` the wait before a second session; all in seconds.
    """

    def __init__(
        self,
        name: str,
        config: Discord,
        *,
        timeout: float = 30.0,
        back_off: float = 1.0,
        settle: float = 2.0,
        pause: float = 5.0,
    ) -> None:
        self.name = name
        self._config = config
        self._timeout = timeout
        self._back_off = back_off
        self._settle = settle
        self._pause = pause
        self._memory = Memory()
        self._speaker: Speaker | None = None
        self._entering = asyncio.Lock()

    @property
    def limits(self) -> Limits:
        return LIMITS

    async def listen(self, intake: Intake) -> None:
        """Hand over what people say until cancelled; what was not stored is read again from the chats' history."""
        session = Session(
            self.name,
            self._config,
            intake,
            self._memory,
            back_off=self._back_off,
            settle=self._settle,
            pause=self._pause,
        )
        try:
            with translated(self.name):
                await session.run()
        except (RateLimited, MessageRefused, ChatGone) as error:
            raise Unreachable(str(error)) from None

    async def send(self, sending: Sending) -> str:
        async with self._call(_patience(sending)) as speaker:
            return await send.send(speaker, self._memory, sending)

    async def edit(self, sending: Sending, platform_id: str) -> None:
        async with self._call(_patience(sending)) as speaker:
            await send.edit(speaker, self._memory, sending, platform_id)

    async def delete(self, address: Address, platform_id: str) -> None:
        async with self._call() as speaker:
            await send.delete(speaker, address, platform_id)

    async def typing(self, address: Address) -> None:
        """Show that the bot writes, for 10 s or until a message comes; raises a ChannelError that may be ignored."""
        async with self._call() as speaker:
            await send.typing(speaker, address)

    async def react(self, address: Address, platform_id: str, emoji: str) -> None:
        async with self._call() as speaker:
            await send.react(speaker, address, platform_id, emoji)

    def size(self, text_: str) -> int:
        return text.size(render(text_), LIMITS.unit)

    async def close(self) -> None:
        speaker, self._speaker = self._speaker, None
        if speaker is not None:
            await speaker.leave()

    @asynccontextmanager
    async def _call(self, more: float = 0.0) -> AsyncGenerator[Speaker]:
        """One that may speak, and errors that the hub knows; `more` seconds than usual for what is large."""
        speaker = await self._enter()
        with translated(self.name):
            async with asyncio.timeout(self._timeout + more):
                yield speaker

    async def _enter(self) -> Speaker:
        """Log in before the first word."""
        async with self._entering:
            if self._speaker is None:
                try:
                    with translated(self.name):
                        self._speaker = await self._entered()
                except Unreachable as error:
                    raise Unreachable(str(error)) from None  # nothing was sent yet
            return self._speaker

    async def _entered(self) -> Speaker:
        speaker = Speaker(self._config)
        try:
            async with asyncio.timeout(self._timeout):
                await speaker.enter()
        except BaseException:
            await speaker.leave()
            raise
        return speaker


def _patience(sending: Sending) -> float:
    return len(sending.content) / SLOWEST
