"""The web rooms keep the laws of channels that are not about hearing: people speak into them over HTTP."""

from __future__ import annotations

from typing import cast

import pytest

from channels.web import Channel
from hub.channel import Channel as Port
from hub.channel import Sending
from hub.message import Address, File, Text
from tests.contracts.channel import Hub, LivingLaws, Platform, SendingLaws
from tests.contracts.channel_abilities import FileLaws, FilePlatform

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

    async def files(self, count: int) -> list[tuple[str, bytes]]:
        assert len(self.posts) >= count
        return [(post.part.name, post.content) for post in self.posts if isinstance(post.part, File)]


class TestLaws(LivingLaws, SendingLaws, FileLaws):
    @pytest.fixture
    async def platform(self) -> FilePlatform:
        return cast(FilePlatform, LocalRooms())

    @pytest.mark.difference("people's files come over HTTP: tests/api/test_web_files.py")
    async def test_21_a_file_is_stored_and_stands_among_the_parts(
        self, platform: FilePlatform, channel: Port, hub: Hub
    ) -> None: ...

    @pytest.mark.difference("the same: who posts a file there has a key")
    async def test_21_of_those_who_may_not_talk_no_file_is_fetched(
        self, platform: FilePlatform, channel: Port, hub: Hub
    ) -> None: ...

    @pytest.fixture
    async def channel(self, platform: Platform) -> Channel:
        return Channel("web", None, cast(LocalRooms, platform))
