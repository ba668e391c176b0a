"""The local Telegram's troubles and rate limits, seen by the real aiogram."""

import asyncio
import logging

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)

from tests.clock import Clock
from tests.platforms.telegram import GROUP, PRIVATE, SUPERGROUP, TELEGRAM_LIMITS, TelegramServer


class TestFaults:
    async def test_429_tells_how_long_to_wait_and_only_once(self, server: TelegramServer, bot: Bot) -> None:
        server.fail("sendMessage", 429, retry_after=7)
        with pytest.raises(TelegramRetryAfter) as refused:
            await bot.send_message(PRIVATE, "hello")
        assert refused.value.retry_after == 7
        await bot.send_message(PRIVATE, "hello")
        assert [call.status for call in server.called("sendMessage")] == [429, 200]

    async def test_a_fault_of_one_chat_spares_the_others(self, server: TelegramServer, bot: Bot) -> None:
        server.fail("sendMessage", 403, "Forbidden: bot was blocked by the user", chat=PRIVATE, times=None)
        await bot.send_message(GROUP, "hello")
        for _ in range(2):
            with pytest.raises(TelegramForbiddenError):
                await bot.send_message(PRIVATE, "hello")
        server.heal()
        await bot.send_message(PRIVATE, "hello")

    async def test_a_migrated_group_tells_its_new_id(self, server: TelegramServer, bot: Bot) -> None:
        server.fail("*", 400, "Bad Request: group chat was upgraded", migrate_to_chat_id=SUPERGROUP)
        with pytest.raises(TelegramMigrateToChat) as refused:
            await bot.send_message(GROUP, "hello")
        assert refused.value.migrate_to_chat_id == SUPERGROUP

    async def test_a_server_error_comes_as_json_or_as_a_proxys_page(self, server: TelegramServer, bot: Bot) -> None:
        server.fail("sendMessage", 502)
        with pytest.raises(TelegramServerError):
            await bot.send_message(PRIVATE, "hello")
        server.fail("sendMessage", 502, json=False)
        with pytest.raises(ClientDecodeError):
            await bot.send_message(PRIVATE, "hello")
        assert server.sent() == []

    async def test_a_reset_before_handling_stores_nothing(self, server: TelegramServer, bot: Bot) -> None:
        server.reset("sendMessage")
        with pytest.raises(TelegramNetworkError):
            await bot.send_message(PRIVATE, "hello")
        assert server.sent() == []
        assert server.calls[-1].status is None

    async def test_a_reset_after_handling_leaves_the_message(self, server: TelegramServer, bot: Bot) -> None:
        server.reset("sendMessage", handled=True)
        with pytest.raises(TelegramNetworkError):
            await bot.send_message(PRIVATE, "hello")
        assert [message["text"] for message in server.sent()] == ["hello"]

    async def test_a_hanging_call_waits_for_its_release(self, server: TelegramServer, bot: Bot) -> None:
        released = server.hang("sendMessage")
        slow = asyncio.create_task(bot.send_message(PRIVATE, "slow"))
        await server.wait_call("sendMessage")
        await bot.send_message(PRIVATE, "quick")
        assert not slow.done()
        released.set()
        await slow
        assert [message["text"] for message in server.sent()] == ["quick", "slow"]

    async def test_a_hanging_call_whose_client_gave_up_is_never_handled(self, server: TelegramServer, bot: Bot) -> None:
        released = server.hang("sendMessage")
        slow = asyncio.create_task(bot.send_message(PRIVATE, "slow"))
        call = await server.wait_call("sendMessage")
        slow.cancel()
        await asyncio.wait([slow])
        await server.wait_for(lambda: call.abandoned)
        released.set()
        await bot.send_message(PRIVATE, "quick")
        assert [message["text"] for message in server.sent()] == ["quick"]

    async def test_no_fault_reaches_the_servers_log(
        self, server: TelegramServer, bot: Bot, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.reset("sendMessage", times=2)
        server.reset("sendMessage", handled=True)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                with pytest.raises(TelegramNetworkError):
                    await bot.send_message(PRIVATE, "hello")
        assert caplog.records == []


class TestLimits:
    async def test_nothing_is_limited_by_default(self, server: TelegramServer, bot: Bot) -> None:
        for number in range(40):
            await bot.send_message(PRIVATE, str(number))
        assert len(server.sent()) == 40

    async def test_a_private_chat_takes_one_message_a_second(
        self, server: TelegramServer, bot: Bot, clock: Clock
    ) -> None:
        server.limit(TELEGRAM_LIMITS)
        sent = await bot.send_message(PRIVATE, "one")
        clock.now += 0.5
        with pytest.raises(TelegramRetryAfter) as refused:
            await bot.edit_message_text("two", chat_id=PRIVATE, message_id=sent.message_id)
        assert refused.value.retry_after == 1
        await bot.send_message(78, "another chat")
        clock.now += 0.5
        await bot.send_message(PRIVATE, "two")

    async def test_a_group_takes_twenty_messages_a_minute(self, server: TelegramServer, bot: Bot, clock: Clock) -> None:
        server.limit(TELEGRAM_LIMITS)
        for number in range(20):
            await bot.send_message(GROUP, str(number))
        clock.now += 18
        with pytest.raises(TelegramRetryAfter) as refused:
            await bot.send_message(GROUP, "too much")
        assert refused.value.retry_after == 42

    async def test_the_bot_as_a_whole_sends_thirty_a_second(self, server: TelegramServer, bot: Bot) -> None:
        server.limit(TELEGRAM_LIMITS)
        for chat in range(1, 31):
            await bot.send_message(chat, "news")
        with pytest.raises(TelegramRetryAfter):
            await bot.send_message(31, "news")
