"""Telegram keeps the laws of channels, and costs nothing before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from channels import KINDS, load
from channels.telegram.channel import Channel
from hub.errors import ChannelRefused
from tests.channels.telegram.given import HERE, channel_of
from tests.contracts.channel import ChannelLaws, shown
from tests.contracts.channel_abilities import ButtonLaws, EditLaws, FileLaws, ReactionLaws
from tests.platforms.telegram import TelegramServer


class LocalTelegram:
    """The local Telegram as the laws see a platform."""

    def __init__(self, server: TelegramServer) -> None:
        self.server = server
        self.address = HERE
        self.secrets = [server.token, server.token.partition(":")[2]]

    def say(self, text: str) -> None:
        self.server.say(text)

    def say_in_group(self, text: str, *, mention: bool) -> None:
        self.server.say(text, kind="group", mention=mention)

    def say_nonsense(self) -> None:
        self.server.push_raw({"message": {"message_id": "nonsense"}})

    async def sent(self, count: int) -> list[str]:
        return [message["text"] for message in await self.server.wait_sent(count=count)]

    def limit(self, seconds: int) -> None:
        self.server.fail("sendMessage", 429, retry_after=seconds)

    def block(self) -> None:
        self.server.fail("sendMessage", 403, "Forbidden: bot was blocked by the user")

    def limit_edit(self, seconds: int) -> None:
        self.server.fail("editMessageText", 429, retry_after=seconds)

    def say_file(self, name: str, media_type: str, content: bytes, text: str) -> None:
        self.server.say_media("document", content, name, mime_type=media_type, caption=text)

    @property
    def fetched(self) -> bool:
        return bool(self.server.called("getFile"))

    async def files(self, count: int) -> list[tuple[str, bytes]]:
        await self.server.wait_sent(count=count)
        return [(file.name, file.data) for file in self.server.state.files.values()]

    async def press(self, text: str) -> None:
        message = (await self.server.wait_sent())[-1]
        buttons = [button for row in message["reply_markup"]["inline_keyboard"] for button in row]
        self.server.press(message, next(button["callback_data"] for button in buttons if button["text"] == text))

    async def reactions(self, count: int) -> list[str]:
        found = self.server.state.reactions
        await self.server.wait_for(lambda: len(found) >= count)
        return [emoji for each in found.values() for emoji in each]

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    def refuse(self) -> None:
        self.server.token = "1:revoked"


class TestLaws(ChannelLaws, EditLaws, FileLaws, ButtonLaws, ReactionLaws):
    @pytest.fixture
    async def platform(self, server: TelegramServer) -> LocalTelegram:
        return LocalTelegram(server)

    @pytest.fixture
    async def channel(self, platform: LocalTelegram) -> AsyncIterator[Channel]:
        channel = channel_of(platform.server)
        yield channel
        await channel.close()


class TestLoading:
    def test_settings_and_package_need_no_sdk_and_the_class_comes_when_asked_for(self) -> None:
        blocked = "import sys; sys.modules['aiogram'] = sys.modules['aiohttp'] = None\n"
        code = blocked + "import channels.telegram; from channels.telegram.config import Telegram"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        assert load(KINDS["telegram"].channel or "") is Channel

    def test_a_name_that_the_package_has_not_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'Chanel'"):
            load("channels.telegram:Chanel")

    async def test_a_token_of_the_wrong_shape_is_refused_without_showing_it(self, server: TelegramServer) -> None:
        with pytest.raises(ChannelRefused, match="token of channel 'support'") as caught:
            channel_of(server, token=SecretStr("${" + "NOT_SET}"))
        assert "${NOT_SET}" not in shown(caught.value)
