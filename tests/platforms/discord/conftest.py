"""A local Discord, and a bot on it."""

from collections.abc import AsyncIterator

import pytest

from tests.clock import Clock
from tests.platforms.discord import DiscordServer
from tests.platforms.discord.client import Bot, running


@pytest.fixture
async def server(clock: Clock) -> AsyncIterator[DiscordServer]:
    async with DiscordServer(clock=clock) as server:
        yield server


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[Bot]:
    async with running(server) as bot:
        yield bot
