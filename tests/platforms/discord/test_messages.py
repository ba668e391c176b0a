"""The local Discord's messages, driven by the real discord.py: they behave as Discord's do."""

from datetime import timedelta
from io import BytesIO

import discord
import pytest
from discord import AllowedMentions

from tests.clock import Clock
from tests.platforms.discord import ANNA, BORIS, BOT, BOT_ROLE, GENERAL, MESSAGE_CONTENT, VOICE, DiscordServer
from tests.platforms.discord.client import Bot, refused, rest, texts

MIB = 2**20


class TestSending:
    async def test_a_message_stands_and_comes_back_as_an_event(self, server: DiscordServer, bot: Bot) -> None:
        sent = await bot.place(GENERAL).send("hello")
        [stands] = await server.wait_sent()
        assert (stands["id"], stands["content"]) == (str(sent.id), "hello")
        [echo] = await bot.hears("message")
        assert (echo.id, echo.author) == (sent.id, bot.user)

    async def test_blanks_around_the_text_are_trimmed(self, server: DiscordServer, bot: Bot) -> None:
        await bot.place(GENERAL).send("\n  hello \n")
        assert texts(server) == ["hello"]

    async def test_2000_utf16_units_fit_and_no_more(self, server: DiscordServer, bot: Bot) -> None:
        channel = bot.place(GENERAL)
        await channel.send("😀" * 1000)
        with pytest.raises(discord.HTTPException, match="Must be 2000 or fewer in length") as refusal:
            await channel.send("😀" * 1000 + "!")
        assert (refusal.value.status, refusal.value.code) == (400, 50035)
        assert len(server.sent()) == 1

    @pytest.mark.parametrize("text", ["", " \n\t"], ids=["empty", "blank"])
    async def test_an_empty_message_is_refused(self, bot: Bot, text: str) -> None:
        assert await refused(bot.place(GENERAL).send(text)) == (400, 50006)

    async def test_the_same_nonce_makes_one_message_for_a_few_minutes(
        self, server: DiscordServer, bot: Bot, clock: Clock
    ) -> None:
        channel = bot.place(GENERAL)
        first = await channel.send("one", nonce="k1")
        again = await channel.send("one", nonce="k1")
        other = await channel.send("one", nonce="k2")
        assert first.id == again.id != other.id
        clock.now += 301
        late = await channel.send("one", nonce="k1")
        assert late.id != first.id
        assert len(server.sent()) == 3
        assert len(await bot.hears("message", 3)) == 3

    async def test_a_nonce_that_is_not_enforced_does_not_hold(self, server: DiscordServer) -> None:
        async with rest(server) as call:
            for _ in range(2):
                status, body, _ = await call("POST", f"/channels/{GENERAL}/messages", {"content": "x", "nonce": 7})
                assert (status, body["nonce"]) == (200, 7)
        assert len(server.sent()) == 2

    async def test_a_nonce_has_at_most_25_characters(self, bot: Bot) -> None:
        assert await refused(bot.place(GENERAL).send("x", nonce="k" * 26)) == (400, 50035)

    async def test_a_reply_quotes_and_needs_its_target_unless_told_otherwise(
        self, server: DiscordServer, bot: Bot
    ) -> None:
        said = server.say("question")
        [message] = await bot.hears("message")
        reply = await message.reply("answer")
        assert reply.type is discord.MessageType.reply
        assert server.sent()[0]["referenced_message"]["content"] == "question"
        server.delete(said)
        assert await refused(message.reply("late")) == (400, 50035)
        gone = message.to_reference(fail_if_not_exists=False)
        late = await message.channel.send("late", reference=gone)
        assert late.reference is None

    async def test_what_the_bot_sends_is_kept_in_its_calls(self, server: DiscordServer, bot: Bot) -> None:
        await bot.place(GENERAL).send("hi", allowed_mentions=AllowedMentions.none())
        call = await server.wait_call("create_message")
        assert (call.channel, call.params["content"], call.status) == (GENERAL, "hi", 200)
        assert call.params["allowed_mentions"] == {"parse": []}


