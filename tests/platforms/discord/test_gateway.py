"""The local Discord's gateway, driven by the real discord.py: it behaves as Discord's does."""

import asyncio
import json

import aiohttp
import discord
import pytest

from tests.platforms.discord import (
    ANNA,
    BOT,
    BOT_ROLE,
    FORUM,
    GENERAL,
    GUILD,
    GUILD_MEMBERS,
    MESSAGE_CONTENT,
    PRIVILEGED,
    THREAD,
    VOICE,
    DiscordServer,
)
from tests.platforms.discord.client import Bot, connector, intents, rest, running

GATEWAY = "https://gateway.discord.gg/?v=10&encoding=json"


class TestTheWayIn:
    async def test_a_bot_gets_ready_and_knows_the_place(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            assert bot.user
            assert (str(bot.user.id), bot.user.name) == (BOT, "bothub")
            assert bot.place(GENERAL).name == "general"
            assert isinstance(bot.get_channel(int(FORUM)), discord.ForumChannel)
            assert isinstance(bot.get_channel(int(VOICE)), discord.VoiceChannel)
            guild = bot.get_guild(int(GUILD))
            assert guild
            thread = guild.get_thread(int(THREAD))
            assert thread
            assert str(thread.parent_id) == GENERAL
            assert guild.self_role
            assert str(guild.self_role.id) == BOT_ROLE

    async def test_a_wrong_token_fails_to_log_in(self, server: DiscordServer) -> None:
        bot = Bot(server)
        with pytest.raises(discord.LoginFailure):
            await bot.start("wrong")
        await bot.close()
        assert server.calls == []

    async def test_a_revoked_token_ends_everything(self, server: DiscordServer) -> None:
        async with rest(server) as call:
            bot = Bot(server)
            running = asyncio.create_task(bot.start(server.token))
            await bot.hears("ready")
            renewed = server.revoke_token()
            with pytest.raises(discord.ConnectionClosed) as closed:
                await running
            assert closed.value.code == 4004
            assert (await call("GET", "/users/@me"))[0] == 401
        async with rest(server, renewed) as call:
            assert (await call("GET", "/users/@me"))[0] == 200

    async def test_an_intent_that_was_not_granted_ends_in_4014(self, server: DiscordServer) -> None:
        server.intents_allowed = PRIVILEGED & ~MESSAGE_CONTENT
        bot = Bot(server)
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.start(server.token)
        await bot.close()

    async def test_nobody_gets_in_by_the_address_instead_of_the_name(self, server: DiscordServer) -> None:
        async with aiohttp.ClientSession(connector=connector(server)) as session:
            with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                await session.get(server.base_url)

    async def test_each_host_answers_only_for_itself(self, server: DiscordServer) -> None:
        async with aiohttp.ClientSession(connector=connector(server)) as session:
            for path in (
                "cdn.discordapp.com/api/v10/gateway",
                "discord.com/?v=10",
                "discord.com/attachments/1/2/a.txt",
            ):
                async with session.get(f"https://{path}") as wrong:
                    assert wrong.status == 404
            async with session.get("https://discord.com/api/v10/gateway") as right:
                assert (await right.json())["url"] == "wss://gateway.discord.gg"

    async def test_members_are_listed_for_those_who_may(self, server: DiscordServer) -> None:
        server.intents_allowed = GUILD_MEMBERS | MESSAGE_CONTENT
        async with running(server, intents(members=True)) as bot:
            guild = bot.get_guild(int(GUILD))
            assert guild
            assert guild.get_member(int(ANNA))


class TestHearing:
    async def test_a_message_comes_with_author_channel_and_guild(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            said = server.say("hello 🦊")
            [message] = await bot.hears("message")
            assert (message.content, str(message.id)) == ("hello 🦊", said["id"])
            assert (str(message.author.id), str(message.channel.id)) == (ANNA, GENERAL)
            assert str(message.guild.id) == GUILD
            assert not message.author.bot

    async def test_without_the_intent_content_is_kept_from_all_but_mentions_and_direct_messages(
        self, server: DiscordServer
    ) -> None:
        async with running(server, intents(message_content=False)) as bot:
            server.say("secret", attachments={"a.txt": b"x"})
            server.say("for you", mention=True)
            server.dm("between us")
            plain, mention, direct = await bot.hears("message", 3)
            assert (plain.content, plain.attachments) == ("", [])
            assert mention.content == f"<@{BOT}> for you"
            assert mention.mentions == [bot.user]
            assert (direct.content, direct.guild) == ("between us", None)

    async def test_the_bot_reads_its_own_messages_and_replies_to_them(self, server: DiscordServer) -> None:
        async with running(server, intents(message_content=False)) as bot:
            own = await bot.place(GENERAL).send("mine")
            server.say("yours", reply_to=str(own.id))
            server.say("unpinged", reply_to=str(own.id), ping=False)
            first, second, third = await bot.hears("message", 3)
            assert (first.content, second.content, third.content) == ("mine", "yours", "")
            assert second.reference.resolved.content == third.reference.resolved.content == "mine"

    async def test_a_quoted_stranger_is_cut_out_of_a_mention(self, server: DiscordServer) -> None:
        async with running(server, intents(message_content=False)) as bot:
            secret = server.say("secret")
            server.say("what is this?", mention=True, reply_to=secret)
            message = (await bot.hears("message", 2))[1]
            assert (message.content, message.reference.resolved.content) == (f"<@{BOT}> what is this?", "")

    async def test_events_come_only_for_the_intents_asked(self, server: DiscordServer) -> None:
        asked = intents(guild_messages=False, guild_typing=False)
        async with running(server, asked) as bot:
            server.say("not heard")
            server.start_typing()
            server.dm("heard")
            await bot.hears("message")
            assert bot.texts() == ["heard"]

    async def test_what_happens_in_a_hidden_channel_is_not_heard(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            server.forbid("view")
            server.say("not heard")
            server.say("nor this", THREAD)
            server.say("heard", VOICE)
            await bot.hears("message")
            assert bot.texts() == ["heard"]

    async def test_edits_deletions_typing_and_reactions_are_told(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            said = server.say("frist")
            server.edit(said, "first")
            server.react(said, "👍")
            server.start_typing()
            server.delete(said)
            [edit] = await bot.hears("raw_message_edit")
            [gone] = await bot.hears("raw_message_delete")
            [reaction] = await bot.hears("raw_reaction_add")
            assert (edit.message.content, str(gone.message_id)) == ("first", said["id"])
            assert edit.message.edited_at
            assert (str(reaction.emoji), str(reaction.user_id)) == ("👍", ANNA)
            await bot.hears("raw_typing")

    async def test_other_bots_and_mentioned_roles_can_be_told_apart(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            server.say("beep", user="1100000000000000999", bot=True)
            server.say(f"<@&{BOT_ROLE}> hi")
            robot, role = await bot.hears("message", 2)
            assert robot.author.bot
            assert [str(found.id) for found in role.role_mentions] == [BOT_ROLE]
            assert role.mentions == []

    async def test_new_places_are_told(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            channel = server.add_channel("news")
            thread = server.make_thread("Side", channel)
            other = server.add_guild("Elsewhere")
            server.say("hi", server.add_channel("general", guild=other))
            message = next(m for m in await bot.hears("message", 2) if m.type is discord.MessageType.default)
            assert (message.guild.name, message.channel.name) == ("Elsewhere", "general")
            [heard] = await bot.hears("thread_create")
            assert (str(heard.id), str(heard.parent_id)) == (thread, channel)
            server.delete_channel(thread)
            server.delete_channel(channel)
            await bot.hears("guild_channel_delete")


class TestSessions:
    @pytest.mark.parametrize("code", [None, 1000, 4000, 4008], ids=str)
    async def test_what_was_missed_while_away_comes_once_with_a_resume(
        self, server: DiscordServer, code: int | None
    ) -> None:
        async with running(server) as bot:
            server.say("before")
            await bot.hears("message")
            server.drop_gateway(code)
            server.say("missed")
            await bot.hears("resumed")
            server.say("after")
            await bot.hears("message", 3)
            assert bot.texts() == ["before", "missed", "after"]
            assert (server.gateway.identifies, server.gateway.resumes) == (1, 1)

    @pytest.mark.parametrize("code", [4007, 4009])
    async def test_a_code_that_ends_the_session_loses_what_was_missed(self, server: DiscordServer, code: int) -> None:
        async with running(server) as bot:
            server.drop_gateway(code)
            server.say("lost")
            await bot.hears("ready", 2)
            server.say("after")
            await bot.hears("message")
            assert bot.texts() == ["after"]

    async def test_the_gateway_may_ask_for_a_reconnect(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            server.reconnect_please()
            await bot.hears("resumed")
            assert server.gateway.identifies == 1

    async def test_an_invalid_session_starts_again_and_what_was_missed_is_lost(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            server.invalidate_session()
            server.say("lost")
            await bot.hears("ready", 2)
            server.say("after")
            await bot.hears("message")
            assert bot.texts() == ["after"]
            assert server.gateway.identifies == 2

    async def test_a_session_that_is_invalid_for_now_is_resumed(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            server.invalidate_session(resumable=True)
            await bot.hears("resumed")
            assert server.gateway.identifies == 1

    async def test_a_dead_connection_is_noticed_and_resumed(self) -> None:
        async with DiscordServer(heartbeat=0.05) as server, running(server, heartbeat_timeout=1.0) as bot:
            server.stop_acking()
            server.say("missed")
            await bot.hears("resumed")
            assert (bot.texts(), server.gateway.identifies) == (["missed"], 1)

    async def test_a_live_connection_is_kept_by_its_heartbeat(self) -> None:
        async with DiscordServer(heartbeat=0.05) as server, running(server, heartbeat_timeout=10.0) as bot:
            await asyncio.wait_for(bot.changed.until(lambda: bot.latency < 1, 5), 5)
            assert (server.gateway.resumes, bot.heard["disconnect"]) == (0, [])

    @pytest.mark.parametrize(("code", "kept"), [(1000, 0), (1001, 0), (4000, 1)])
    async def test_only_a_clean_goodbye_ends_the_session(self, server: DiscordServer, code: int, kept: int) -> None:
        async with aiohttp.ClientSession(connector=connector(server)) as session:
            ws = await session.ws_connect(GATEWAY)
            await ws.send_json(identify(server.token))
            await server.wait_connected()
            await ws.close(code=code)
            await server.wait_for(lambda: not server.gateway.connections)
        assert len(server.gateway.sessions) == kept

    async def test_a_session_survives_an_outage(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            port = server.port
            await server.stop()
            server.say("during the outage")
            await bot.hears("disconnect")
            await server.start()
            await bot.hears("resumed")
            assert (server.port, bot.texts()) == (port, ["during the outage"])

    async def test_the_door_may_be_closed_for_a_while(self, server: DiscordServer) -> None:
        async with running(server) as bot:
            server.fail("connect", 503)
            server.drop_gateway(None)
            await bot.hears("resumed")
            assert [call.status for call in server.called("connect")][1] == 503


class TestRules:
    async def test_a_payload_before_identifying_is_refused(self, server: DiscordServer) -> None:
        assert await closing(server, {"op": 3, "d": {}}) == 4003

    async def test_what_is_no_payload_is_refused(self, server: DiscordServer) -> None:
        assert await closing(server, "{") == 4002
        assert await closing(server, {"op": 1, "d": "x" * 5000}) == 4002

    async def test_an_unknown_opcode_is_refused(self, server: DiscordServer) -> None:
        assert await closing(server, {"op": 99}) == 4001

    async def test_a_wrong_token_is_refused_at_the_gateway_too(self, server: DiscordServer) -> None:
        assert await closing(server, identify("wrong")) == 4004

    async def test_unknown_intents_and_second_identifies_are_refused(self, server: DiscordServer) -> None:
        assert await closing(server, identify(server.token, 1 << 40)) == 4013
        assert await closing(server, identify(server.token), identify(server.token)) == 4005

    async def test_too_many_payloads_are_refused(self, server: DiscordServer) -> None:
        assert await closing(server, identify(server.token), *[{"op": 3, "d": None}] * 120) == 4008

    async def test_an_old_version_is_refused(self, server: DiscordServer) -> None:
        assert await closing(server, url="https://gateway.discord.gg/?v=9&encoding=json") == 4012

    async def test_a_sequence_from_the_future_cannot_be_resumed(self, server: DiscordServer) -> None:
        async with running(server):
            [session] = server.gateway.sessions
            resume = {"op": 6, "d": {"token": server.token, "session_id": session, "seq": 99}}
            assert await closing(server, resume) == 4007


def identify(token: str, intents: int = 1) -> dict[str, object]:
    return {"op": 2, "d": {"token": token, "intents": intents, "properties": {}}}


async def closing(server: DiscordServer, *payloads: object, url: str = GATEWAY) -> int | None:
    """The code the gateway hangs up with after these payloads."""
    async with (
        aiohttp.ClientSession(connector=connector(server)) as session,
        session.ws_connect(url) as ws,
    ):
        for payload in payloads:
            await ws.send_str(payload if isinstance(payload, str) else json.dumps(payload))
        async for _ in ws:
            pass
        return ws.close_code
