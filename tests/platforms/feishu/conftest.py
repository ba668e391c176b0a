"""A local Feishu, a bot on it, and what it hears."""

from collections.abc import AsyncIterator

import pytest

from tests.clock import Clock
from tests.platforms.feishu import FeishuServer
from tests.platforms.feishu.sdk import Bot, Inbox


@pytest.fixture
async def server(clock: Clock) -> AsyncIterator[FeishuServer]:
    async with FeishuServer(clock=clock, retries=(0.01, 0.01)) as server:
        yield server


@pytest.fixture
def bot(server: FeishuServer) -> Bot:
    return Bot(server)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()
