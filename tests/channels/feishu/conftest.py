"""A local Feishu, a channel that talks to it, and a hub that hears."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.feishu.channel import Channel
from tests.channels.feishu.given import channel_of
from tests.contracts.channel import Hub
from tests.platforms.feishu import FeishuServer


@pytest.fixture
async def server() -> AsyncIterator[FeishuServer]:
    async with FeishuServer() as server:
        yield server


@pytest.fixture
async def channel(server: FeishuServer) -> AsyncIterator[Channel]:
    channel = channel_of(server)
    yield channel
    await channel.close()


@pytest.fixture
def hub() -> Hub:
    return Hub()
