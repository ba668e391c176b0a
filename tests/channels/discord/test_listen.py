"""How the channel hears: sessions that are resumed or lost, order, and what nobody can read."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import TCPConnector
from pydantic import ValidationError

from channels.discord.channel import Channel
from channels.discord.client import Resolver, connector_of
from channels.discord.config import Discord
from channels.discord.lanes import Lanes
from hub.errors import ChannelRefused, StoreUnavailable, Unreachable
from tests.channels.discord.given import NAME, at, channel_of, hearing, texts
from tests.contracts.channel import Hub, cancelled, listening, shown, to, watched
from tests.platforms.discord import GENERAL, GUILD, MESSAGE_CONTENT, THREAD, DiscordServer

BREAKS: dict[str, Callable[[DiscordServer], object]] = {
    "closed": lambda server: server.drop_gateway(),
    "cut": lambda server: server.drop_gateway(None),
    "asked": lambda server: server.reconnect_please(),
    "invalid, resumable": lambda server: server.invalidate_session(resumable=True),
    "invalid": lambda server: server.invalidate_session(),
    "forgotten": lambda server: server.drop_gateway(4009),
}
"""Ways in which a connection ends; the last two end the session too."""


class TestConnections:
    @pytest.mark.parametrize("way", BREAKS)
    async def test_nothing_said_around_a_break_is_lost_or_out_of_order(
        self, server: DiscordServer, channel: Channel, way: str
    ) -> None:
        async with hearing(channel) as hub:
            server.say("one")
            server.dm("psst")
            await hub.heard(2)
            BREAKS[way](server)
            for text in ("two", "three"):
                server.say(text)
            server.dm("still there?")
            await hub.heard(5)
            await server.wait_connected()
            server.say("four")
            await hub.until(lambda: "four" in hub.texts)
        assert texts(hub, GENERAL) == ["one", "two", "three", "four"]
        assert texts(hub, server.dm_channel()) == ["psst", "still there?"]

    async def test_a_connection_that_went_silent_ends_quickly_when_cancelled(
        self, server: DiscordServer, channel: Channel, hub: Hub
    ) -> None:
        with watched() as tasks:
            task = asyncio.create_task(channel.listen(hub))
            await hub.is_up()
            server.stop_acking()
            await cancelled(task)
            await channel.close()
        assert [task for task in tasks if not task.done()] == []

    async def test_an_intent_that_is_not_granted_is_explained(self, server: DiscordServer, channel: Channel) -> None:
        server.intents_allowed &= ~MESSAGE_CONTENT
        with pytest.raises(ChannelRefused, match=r"'Message Content Intent' in the developer portal") as caught:
            await channel.listen(Hub())
        assert NAME in str(caught.value)

    async def test_a_token_revoked_while_we_listen_is_refused(
        self, server: DiscordServer, channel: Channel, hub: Hub
    ) -> None:
        task = asyncio.create_task(channel.listen(hub))
        await hub.is_up()
        token = server.token
        server.revoke_token()
        with pytest.raises(ChannelRefused, match="Reset Token") as caught:
            await task
        assert token not in shown(caught.value)

    async def test_a_discord_that_is_away_or_broken_is_unreachable(self, server: DiscordServer) -> None:
        channel = channel_of(server)
        server.fail("connect", 503, times=None)
        with pytest.raises(Unreachable):
            await channel.listen(Hub())
        server.heal()
        await server.stop()
        with pytest.raises(Unreachable, match="cannot be reached"):
            await channel.listen(Hub())

    @pytest.mark.parametrize(("status", "more"), [(429, {"retry_after": 100}), (403, {}), (404, {}), (503, {})])
    async def test_however_discord_refuses_a_login_it_is_tried_again(
        self, server: DiscordServer, channel: Channel, hub: Hub, status: int, more: dict[str, Any]
    ) -> None:
        server.fail("get_me", status, **more)
        with pytest.raises(Unreachable):
            await channel.listen(hub)
        async with listening(channel, hub):
            assert hub.ups == 1

    async def test_a_server_that_the_certificate_does_not_vouch_for_is_not_spoken_to(
        self, server: DiscordServer
    ) -> None:
        channel = channel_of(server, ca_file=None)
        with pytest.raises(Unreachable):
            await channel.listen(Hub())
        assert server.calls == []

    async def test_ten_restarts_leave_one_connection(self, server: DiscordServer, channel: Channel) -> None:
        for _ in range(10):
            async with hearing(channel):
                pass
        async with hearing(channel) as hub:
            server.say("who hears?")
            await hub.heard()
            await asyncio.sleep(0.05)
        assert len(hub.messages) == 1

    async def test_voice_is_not_missed(self, server: DiscordServer, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            logging.getLogger("discord.client").warning("PyNaCl is not installed, voice will NOT be supported")
            logging.getLogger("discord.client").warning("something else")
            async with hearing(channel_of(server)):
                pass
        assert [record.getMessage() for record in caplog.records] == ["something else"]


class TestOrder:
    async def test_a_chat_whose_file_is_slow_keeps_no_other_back(self, server: DiscordServer, channel: Channel) -> None:
        released = server.hang("download")
        async with hearing(channel) as hub:
            server.dm("slow", attachments={"a.txt": b"1"})
            server.dm("after it")
            server.say("elsewhere")
            await hub.heard()
            assert hub.texts == ["elsewhere"]
            released.set()
            await hub.heard(3)
        assert hub.texts == ["elsewhere", "slow", "after it"]

    async def test_a_dead_letter_that_cannot_be_stored_comes_again(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        async with hearing(channel) as hub:
            hub.failures = [StoreUnavailable("down")]
            server.state.publish("MESSAGE_CREATE", {"id": "7", "channel_id": GENERAL, "guild_id": GUILD})
            await hub.until(lambda: bool(hub.dead))
        assert hub.dead[0][0] == f"{NAME}.{GENERAL}.7"

    async def test_events_that_nobody_can_read_end_nothing(self, server: DiscordServer, channel: Channel) -> None:
        async with hearing(channel) as hub:
            server.state.publish("CHANNEL_UPDATE", {"id": "x"})
            server.state.publish("GUILD_ROLE_UPDATE", {"guild_id": GUILD})
            server.say("hello")
            await hub.heard()
            assert len(server.called("connect")) == 1
        assert hub.dead == []

    async def test_a_message_that_we_cannot_handle_is_a_dead_letter_with_its_payload(
        self, server: DiscordServer, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise KeyError("surprise")

        async with hearing(channel) as hub:
            with monkeypatch.context() as patched:
                patched.setattr("channels.discord.listen.read", fail)
                server.say("unlucky")
                await hub.until(lambda: bool(hub.dead))
            server.say("lucky")
            await hub.heard()
        [(_, raw, why)] = hub.dead
        assert json.loads(raw)["content"] == "unlucky"
        assert why == "KeyError: 'surprise'"

    async def test_closed_lanes_forget_what_is_not_done(self) -> None:
        lanes = Lanes("x", 0.001)
        done: list[int] = []

        async def job() -> None:
            done.append(1)
            await asyncio.Event().wait()

        lanes.put("a", job)
        lanes.put("a", job)
        await asyncio.sleep(0)
        await lanes.close()
        assert done == [1]


class TestGone:
    async def test_a_channel_or_thread_that_was_deleted_is_gone_if_we_spoke_there(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        other = server.add_channel("other")
        async with hearing(channel) as hub:
            server.say("hello", THREAD)
            await hub.heard()
            server.delete_channel(other)
            server.delete_channel(THREAD)
            await hub.until(lambda: bool(hub.gone_chats))
        assert hub.gone_chats == {THREAD: "The channel was deleted."}

    async def test_a_server_that_removed_the_bot_takes_its_chats_along(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        async with hearing(channel) as hub:
            server.say("hello")
            server.dm("hello")
            await hub.heard(2)
            server.state.publish("GUILD_DELETE", {"id": GUILD})
            await hub.until(lambda: bool(hub.gone_chats))
        assert hub.gone_chats == {GENERAL: "The bot was removed from the server."}


class TestSettings:
    def settings(self, **given: Any) -> Discord:
        return Discord.model_validate({"kind": "discord", "token": "x", **given})

    @pytest.mark.parametrize(
        ("given", "key"),
        [
            ({"token": ""}, "token"),
            ({"token": "two words"}, "token"),
            ({"base_url": "http://127.0.0.1:1"}, "base_url"),
            ({"ca_file": "not-there.pem"}, "ca_file"),
            ({"catch_up": "2d"}, "catch_up"),
        ],
    )
    def test_what_keeps_it_from_running_is_named(self, given: dict[str, Any], key: str) -> None:
        assert [name for name, _ in self.settings(**given).faults()] == [key]

    def test_sound_settings_have_no_faults(self) -> None:
        assert list(self.settings(catch_up="30m").faults()) == []
        with pytest.raises(ValidationError):
            self.settings(catch_up="soon")

    async def test_a_certificate_that_is_none_is_the_operators_to_mend(
        self, server: DiscordServer, tmp_path: Path
    ) -> None:
        (tmp_path / "bad.pem").write_text("nonsense")
        channel = channel_of(server, ca_file=tmp_path / "bad.pem")
        with pytest.raises(ChannelRefused, match="ca_file"):
            await channel.listen(Hub())
        with pytest.raises(ChannelRefused, match="ca_file"):
            await channel.send(to(at(GENERAL), "x"))

    async def test_only_a_base_url_leads_discords_names_elsewhere(self) -> None:
        connector = connector_of(self.settings())
        assert isinstance(connector, TCPConnector)
        found = await Resolver("https://127.0.0.1:8443").resolve("gateway-eu.discord.gg", 443)
        assert [(address["hostname"], address["host"], address["port"]) for address in found] == [
            ("gateway-eu.discord.gg", "127.0.0.1", 8443)
        ]
        await connector.close()