class TestPings:
    async def test_by_default_everyone_who_is_named_is_pinged(self, server: DiscordServer, bot: Bot) -> None:
        server.say("question", user=BORIS)
        [message] = await bot.hears("message")
        await message.reply(f"@everyone <@{ANNA}> <@&{BOT_ROLE}> <@&123>")
        assert [ping.who for ping in server.pings] == ["everyone", BOT_ROLE, ANNA, BORIS]
        assert server.pings[0].message == server.sent()[0]["id"]
        assert server.sent()[0]["mention_everyone"]

    async def test_allowed_mentions_keep_the_phones_quiet(self, server: DiscordServer, bot: Bot) -> None:
        server.say("question", user=BORIS)
        [message] = await bot.hears("message")
        text = f"@everyone @here <@{ANNA}> <@&{BOT_ROLE}>"
        await message.reply(text, allowed_mentions=AllowedMentions.none())
        assert server.pings == []
        only = AllowedMentions(everyone=False, roles=False, users=[discord.Object(int(ANNA))], replied_user=True)
        await message.reply(f"{text} <@{BORIS}>", allowed_mentions=only)
        assert [ping.who for ping in server.pings] == [ANNA, BORIS]
        assert [user["id"] for user in server.sent()[1]["mentions"]] == [ANNA, BORIS]

    async def test_an_edit_pings_nobody(self, server: DiscordServer, bot: Bot) -> None:
        sent = await bot.place(GENERAL).send("hi")
        await sent.edit(content=f"@everyone <@{ANNA}>")
        assert server.pings == []

    async def test_contradictory_rules_are_refused(self, server: DiscordServer) -> None:
        rules = {"parse": ["users"], "users": [ANNA]}
        async with rest(server) as call:
            path = f"/channels/{GENERAL}/messages"
            status, body, _ = await call("POST", path, {"content": "x", "allowed_mentions": rules})
            assert (status, body["code"]) == (400, 50035)
            wrong, _, _ = await call("POST", path, {"content": "x", "allowed_mentions": {"parse": ["cats"]}})
            assert wrong == 400

    async def test_without_the_permission_nobody_rings_the_crowd(self, server: DiscordServer, bot: Bot) -> None:
        server.forbid("mention_everyone")
        await bot.place(GENERAL).send("@everyone")
        assert server.pings == []


class TestEditing:
    async def test_an_edit_replaces_the_text_and_is_told(self, server: DiscordServer, bot: Bot) -> None:
        sent = await bot.place(GENERAL).send("frist")
        edited = await sent.edit(content="first")
        assert edited.edited_at
        assert texts(server) == ["first"]
        [event] = await bot.hears("raw_message_edit")
        assert event.message.content == "first"
        assert (await server.wait_text("first"))["id"] == str(sent.id)

    async def test_edits_obey_the_rules_of_messages(self, bot: Bot) -> None:
        sent = await bot.place(GENERAL).send("x")
        assert await refused(sent.edit(content="x" * 2001)) == (400, 50035)
        assert await refused(sent.edit(content="")) == (400, 50006)

    async def test_messages_of_others_cannot_be_edited(self, server: DiscordServer, bot: Bot) -> None:
        server.say("mine")
        [message] = await bot.hears("message")
        assert await refused(message.edit(content="yours")) == (403, 50005)

    async def test_a_deleted_message_is_gone(self, server: DiscordServer, bot: Bot) -> None:
        sent = await bot.place(GENERAL).send("x")
        await sent.delete()
        assert server.sent() == []
        assert await refused(sent.delete()) == (404, 10008)
        assert await refused(sent.edit(content="y")) == (404, 10008)
        await bot.hears("raw_message_delete")

    async def test_reactions_come_and_go(self, server: DiscordServer, bot: Bot) -> None:
        server.say("hi")
        [message] = await bot.hears("message")
        await message.add_reaction("👀")
        [reaction] = (await message.channel.fetch_message(message.id)).reactions
        assert (reaction.emoji, reaction.count, reaction.me) == ("👀", 1, True)
        assert [user.id async for user in reaction.users()] == [int(BOT)]
        assert bot.user
        await message.remove_reaction("👀", bot.user)
        assert (await message.channel.fetch_message(message.id)).reactions == []
        assert await refused(message.add_reaction("not_an_emoji:1")) == (400, 10014)


