"""The local Discord's channels, threads and direct messages, driven by the real discord.py."""

import discord
import pytest

from tests.platforms.discord import ANNA, BORIS, BOT, FORUM, GENERAL, GUILD, THREAD, DiscordServer
from tests.platforms.discord.client import Bot, refused, texts


def forum_of(bot: Bot) -> discord.ForumChannel:
    forum = bot.get_channel(int(FORUM))
    assert isinstance(forum, discord.ForumChannel)
    return forum


class TestDirectMessages:
    async def test_a_direct_message_is_answered_where_it_came_from(self, server: DiscordServer, bot: Bot) -> None:
        said = server.dm("psst")
        [message] = await bot.hears("message")
        assert isinstance(message.channel, discord.DMChannel)
        assert str(message.channel.id) == said["channel_id"] == server.dm_channel(ANNA) != ANNA
        await message.channel.send("yes?")
        assert texts(server, server.dm_channel(ANNA)) == ["yes?"]

    async def test_the_bot_may_write_first(self, server: DiscordServer, bot: Bot) -> None:
        user = await bot.fetch_user(int(BORIS))
        await user.send("hello")
        again = await bot.create_dm(discord.Object(int(BORIS)))
        assert str(again.id) == server.dm_channel(BORIS) != server.dm_channel(ANNA)
        assert texts(server, server.dm_channel(BORIS)) == ["hello"]

    async def test_who_takes_no_direct_messages_cannot_be_written_to(self, server: DiscordServer, bot: Bot) -> None:
        server.refuse_dms(ANNA)
        channel = await bot.create_dm(discord.Object(int(ANNA)))
        assert await refused(channel.send("hello")) == (403, 50007)

    async def test_a_stranger_is_unknown(self, bot: Bot) -> None:
        assert await refused(bot.fetch_user(42)) == (404, 10013)
        assert await refused(bot.create_dm(discord.Object(42))) == (400, 50035)


class TestPermissions:
    async def test_a_channel_that_does_not_exist_is_unknown(self, bot: Bot) -> None:
        nowhere = bot.get_partial_messageable(42)
        assert await refused(nowhere.send("x")) == (404, 10003)
        assert await refused(bot.fetch_channel(42)) == (404, 10003)

    @pytest.mark.parametrize(
        ("permission", "code"), [("view", 50001), ("send", 50013)], ids=["missing access", "missing permissions"]
    )
    async def test_what_is_forbidden_is_refused(
        self, server: DiscordServer, bot: Bot, permission: str, code: int
    ) -> None:
        server.forbid(permission)
        assert await refused(bot.place(GENERAL).send("x")) == (403, code)
        server.forbid()
        await bot.place(GENERAL).send("allowed again")

    async def test_the_library_sees_what_is_forbidden(self, server: DiscordServer, bot: Bot) -> None:
        server.forbid("send", "attach")
        await bot.hears("guild_channel_update")
        channel = bot.place(GENERAL)
        mine = channel.permissions_for(channel.guild.me)
        assert (mine.send_messages, mine.attach_files, mine.read_messages) == (False, False, True)

    async def test_threads_have_a_permission_of_their_own(self, server: DiscordServer, bot: Bot) -> None:
        server.forbid("send_in_threads")
        thread = bot.get_partial_messageable(int(THREAD))
        assert await refused(thread.send("x")) == (403, 50013)
        await bot.place(GENERAL).send("x")

    async def test_history_that_may_not_be_read_is_empty(self, server: DiscordServer, bot: Bot) -> None:
        server.say("hi")
        server.forbid("read_history")
        assert [message async for message in bot.place(GENERAL).history()] == []

    async def test_typing_is_a_call_like_another(self, server: DiscordServer, bot: Bot) -> None:
        await bot.place(GENERAL).typing()
        assert (await server.wait_call("trigger_typing")).channel == GENERAL
        server.forbid("send")
        assert await refused(bot.place(GENERAL).typing().__aenter__()) == (403, 50013)

    async def test_what_is_not_modelled_is_not_found(self, server: DiscordServer, bot: Bot) -> None:
        assert await refused(bot.place(GENERAL).create_invite()) == (404, 0)
        assert server.calls[-1].method == f"POST /api/v10/channels/{GENERAL}/invites"


