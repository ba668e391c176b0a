"""The local Feishu's pushes to a webhook, taken by the real lark-oapi."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.platforms.feishu import P2P, FeishuServer
from tests.platforms.feishu.sdk import Bot, Inbox, dispatcher, lark

TOKEN, KEY = "v-token", "an encrypt key"
BUTTON = {"schema": "2.0", "body": {"elements": [{"tag": "button", "value": {"go": 1}}]}}


def answer_press(event: Any) -> Any:
    pressed = {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "pressed"}]}}
    who, value = event.event.operator.open_id, event.event.action.value
    return {"toast": {"content": f"pressed by {who}: {value}"}, "card": {"type": "raw", "data": pressed}}


class Hook:
    """A webhook that hands over to the SDK's dispatcher, after answering with the next of `statuses`."""

    def __init__(self, inbox: Inbox, key: str = "", *statuses: int) -> None:
        self.statuses = list(statuses)
        self.dispatcher = dispatcher(TOKEN, key, im_message_receive_v1=inbox, card_action_trigger=answer_press)

    async def answer(self, request: web.Request) -> web.Response:
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        raw = lark.RawRequest()
        raw.uri, raw.body = request.path, await request.read()
        raw.headers = {name.title(): value for name, value in request.headers.items()}
        answered = self.dispatcher.do(raw)
        return web.Response(body=answered.content, status=answered.status_code, content_type="application/json")

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        """Its URL, while it answers."""
        app = web.Application()
        app.router.add_post("/hook", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        finally:
            await runner.cleanup()


class TestWebhook:
    @pytest.mark.parametrize("key", ["", KEY])
    async def test_a_webhook_answers_the_challenge_and_takes_events(self, inbox: Inbox, key: str) -> None:
        async with FeishuServer(encrypt_key=key) as server, Hook(inbox, key).listening() as url:
            push = await server.set_webhook(url)
            assert push
            assert push.status == 200
            server.say("привет")
            await server.wait_for(lambda: len(server.pushes) == 2)
        assert (inbox.texts, server.pushes[1].by, server.pushes[1].status) == (["привет"], "webhook", 200)

    async def test_an_address_that_fails_the_challenge_is_not_taken(self, server: FeishuServer, inbox: Inbox) -> None:
        async with Hook(inbox, "", 500).listening() as url:
            await server.set_webhook(url)
        assert server.events.url is None

    async def test_an_event_comes_again_until_it_is_taken(self, server: FeishuServer, inbox: Inbox) -> None:
        async with Hook(inbox, "", 500, 302).listening() as url:
            await server.set_webhook(url, verify=False)
            server.say("hello")
            await server.wait_for(lambda: not server.events.pending)
        assert [push.status for push in server.pushes] == [500, 302, 200]
        assert inbox.ids == [server.pushes[0].event_id]

    async def test_an_unreachable_webhook_is_given_up(self, server: FeishuServer) -> None:
        await server.set_webhook("http://127.0.0.1:1/hook", verify=False)
        server.say("hello")
        await server.wait_for(lambda: not server.events.pending)
        assert [push.status for push in server.pushes] == [None] * 3

    async def test_forged_and_plain_bodies_are_refused_and_stale_ones_are_for_the_bot_to_refuse(
        self, inbox: Inbox
    ) -> None:
        async with FeishuServer(encrypt_key=KEY) as server, Hook(inbox, KEY).listening() as url:
            await server.set_webhook(url)
            event = server.events.envelope("im.message.receive_v1", {"message": {"content": '{"text": "forged"}'}})
            wrong = {**event, "header": {**event["header"], "token": "another"}}
            forged = [
                await server.events.post(event, signature="0" * 64),
                await server.events.post(event, signed=False),
                await server.events.post(event, encrypted=False, signed=False),
                await server.events.post(wrong),
            ]
            stale = await server.events.post(event, timestamp=server.state.clock() - 36_000)
        assert [push.status for push in forged] == [500] * 4
        assert (stale.status, inbox.texts) == (200, ["forged"])  # the SDK does not look at the time

    async def test_a_card_callback_is_answered_in_the_response(self, server: FeishuServer, inbox: Inbox) -> None:
        sent = (await Bot(server).create(P2P, BUTTON, "interactive")).data.message_id
        async with Hook(inbox).listening() as url:
            await server.set_webhook(url)
            push = await server.wait_push(server.press(sent, {"go": 1}))
        assert (push.answer or {})["toast"]["content"] == "pressed by ou_anna: {'go': 1}"
        assert server.sent()[0]["text"] == "pressed"

    async def test_an_outage_of_feishu_loses_no_event(self, server: FeishuServer, inbox: Inbox) -> None:
        async with Hook(inbox).listening() as url:
            await server.set_webhook(url)
            await server.stop()
            server.say("hello")
            await server.start()
            await server.wait_for(lambda: not server.events.pending)
        assert inbox.texts == ["hello"]
