"""The long connection: what it takes, what it acknowledges and when, and how it ends."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from channels.feishu.channel import Channel
from hub.errors import ChannelRefused, StoreUnavailable, Unreachable
from hub.message import Message
from tests.channels.feishu.given import NAME, channel_of
from tests.contracts.channel import Hub, listening
from tests.platforms.feishu import ANNA, BORIS, CHLOE, GROUP, P2P, FeishuServer


async def test_an_event_is_acknowledged_once_it_is_stored_and_not_before(
    server: FeishuServer, channel: Channel, hub: Hub
) -> None:
    async with listening(channel, hub):
        hub.gate.clear()
        event = server.push_event("im.chat.updated_v1", {})
        await server.wait_push(event)
        server.say("hello")
        await hub.until(lambda: bool(hub.asked))
        await asyncio.sleep(0.05)
        assert len(server.pushes) == 1
        hub.gate.set()
        await server.wait_for(lambda: len(server.pushes) == 2)
    assert server.pushes[-1].status == 200
    assert server.pushes[-1].took >= 0.05


async def test_an_event_that_comes_again_is_the_same_message(channel: Channel, hub: Hub) -> None:
    server = FeishuServer(ack_within=0.1, retries=(0.05,))
    async with server:
        channel = channel_of(server)
        async with listening(channel, hub):
            hub.gate.clear()
            said = server.say("once")
            await server.wait_for(lambda: bool(server.pushes))
            hub.gate.set()
            first, second = await hub.heard(2)
        await channel.close()
    assert first == second
    assert first.id == f"{NAME}.{P2P}.{said['message_id']}"


async def test_kinds_of_events_that_it_does_not_know_are_acknowledged(
    server: FeishuServer, channel: Channel, hub: Hub
) -> None:
    async with listening(channel, hub):
        said = server.say("x")
        await hub.heard()
        for event in (server.push_event("im.message.message_read_v1", {}), server.react(said), server.recall(said)):
            assert (await server.wait_push(event)).status == 200
    assert (len(hub.messages), hub.dead) == (1, [])


async def test_what_it_cannot_read_is_acknowledged_and_kept_as_a_dead_letter(
    server: FeishuServer, channel: Channel, hub: Hub
) -> None:
    async with listening(channel, hub):
        event = server.push_event("im.message.receive_v1", {"sender": {}, "message": {"content": 7}})
        assert (await server.wait_push(event)).status == 200
        server.say_content("text", {"texts": "no text"})
        await hub.until(lambda: len(hub.dead) == 2)
    assert hub.dead[0][0] == f"{NAME}.event.{event}"
    assert b"receive_v1" in hub.dead[0][1]


async def test_a_slow_chat_holds_up_no_other(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        released = server.hang("resource.get")
        server.say_image(b"\x89PNG slow")
        server.say("after it")
        server.say("elsewhere", user=BORIS)
        [heard] = await hub.heard()
        assert heard.text == "elsewhere"
        released.set()
        await hub.heard(3)
    assert [message.text for message in hub.messages] == ["elsewhere", "", "after it"]


async def test_each_chat_keeps_its_order_however_long_storing_takes(
    server: FeishuServer, channel: Channel, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = hub.accept

    async def slowly(message: Message) -> None:
        await asyncio.sleep(random.random() / 200)
        await accept(message)

    monkeypatch.setattr(hub, "accept", slowly)
    async with listening(channel, hub):
        for number in range(60):
            server.say(str(number), user=(ANNA, BORIS, CHLOE)[number % 3])
            if number % 7 == 0:
                await asyncio.sleep(0.01)
        await hub.heard(60)
    for chat in {message.address for message in hub.messages}:
        said = [int(message.text) for message in hub.messages if message.address == chat]
        assert said == sorted(said)
        assert len(said) == 20


async def test_a_long_event_in_several_frames_is_one_message(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    server.sockets.frame_bytes = 300
    async with listening(channel, hub):
        server.say("long " * 200)
        [heard] = await hub.heard()
    assert heard.text == ("long " * 200).strip()


async def test_frames_that_are_none_are_passed_over(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        await server.sockets.connections[0].socket.send_bytes(b"\xff\xff no frame")
        server.say("still here")
        await hub.heard()


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_connection_that_ends_is_unreachable_and_what_came_meanwhile_is_heard(
    server: FeishuServer, channel: Channel, hub: Hub, how: str
) -> None:
    task = asyncio.create_task(channel.listen(hub))
    await hub.is_up()
    await server.wait_connected()
    if how == "close":
        await server.sockets.close()
    else:
        server.sockets.abort()
    with pytest.raises(Unreachable, match=NAME):
        await task
    server.say("meanwhile")
    async with listening(channel, hub):
        await hub.heard()
    assert hub.texts == ["meanwhile"]


async def test_it_pings_as_often_as_feishu_says(channel: Channel, hub: Hub) -> None:
    config = {"ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 0, "PingInterval": 0.02}
    async with FeishuServer(client_config=config) as server:
        channel = channel_of(server)
        async with listening(channel, hub):
            await server.wait_for(lambda: server.sockets.pings > 3)
        await channel.close()


async def test_too_many_connections_are_said_and_tried_again(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    server.sockets.limit = 0
    with pytest.raises(Unreachable, match="too many long connections"):
        await channel.listen(hub)
    server.sockets.limit = 1
    async with listening(channel, hub):
        assert hub.ups == 1


@pytest.mark.parametrize(
    ("method", "fault", "error", "words"),
    [
        ("endpoint", {"code": 1, "status": 200}, Unreachable, "out of order"),
        ("endpoint", {"code": 1000040343, "status": 200}, Unreachable, "out of order"),
        ("endpoint", {"code": 1000040345, "status": 200}, ChannelRefused, "app_secret"),
        ("endpoint", {"json": False}, Unreachable, "not Feishu"),
        ("endpoint", {"code": 514, "status": 200}, ChannelRefused, "app_secret"),
        ("endpoint", {"code": 99999, "status": 200}, Unreachable, "99999"),
        ("bot.info", {"code": 11205}, ChannelRefused, "'Bot'"),
        ("bot.info", {"code": 99991400}, Unreachable, "wait"),
        ("token", {"code": 10003, "status": 200}, ChannelRefused, "app_id"),
    ],
)
async def test_a_start_that_fails_says_why(
    server: FeishuServer,
    channel: Channel,
    hub: Hub,
    method: str,
    fault: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    server.fail(method, **fault)
    with pytest.raises(error, match=words):
        await channel.listen(hub)
    assert hub.ups == 0


async def test_the_store_may_be_away_for_long(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        hub.failures = [StoreUnavailable("down")] * 6
        server.say("patience")
        await hub.heard()
    assert hub.texts == ["patience"]


async def test_a_chat_that_the_bot_had_to_leave_is_gone(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        server.remove_bot()
        await hub.until(lambda: GROUP in hub.gone_chats)
        assert "removed" in hub.gone_chats[GROUP]
        server.add_bot()
        server.dissolve()
        await hub.until(lambda: "dissolved" in hub.gone_chats[GROUP])
