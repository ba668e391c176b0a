"""What people send in Telegram, as the hub hears it."""

from __future__ import annotations

from typing import Any

import pytest

from channels.telegram.channel import Channel
from hub.message import Address
from tests.channels.telegram.given import IN_GROUP, NAME, channel_of, hear
from tests.contracts.channel import Hub, listening, to
from tests.platforms.telegram import GROUP, PRIVATE, SUPERGROUP, TelegramServer

ME: dict[str, Any] = {"id": 123456789, "is_bot": True, "first_name": "Bothub", "username": "bothub_bot"}
ANNA: dict[str, Any] = {"id": 5, "is_bot": False, "first_name": "Anna"}
ROBOT: dict[str, Any] = {"from": {**ME, "id": 9, "username": "other_bot"}}
HERE = {"latitude": 59.3, "longitude": 18.1}
POLL: dict[str, Any] = {
    "id": "1",
    "question": "Lunch?",
    "total_voter_count": 0,
    "is_closed": False,
    "is_anonymous": True,
    "type": "regular",
    "allows_multiple_answers": False,
    "allows_revoting": True,
    "members_only": False,
    "options": [{"persistent_id": word, "text": word, "voter_count": 0} for word in ("yes", "no")],
}


async def silence(channel: Channel, server: TelegramServer) -> None:
    """Nothing of what waits is a message."""
    hub = Hub()
    async with listening(channel, hub):
        server.say("the next")
        await hub.heard()
    assert hub.texts == ["the next"]
    assert hub.dead == []


