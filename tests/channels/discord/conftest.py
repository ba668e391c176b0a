"""A local Discord, a channel that talks to it, and a hub that hears."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.discord.channel import Channel
from tests.channels.discord.given import channel_of
from tests.contracts.channel import Hub
from tests.platforms.discord import DiscordServer


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
async def channel(server: DiscordServer) -> AsyncIterator[Channel]:
    channel = channel_of(server)
    yield channel
    await channel.close()


@pytest.fixture
def hub() -> Hub:
    return Hub()
