"""The web rooms keep the laws of channels that are not about hearing: people speak into them over HTTP."""

from __future__ import annotations

from typing import cast

import pytest

from channels.web import Channel
from hub.channel import Sending
from hub.message import Address, Text
from tests.contracts.channel import LivingLaws, Platform, SendingLaws

HERE = Address("web", "lobby")


class LocalRooms:
    """Rooms in memory."""

    def __init__(self) -> None:
        self.address = HERE
        self.posts: list[Sending] = []

    async def post(self, sending: Sending) -> str:
        self.posts.append(sending)
        return str(len(self.posts))

    async def sent(self, count: int) -> list[str]:
        assert len(self.posts) >= count
        return [post.part.text for post in self.posts if isinstance(post.part, Text)]


class TestLaws(LivingLaws, SendingLaws):
    @pytest.fixture
    async def platform(self) -> Platform:
        return cast(Platform, LocalRooms())

    @pytest.fixture
    async def channel(self, platform: Platform) -> Channel:
        return Channel("web", None, cast(LocalRooms, platform))
