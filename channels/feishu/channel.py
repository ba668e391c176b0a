"""One Feishu (or Lark) app as a channel."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from channels.feishu.api import Api
from channels.feishu.config import Feishu
from channels.feishu.errors import translated
from channels.feishu.hear import Ears
from channels.feishu.render import LENGTH, size
from channels.feishu.send import Mouth
from hub.channel import Intake, Limits, Sending
from hub.errors import ChannelError, ChannelRefused, Unreachable
from hub.message import Address

LIMITS = Limits(
    length=LENGTH,
    unit="bytes",
    per_chat=5.0,
    per_group=5.0,
    per_bot=50.0,
    burst=3,
    typing_seconds=None,
    dedupes=True,
    edit_every=0.3,
    edit_every_group=0.3,
    file_size=30 * 2**20,
    image_size=10 * 2**20,
)


class Channel:
    """An app that hears over a long connection, or by webhook.

    `timeout` is how long Feishu may take to answer, `back_off` the first wait when the hub cannot store; in seconds.
    """

    def __init__(self, name: str, config: Feishu, *, timeout: float = 15.0, back_off: float = 1.0) -> None:
        self.name = name
        self._config = config
        self._back_off = back_off
        self._api = Api(config, timeout=timeout)
        self._ears = Ears(name, config, self._api)
        self._mouth = Mouth(name, self._api, self._ears)

    @property
    def limits(self) -> Limits:
        return LIMITS

    def size(self, text: str) -> int:
        return size(text)

    async def listen(self, intake: Intake) -> None:
        """Hand over what people say until cancelled; in webhook mode only say that Feishu knows us."""
        try:
            await self._listen(intake)
        except (ChannelRefused, Unreachable):
            raise
        except ChannelError as error:
            raise Unreachable(str(error)) from None

    async def _listen(self, intake: Intake) -> None:
        with translated(self.name):
            await self._ears.bot()
        if self._config.mode == "webhook":
            intake.up()
            await asyncio.Event().wait()
        socket: Any = await asyncio.to_thread(import_module, "channels.feishu.socket")
        await socket.Connection(self._ears, self._api, intake, back_off=self._back_off).run()

    async def send(self, sending: Sending) -> str:
        with translated(self.name):
            return await self._mouth.send(sending)

    async def edit(self, sending: Sending, platform_id: str) -> None:
        with translated(self.name):
            await self._mouth.edit(sending, platform_id)

    async def delete(self, address: Address, platform_id: str) -> None:  # noqa: ARG002 - the port names it
        """Recall a message, wherever it is; one that is not there any more is no error."""
        with translated(self.name):
            await self._mouth.delete(platform_id)

    async def react(self, address: Address, platform_id: str, emoji: str) -> None:  # noqa: ARG002 - the port names it
        """Put an emoji below a message; Feishu has no others than its own."""
        with translated(self.name):
            await self._mouth.react(platform_id, emoji)

    async def close(self) -> None:
        await self._api.close()
