"""The laws of a channel, for Feishu."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.feishu.channel import Channel
from hub.message import Address
from tests.channels.feishu.given import HERE, channel_of
from tests.contracts.channel import ChannelLaws
from tests.platforms.feishu import P2P, FeishuServer


class LocalFeishu:
    """The laws' view of the local Feishu."""

    def __init__(self, server: FeishuServer) -> None:
        self.server = server
        self.token = ""

    @property
    def address(self) -> Address:
        return HERE

    @property
    def secrets(self) -> list[str]:
        return [self.server.app_secret, *self.server.state.tokens]

    def say(self, text: str) -> None:
        self.server.say(text)

    def say_in_group(self, text: str, *, mention: bool) -> None:
        self.server.say(text, kind="group", mention=mention)

    def say_nonsense(self) -> None:
        self.server.push_event("im.message.receive_v1", {"sender": {}, "message": {"chat_id": P2P, "content": 7}})

    async def sent(self, count: int) -> list[str]:
        return [message["text"] for message in await self.server.wait_sent(P2P, count)]

    def limit(self, seconds: int) -> None:
        self.server.fail("message.create", reset=seconds)

    def block(self) -> None:
        self.server.block()

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    def refuse(self) -> None:
        self.server.state.app_secret = "another"
        self.server.revoke()


class TestFeishuLaws(ChannelLaws):
    @pytest.fixture
    async def platform(self) -> AsyncIterator[LocalFeishu]:
        async with FeishuServer() as server:
            yield LocalFeishu(server)

    @pytest.fixture
    async def channel(self, platform: LocalFeishu) -> AsyncIterator[Channel]:
        channel = channel_of(platform.server)
        yield channel
        await channel.close()
