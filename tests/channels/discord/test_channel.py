"""Discord keeps the laws of channels, and costs nothing before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from channels import KINDS, load
from channels.discord.channel import Channel
from tests.channels.discord.given import at, channel_of
from tests.contracts.channel import ChannelLaws
from tests.contracts.channel_abilities import ButtonLaws, EditLaws, FileLaws, ReactionLaws
from tests.platforms.discord import ANNA, BOT, DiscordServer


class LocalDiscord:
    """The local Discord as the laws see a platform."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.chat = server.dm_channel()
        self.address = at(self.chat)
        self.secrets = [server.token, server.token.rpartition(".")[2]]

    def say(self, text: str) -> None:
        self.server.dm(text)

    def say_in_group(self, text: str, *, mention: bool) -> None:
        self.server.say(text, mention=mention)

    def say_nonsense(self) -> None:
        self.server.state.publish("MESSAGE_CREATE", {"id": "nonsense", "channel_id": self.chat, "author": {"id": ANNA}})

    async def sent(self, count: int) -> list[str]:
        return [message["content"] for message in await self.server.wait_sent(self.chat, count)]

    def limit(self, seconds: int) -> None:
        self.server.fail("create_message", 429, retry_after=seconds)

    def limit_edit(self, seconds: int) -> None:
        self.server.fail("edit_message", 429, retry_after=seconds)

    def say_file(self, name: str, media_type: str, content: bytes, text: str) -> None:
        self.server.dm(text, attachments={name: content})

    @property
    def fetched(self) -> bool:
        return bool(self.server.called("download"))

    async def files(self, count: int) -> list[tuple[str, bytes]]:
        sent = await self.server.wait_sent(self.chat, count)
        files = [file for message in sent for file in message["attachments"]]
        return [(file["filename"], self.server.state.files[file["id"]]) for file in files]

    async def press(self, text: str) -> None:
        message = self.server.sent(self.chat)[-1]
        buttons = [button for row in message["components"] for button in row["components"]]
        self.server.press(message, next(button["custom_id"] for button in buttons if button["label"] == text))

    async def reactions(self, count: int) -> list[str]:
        given = self.server.state.reactions
        await self.server.wait_for(lambda: len(given) >= count)
        return [emoji for (_, emoji), users in given.items() if BOT in users]

    def block(self) -> None:
        self.server.refuse_dms(ANNA)

    async def stop(self) -> None:
        await self.server.stop()

    async def start(self) -> None:
        await self.server.start()

    def refuse(self) -> None:
        self.server.revoke_token()


class TestLaws(ChannelLaws, EditLaws, FileLaws, ButtonLaws, ReactionLaws):
    @pytest.fixture
    async def platform(self, server: DiscordServer) -> LocalDiscord:
        return LocalDiscord(server)

    @pytest.fixture
    async def channel(self, platform: LocalDiscord) -> AsyncIterator[Channel]:
        channel = channel_of(platform.server)
        yield channel
        await channel.close()


class TestLoading:
    def test_settings_and_package_need_no_sdk_and_the_class_comes_when_asked_for(self) -> None:
        blocked = "import sys; sys.modules['discord'] = sys.modules['aiohttp'] = None\n"
        code = blocked + "import channels.discord; from channels.discord.config import Discord"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        assert load(KINDS["discord"].channel or "") is Channel

    def test_a_name_that_the_package_has_not_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'Chanel'"):
            load("channels.discord:Chanel")
