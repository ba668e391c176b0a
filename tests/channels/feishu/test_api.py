"""Calls of the open platform: one token for all, renewed when it is refused, and nothing that holds up the loop."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from channels.feishu.api import DOMAINS, Api
from channels.feishu.channel import Channel
from channels.feishu.config import Feishu
from hub.errors import ChannelRefused, Unreachable
from tests.channels.feishu.given import HERE, channel_of, config_of
from tests.contracts.channel import to
from tests.platforms.feishu import FeishuServer


async def test_while_the_token_server_holds_its_reply_other_work_goes_on(
    server: FeishuServer, channel: Channel
) -> None:
    released = server.hang("token")
    sending = asyncio.create_task(channel.send(to(HERE, "hello")))
    await server.wait_call("token")
    async with FeishuServer() as another:
        unhindered = channel_of(another)
        assert await unhindered.send(to(HERE, "hello"))
        await unhindered.close()
    assert not sending.done()
    released.set()
    assert await sending


async def test_however_many_calls_wait_the_token_is_fetched_once(server: FeishuServer, channel: Channel) -> None:
    released = server.hang("token")
    sends = [asyncio.create_task(channel.send(to(HERE, f"{number}"))) for number in range(10)]
    await server.wait_call("token")
    released.set()
    assert len(set(await asyncio.gather(*sends))) == 10
    assert len(server.called("token")) == 1


async def test_a_token_that_is_refused_is_renewed_once_for_all(server: FeishuServer, channel: Channel) -> None:
    await channel.send(to(HERE, "first"))
    server.revoke()
    sends = [channel.send(to(HERE, f"{number}")) for number in range(10)]
    assert len(set(await asyncio.gather(*sends))) == 10
    assert len(server.called("token")) == 2


async def test_a_token_that_is_refused_twice_is_the_operators_to_mend(server: FeishuServer, channel: Channel) -> None:
    server.fail("message.create", 99991663, times=2)
    with pytest.raises(ChannelRefused):
        await channel.send(to(HERE, "x"))
    assert len(server.called("token")) == 2


async def test_a_token_is_renewed_before_it_ends() -> None:
    now = 1_800_000_000.0
    async with FeishuServer(clock=lambda: now) as server:
        api = Api(config_of(server), clock=lambda: now)
        await api.call("GET", "/bot/v3/info")
        now += 7200 - 301
        await api.call("GET", "/bot/v3/info")
        assert len(server.called("token")) == 1
        now += 2
        await api.call("GET", "/bot/v3/info")
        assert len(server.called("token")) == 2
        await api.close()


async def test_two_apps_on_two_domains_have_tokens_of_their_own(server: FeishuServer) -> None:
    async with FeishuServer() as lark:
        here, there = channel_of(server), channel_of(lark)
        await here.send(to(HERE, "here"))
        await there.send(to(HERE, "there"))
        await here.close()
        await there.close()
        assert [message["text"] for message in lark.sent()] == ["there"]
    assert [message["text"] for message in server.sent()] == ["here"]


def test_each_domain_has_its_address_and_a_base_url_stands_for_either() -> None:
    def base(**more: str) -> str:
        return Api(Feishu.model_validate({"app_id": "a", "app_secret": SecretStr("s"), **more})).base

    assert base() == DOMAINS["feishu"] == "https://open.feishu.cn"
    assert base(domain="lark") == DOMAINS["lark"] == "https://open.larksuite.com"
    assert base(domain="lark", base_url="http://localhost:9") == "http://localhost:9"


async def test_connections_are_kept(server: FeishuServer, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = 0
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def counted(*args: object, **more: object) -> object:
        nonlocal opened
        opened += 1
        return await connect(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "create_connection", counted)
    for number in range(5):
        await channel.send(to(HERE, f"{number}"))
    assert opened == 1


async def test_a_call_that_takes_too_long_is_unreachable_and_may_have_arrived(server: FeishuServer) -> None:
    channel = channel_of(server, timeout=1.0)
    await channel.send(to(HERE, "first"))
    server.hang("message.create")
    with pytest.raises(Unreachable) as caught:
        await channel.send(to(HERE, "x"))
    assert caught.value.maybe_sent
    await channel.close()
