"""What Feishu pushes over HTTP: only what is proven to come from it is read, and it is stored before the answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

import channels
from channels.feishu.channel import Channel
from channels.feishu.config import Feishu
from channels.feishu.pushes import FeishuWebhook, webhook
from hub.channel import Webhook
from hub.errors import Forbidden, HubError, StoreUnavailable
from tests.channels.feishu.given import HERE, NAME, channel_of, config_of
from tests.contracts.channel import Hub, listening, to
from tests.platforms.feishu import P2P, FeishuServer, Push

KEY, TOKEN = "the-encrypt-key", "the-verification-token"
SHARED: dict[str, Any] = {
    "mode": "webhook",
    "encrypt_key": SecretStr(KEY),
    "verification_token": SecretStr(TOKEN),
}


class Site:
    """A web server that hands everything to the webhook, as the hub's route does."""

    def __init__(self, hook: FeishuWebhook, hub: Hub) -> None:
        self.hook = hook
        self.hub = hub

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            answer = await self.hook.receive(headers, await request.read(), self.hub)
        except Forbidden as error:
            return web.Response(status=403, text=str(error))
        except HubError as error:
            return web.Response(status=503, text=str(error))
        return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)


@pytest.fixture
async def server() -> AsyncIterator[FeishuServer]:
    async with FeishuServer(encrypt_key=KEY, verification_token=TOKEN, retries=(0.01, 0.01, 0.01)) as server:
        yield server


@pytest.fixture
def hook(server: FeishuServer) -> FeishuWebhook:
    return webhook(NAME, config_of(server, **SHARED))


@pytest.fixture
async def site(server: FeishuServer, hook: FeishuWebhook, hub: Hub) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/", Site(hook, hub).answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await server.set_webhook(url, verify=False)
    yield url
    await server.events.close()
    await runner.cleanup()


def test_the_kind_names_what_makes_it(hook: FeishuWebhook) -> None:
    reference = channels.KINDS["feishu"].webhook
    assert reference
    assert channels.load(reference) is webhook
    made: Webhook = hook
    assert made


async def test_the_challenge_is_answered(server: FeishuServer, site: str) -> None:
    push = await server.set_webhook(site)
    assert push
    assert push.status == 200
    assert server.events.url == site


async def test_a_message_is_stored_before_the_answer(server: FeishuServer, site: str, hub: Hub) -> None:
    hub.gate.clear()
    server.say("hello")
    await hub.until(lambda: bool(hub.asked))
    await asyncio.sleep(0.05)
    assert server.pushes == []
    hub.gate.set()
    [heard] = await hub.heard()
    await server.wait_for(lambda: bool(server.pushes))
    assert (heard.text, heard.address, server.pushes[0].status) == ("hello", HERE, 200)


async def test_what_could_not_be_stored_comes_again(server: FeishuServer, site: str, hub: Hub) -> None:
    hub.failures = [StoreUnavailable("down"), StoreUnavailable("down")]
    server.say("patience")
    await hub.heard()
    await server.wait_for(lambda: len(server.pushes) == 3)
    assert [push.status for push in server.pushes] == [503, 503, 200]


async def test_a_file_comes_along_and_a_mention_is_understood(server: FeishuServer, site: str, hub: Hub) -> None:
    server.say_file(b"content", "notes.txt")
    await hub.heard()
    server.say("you", kind="group", mention=True)
    await hub.heard(2)
    assert [*hub.files.values()] == [b"content"]
    assert hub.messages[1].mentioned


async def test_kinds_it_does_not_know_and_what_it_cannot_read_are_answered_200(
    server: FeishuServer, site: str, hub: Hub
) -> None:
    for kind, event in (("im.message.message_read_v1", {}), ("im.message.receive_v1", {"nonsense": True})):
        assert (await server.wait_push(server.push_event(kind, event))).status == 200
    assert (len(hub.dead), hub.messages) == (1, [])


