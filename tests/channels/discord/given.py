"""The channel under test and the local Discord it talks to."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from channels.discord.channel import Channel
from channels.discord.config import Discord
from hub.message import Address, Message
from tests.contracts.channel import Hub, listening
from tests.platforms.discord import DiscordServer

NAME = "workshop"


def channel_of(server: DiscordServer, *, timeout: float = 20.0, **config: Any) -> Channel:
    settings = {
        "kind": "discord",
        "token": SecretStr(server.token),
        "base_url": server.base_url,
        "ca_file": server.ca_file,
        **config,
    }
    return Channel(NAME, Discord.model_validate(settings), timeout=timeout, back_off=0.001, settle=0.05, pause=0.01)


def at(chat: str) -> Address:
    return Address(NAME, chat)


@asynccontextmanager
async def hearing(channel: Channel) -> AsyncGenerator[Hub]:
    """A hub that hears what the channel does."""
    hub = Hub()
    async with listening(channel, hub):
        yield hub


async def hear(server: DiscordServer, channel: Channel, *args: Any, **said: Any) -> Message:
    """Someone writes, and this is what the hub gets."""
    async with hearing(channel) as hub:
        server.say(*args, **said)
        [message] = await hub.heard()
    return message


def texts(hub: Hub, chat: str) -> list[str]:
    return [message.text for message in hub.messages if message.address == at(chat)]
