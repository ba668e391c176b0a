"""The channel under test and the local Feishu it talks to."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from channels.feishu.channel import Channel
from channels.feishu.config import Feishu
from hub.message import Address, Message
from tests.contracts.channel import Hub, listening
from tests.platforms.feishu import GROUP, P2P, FeishuServer

NAME = "team"
HERE = Address(NAME, P2P)
IN_GROUP = Address(NAME, GROUP)


def config_of(server: FeishuServer, **config: Any) -> Feishu:
    settings: dict[str, Any] = {
        "kind": "feishu",
        "app_id": server.app_id,
        "app_secret": SecretStr(server.app_secret),
        "base_url": server.base_url,
        **config,
    }
    return Feishu.model_validate(settings)


def channel_of(server: FeishuServer, *, timeout: float = 20.0, **config: Any) -> Channel:
    return Channel(NAME, config_of(server, **config), timeout=timeout, back_off=0.001)


async def hear(server: FeishuServer, channel: Channel, *args: Any, **said: Any) -> Message:
    """Someone writes, and this is what the hub gets."""
    hub = Hub()
    async with listening(channel, hub):
        server.say(*args, **said)
        [message] = await hub.heard()
    return message
