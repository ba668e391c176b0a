"""The local Feishu's long connections, taken by the real lark-oapi."""

import asyncio
from typing import Any

import pytest

from tests.platforms.feishu import BORIS, P2P, FeishuServer
from tests.platforms.feishu.frames import DATA, Frame, decode
from tests.platforms.feishu.sdk import Bot, Inbox, LongConnection, connected, dispatcher, lark, ws

CARD = {"tag": "button", "behaviors": [{"type": "callback", "value": {"go": 1}}]}


def boom(event: Any) -> None:
    raise ValueError("a bug in a handler")


class TestFrames:
    def test_a_frame_survives_the_wire(self) -> None:
        frame = Frame(method=DATA, headers={"type": "event", "é": "🛟"}, payload=b"\x00" * 300, service=33554678, log=1)
        assert decode(frame.encode()) == frame

    def test_the_sdk_reads_it_alike(self) -> None:
        read = ws.Frame()
        read.ParseFromString(
            Frame(method=DATA, headers={"sum": "1"}, payload=b"{}", service=7, sequence=2**40).encode()
        )
        assert (read.SeqID, read.service, read.method, read.payload) == (2**40, 7, 1, b"{}")
        assert decode(read.SerializeToString()).headers == {"sum": "1"}

    @pytest.mark.parametrize("data", [b"\x08", b"\x42\x05ab", b"\x0d\x01\x01\x01\x01"])
    def test_what_is_no_frame_is_refused(self, data: bytes) -> None:
        with pytest.raises(ValueError, match="not a frame"):
            decode(data)


class TestLongConnection:
    async def test_an_event_is_taken_and_acknowledged(self, server: FeishuServer, inbox: Inbox) -> None:
        async with connected(server, inbox):
            server.say("hello")
            await server.wait_for(lambda: server.pushes)
        [push] = server.pushes
        assert (inbox.texts, push.status, push.by, push.kind) == (["hello"], 200, "socket", "im.message.receive_v1")
        assert 0 < push.took < 3
        assert inbox.ids == [push.event_id]

    async def test_what_is_said_before_anyone_is_connected_waits(self, server: FeishuServer, inbox: Inbox) -> None:
        server.say("early")
        async with connected(server, inbox):
            await server.wait_for(lambda: server.pushes)
        assert inbox.texts == ["early"]

    async def test_a_ping_is_answered_with_the_clients_config(self, inbox: Inbox) -> None:
        async with (
            FeishuServer(
                client_config={"ReconnectCount": 3, "ReconnectInterval": 4, "ReconnectNonce": 5, "PingInterval": 6}
            ) as server,
            connected(server, inbox) as connection,
        ):
            connection.client._ping_interval = 120
            await connection.ping()
            server.say("after the pong")
            await server.wait_for(lambda: server.pushes)
            assert (server.sockets.pings, connection.client._ping_interval) == (1, 6)

    async def test_a_server_that_answers_no_ping_can_be_had(self, server: FeishuServer, inbox: Inbox) -> None:
        async with connected(server, inbox) as connection:
            server.sockets.answer_pings = False
            connection.client._ping_interval = 1
            await connection.ping()
            await server.wait_for(lambda: server.sockets.pings)
            server.say("hello")
            await server.wait_for(lambda: server.pushes)
            assert connection.client._ping_interval == 1

    async def test_a_handlers_error_brings_the_same_event_again(self, server: FeishuServer, inbox: Inbox) -> None:
        async with LongConnection(server, dispatcher(im_message_receive_v1=boom)):
            server.say("hello")
            await server.wait_for(lambda: not server.events.pending)
        assert [push.status for push in server.pushes] == [500] * 3
        assert len({push.event_id for push in server.pushes}) == 1

    async def test_an_event_not_acknowledged_in_time_comes_again(self, inbox: Inbox) -> None:
        async with FeishuServer(ack_within=0.02, retries=(0.01,)) as server:
            connection = connected(server, inbox)
            connection.client._handle_message = deaf
            async with connection:
                server.say("hello")
                await server.wait_for(lambda: not server.events.pending)
            assert [push.status for push in server.pushes] == [None, None]

    async def test_a_long_payload_comes_in_several_frames(self, server: FeishuServer, inbox: Inbox) -> None:
        server.sockets.frame_bytes = 10_000
        async with connected(server, inbox):
            server.say("🛟" * 20_000)
            await server.wait_for(lambda: server.pushes)
        assert inbox.texts == ["🛟" * 20_000]

    async def test_a_card_callback_is_answered_inside_the_acknowledgement(
        self, server: FeishuServer, inbox: Inbox
    ) -> None:
        sent = (await Bot(server).create(P2P, card(CARD), "interactive")).data.message_id
        async with connected(server, inbox, card_action_trigger=answer_press):
            push = await server.wait_push(server.press(sent, {"go": 1}, BORIS))
        assert (push.answer or {})["toast"] == {"content": "pressed by ou_boris: {'go': 1}", "type": "info"}
        assert server.sent()[0]["text"] == "pressed"

    async def test_a_card_callback_is_sent_once(self, server: FeishuServer, inbox: Inbox) -> None:
        sent = (await Bot(server).create(P2P, card(CARD), "interactive")).data.message_id
        async with connected(server, inbox, card_action_trigger=boom):
            push = await server.wait_push(server.press(sent, {"go": 1}))
            await server.wait_for(lambda: not server.events.pending)
        assert (len(server.pushes), push.status) == (1, 500)
        with pytest.raises(ValueError, match="no button"):
            server.press(sent, {"go": 2})

    async def test_two_clients_take_turns(self, server: FeishuServer, inbox: Inbox) -> None:
        other = Inbox()
        async with connected(server, inbox), connected(server, other):
            server.say("one")
            server.say("two")
            await server.wait_for(lambda: len(server.pushes) == 2)
        assert sorted([inbox.texts, other.texts]) == [["one"], ["two"]]

    async def test_an_event_type_nobody_handles_is_refused_by_the_sdk(self, server: FeishuServer, inbox: Inbox) -> None:
        async with connected(server, inbox):
            push = await server.wait_push(server.push_event("im.some.new_thing_v9", {}))
        assert push.status == 500


