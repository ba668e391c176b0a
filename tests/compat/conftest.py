"""The hub that a user of one of the four systems finds in its place: keyless clients act as `local`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.serving import behind, hub, key, models, served, upstream
from tests.compat.asking import ASSISTANT, HERMIT
from tests.e2e.hub import demo_config, telegram_channel
from tests.platforms.openai import Upstream
from tests.platforms.telegram import TelegramServer

__all__ = ["hub", "key", "models", "served", "settings", "telegram", "upstream"]


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def telegram() -> AsyncIterator[TelegramServer]:
    """Where the hub's Telegram bot is."""
    async with TelegramServer() as server:
        yield server


@pytest.fixture(scope="package")
def settings(models: Upstream, telegram: TelegramServer) -> dict[str, Any]:
    """A local key, short queues, a Telegram bot, and agents and models by the names that their documents use."""
    return demo_config(
        api={"port": 0, "local_key": "local"},
        bus={"lease": "600ms", "extend": "200ms", "lane_limit": 3},
        models={
            "demo": {"provider": "demo"},
            "gpt": behind(models, "gpt-test", multiple=True),
            "claude-3-sonnet": behind(models, "sonnet-test", multiple=True),
            "c37": behind(models, "c37-test"),
            "your-embedding-model": behind(models, "embed-test"),
        },
        agents={
            "assistant": {"model": "demo", "tools": ["message"], "posts_to": ["*"]},
            "writer": {"model": "gpt", "tools": ["message"], "posts_to": ["*"]},
            "lettabot": {"model": "demo"},
            "poet": {"model": "gpt", "id": ASSISTANT, "system_prompt": "You are a poet.", "temperature": 0.7},
            "hermit": {"model": "demo", "id": HERMIT, "public": False},
        },
        channels={
            "web": {"kind": "web", "agent": "assistant"},
            "support": telegram_channel(telegram.base_url, telegram.token, groups="mention"),
        },
    )
