"""A local Telegram, a channel that talks to it, and a hub that hears."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.telegram.channel import Channel
from tests.channels.telegram.given import SECOND, channel_of
from tests.contracts.channel import Hub
from tests.platforms.telegram import TelegramServer


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer(second=SECOND) as server:
        yield server


@pytest.fixture
async def channel(server: TelegramServer) -> AsyncIterator[Channel]:
    channel = channel_of(server)
    yield channel
    await channel.close()


@pytest.fixture
async def hasty(server: TelegramServer) -> AsyncIterator[Channel]:
    """A channel that waits a second for an answer."""
    channel = channel_of(server, timeout=1.0)
    yield channel
    await channel.close()


@pytest.fixture
def hub() -> Hub:
    return Hub()