class TestHearing:
    async def test_a_direct_message_has_its_sender_and_its_ids(self, server: TelegramServer, channel: Channel) -> None:
        message = await hear(server, channel, "hello")
        assert message.id == f"support.{PRIVATE}.1"
        assert message.reply_to == "1"
        assert (message.author.id, message.author.name) == ("77", "Chloé Dubois")

    async def test_a_topic_is_a_thread(self, server: TelegramServer, channel: Channel) -> None:
        message = await hear(server, channel, "hello", kind="supergroup", thread=7)
        assert message.address == Address(NAME, str(SUPERGROUP), "7")

    async def test_a_thread_of_replies_is_no_topic(self, server: TelegramServer, channel: Channel) -> None:
        message = await hear(server, channel, "hello", kind="supergroup", message_thread_id=7)
        assert message.address == Address(NAME, str(SUPERGROUP))

    async def test_someone_who_writes_as_a_chat_is_that_chat_and_no_bot(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        admin: dict[str, Any] = {
            "id": 1087968824,
            "is_bot": True,
            "first_name": "Group",
            "username": "GroupAnonymousBot",
        }
        chat = {"id": GROUP, "type": "group", "title": "Release crew"}
        said: dict[str, Any] = {"from": admin, "sender_chat": chat}
        message = await hear(server, channel, "hello", kind="group", **said)
        assert (message.author.id, message.author.name) == (str(GROUP), "Release crew")

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ({"sticker": {"emoji": "🦜"}}, "🦜"),
            ({"sticker": {}}, "[sticker]"),
            ({"dice": {"emoji": "🎲", "value": 6}}, "🎲 6"),
            ({"location": HERE}, "[location 59.3, 18.1]"),
            (
                {"venue": {"location": HERE, "title": "Café", "address": "Street 1"}, "location": HERE},
                "[venue Café, Street 1 (59.3, 18.1)]",
            ),
            ({"contact": {"phone_number": "+46 1", "first_name": "Anna"}}, "[contact Anna, +46 1]"),
            ({"poll": POLL}, "[poll] Lunch?\n- yes\n- no"),
            ({"game": {"title": "t", "description": "d", "photo": []}}, "[game]"),
            ({"brand_new": {"kind": "thing"}}, "[message of an unknown kind]"),
        ],
    )
    async def test_what_is_no_text_has_a_word(
        self, server: TelegramServer, channel: Channel, content: dict[str, Any], text: str
    ) -> None:
        if "sticker" in content:
            fixed = {"file_id": "f", "file_unique_id": "u", "type": "regular", "width": 1, "height": 1}
            content = {"sticker": {**fixed, "is_animated": False, "is_video": False, **content["sticker"]}}
        assert (await hear(server, channel, **content)).text == text

    async def test_notices_and_edits_are_no_messages(self, server: TelegramServer, channel: Channel) -> None:
        server.say(new_chat_members=[ANNA], kind="group")
        server.say(pinned_message={"message_id": 1, "date": 0, "chat": {"id": PRIVATE, "type": "private"}})
        server.push_raw({"edited_message": server.state.messages[PRIVATE][2]})
        server.push_raw({"brand_new_kind": {}})
        await silence(channel, server)

    async def test_other_bots_are_not_heard(self, server: TelegramServer, channel: Channel) -> None:
        server.say("beep", kind="group", **ROBOT)
        await silence(channel, server)

    async def test_other_bots_are_heard_where_the_channel_says_so(self, server: TelegramServer) -> None:
        channel = channel_of(server, bots="allow")
        assert (await hear(server, channel, "beep", kind="group", **ROBOT)).author.id == "9"
        await channel.close()

    @pytest.mark.parametrize(
        ("said", "text"),
        [("/new@BotHub_bot", "/new"), ("/new@other_bot", "/new@other_bot"), ("/new", "/new"), ("see /new", "see /new")],
    )
    async def test_a_command_to_the_bot_loses_its_name(
        self, server: TelegramServer, channel: Channel, said: str, text: str
    ) -> None:
        assert (await hear(server, channel, said, kind="group")).text == text

    @pytest.mark.parametrize(
        ("said", "text"),
        [
            ("@bothub_bot hello", "hello"),
            ("@BotHub_bot: hello", "hello"),
            ("🦜 hello @bothub_bot", "🦜 hello"),
            ("well, @bothub_bot, what?", "well, what?"),
            ("ask @bothub_bot about it", "ask about it"),
            ("@bothub_bot @bothub_bot\nhi @other_bot", "hi @other_bot"),
            ("@bothub_bot /new", "/new"),
            ("@bothub_bot", "@bothub_bot"),
        ],
    )
    async def test_the_bots_name_is_left_out_and_others_stay(
        self, server: TelegramServer, channel: Channel, said: str, text: str
    ) -> None:
        assert (await hear(server, channel, said, kind="group")).text == text

    async def test_a_hidden_link_is_written_out(self, server: TelegramServer, channel: Channel) -> None:
        link = {"type": "text_link", "offset": 3, "length": 4, "url": "https://e.x/a"}
        assert (await hear(server, channel, "🦜 here", entities=[link])).text == "🦜 here (https://e.x/a)"

    async def test_what_a_message_answers_is_quoted(self, server: TelegramServer, channel: Channel) -> None:
        mine = await channel.send(to(IN_GROUP, "an answer"))
        message = await hear(server, channel, "why?", kind="group", reply_to=int(mine))
        assert message.quoted == "an answer"

    async def test_so_is_the_part_that_was_picked_and_a_word_for_a_photo(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        photo = server.say_photo(b"jpeg")
        server.say("what is it?", reply_to=photo)
        server.say("and this?", reply_to=photo, quote={"text": "picked", "position": 0})
        async with listening(channel, hub):
            await hub.heard(3)
        assert [message.quoted for message in hub.messages] == [None, "[photo]", "picked"]


class TestMentions:
    @pytest.mark.parametrize(
        "text",
        [
            "@bothub_bot hello",
            "hello @BotHub_BOT",
            "🦜👩‍🚀 hello @bothub_bot",
            "@other_bot and @bothub_bot",
            "/status@bothub_bot",
            "🦜 /status@Bothub_Bot now",
        ],
    )
    async def test_this_is_said_to_the_bot(self, server: TelegramServer, channel: Channel, text: str) -> None:
        message = await hear(server, channel, text, kind="group")
        assert (message.mentioned, message.direct) == (True, False)

    @pytest.mark.parametrize(
        "text",
        [
            "hello",
            "mail me at x@bothub_bot",
            "@bothub_bot2 hello",
            "🦜 @other_bot, not bothub_bot",
            "/status@other_bot",
            "/status",
            "see https://t.me/bothub_bot",
        ],
    )
    async def test_this_is_not(self, server: TelegramServer, channel: Channel, text: str) -> None:
        assert not (await hear(server, channel, text, kind="group")).mentioned

    @pytest.mark.parametrize(("user", "mentioned"), [(ME, True), (ANNA, False)], ids=["bot", "person"])
    async def test_a_linked_name_counts_by_its_id(
        self, server: TelegramServer, channel: Channel, user: dict[str, Any], mentioned: bool
    ) -> None:
        linked = {"type": "text_mention", "offset": 3, "length": 6, "user": user}
        message = await hear(server, channel, "🦜 Bothub, hello", kind="group", entities=[linked])
        assert message.mentioned is mentioned

    async def test_a_mention_in_a_caption_counts(self, server: TelegramServer, channel: Channel, hub: Hub) -> None:
        server.say_photo(b"jpeg", caption="🦜 @bothub_bot what is this?", kind="group")
        async with listening(channel, hub):
            [message] = await hub.heard()
        assert message.mentioned

    async def test_a_reply_to_the_bot_is_said_to_it_and_to_someone_else_is_not(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        mine = await channel.send(to(IN_GROUP, "an answer"))
        asked = server.say("a question", kind="group")
        server.say("thanks", kind="group", reply_to=int(mine))
        server.say("me too", kind="group", reply_to=asked)
        async with listening(channel, hub):
            await hub.heard(3)
        assert [message.mentioned for message in hub.messages] == [False, True, False]

    async def test_a_topic_that_the_bot_made_is_no_question_to_it(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        place = {"id": SUPERGROUP, "type": "supergroup", "title": "Forum", "is_forum": True}
        made = {"message_id": 7, "date": 0, "chat": place, "from": ME, "is_topic_message": True}
        made |= {"message_thread_id": 7, "forum_topic_created": {"name": "Ideas", "icon_color": 1}}
        message = await hear(server, channel, "hello", kind="supergroup", thread=7, reply_to_message=made)
        assert not message.mentioned
        assert message.address.thread_id == "7"
