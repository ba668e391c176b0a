"""A local Telegram, and a bot on it."""

from collections.abc import AsyncIterator

import pytest
from aiogram import Bot

from tests.clock import Clock
from tests.platforms.telegram import TelegramServer
from tests.platforms.telegram.client import SECOND, bot_of


@pytest.fixture
async def server(clock: Clock) -> AsyncIterator[TelegramServer]:
    async with TelegramServer(clock=clock, second=SECOND) as server:
        yield server


@pytest.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    async with bot_of(server, server.token) as bot:
        yield bot
