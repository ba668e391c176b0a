"""Telegram pushes: nothing without the secret, and acknowledged only once it is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from channels import KINDS, load
from channels.telegram.channel import Channel
from channels.telegram.config import Telegram
from channels.telegram.receive import Receiver
from hub.errors import ChannelRefused, Forbidden, StoreUnavailable, Unreachable
from hub.message import File, Text
from tests.channels.telegram.given import HERE, NAME, channel_of
from tests.contracts.channel import Hub, cancelled, listening
from tests.platforms.telegram import PRIVATE, TelegramServer

HEADER = "x-telegram-bot-api-secret-token"
SECRET = "a-secret_of-the-webhook"
HEADERS = {HEADER: SECRET}


def settings(server: TelegramServer, public_url: str = "http://127.0.0.1:9") -> dict[str, Any]:
    return {"mode": "webhook", "webhook_secret": SECRET, "public_url": public_url, "base_url": server.base_url}


def receiver_of(server: TelegramServer, **config: Any) -> Receiver:
    return Receiver(NAME, Telegram.model_validate({"token": server.token, **settings(server), **config}))


def update(text: str = "hello", number: int = 1) -> bytes:
    chat = {"id": PRIVATE, "type": "private", "first_name": "Anna"}
    said = {"message_id": number, "date": 1, "chat": chat, "text": text}
    return json.dumps({"update_id": number, "message": {**said, "from": {**chat, "is_bot": False}}}).encode()


@asynccontextmanager
async def pushed_to(receiver: Receiver, hub: Hub) -> AsyncGenerator[str]:
    """An HTTP server that hands over to the receiver; yields its address."""

    async def answer(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            answer = await receiver.receive(headers, await request.read(), hub)
        except StoreUnavailable:
            return web.Response(status=503)
        return web.Response(status=answer.status, body=answer.body)

    app = web.Application()
    app.router.add_post(f"/webhooks/telegram/{NAME}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


class TestReceiver:
    async def test_what_knows_the_secret_is_stored(self, server: TelegramServer, hub: Hub) -> None:
        answer = await receiver_of(server).receive(HEADERS, update(), hub)
        assert answer.status == 200
        [message] = hub.messages
        assert (message.id, message.address, message.text) == (f"{NAME}.{PRIVATE}.1", HERE, "hello")

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {HEADER: ""},
            {"x-telegram-bot-api-secret-token": SECRET + "x"},
            {"secret": SECRET},
        ],
    )
    async def test_what_does_not_is_forbidden_before_it_is_read(
        self, server: TelegramServer, hub: Hub, headers: dict[str, str]
    ) -> None:
        with pytest.raises(Forbidden):
            await receiver_of(server).receive(headers, b"{nonsense", hub)
        assert (hub.asked, hub.dead, server.calls) == ([], [], [])

    async def test_a_secret_of_other_letters_is_forbidden(self, server: TelegramServer, hub: Hub) -> None:
        with pytest.raises(Forbidden):
            await receiver_of(server).receive({HEADER: "é"}, update(), hub)

    async def test_without_a_secret_nothing_is_taken(self, server: TelegramServer, hub: Hub) -> None:
        with pytest.raises(Forbidden):
            await receiver_of(server, webhook_secret="").receive({HEADER: ""}, update(), hub)

    async def test_a_store_that_is_away_is_told(self, server: TelegramServer, hub: Hub) -> None:
        hub.failures = [StoreUnavailable("down")]
        receiver = receiver_of(server)
        with pytest.raises(StoreUnavailable):
            await receiver.receive(HEADERS, update(), hub)
        assert (await receiver.receive(HEADERS, update(), hub)).status == 200
        assert len(hub.messages) == 1

    async def test_a_telegram_that_does_not_say_who_the_bot_is_pushes_again(
        self, server: TelegramServer, hub: Hub
    ) -> None:
        receiver = receiver_of(server)
        server.fail("getMe", 502)
        assert (await receiver.receive(HEADERS, update(), hub)).status == 503
        assert (await receiver.receive(HEADERS, update(), hub)).status == 200
        assert (await receiver.receive(HEADERS, update("again", 2), hub)).status == 200
        assert hub.texts == ["hello", "again"]
        assert len(server.called("getMe")) == 2

    @pytest.mark.parametrize("body", [b"", b"{nonsense", b"[]", b"\xff", b'{"update_id": "x"}', b"5"])
    async def test_what_is_no_update_is_a_dead_letter_and_not_pushed_again(
        self, server: TelegramServer, hub: Hub, body: bytes
    ) -> None:
        assert (await receiver_of(server).receive(HEADERS, body, hub)).status == 200
        [(id, raw, _)] = hub.dead  # noqa: A001
        assert (id.startswith(f"{NAME}.pushed."), raw) == (True, body)

    async def test_an_update_that_cannot_be_read_is_one_too(self, server: TelegramServer, hub: Hub) -> None:
        body = b'{"update_id": 7, "message": {"message_id": "nonsense"}}'
        assert (await receiver_of(server).receive(HEADERS, body, hub)).status == 200
        assert hub.dead[0][0] == f"{NAME}.update.7"

    async def test_its_connections_are_closed_when_nobody_uses_them(self, server: TelegramServer, hub: Hub) -> None:
        receiver = receiver_of(server)
        await asyncio.gather(*(receiver.receive(HEADERS, update(str(n), n), hub) for n in range(1, 9)))
        assert sorted(hub.texts) == sorted(map(str, range(1, 9)))
        # An open one would be a ResourceWarning, which fails the test.

    def test_the_kind_names_it(self) -> None:
        assert load(KINDS["telegram"].webhook or "") is Receiver


class TestListening:
    async def test_telegram_pushes_what_is_said_with_its_files(self, server: TelegramServer, hub: Hub) -> None:
        async with pushed_to(receiver_of(server), hub) as url:
            channel = channel_of(server, **settings(server, url))
            async with listening(channel, Hub()):
                server.say("hello")
                server.say_file(b"%PDF", "a.pdf", caption="read")
                await hub.heard(2)
            await channel.close()
        assert hub.texts == ["hello", "read"]
        text, file = hub.messages[1].parts
        assert (text, type(file)) == (Text(text="read"), File)
        assert [push.status for push in server.pushes] == [200, 200]
        assert server.called("getUpdates") == []
        assert [command["command"] for command in server.state.commands][:2] == ["new", "stop"]

    async def test_what_could_not_be_stored_is_pushed_again_before_what_follows(
        self, server: TelegramServer, hub: Hub
    ) -> None:
        hub.failures = [StoreUnavailable("down"), StoreUnavailable("down")]
        async with pushed_to(receiver_of(server), hub) as url:
            channel = channel_of(server, **settings(server, url))
            async with listening(channel, Hub()):
                server.say("one")
                server.say("two")
                await hub.heard(2)
            await channel.close()
        assert hub.texts == ["one", "two"]
        assert [push.status for push in server.pushes][:3] == [503, 503, 200]

    async def test_the_secret_is_told_to_telegram(self, server: TelegramServer, hub: Hub) -> None:
        config: dict[str, Any] = {**settings(server), "webhook_secret": "another"}
        channel = channel_of(server, **config)
        async with listening(channel, hub):
            assert server.updates.webhook
            assert server.updates.webhook.secret == "another"
        await channel.close()

    async def test_it_stays_set_when_the_channel_goes_and_polling_removes_it(
        self, server: TelegramServer, hub: Hub
    ) -> None:
        channel = channel_of(server, **settings(server))
        async with listening(channel, hub):
            pass
        await channel.close()
        assert server.updates.webhook
        polling = channel_of(server)
        async with listening(polling, hub):
            assert server.updates.webhook is None
        await polling.close()

    async def test_one_that_somebody_else_changed_is_set_again(self, server: TelegramServer, hub: Hub) -> None:
        channel = channel_of(server, watch=0.01, **settings(server))
        async with listening(channel, hub):
            await server.updates.set_webhook(None)
            await server.wait_for(lambda: server.updates.webhook)
        await channel.close()

    async def test_pushes_that_fail_are_told(self, server: TelegramServer, hub: Hub) -> None:
        channel = channel_of(server, watch=0.01, **settings(server))
        with capture_logs() as logs:
            async with listening(channel, hub):
                server.say("hello")
                await server.wait_for(lambda: len(server.called("getWebhookInfo")) > 5 and len(server.pushes) > 1)
        await channel.close()
        assert "Connection refused" in [entry.get("error") for entry in logs]

    async def test_a_url_that_telegram_refuses_is_told(self, server: TelegramServer, hub: Hub) -> None:
        server.fail("setWebhook", 400, "Bad Request: bad webhook: HTTPS url must be provided for webhook")
        channel = channel_of(server, **settings(server))
        with pytest.raises(Unreachable, match="HTTPS url must be provided"):
            await channel.listen(hub)
        await channel.close()

    async def test_a_token_revoked_meanwhile_ends_it(self, server: TelegramServer, hub: Hub) -> None:
        channel = channel_of(server, watch=0.01, **settings(server))
        task = asyncio.create_task(channel.listen(hub))
        await hub.is_up()
        server.token = "1:revoked"
        with pytest.raises(ChannelRefused):
            await task
        await channel.close()

    async def test_a_cancel_ends_it_at_once(self, server: TelegramServer, channel: Channel, hub: Hub) -> None:
        channel = channel_of(server, **settings(server))
        task = asyncio.create_task(channel.listen(hub))
        await hub.is_up()
        await cancelled(task)
        await channel.close()
