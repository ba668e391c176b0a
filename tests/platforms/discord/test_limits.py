"""The local Discord's rate limits and troubles, seen by the real discord.py and on the wire."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import discord
import pytest

from tests.clock import Clock
from tests.platforms.discord import DISCORD_LIMITS, GENERAL, VOICE, DiscordServer, Limits, Rate
from tests.platforms.discord.client import Bot, Rest, rest, running

MESSAGES = f"/channels/{GENERAL}/messages"


@pytest.fixture
async def call(server: DiscordServer) -> AsyncIterator[Rest]:
    async with rest(server) as call:
        yield call


def contents(server: DiscordServer) -> list[str]:
    return [message["content"] for message in server.sent()]


class TestBuckets:
    async def test_headers_count_a_bucket_down(self, server: DiscordServer, call: Rest, clock: Clock) -> None:
        server.limit(DISCORD_LIMITS)
        left: list[str] = []
        for number in range(5):
            status, _, headers = await call("POST", MESSAGES, {"content": str(number)})
            assert (status, headers["X-RateLimit-Limit"]) == (200, "5")
            left.append(headers["X-RateLimit-Remaining"])
            clock.now += 0.5
        assert left == ["4", "3", "2", "1", "0"]

    async def test_the_sixth_of_five_is_told_when_to_come_back(
        self, server: DiscordServer, call: Rest, clock: Clock
    ) -> None:
        server.limit(DISCORD_LIMITS)
        for number in range(5):
            await call("POST", MESSAGES, {"content": str(number)})
        clock.now += 1.25
        status, body, headers = await call("POST", MESSAGES, {"content": "6"})
        assert status == 429
        assert body == {"message": "You are being rate limited.", "retry_after": 3.75, "global": False}
        assert (headers["Retry-After"], headers["X-RateLimit-Scope"]) == ("4", "user")
        assert (headers["X-RateLimit-Remaining"], headers["X-RateLimit-Reset-After"]) == ("0", "3.750")
        assert (headers["Via"], headers["Content-Type"]) == ("1.1 google", "application/json")
        elsewhere, _, _ = await call("POST", f"/channels/{VOICE}/messages", {"content": "another channel"})
        clock.now += 3.75
        later, _, _ = await call("POST", MESSAGES, {"content": "later"})
        assert (elsewhere, later) == (200, 200)
        assert contents(server) == ["0", "1", "2", "3", "4", "later"]

    async def test_refusals_count_too(self, server: DiscordServer, call: Rest) -> None:
        server.limit(Limits(routes={"create_message": Rate(count=1, seconds=5)}))
        status, _, headers = await call("POST", MESSAGES, {"content": ""})
        assert (status, headers["X-RateLimit-Remaining"]) == (400, "0")

    async def test_all_calls_together_have_a_limit(self, server: DiscordServer, call: Rest, clock: Clock) -> None:
        server.limit(Limits(bot=Rate(count=2, seconds=1)))
        for channel in (GENERAL, VOICE):
            await call("POST", f"/channels/{channel}/messages", {"content": "x"})
        status, body, headers = await call("GET", "/users/@me")
        assert (status, body["global"], body["retry_after"]) == (429, True, 1.0)
        assert (headers["X-RateLimit-Global"], headers["X-RateLimit-Scope"]) == ("true", "global")

    async def test_edits_of_old_messages_have_a_limit_of_their_own(
        self, server: DiscordServer, call: Rest, clock: Clock
    ) -> None:
        server.limit(Limits(old_edits=Rate(count=1, seconds=60)))
        _, sent, _ = await call("POST", MESSAGES, {"content": "0"})
        for text in ("1", "2", "3"):
            assert (await call("PATCH", f"{MESSAGES}/{sent['id']}", {"content": text}))[0] == 200
        clock.now += 3601
        assert (await call("PATCH", f"{MESSAGES}/{sent['id']}", {"content": "4"}))[0] == 200
        status, body, _ = await call("PATCH", f"{MESSAGES}/{sent['id']}", {"content": "5"})
        assert (status, body["code"], body["retry_after"]) == (429, 30046, 60.0)
        assert contents(server) == ["4"]

    async def test_the_library_waits_for_a_bucket_by_itself(self) -> None:
        limits = Limits(routes={"create_message": Rate(count=2, seconds=0.3)})
        async with DiscordServer(limits=limits) as server, running(server) as bot:
            await asyncio.gather(*(bot.place(GENERAL).send(str(number)) for number in range(5)))
            assert sorted(contents(server)) == ["0", "1", "2", "3", "4"]

    async def test_the_library_gives_up_a_wait_that_is_too_long(self, server: DiscordServer) -> None:
        async with running(server, max_ratelimit_timeout=30) as bot:
            server.fail("create_message", 429, retry_after=31.5)
            with pytest.raises(discord.RateLimited) as refusal:
                await bot.place(GENERAL).send("x")
            assert refusal.value.retry_after == 31.5


class TestFaults:
    async def test_a_429_is_waited_out_by_the_library(self, server: DiscordServer, bot: Bot) -> None:
        server.fail("create_message", retry_after=0.05)
        server.fail("create_message", retry_after=0.05, scope="global")
        await bot.place(GENERAL).send("x")
        assert [call.status for call in server.called("create_message")] == [429, 429, 200]
        assert contents(server) == ["x"]

    async def test_a_ban_by_cloudflare_is_a_page_and_no_wait(self, server: DiscordServer, bot: Bot) -> None:
        server.fail("create_message", 429, json=False)
        with pytest.raises(discord.HTTPException, match="429"):
            await bot.place(GENERAL).send("x")

    async def test_a_fault_meets_only_the_channel_it_was_made_for(self, server: DiscordServer, call: Rest) -> None:
        server.fail("create_message", 503, channel=VOICE, times=None)
        assert (await call("POST", MESSAGES, {"content": "x"}))[0] == 200
        assert (await call("POST", f"/channels/{VOICE}/messages", {"content": "x"}))[0] == 503
        server.heal()
        assert (await call("POST", f"/channels/{VOICE}/messages", {"content": "x"}))[0] == 200

    async def test_a_refusal_can_be_any(self, server: DiscordServer, bot: Bot) -> None:
        server.fail("create_message", 403, 50013, "Missing Permissions")
        with pytest.raises(discord.Forbidden, match="Missing Permissions") as refusal:
            await bot.place(GENERAL).send("x")
        assert refusal.value.code == 50013

    async def test_the_library_repeats_a_send_that_a_502_hid(self, server: DiscordServer, bot: Bot) -> None:
        server.fail("create_message", 502, json=False)
        await bot.place(GENERAL).send("x")
        assert [call.status for call in server.called("create_message")] == [502, 200]

    async def test_an_answer_that_got_lost_is_found_by_its_nonce(self, server: DiscordServer, bot: Bot) -> None:
        server.reset("create_message", handled=True)
        with pytest.raises(aiohttp.ClientError):
            await bot.place(GENERAL).send("x", nonce="k1")
        again = await bot.place(GENERAL).send("x", nonce="k1")
        assert [message["id"] for message in server.sent()] == [str(again.id)]
        assert [call.status for call in server.called("create_message")] == [None, 200]

    async def test_a_connection_cut_at_once_leaves_nothing(self, server: DiscordServer, bot: Bot) -> None:
        server.reset("create_message")
        with pytest.raises(aiohttp.ClientError):
            await bot.place(GENERAL).send("x")
        assert server.sent() == []

    async def test_a_held_call_goes_on_when_released(self, server: DiscordServer, bot: Bot) -> None:
        released = server.hang("create_message")
        sending = asyncio.create_task(bot.place(GENERAL).send("x"))
        await server.wait_call("create_message")
        assert server.sent() == []
        released.set()
        assert (await sending).content == "x"

    async def test_a_held_call_that_is_given_up_is_never_handled(self, server: DiscordServer, bot: Bot) -> None:
        released = server.hang("create_message")
        sending = asyncio.create_task(bot.place(GENERAL).send("x"))
        held = await server.wait_call("create_message")
        sending.cancel()
        await server.wait_for(lambda: held.abandoned)
        released.set()
        assert (server.sent(), held.status) == ([], None)

    async def test_an_outage_keeps_port_and_state(self, server: DiscordServer, call: Rest) -> None:
        await call("POST", MESSAGES, {"content": "before"})
        port = server.port
        await server.stop()
        with pytest.raises(aiohttp.ClientError):
            await call("POST", MESSAGES, {"content": "during"})
        await server.start()
        await call("POST", MESSAGES, {"content": "after"})
        assert (server.port, contents(server)) == (port, ["before", "after"])

    async def test_a_download_may_fail_too(self, server: DiscordServer, bot: Bot) -> None:
        server.say(attachments={"a.txt": b"x"})
        [message] = await bot.hears("message")
        server.fail("download", 503, json=False)
        with pytest.raises(discord.HTTPException, match="503"):
            await message.attachments[0].read()
        assert await message.attachments[0].read() == b"x"

    async def test_waiting_in_vain_says_what_the_bot_did_instead(self, server: DiscordServer, call: Rest) -> None:
        await call("GET", "/users/@me")
        with pytest.raises(AssertionError, match="get_me -> 200"):
            await server.wait_sent(timeout=0.01)

    async def test_broken_json_is_refused(self, server: DiscordServer, call: Rest) -> None:
        assert (await call("POST", MESSAGES, ["no object"]))[0] == 400
        assert (await call("POST", MESSAGES, {"content": 7}))[1]["code"] == 50035
