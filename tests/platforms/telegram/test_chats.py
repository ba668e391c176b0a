"""The local Telegram, driven by the real aiogram: files, drafts, reactions, chats that go and move, privacy."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramMigrateToChat, TelegramNotFound
from aiogram.methods import SendMessageDraft
from aiogram.types import BufferedInputFile, MessageEntity, ReactionTypeEmoji, Update

from tests.platforms.telegram import GROUP, PRIVATE, SUPERGROUP, TelegramServer

ALL = ["message", "callback_query", "my_chat_member", "stopped_message_generation"]


async def heard(bot: Bot) -> list[Update]:
    return await bot.get_updates(timeout=1, allowed_updates=ALL)


class TestFiles:
    async def test_each_kind_is_stored_as_what_it_is(self, server: TelegramServer, bot: Bot) -> None:
        def file(name: str) -> BufferedInputFile:
            return BufferedInputFile(b"data", filename=name)

        photo = await bot.send_photo(PRIVATE, file("a.png"), caption="see")
        voice = await bot.send_voice(PRIVATE, file("a.ogg"))
        audio = await bot.send_audio(PRIVATE, file("a.mp3"))
        video = await bot.send_video(PRIVATE, file("a.mp4"))
        animation = await bot.send_animation(PRIVATE, file("a.gif"))
        document = await bot.send_document(PRIVATE, file("a.pdf"))
        assert (photo.caption, bool(photo.photo), bool(voice.voice)) == ("see", True, True)
        assert audio.audio
        assert video.video
        assert animation.animation
        assert document.document
        assert [file.name for file in server.state.files.values()] == [
            "a.png",
            "a.ogg",
            "a.mp3",
            "a.mp4",
            "a.gif",
            "a.pdf",
        ]

    async def test_what_is_not_of_its_kind_is_refused(self, bot: Bot) -> None:
        with pytest.raises(TelegramBadRequest, match="wrong type"):
            await bot.send_photo(PRIVATE, BufferedInputFile(b"data", filename="a.svg"))

    async def test_what_people_send_can_be_read_and_fetched(self, server: TelegramServer, bot: Bot) -> None:
        for kind in ("voice", "audio", "video", "video_note", "animation", "document"):
            server.say_media(kind, kind.encode(), f"{kind}.bin", caption="see")
        messages = [update.message for update in await heard(bot)]
        assert all(message and message.caption == "see" for message in messages)
        assert messages[3] is not None
        assert messages[3].video_note is not None
        content = await bot.download(messages[3].video_note)
        assert content is not None
        assert content.read() == b"video_note"

    async def test_an_album_is_a_message_for_each_picture_of_one_group(self, server: TelegramServer, bot: Bot) -> None:
        server.say_album([b"1", b"2", b"3"], caption="three")
        messages = [update.message for update in await heard(bot) if update.message]
        assert len({message.media_group_id for message in messages}) == 1
        assert [message.caption for message in messages] == ["three", None, None]


class TestDrafts:
    async def test_one_is_shown_and_is_no_message(self, server: TelegramServer, bot: Bot) -> None:
        bold = MessageEntity(type="bold", offset=0, length=3)
        assert await bot(SendMessageDraft(chat_id=PRIVATE, draft_id=5, text="one two", entities=[bold]))
        [draft] = server.state.drafts
        assert (draft["text"], draft["draft_id"], draft["entities"][0]["type"]) == ("one two", 5, "bold")
        assert server.sent() == []
        server.stop_draft()
        [update] = await heard(bot)
        assert update.stopped_message_generation
        assert update.stopped_message_generation.draft_id == 5

    @pytest.mark.parametrize(("chat", "draft", "text"), [(GROUP, 5, "x"), (PRIVATE, 0, "x"), (PRIVATE, 5, "x" * 4097)])
    async def test_groups_no_id_and_too_much_are_refused(self, bot: Bot, chat: int, draft: int, text: str) -> None:
        with pytest.raises(TelegramBadRequest):
            await bot(SendMessageDraft(chat_id=chat, draft_id=draft, text=text))

    async def test_an_older_server_does_not_know_them(self, server: TelegramServer, bot: Bot) -> None:
        server.state.knows_drafts = False
        with pytest.raises(TelegramNotFound):
            await bot(SendMessageDraft(chat_id=PRIVATE, draft_id=5, text="x"))


class TestReactions:
    async def test_one_is_put_and_taken_away(self, server: TelegramServer, bot: Bot) -> None:
        said = server.say("hello")["message_id"]
        await bot.set_message_reaction(PRIVATE, said, [ReactionTypeEmoji(emoji="👍")])
        assert server.state.reactions == {(PRIVATE, said): ["👍"]}
        await bot.set_message_reaction(PRIVATE, said, [])
        assert server.state.reactions == {(PRIVATE, said): []}

    @pytest.mark.parametrize(("message", "emoji"), [(1, "🦜"), (404, "👍")])
    async def test_others_are_refused(self, server: TelegramServer, bot: Bot, message: int, emoji: str) -> None:
        server.say("hello")
        with pytest.raises(TelegramBadRequest):
            await bot.set_message_reaction(PRIVATE, message, [ReactionTypeEmoji(emoji=emoji)])


class TestChats:
    @pytest.mark.parametrize("chat", [PRIVATE, GROUP, SUPERGROUP])
    async def test_one_that_blocks_the_bot_says_so_and_takes_nothing(
        self, server: TelegramServer, bot: Bot, chat: int
    ) -> None:
        server.block(chat)
        [update] = await heard(bot)
        assert update.my_chat_member
        assert update.my_chat_member.new_chat_member.status == "kicked"
        with pytest.raises(TelegramForbiddenError, match=r"blocked|kicked"):
            await bot.send_message(chat, "hello")
        server.unblock(chat)
        await bot.send_message(chat, "hello")

    async def test_a_group_that_moved_says_so_and_names_its_new_id(self, server: TelegramServer, bot: Bot) -> None:
        server.migrate()
        old, new = [update.message for update in await heard(bot)]
        assert old
        assert new
        assert (old.migrate_to_chat_id, new.migrate_from_chat_id) == (SUPERGROUP, GROUP)
        with pytest.raises(TelegramMigrateToChat) as caught:
            await bot.send_message(GROUP, "hello")
        assert caught.value.migrate_to_chat_id == SUPERGROUP

    async def test_with_privacy_the_bot_sees_of_a_group_only_what_is_for_it(
        self, server: TelegramServer, bot: Bot
    ) -> None:
        server.state.me["can_read_all_group_messages"] = False
        mine = await bot.send_message(GROUP, "an answer")
        seen: dict[str, dict[str, Any]] = {
            "in private": {},
            "to the bot": {"kind": "group", "mention": True},
            "/status": {"kind": "group"},
            "thanks": {"kind": "group", "reply_to": mine.message_id},
        }
        server.say("among us", kind="group")
        for text, how in seen.items():
            server.say(text, **how)
        texts = [update.message.text for update in await heard(bot) if update.message]
        assert texts == ["in private", "@bothub_bot to the bot", "/status", "thanks"]
