"""The channel under test and the local Telegram it talks to."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from channels.telegram.channel import Channel
from channels.telegram.config import Telegram
from hub.message import Address, Message
from tests.contracts.channel import Hub, listening
from tests.platforms.telegram import GROUP, PRIVATE, TelegramServer

SECOND = 0.02
NAME = "support"
HERE = Address(NAME, str(PRIVATE))
IN_GROUP = Address(NAME, str(GROUP))


def channel_of(
    server: TelegramServer, *, timeout: float = 20.0, poll: int = 25, watch: float = 60, **config: Any
) -> Channel:
    settings = {"kind": "telegram", "token": SecretStr(server.token), "base_url": server.base_url, **config}
    model = Telegram.model_validate(settings)
    return Channel(NAME, model, timeout=timeout, poll=poll, back_off=0.001, album=0.02, watch=watch)


async def hear(server: TelegramServer, channel: Channel, *args: Any, **said: Any) -> Message:
    """Someone writes, and this is what the hub gets."""
    hub = Hub()
    async with listening(channel, hub):
        server.say(*args, **said)
        [message] = await hub.heard()
    return message