class TestHistory:
    async def test_pages_go_back_and_forth(self, server: DiscordServer, bot: Bot) -> None:
        said = [server.say(str(number)) for number in range(6)]
        channel = bot.place(GENERAL)
        after = discord.Object(int(said[2]["id"]))
        assert [m.content async for m in channel.history(after=after)] == ["3", "4", "5"]
        assert [m.content async for m in channel.history(after=after, limit=1)] == ["3"]
        assert [m.content async for m in channel.history(before=after)] == ["1", "0"]
        assert [m.content async for m in channel.history(limit=2)] == ["5", "4"]

    async def test_ids_carry_the_time_so_that_history_can_start_at_one(
        self, server: DiscordServer, bot: Bot, clock: Clock
    ) -> None:
        server.say("old")
        clock.now += 3600
        said = server.say("new")
        since = discord.utils.snowflake_time(int(said["id"]))
        found = [m async for m in bot.place(GENERAL).history(after=since - timedelta(minutes=1))]
        assert [message.content for message in found] == ["new"]
        assert found[0].created_at.timestamp() == pytest.approx(clock.now, abs=0.01)

    async def test_a_page_has_at_most_100(self, server: DiscordServer) -> None:
        async with rest(server) as call:
            status, body, _ = await call("GET", f"/channels/{GENERAL}/messages?limit=101")
        assert (status, body["code"]) == (400, 50035)

    async def test_history_keeps_content_from_those_without_the_intent(self, server: DiscordServer) -> None:
        server.intents_allowed &= ~MESSAGE_CONTENT
        server.say("secret")
        server.say("for you", mention=True)
        async with rest(server) as call:
            _, body, _ = await call("GET", f"/channels/{GENERAL}/messages")
        assert [message["content"] for message in body] == [f"<@{BOT}> for you", ""]


class TestFiles:
    async def test_a_file_goes_up_and_comes_down_by_its_link(self, server: DiscordServer, bot: Bot) -> None:
        file = discord.File(BytesIO(b"abc"), "my notes ü.txt", description="notes")
        sent = await bot.place(GENERAL).send("look", file=file)
        [attachment] = sent.attachments
        assert (attachment.filename, attachment.title, attachment.size) == ("my_notes_.txt", "my notes ü", 3)
        assert (attachment.description, attachment.content_type) == ("notes", "text/plain")
        assert await attachment.read() == b"abc"
        assert attachment.url.startswith(f"https://cdn.discordapp.com/attachments/{GENERAL}/")
        [up] = (await server.wait_call("create_message")).files.values()
        assert (up.name, up.data) == ("my notes ü.txt", b"abc")

    async def test_a_link_expires_cannot_be_made_up_and_is_renewed_with_the_message(
        self, server: DiscordServer, bot: Bot, clock: Clock
    ) -> None:
        server.say("look", attachments={"a.bin": b"x"})
        [message] = await bot.hears("message")
        [attachment] = message.attachments
        assert await bot.http.get_from_cdn(attachment.url) == b"x"
        with pytest.raises(discord.NotFound):
            await bot.http.get_from_cdn(attachment.url.partition("?")[0])
        clock.now += 2 * 86400
        with pytest.raises(discord.NotFound):
            await attachment.read()
        fetched = await message.channel.fetch_message(message.id)
        assert await fetched.attachments[0].read() == b"x"

    async def test_a_claimed_size_is_only_a_claim(self, server: DiscordServer, bot: Bot) -> None:
        server.say(attachments={"big.bin": b"x"}, size=500 * MIB)
        [message] = await bot.hears("message")
        assert (message.attachments[0].size, message.content) == (500 * MIB, "")

    async def test_10_mib_fit_and_no_more(self, server: DiscordServer, bot: Bot) -> None:
        channel = bot.place(GENERAL)
        await channel.send(file=discord.File(BytesIO(bytes(10 * MIB)), "fits.bin"))
        over = discord.File(BytesIO(bytes(10 * MIB + 1)), "over.bin")
        assert await refused(channel.send(file=over)) == (413, 40005)
        assert len(server.sent()) == 1

    async def test_an_edit_keeps_drops_and_adds_files(self, server: DiscordServer, bot: Bot) -> None:
        files = [discord.File(BytesIO(name.encode()), f"{name}.txt") for name in ("one", "two")]
        sent = await bot.place(GENERAL).send("x", files=files)
        kept = await sent.edit(content="y")
        assert [file.filename for file in kept.attachments] == ["one.txt", "two.txt"]
        third = discord.File(BytesIO(b"three"), "three.txt")
        changed = await sent.edit(attachments=[kept.attachments[1], third])
        assert [file.filename for file in changed.attachments] == ["two.txt", "three.txt"]
        bare = await sent.edit(attachments=[])
        assert (bare.content, bare.attachments) == ("y", [])

    async def test_a_voice_channels_text_is_a_channel_like_another(self, server: DiscordServer, bot: Bot) -> None:
        server.say("hi", VOICE)
        [message] = await bot.hears("message")
        await message.channel.send("hello")
        assert texts(server, VOICE) == ["hello"]
