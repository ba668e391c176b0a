"""What the channel hears, it acknowledges only once the hub has it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

from channels.telegram.channel import Channel
from hub.errors import ChannelRefused, StoreUnavailable, Unreachable
from tests.channels.telegram.given import channel_of
from tests.contracts.channel import Hub, cancelled, listening, shown
from tests.patience import PATIENCE
from tests.platforms.telegram import PRIVATE, TelegramServer

TROUBLES: dict[str, Callable[[TelegramServer], object]] = {
    "502": lambda server: server.fail("getUpdates", 502),
    "page": lambda server: server.fail("getUpdates", 502, json=False),
    "400": lambda server: server.fail("getUpdates", 400, "Bad Request: strange"),
    "reset": lambda server: server.reset("getUpdates"),
    "lost": lambda server: server.reset("getUpdates", handled=True),
    "hang": lambda server: server.hang("getUpdates"),
}


class TestConnecting:
    async def test_the_menu_of_commands_is_offered(self, server: TelegramServer, channel: Channel, hub: Hub) -> None:
        async with listening(channel, hub):
            assert [command["command"] for command in server.state.commands] == [
                "new",
                "stop",
                "status",
                "agent",
                "memory",
                "help",
                "pair",
            ]

    async def test_the_menu_leaves_out_what_is_off(self, server: TelegramServer, hub: Hub) -> None:
        channel = channel_of(server, commands={"new": [123], "status": "off", "help": "off"})
        async with listening(channel, hub):
            assert [command["command"] for command in server.state.commands] == [
                "new",
                "stop",
                "agent",
                "memory",
                "pair",
            ]
        await channel.close()

    async def test_no_menu_where_commands_are_off(self, server: TelegramServer, hub: Hub) -> None:
        channel = channel_of(server, commands=False)
        async with listening(channel, hub):
            assert server.called("setMyCommands") == []
        await channel.close()

    @pytest.mark.parametrize("code", [400, 429, 500])
    async def test_a_menu_that_is_refused_keeps_nobody_from_talking(
        self, server: TelegramServer, channel: Channel, hub: Hub, code: int
    ) -> None:
        server.fail("setMyCommands", code)
        async with listening(channel, hub):
            server.say("hello")
            await hub.heard()

    async def test_a_webhook_is_removed_and_what_waited_for_it_is_heard(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        async with ClientSession() as http:
            await http.post(f"{server.base_url}/bot{server.token}/setWebhook", json={"url": "http://127.0.0.1:9/"})
        server.say("while it was set")
        async with listening(channel, hub):
            await hub.heard()
        assert hub.texts == ["while it was set"]

    async def test_without_a_webhook_none_is_removed(self, server: TelegramServer, channel: Channel, hub: Hub) -> None:
        async with listening(channel, hub):
            assert server.called("deleteWebhook") == []

    @pytest.mark.parametrize("code", [401, 404])
    async def test_a_refused_token_says_what_to_do(
        self, server: TelegramServer, channel: Channel, hub: Hub, code: int
    ) -> None:
        server.fail("getMe", code)
        with pytest.raises(ChannelRefused) as caught:
            await channel.listen(hub)
        assert str(caught.value) == (
            "Telegram refuses the token of channel 'support': create a new one with @BotFather, set it and "
            "start the hub again."
        )

    async def test_a_token_revoked_while_listening_ends_it(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        task = asyncio.create_task(channel.listen(hub))
        await hub.is_up()
        server.token = "1:revoked"
        with pytest.raises(ChannelRefused):
            await task

    async def test_another_program_with_the_token_is_named_as_the_cause(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        other = channel_of(server)
        task = asyncio.create_task(channel.listen(hub))
        await hub.is_up()
        async with listening(other, Hub()):
            with pytest.raises(Unreachable, match="Another program polls Telegram with the token of channel 'support'"):
                await task
        await other.close()

    async def test_a_webhook_set_while_listening_is_named_as_the_cause(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.fail("getUpdates", 409, "Conflict: terminated by setWebhook request")
        with pytest.raises(Unreachable, match="A webhook is set"):
            await channel.listen(hub)

    @pytest.mark.parametrize("trouble", TROUBLES)
    async def test_whatever_breaks_a_poll_is_unreachable_and_the_next_try_hears(
        self, server: TelegramServer, hasty: Channel, hub: Hub, trouble: str
    ) -> None:
        TROUBLES[trouble](server)
        with pytest.raises(Unreachable) as caught:
            await hasty.listen(hub)
        assert server.token not in shown(caught.value)
        assert hub.ups == 0
        server.say("still here")
        async with listening(hasty, hub):
            await hub.heard()

    async def test_a_long_poll_that_is_never_answered_is_given_up(self, server: TelegramServer, hub: Hub) -> None:
        channel = channel_of(server, timeout=1.0, poll=1)
        task = asyncio.create_task(channel.listen(hub))
        await hub.is_up()
        server.hang("getUpdates", times=None)
        with pytest.raises(Unreachable, match="did not answer"):
            await task
        await channel.close()

    async def test_asked_to_wait_it_waits_as_long_as_told(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.fail("getUpdates", 429, retry_after=1)
        async with listening(channel, hub):
            first, second = server.called("getUpdates")[:2]
        assert first.status == 429
        assert second.at - first.at >= 1

    async def test_a_cancel_ends_the_poll_on_the_wire_and_leaves_no_socket(
        self, server: TelegramServer, hub: Hub
    ) -> None:
        before = sockets()
        channel = channel_of(server)
        server.hang("getUpdates", times=None)
        task = asyncio.create_task(channel.listen(hub))
        poll = await server.wait_call("getUpdates")
        await cancelled(task)
        await server.wait_for(lambda: poll.abandoned)
        await channel.close()
        async with asyncio.timeout(PATIENCE):
            while sockets() > before:  # noqa: ASYNC110 - closed by the loop, in its time
                await asyncio.sleep(0)


def sockets() -> int:
    """How many sockets this process has open."""
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    return sum(1 for link in links if _target(link).startswith("socket:"))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


class TestOffset:
    async def test_it_does_not_move_before_the_hub_has_stored(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            hub.gate.clear()
            server.say("one")
            server.say("two")
            await hub.until(lambda: len(hub.asked) == 1)
            assert offsets(server) <= {None}
            first = server.updates.pending[0]["update_id"]
            hub.gate.set()
            await server.wait_for(lambda: first + 2 in offsets(server))
        assert offsets(server) - {None} == {first + 2}

    async def test_it_does_not_move_while_the_store_is_away(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            hub.failures = [StoreUnavailable("down")] * 50
            server.say("one")
            await hub.until(lambda: len(hub.asked) == 3)
            assert offsets(server) <= {None}

    async def test_a_dead_letter_is_stored_before_it_moves(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        hub.failures = [StoreUnavailable("down")]
        nonsense = server.push_raw({"message": {"message_id": "nonsense"}})
        async with listening(channel, hub):
            await server.wait_for(lambda: nonsense["update_id"] + 1 in offsets(server))
        [(update, raw, why)] = hub.dead
        assert update == f"support.update.{nonsense['update_id']}"
        assert json.loads(raw) == nonsense
        assert "message.chat" in why

    async def test_what_was_not_acknowledged_has_the_same_id_after_a_restart(
        self, server: TelegramServer, hub: Hub
    ) -> None:
        said = server.say("one")
        for _ in range(2):
            channel = channel_of(server)
            hub.gate.clear()
            async with listening(channel, hub):
                await hub.until(lambda: bool(hub.asked))
            await channel.close()
        assert {message.id for message in hub.asked} == {f"support.{PRIVATE}.{said['message_id']}"}
        assert len(hub.asked) == 2

    async def test_a_long_backlog_is_heard_in_order(self, server: TelegramServer, channel: Channel, hub: Hub) -> None:
        for number in range(250):
            server.say(str(number), 1000 + number % 7)
        async with listening(channel, hub):
            await hub.heard(250)
        assert hub.texts == [str(number) for number in range(250)]

    async def test_a_message_that_the_hub_stumbles_over_is_a_dead_letter(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            hub.failures = [KeyError("a bug")]
            server.say("one")
            server.say("two")
            await hub.heard()
        assert hub.texts == ["two"]
        assert [(update.split(".")[1], why) for update, _, why in hub.dead] == [("update", "KeyError: 'a bug'")]

    async def test_text_that_is_no_unicode_is_kept_in_its_dead_letter(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            hub.failures = [UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "no")]
            server.say("half \ud83d")
            await hub.until(lambda: bool(hub.dead))
        assert json.loads(hub.dead[0][1])["message"]["text"] == "half \ud83d"


def offsets(server: TelegramServer) -> set[int | None]:
    return {call.params.get("offset") for call in server.called("getUpdates")}