async def test_a_button_is_answered_in_time(server: FeishuServer, site: str, hub: Hub, hook: FeishuWebhook) -> None:
    channel = channel_of(server, **SHARED)
    assert isinstance(channel, Channel)
    number = await channel.send(to(HERE, "?"))
    message = server.state.find(number)
    card = json.loads(message.content)
    card["body"]["elements"].append({"tag": "button", "value": {"say": "yes"}})
    message.content = json.dumps(card)
    push = await server.wait_push(server.press(number, {"say": "yes"}))
    await hub.heard()
    await channel.close()
    assert (push.status, push.answer, hub.texts) == (200, {}, ["yes"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"signed": False},
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "é"},
        {"timestamp": 1_700_000_000},
        {"encrypted": False},
        {"encrypted": False, "signed": False},
    ],
)
async def test_whatever_is_not_proven_to_come_from_feishu_is_refused(
    server: FeishuServer, site: str, hub: Hub, wrong: dict[str, Any]
) -> None:
    server.events.keys = type(server.events.keys)(token=TOKEN, encrypt=KEY)
    event = server.events.envelope("im.message.receive_v1", {})
    push = await server.events.post(event, **wrong)
    assert push.status == 403
    assert (hub.messages, hub.dead) == ([], [])


@pytest.mark.parametrize(("token", "key"), [("another token", KEY), ("", KEY), (TOKEN, "another key")])
async def test_another_token_or_key_is_refused_the_challenge_included(
    server: FeishuServer, site: str, hub: Hub, token: str, key: str
) -> None:
    server.events.keys = type(server.events.keys)(token=token, encrypt=key)
    pushes: list[Push | None] = [await server.set_webhook(site)]
    pushes.append(await server.events.post(server.events.envelope("im.message.receive_v1", {})))
    assert [push and push.status for push in pushes] == [403, 403]
    assert (hub.messages, hub.dead) == ([], [])


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"\xff", b'{"encrypt": 7}', b'{"encrypt": "AA=="}', b'{"encrypt": "%"}']
)
async def test_what_is_no_event_at_all_is_refused(hook: FeishuWebhook, hub: Hub, body: bytes) -> None:
    with pytest.raises(Forbidden):
        await hook.receive({}, body, hub)


async def test_without_a_key_nothing_is_taken(hub: Hub) -> None:
    hook = webhook(NAME, Feishu(app_id="a", app_secret=SecretStr("s"), mode="webhook"))
    for body in (b'{"type": "url_verification", "challenge": "c"}', b'{"encrypt": "AAAA"}'):
        at = "1800000000"
        signature = hashlib.sha256(f"{at}n".encode() + body).hexdigest()
        headers = {
            "x-lark-request-timestamp": at,
            "x-lark-request-nonce": "n",
            "x-lark-signature": signature,
        }
        with pytest.raises(Forbidden):
            await hook.receive(headers, body, hub)


@pytest.mark.parametrize(("off", "fresh"), [(-299, True), (299, True), (-301, False), (301, False)])
async def test_what_was_signed_more_than_five_minutes_ago_or_ahead_is_old(
    server: FeishuServer, hub: Hub, off: float, fresh: bool
) -> None:
    sealed: list[tuple[dict[str, str], bytes]] = []
    clock: Callable[[], float] = lambda: 1_800_000_000.0  # noqa: E731
    hook = FeishuWebhook(NAME, config_of(server, **SHARED), clock=clock)

    async def keep(request: web.Request) -> web.Response:
        sealed.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", keep)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.events.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await server.events.post(server.events.envelope("im.chat.updated_v1", {}), timestamp=1_800_000_000 + off)
    await runner.cleanup()
    headers, body = sealed[0]
    if fresh:
        assert (await hook.receive(headers, body, hub)).status == 200
    else:
        with pytest.raises(Forbidden, match="old"):
            await hook.receive(headers, body, hub)


async def test_in_webhook_mode_the_channel_is_up_without_a_long_connection(server: FeishuServer, hub: Hub) -> None:
    channel = channel_of(server, **SHARED)
    async with listening(channel, hub):
        assert server.sockets.connects == 0
        assert await channel.send(to(HERE, "hello"))
    await channel.close()
    assert [message["text"] for message in server.sent(P2P)] == ["hello"]
