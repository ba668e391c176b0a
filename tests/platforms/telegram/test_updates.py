"""How the local Telegram hands out updates, driven by the real aiogram: polled, or pushed to a webhook."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramNetworkError,
)
from aiohttp import ClientSession, web

from tests.platforms.telegram import TelegramServer
from tests.platforms.telegram.client import SECOND, bot_of, texts


class TestPolling:
    async def test_a_long_poll_returns_when_something_arrives(self, server: TelegramServer, bot: Bot) -> None:
        poll = asyncio.create_task(bot.get_updates(timeout=1000))
        await server.wait_call("getUpdates")
        assert not poll.done()
        server.say("hello")
        assert texts(await poll) == ["hello"]

    async def test_a_long_poll_is_held_and_then_comes_back_empty(self, bot: Bot) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert await bot.get_updates(timeout=5) == []
        assert loop.time() - start >= 5 * SECOND

    async def test_updates_come_again_until_a_higher_offset_acknowledges_them(
        self, server: TelegramServer, bot: Bot
    ) -> None:
        server.say("one")
        server.say("two")
        first = await bot.get_updates()
        assert texts(first) == texts(await bot.get_updates()) == ["one", "two"]
        assert texts(await bot.get_updates(offset=first[0].update_id + 1)) == ["two"]
        assert texts(await bot.get_updates()) == ["two"]

    async def test_the_limit_bounds_a_batch(self, server: TelegramServer, bot: Bot) -> None:
        for number in range(3):
            server.say(str(number))
        assert texts(await bot.get_updates(limit=2)) == ["0", "1"]

    async def test_a_second_poller_ends_the_first_with_a_conflict(self, server: TelegramServer, bot: Bot) -> None:
        first = asyncio.create_task(bot.get_updates(timeout=1000))
        await server.wait_call("getUpdates")
        second = asyncio.create_task(bot.get_updates(timeout=1000))
        with pytest.raises(TelegramConflictError, match="other getUpdates request"):
            await first
        server.say("hello")
        assert texts(await second) == ["hello"]

    async def test_only_the_kinds_asked_for_arrive(self, server: TelegramServer, bot: Bot) -> None:
        await bot.get_updates(allowed_updates=["message"])
        said = server.say("one")
        server.edit(said, "two")
        server.say("three")
        assert texts(await bot.get_updates()) == ["one", "three"]

    async def test_a_poison_update_arrives_as_it_is(self, server: TelegramServer) -> None:
        server.push_raw({"message": {"message_id": "poison"}})
        async with ClientSession() as http, http.get(f"{server.base_url}/bot{server.token}/getUpdates") as answer:
            [update] = (await answer.json())["result"]
        assert update["message"] == {"message_id": "poison"}
        assert update["update_id"] > 0

    async def test_an_outage_loses_nothing(self, server: TelegramServer, bot: Bot) -> None:
        url = server.base_url
        poll = asyncio.create_task(bot.get_updates(timeout=1000))
        await server.wait_call("getUpdates")
        await server.stop()
        with pytest.raises(TelegramNetworkError):
            await poll
        server.say("while it was away")
        await server.start()
        assert server.base_url == url
        assert texts(await bot.get_updates()) == ["while it was away"]


class Hook:
    """A webhook that answers with the next of `statuses`, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.updates: list[dict[str, Any]] = []
        self.secrets: list[str | None] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.updates.append(await request.json())
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

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
    async def test_updates_are_pushed_in_order_with_the_secret(self, server: TelegramServer, bot: Bot) -> None:
        hook = Hook()
        server.say("before")
        async with hook.listening() as url:
            await bot.set_webhook(url, secret_token="S3cret-_")
            server.say("after")
            await server.wait_for(lambda: len(server.pushes) == 2)
        assert [update["message"]["text"] for update in hook.updates] == ["before", "after"]
        assert set(hook.secrets) == {"S3cret-_"}

    async def test_a_refused_push_is_repeated_until_it_is_taken(self, server: TelegramServer, bot: Bot) -> None:
        hook = Hook(500, 503)
        async with hook.listening() as url:
            await bot.set_webhook(url)
            server.say("hello")
            await server.wait_for(lambda: len(server.pushes) == 3)
        assert [push.status for push in server.pushes] == [500, 503, 200]
        assert len({update["update_id"] for update in hook.updates}) == 1
        assert (await bot.get_webhook_info()).pending_update_count == 0

    async def test_pushes_survive_an_outage_of_telegram(self, server: TelegramServer, bot: Bot) -> None:
        hook = Hook()
        async with hook.listening() as url:
            await bot.set_webhook(url)
            await server.stop()
            server.say("hello")
            await server.start()
            await server.wait_for(lambda: len(server.pushes) == 1)
        assert [update["message"]["text"] for update in hook.updates] == ["hello"]

    async def test_an_unreachable_webhook_is_given_up_and_the_next_update_has_its_turn(self) -> None:
        async with TelegramServer(second=SECOND, webhook_retries=(0.1,)) as server, bot_of(server, server.token) as bot:
            await bot.set_webhook("http://127.0.0.1:1/hook")
            server.say("one")
            server.say("two")
            await server.wait_for(lambda: len(server.pushes) == 4)
            assert [push.status for push in server.pushes] == [None] * 4
            assert server.pushes[1].update_id < server.pushes[2].update_id

    async def test_polling_conflicts_with_a_webhook_until_it_is_deleted(self, server: TelegramServer, bot: Bot) -> None:
        poll = asyncio.create_task(bot.get_updates(timeout=1000))
        await server.wait_call("getUpdates")
        await bot.set_webhook("http://127.0.0.1:1/hook")
        with pytest.raises(TelegramConflictError, match="terminated by setWebhook"):
            await poll
        with pytest.raises(TelegramConflictError, match="webhook is active"):
            await bot.get_updates()
        assert (await bot.get_webhook_info()).url == "http://127.0.0.1:1/hook"
        server.say("dropped")
        await bot.delete_webhook(drop_pending_updates=True)
        assert (await bot.get_webhook_info()).url == ""
        assert await bot.get_updates() == []

    async def test_a_secret_with_other_characters_is_refused(self, bot: Bot) -> None:
        with pytest.raises(TelegramBadRequest, match="unallowed characters"):
            await bot.set_webhook("http://127.0.0.1:1/hook", secret_token="not allowed!")