class TestConnectionFaults:
    @pytest.mark.parametrize("fault", ["close", "abort", "stop"])
    async def test_a_connection_ends_and_what_was_said_meanwhile_comes_on_the_next(
        self, server: FeishuServer, inbox: Inbox, fault: str
    ) -> None:
        async with connected(server, inbox) as connection:
            if fault == "close":
                await server.sockets.close(1001)
            elif fault == "abort":
                server.sockets.abort()
            else:
                await server.stop()
            await connection.ended()
        server.say("meanwhile")
        if fault == "stop":
            await server.start()
        async with connected(server, inbox):
            await server.wait_for(lambda: inbox.events)
        assert (inbox.texts, server.sockets.connects) == (["meanwhile"], 2)

    async def test_an_event_lost_with_its_connection_comes_again(self, server: FeishuServer, inbox: Inbox) -> None:
        connection = connected(server, inbox)
        connection.client._handle_message = deaf
        async with connection:
            server.say("hello")
            await server.wait_for(lambda: server.sockets.connections[0].owed)
            server.sockets.abort()
            await connection.ended()
        async with connected(server, inbox):
            await server.wait_for(lambda: not server.events.pending)
        assert [push.status for push in server.pushes] == [None, 200]
        assert inbox.texts == ["hello"]

    async def test_a_wrong_secret_is_not_connected(self, server: FeishuServer, inbox: Inbox) -> None:
        with pytest.raises(ws.ClientException, match="app_id or app_secret is invalid"):
            await LongConnection(server, dispatcher(), secret="wrong").__aenter__()

    async def test_one_connection_too_many_is_refused(self, server: FeishuServer, inbox: Inbox) -> None:
        server.sockets.limit = 1
        async with connected(server, inbox):
            with pytest.raises(ws.ClientException, match="exceeded the limit"):
                await connected(server, inbox).__aenter__()

    async def test_a_busy_system_passes(self, server: FeishuServer, inbox: Inbox) -> None:
        server.fail("endpoint", 1, "system busy")
        with pytest.raises(ws.ServerException, match="system busy"):
            await connected(server, inbox).__aenter__()
        async with connected(server, inbox):
            await server.wait_connected()


async def deaf(frame: bytes) -> None:
    """A client that reads and never answers."""


def card(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "press"}, *elements]}}


def answer_press(event: Any) -> Any:
    who, value = event.event.operator.open_id, event.event.action.value
    pressed = {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "pressed"}]}}
    return {
        "toast": {"type": "info", "content": f"pressed by {who}: {value}"},
        "card": {"type": "raw", "data": pressed},
    }


async def test_the_stock_client_runs_in_its_own_thread(server: FeishuServer, inbox: Inbox) -> None:
    """Blocking discovery, own loop, own reconnecting: the server serves it like any other."""
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        ws.loop = loop
        client = ws.Client(
            server.app_id,
            server.app_secret,
            event_handler=dispatcher(im_message_receive_v1=inbox),
            domain=server.base_url,
            log_level=lark.LogLevel.CRITICAL,
        )
        with pytest.raises(RuntimeError, match="Event loop stopped"):
            client.start()
        loop.run_until_complete(client._disconnect())
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()

    server.sockets.client_config = {**server.sockets.client_config, "ReconnectInterval": 0}
    thread = asyncio.create_task(asyncio.to_thread(run))
    await server.wait_connected()
    await server.sockets.close()
    await server.wait_for(lambda: server.sockets.connects == 2)
    server.say("hello")
    await server.wait_for(lambda: server.pushes)
    loop.call_soon_threadsafe(loop.stop)
    await thread
    assert inbox.texts == ["hello"]
