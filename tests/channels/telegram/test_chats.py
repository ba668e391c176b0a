"""Chats that go, move and press buttons."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.telegram.channel import Channel
from hub.errors import ChatGone, ChatMoved, MessageRefused, StoreUnavailable
from hub.message import Address, Button
from tests.channels.telegram.given import HERE, IN_GROUP, NAME, channel_of
from tests.contracts.channel import Hub, listening, to
from tests.platforms.telegram import GROUP, PRIVATE, SUPERGROUP, TelegramServer

LONG = "v" * 65


class TestGone:
    @pytest.mark.parametrize("chat", [PRIVATE, GROUP, SUPERGROUP])
    async def test_a_chat_that_blocks_the_bot_is_told(
        self, server: TelegramServer, channel: Channel, hub: Hub, chat: int
    ) -> None:
        async with listening(channel, hub):
            server.block(chat)
            await hub.until(lambda: bool(hub.gone_chats))
        assert list(hub.gone_chats) == [str(chat)]
        assert "blocked or removed" in hub.gone_chats[str(chat)]
        with pytest.raises(ChatGone):
            await channel.send(to(Address(NAME, str(chat)), "hello"))

    async def test_one_that_lets_it_in_again_is_not(self, server: TelegramServer, channel: Channel, hub: Hub) -> None:
        server.block()
        server.unblock()
        server.say("hello")
        async with listening(channel, hub):
            await hub.heard()
        assert list(hub.gone_chats) == [str(PRIVATE)]
        assert hub.texts == ["hello"]
        await channel.send(to(HERE, "hello"))

    async def test_typing_and_edits_in_a_chat_that_is_gone_are_told_so(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        sent = await channel.send(to(HERE, "one"))
        server.block()
        with pytest.raises(ChatGone):
            await channel.typing(HERE)
        with pytest.raises(ChatGone):
            await channel.edit(to(HERE, "two"), sent)


class TestMoved:
    async def test_a_group_that_becomes_a_supergroup_is_told_before_what_is_said_there(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.migrate()
        server.say("new here", SUPERGROUP)
        async with listening(channel, hub):
            await hub.heard()
        assert hub.moved_chats == {str(GROUP): str(SUPERGROUP)}
        assert hub.texts == ["new here"]

    async def test_a_message_to_its_old_id_tells_the_new_one(self, server: TelegramServer, channel: Channel) -> None:
        sent = await channel.send(to(IN_GROUP, "one"))
        server.migrate()
        with pytest.raises(ChatMoved) as caught:
            await channel.send(to(IN_GROUP, "two"))
        assert caught.value.to == str(SUPERGROUP)
        with pytest.raises(ChatMoved):
            await channel.edit(to(IN_GROUP, "two"), sent)


class TestButtons:
    @pytest.fixture
    async def there(self, server: TelegramServer, channel: Channel) -> TelegramServer:
        rows = (
            (Button(text="Yes", value="yes, please"), Button(text="Ünlong", value=LONG)),
            (),
            (Button(text="T", value="text:x"),),
        )
        await channel.send(to(IN_GROUP, "Shall I?", buttons=rows))
        return server

    async def test_they_stand_in_rows_and_carry_what_fits(self, there: TelegramServer) -> None:
        rows = there.sent(GROUP)[0]["reply_markup"]["inline_keyboard"]
        assert [[button["text"] for button in row] for row in rows] == [["Yes", "Ünlong"], ["T"]]
        assert rows[0][0]["callback_data"] == "yes, please"
        assert rows[0][1]["callback_data"].startswith("text:")

    async def test_a_press_is_said_by_who_pressed_and_answered(
        self, there: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        [message] = there.sent(GROUP)
        there.press(message, "yes, please", user=5)
        async with listening(channel, hub):
            [heard] = await hub.heard()
            await there.wait_call("answerCallbackQuery")
        assert heard.id == "support.press.press1"
        assert (heard.text, heard.address, heard.author.id) == ("yes, please", IN_GROUP, "5")
        assert (heard.direct, heard.mentioned, heard.reply_to) == (False, True, str(message["message_id"]))

    @pytest.mark.parametrize(("row", "place", "text"), [(0, 1, "Ünlong"), (1, 0, "T")])
    async def test_a_value_that_does_not_fit_is_said_in_the_buttons_words_also_by_a_new_process(
        self, there: TelegramServer, hub: Hub, row: int, place: int, text: str
    ) -> None:
        [message] = there.sent(GROUP)
        there.press(message, message["reply_markup"]["inline_keyboard"][row][place]["callback_data"])
        other = channel_of(there)
        async with listening(other, hub):
            await hub.heard()
        await other.close()
        assert hub.texts == [text]

    async def test_a_button_of_a_message_that_telegram_forgot_is_too_old(
        self, there: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        [message] = there.sent(GROUP)
        data = message["reply_markup"]["inline_keyboard"][0][1]["callback_data"]
        there.press({"message_id": 1, "date": 0, "chat": message["chat"]}, data)
        async with listening(channel, hub):
            call = await there.wait_call("answerCallbackQuery")
        assert call.params["text"] == "This button is too old."
        assert hub.asked == []

    async def test_a_press_is_answered_only_once_it_is_stored(
        self, there: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        hub.failures = [StoreUnavailable("down")]
        there.press(there.sent(GROUP)[0], "yes, please")
        async with listening(channel, hub):
            await hub.heard()
            await there.wait_call("answerCallbackQuery")
        assert len(hub.asked) == 2
        assert len(there.called("answerCallbackQuery")) == 1

    async def test_an_answer_that_comes_too_late_does_not_matter(
        self, there: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        there.fail("answerCallbackQuery", 400, "Bad Request: query is too old")
        there.press(there.sent(GROUP)[0], "yes, please")
        there.say("after")
        async with listening(channel, hub):
            await hub.heard(2)
        assert hub.texts == ["yes, please", "after"]


class TestReactions:
    async def test_an_emoji_that_telegram_does_not_know_is_refused(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        said = server.say("hello")
        with pytest.raises(MessageRefused, match="REACTION_INVALID"):
            await channel.react(HERE, str(said["message_id"]), "🦜")

    async def test_none_takes_it_away(self, server: TelegramServer, channel: Channel) -> None:
        said = str(server.say("hello")["message_id"])
        await channel.react(HERE, said, "👍")
        await channel.react(HERE, said, "")
        assert list(server.state.reactions.values()) == [[]]


class TestPrivacy:
    @pytest.mark.parametrize(
        ("config", "warned"),
        [
            ({"groups": "listen"}, True),
            ({"groups": "open"}, True),
            ({"chats": {"-5": {"groups": "open"}}}, True),
            ({"groups": "mention"}, False),
        ],
    )
    async def test_a_bot_that_is_to_hear_what_it_cannot_see_is_told_how(
        self, server: TelegramServer, hub: Hub, config: dict[str, Any], warned: bool
    ) -> None:
        server.state.me["can_read_all_group_messages"] = False
        channel = channel_of(server, **config)
        with capture_logs() as logs:
            async with listening(channel, hub):
                pass
        await channel.close()
        assert any("/setprivacy" in entry["event"] for entry in logs) is warned

    async def test_a_bot_that_sees_everything_is_not(self, server: TelegramServer, hub: Hub) -> None:
        channel = channel_of(server, groups="open")
        with capture_logs() as logs:
            async with listening(channel, hub):
                pass
        await channel.close()
        assert not any("/setprivacy" in entry["event"] for entry in logs)
