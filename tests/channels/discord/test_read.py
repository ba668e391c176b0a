"""What people say in Discord, as the hub gets it."""

from __future__ import annotations

from typing import Any

import pytest

from channels.discord import attachments
from channels.discord.channel import Channel
from hub.message import File, Text
from tests.channels.discord.given import at, channel_of, hear, hearing
from tests.contracts.channel import Hub
from tests.platforms.discord import ANNA, BORIS, BOT, BOT_ROLE, FORUM, GENERAL, GUILD, THREAD, VOICE, DiscordServer


class TestPlaces:
    @pytest.mark.parametrize("place", [GENERAL, THREAD, VOICE])
    async def test_channels_threads_and_voice_chats_are_chats_of_their_own(
        self, server: DiscordServer, channel: Channel, place: str
    ) -> None:
        heard = await hear(server, channel, "hello", place)
        assert heard.address == at(place)
        assert not heard.direct

    async def test_a_forum_post_is_a_chat_and_its_title_what_is_talked_about(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        async with hearing(channel) as hub:
            post = server.make_forum_post("Broken lamp", "It does not shine", FORUM)
            server.say("and flickers", post["channel_id"])
            first, second = await hub.heard(2)
        assert (first.text, first.quoted) == ("It does not shine", "Broken lamp")
        assert first.address == second.address == at(post["channel_id"])
        assert second.quoted is None

    async def test_a_thread_made_while_we_listen_is_heard(self, server: DiscordServer, channel: Channel) -> None:
        async with hearing(channel) as hub:
            thread = server.make_thread("New")
            server.say("in here", thread)
            [heard] = await hub.heard()
        assert heard.address == at(thread)

    async def test_a_direct_message_has_its_person_and_its_own_chat(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        async with hearing(channel) as hub:
            said = server.dm("psst", BORIS)
            [heard] = await hub.heard()
        assert heard.address == at(server.dm_channel(BORIS))
        assert (heard.direct, heard.mentioned) == (True, True)
        assert (heard.author.id, heard.author.name) == (BORIS, "Борис")
        assert heard.reply_to == said["id"]


class TestMentions:
    async def test_the_bots_name_is_taken_out_and_other_names_are_readable(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        text = f"hey <@{BOT}>, ask <@{BORIS}> in <#{GENERAL}> about <:wave:123> and </go:55>"
        heard = await hear(server, channel, text)
        assert heard.text == "hey, ask @Борис in #general about :wave: and /go"
        assert heard.mentioned

    @pytest.mark.parametrize(
        ("said", "text"),
        [
            (f"<@{BOT}> hello", "hello"),
            (f"<@!{BOT}>hello", "hello"),
            (f"please <@{BOT}> help", "please help"),
            (f"help me <@{BOT}>", "help me"),
            (f"<@{BOT}> /new", "/new"),
            (f"<@&{BOT_ROLE}> hello", "hello"),
            (f"<@{BOT}>", "@bothub"),
        ],
    )
    async def test_wherever_the_name_stands_the_words_around_it_stay(
        self, server: DiscordServer, channel: Channel, said: str, text: str
    ) -> None:
        heard = await hear(server, channel, said)
        assert heard.text == text
        assert heard.mentioned

    async def test_a_reply_to_the_bot_is_said_to_it_also_without_a_ping(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        async with hearing(channel) as hub:
            answer = server.state.store(GENERAL, server.state.me, content="I am **here**")
            server.say("good", reply_to=answer, ping=False)
            [heard] = await hub.heard()
        assert heard.mentioned
        assert heard.quoted == "I am **here**"

    @pytest.mark.parametrize("said", ["@everyone come", "@here come", f"<@{BORIS}> come", "bothub, come"])
    async def test_a_call_to_everybody_or_somebody_else_is_not_said_to_the_bot(
        self, server: DiscordServer, channel: Channel, said: str
    ) -> None:
        assert not (await hear(server, channel, said)).mentioned

    async def test_what_is_answered_is_quoted_with_its_files(self, server: DiscordServer, channel: Channel) -> None:
        async with hearing(channel) as hub:
            asked = server.say("look", attachments={"plan.pdf": b"x"})
            server.say("nice", user=BORIS, reply_to=asked)
            _, reply = await hub.heard(2)
        assert reply.quoted == "look\n\n[file plan.pdf]"
        assert not reply.mentioned


class TestFiles:
    async def test_files_are_kept_under_their_names_and_kinds(self, server: DiscordServer, channel: Channel) -> None:
        files = {"größe 1.png": b"picture", "notes.txt": b"words"}
        async with hearing(channel) as hub:
            server.dm("two", attachments=files)
            [heard] = await hub.heard()
        text, picture, notes = heard.parts
        assert text == Text(text="two")
        assert isinstance(picture, File)
        assert isinstance(notes, File)
        assert (picture.name, picture.media_type, picture.size) == ("größe 1.png", "image/png", 7)
        assert (notes.name, notes.media_type) == ("notes.txt", "text/plain")
        assert hub.files[picture.ref] == b"picture"

    async def test_a_file_alone_is_a_message(self, server: DiscordServer, channel: Channel) -> None:
        async with hearing(channel) as hub:
            server.dm(attachments={"a.bin": b"1"})
            [heard] = await hub.heard()
        assert [type(part) for part in heard.parts] == [File]

    async def test_a_file_that_is_too_large_is_named_and_not_fetched(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        async with hearing(channel) as hub:
            server.dm("see", attachments={"film.mp4": b"1"}, size=30 * 2**20)
            [heard] = await hub.heard()
        assert heard.text == "see\n\n[file film.mp4: 30 MB is too large]"
        assert server.called("download") == []

    async def test_a_file_that_cannot_be_had_is_named(
        self, server: DiscordServer, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attachments, "PATIENCE", 1.0)
        server.fail("download", 404)
        server.reset("download", times=2)  # aiohttp repeats a GET once
        server.hang("download")
        async with hearing(channel) as hub:
            server.dm(attachments={"a.txt": b"1", "b.txt": b"2", "c.txt": b"3", "d.txt": b"4"})
            [heard] = await hub.heard()
        missing = [f"[file {name}.txt: it could not be downloaded]" for name in "abc"]
        assert heard.text == "\n\n".join(missing)
        assert isinstance(heard.parts[-1], File)

    async def test_files_of_what_passes_by_are_only_named(self, server: DiscordServer, channel: Channel) -> None:
        async with hearing(channel) as hub:
            hub.admitting = False
            server.say("look", attachments={"cat.png": b"1"})
            [heard] = await hub.heard()
        assert heard.text == "look\n\n[file cat.png]"
        assert server.called("download") == []


class TestOtherThings:
    async def test_a_sticker_is_named(self, server: DiscordServer, channel: Channel) -> None:
        sticker: dict[str, Any] = {"id": "7", "name": "Wumpus waves", "format_type": 1}
        assert (await hear(server, channel, "", sticker_items=[sticker])).text == "[sticker Wumpus waves]"

    async def test_what_is_forwarded_is_told_with_its_files(self, server: DiscordServer, channel: Channel) -> None:
        async with hearing(channel) as hub:
            inner = server.state.store(THREAD, server.state.user(BORIS), content="the original")
            inner["attachments"] = [server.state.attach("a.txt", b"1")]
            shown = server.state.shown(inner)
            fields = ("type", "content", "embeds", "attachments", "timestamp", "edited_timestamp", "flags", "mentions")
            snapshot: dict[str, Any] = {
                "message": {name: shown[name] for name in fields} | {"mention_roles": [], "components": []}
            }
            server.dm(message_snapshots=[snapshot])
            [heard] = await hub.heard()
        assert heard.text == "[forwarded] the original"
        assert isinstance(heard.parts[-1], File)

    async def test_notices_and_our_own_words_are_not_heard(self, server: DiscordServer, channel: Channel) -> None:
        async with hearing(channel) as hub:
            server.say(type=7)
            server.say("pinned", type=6)
            server.say("by us", user=BOT)
            server.say("at last")
            await hub.heard()
        assert hub.texts == ["at last"]

    async def test_other_bots_are_heard_only_where_that_is_allowed(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        async with hearing(channel) as hub:
            server.say("beep", user="42", bot=True)
            server.say("from a webhook", webhook_id="77")
            server.say("hello")
            await hub.heard()
        assert hub.texts == ["hello"]
        hub = Hub()
        async with hearing(channel_of(server, bots="allow", catch_up=0)) as hub:
            server.say("beep", user="42", bot=True)
            await hub.heard()
        assert hub.texts == ["beep"]

    async def test_ids_name_the_channel_the_place_and_the_message(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        async with hearing(channel) as hub:
            said = server.say("hello")
            [heard] = await hub.heard()
        assert heard.id == f"workshop.{GENERAL}.{said['id']}"
        assert heard.author.id == ANNA
        assert GUILD not in heard.id
