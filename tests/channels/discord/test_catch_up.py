"""What was said while nobody listened."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from channels.discord.channel import Channel
from hub.errors import Unreachable
from hub.message import File
from tests.channels.discord.given import NAME, at, channel_of, hearing, texts
from tests.contracts.channel import Hub, listening
from tests.platforms.discord import ANNA, BORIS, GENERAL, THREAD, VOICE, DiscordServer


class HubWithChats(Hub):
    """A hub that knows where something was said."""

    def __init__(self, *known: str) -> None:
        super().__init__()
        self.known = list(known)

    async def chats(self) -> list[str]:
        return self.known


class TestCatchUp:
    async def test_what_was_said_while_nobody_listened_is_heard_in_order(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        for number in range(230):
            server.say(f"{number}")
        server.say("in a thread", THREAD)
        server.say("in a voice chat", VOICE)
        async with hearing(channel) as hub:
            await hub.heard(232)
        assert texts(hub, GENERAL) == [str(number) for number in range(230)]
        assert {at(THREAD), at(VOICE)} < {message.address for message in hub.messages}

    async def test_quiet_channels_cost_no_call(self, server: DiscordServer, channel: Channel) -> None:
        server.say("only here", THREAD)
        async with hearing(channel) as hub:
            await hub.heard()
        assert [call.channel for call in server.called("get_messages")] == [THREAD]

    async def test_what_is_older_than_the_window_is_left(self) -> None:
        now = [time.time() - 7200]
        async with DiscordServer(clock=lambda: now[0]) as server:
            server.say("long ago")
            now[0] = time.time()
            server.say("lately")
            async with hearing(channel_of(server)) as hub:
                await hub.heard()
                await asyncio.sleep(0.05)
        assert hub.texts == ["lately"]

    async def test_no_window_reads_nothing(self, server: DiscordServer) -> None:
        server.say("before")
        async with hearing(channel_of(server, catch_up=0)) as hub:
            server.say("after")
            await hub.heard()
        assert hub.texts == ["after"]

    async def test_direct_chats_of_people_named_in_config_are_read(self, server: DiscordServer) -> None:
        server.dm("are you there?", BORIS)
        async with hearing(channel_of(server, allow=[BORIS, "not an id", "999"])) as hub:
            [heard] = await hub.heard()
        assert (heard.text, heard.direct, heard.author.name) == ("are you there?", True, "Борис")

    async def test_direct_chats_that_the_hub_knows_are_read(self, server: DiscordServer, channel: Channel) -> None:
        said = server.dm("are you there?")
        hub = HubWithChats(server.dm_channel(), "77", "nonsense", GENERAL)
        async with listening(channel, hub):
            [heard] = await hub.heard()
        assert heard.id == f"{NAME}.{server.dm_channel()}.{said['id']}"
        assert heard.direct

    async def test_a_thread_that_was_closed_meanwhile_is_read_and_not_taken_for_a_direct_chat(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        thread = server.make_thread("Old")
        server.say("in the old thread", thread, mention=True)
        server.archive(thread)
        async with listening(channel, hub := HubWithChats(thread)):
            [heard] = await hub.heard()
        assert heard.address == at(thread)
        assert (heard.direct, heard.mentioned) == (False, True)

    async def test_chats_that_the_hub_knows_and_that_are_quiet_cost_one_call(self) -> None:
        now = [time.time() - 7200]
        async with DiscordServer(clock=lambda: now[0]) as server:
            server.dm("long ago")
            now[0] = time.time()
            async with listening(channel_of(server), hub := HubWithChats(server.dm_channel())):
                server.say("now")
                await hub.heard()
                await server.wait_call("get_channel")
        assert server.called("get_messages") == []
        assert hub.texts == ["now"]

    async def test_a_history_that_is_not_ours_to_read_keeps_nothing_back(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        server.say("secret")
        server.say("in a voice chat", VOICE)
        server.forbid("read_history")
        server.fail("get_messages", 403, 50001, channel=VOICE)
        async with hearing(channel) as hub:
            server.say("hello")
            await hub.heard()
        assert hub.texts == ["hello"]

    async def test_a_history_that_discord_does_not_give_now_ends_the_session(
        self, server: DiscordServer, channel: Channel, hub: Hub
    ) -> None:
        server.say("hello")
        server.reset("get_messages", times=2)
        with pytest.raises(Unreachable):
            await channel.listen(hub)
        async with listening(channel, hub):
            await hub.heard()
        assert hub.texts == ["hello"]

    async def test_files_of_what_was_missed_are_kept(self, server: DiscordServer, channel: Channel) -> None:
        server.say("look", mention=True, attachments={"a.txt": b"1"})
        async with hearing(channel) as hub:
            [heard] = await hub.heard()
        assert isinstance(heard.parts[-1], File)

    async def test_what_nobody_can_read_in_a_history_is_a_dead_letter(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        server.say("one")
        server.state.store(GENERAL, server.state.user(ANNA), content="two", mentions="nonsense")
        server.say("three")
        async with hearing(channel) as hub:
            await hub.heard(2)
        assert hub.texts == ["one", "three"]
        [(_, raw, _)] = hub.dead
        assert json.loads(raw)["content"] == "two"

    async def test_what_is_said_meanwhile_comes_after_what_was_missed(
        self, server: DiscordServer, channel: Channel, hub: Hub
    ) -> None:
        server.say("missed")
        released = server.hang("get_messages")
        async with listening(channel, hub):
            await server.wait_call("get_messages")
            server.say("now")
            server.dm("elsewhere")
            await hub.heard()
            assert hub.texts == ["elsewhere"]
            released.set()
            await hub.heard(3)
        assert hub.texts == ["elsewhere", "missed", "now"]