class TestThreads:
    async def test_someone_writes_in_a_thread_and_is_answered_there(self, server: DiscordServer, bot: Bot) -> None:
        server.say("hi", THREAD)
        [message] = await bot.hears("message")
        assert isinstance(message.channel, discord.Thread)
        assert message.channel.parent == bot.place(GENERAL)
        await message.channel.send("hello")
        assert (texts(server, THREAD), texts(server)) == (["hello"], [])

    async def test_a_thread_from_a_message_bears_its_id(self, server: DiscordServer, bot: Bot) -> None:
        said = server.say("a long story")
        [message] = await bot.hears("message")
        thread = await message.create_thread(name="Story")
        assert str(thread.id) == said["id"]
        assert await refused(message.create_thread(name="Again")) == (400, 160004)
        await thread.send("once upon a time")
        assert texts(server, said["id"]) == ["once upon a time"]
        fetched = await message.channel.fetch_message(message.id)
        assert fetched.thread == thread

    async def test_a_thread_of_its_own_leaves_a_note_in_the_channel(self, server: DiscordServer, bot: Bot) -> None:
        thread = await bot.place(GENERAL).create_thread(name="Side", type=discord.ChannelType.public_thread)
        note, *_ = await bot.hears("message")
        assert (note.type, note.content) == (discord.MessageType.thread_created, "Side")
        assert note.reference.channel_id == thread.id
        assert server.sent() == []

    async def test_threads_of_people_are_told_with_their_notes(self, server: DiscordServer, bot: Bot) -> None:
        said = server.say("a long story")
        thread = server.make_thread("Story", message=said)
        [made] = await bot.hears("thread_create")
        assert str(made.id) == thread == said["id"]
        starter = (await bot.hears("message", 2))[1]
        assert (starter.type, starter.content) == (discord.MessageType.thread_starter_message, "")
        assert starter.reference.resolved.content == "a long story"

    async def test_a_forum_holds_posts_and_no_messages(self, server: DiscordServer, bot: Bot) -> None:
        made = await forum_of(bot).create_thread(name="How?", content="like this")
        assert made.thread.id == made.message.id
        assert texts(server, str(made.thread.id)) == ["like this"]
        assert await refused(bot.get_partial_messageable(int(FORUM)).send("x")) == (400, 50008)
        assert await refused(forum_of(bot).create_thread(name="x" * 101, content="x")) == (400, 50035)

    async def test_a_post_of_a_person_is_a_thread_with_a_first_message(self, server: DiscordServer, bot: Bot) -> None:
        said = server.make_forum_post("Help", "it is broken", mention=True)
        [message] = await bot.hears("message")
        assert str(message.id) == str(message.channel.id) == said["id"]
        assert message.channel.parent == forum_of(bot)
        assert message.content == f"<@{BOT}> it is broken"

    async def test_a_message_opens_an_archived_thread_unless_it_is_locked(
        self, server: DiscordServer, bot: Bot
    ) -> None:
        thread = bot.get_partial_messageable(int(THREAD))
        server.archive(THREAD)
        await thread.send("still here")
        server.archive(THREAD, locked=True)
        assert await refused(thread.send("x")) == (400, 50083)

    async def test_active_threads_are_listed(self, server: DiscordServer, bot: Bot) -> None:
        other = server.make_thread("Old")
        server.archive(other)
        guild = bot.get_guild(int(GUILD))
        assert guild
        assert [str(thread.id) for thread in await guild.active_threads()] == [THREAD]

    async def test_a_deleted_channel_is_unknown(self, server: DiscordServer, bot: Bot) -> None:
        server.delete_channel(THREAD)
        assert await refused(bot.get_partial_messageable(int(THREAD)).send("x")) == (404, 10003)
