"""The hub that a user of one of the four systems finds in its place: keyless clients act as `local`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.serving import hub, key, served, upstream
from tests.e2e.hub import telegram_channel
from tests.platforms.telegram import TelegramServer

ASSISTANT = "6f1c2f0e-2d0b-4f6e-8d52-0a6b1c7d9e10"
"""The id of the agent `poet`."""
__all__ = ["hub", "key", "served", "settings", "telegram", "upstream"]


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def telegram() -> AsyncIterator[TelegramServer]:
    """Where the hub's Telegram bot is."""
    async with TelegramServer() as server:
        yield server


@pytest.fixture(scope="package")
def settings(telegram: TelegramServer) -> dict[str, Any]:
    """A local key, short queues, a Telegram bot, and agents by the names and ids of their documents."""
    support = telegram_channel(telegram.base_url, telegram.token, groups="mention")
    return {
        "api": {"port": 0, "local_key": "local"},
        "bus": {"lease": "600ms", "extend": "200ms", "lane_limit": 3},
        "agents": {
            "assistant": {"model": "demo", "tools": ["message"], "posts_to": ["*"]},
            "writer": {"model": "gpt", "tools": ["message"], "posts_to": ["*"]},
            "lettabot": {"model": "demo"},
            "poet": {"model": "gpt", "id": ASSISTANT, "system_prompt": "You are a poet.", "temperature": 0.7},
        },
        "channels": {"web": {"kind": "web", "agent": "assistant"}, "support": support},
    }
