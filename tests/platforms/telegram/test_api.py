"""The local Telegram, driven by the real aiogram: it behaves as Telegram does."""

import asyncio

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramUnauthorizedError,
)
from aiogram.methods import GetChat
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    MessageEntity,
    ReplyParameters,
)
from aiohttp import ClientSession

from tests.clock import Clock
from tests.platforms.telegram import GROUP, PRIVATE, SUPERGROUP, TelegramServer
from tests.platforms.telegram.client import bot_of


class TestIdentity:
    async def test_the_bot_learns_its_name(self, server: TelegramServer, bot: Bot) -> None:
        me = await bot.get_me()
        assert (me.username, me.id, me.is_bot) == ("bothub_bot", 123456789, True)

    async def test_a_wrong_token_is_unauthorized(self, server: TelegramServer) -> None:
        async with bot_of(server, "123456789:AAwrong") as stranger:
            with pytest.raises(TelegramUnauthorizedError):
                await stranger.get_me()
        assert server.calls == []

    async def test_an_unknown_method_is_not_found(self, bot: Bot) -> None:
        with pytest.raises(TelegramAPIError, match="method not found"):
            await bot(GetChat(chat_id=PRIVATE))

    async def test_query_form_and_json_say_the_same(self, server: TelegramServer) -> None:
        url = f"{server.base_url}/bot{server.token}/sendMessage"
        reply = {"message_id": 404, "allow_sending_without_reply": True}
        async with ClientSession() as http:
            await http.get(url, params={"chat_id": "77", "text": "1"})
            await http.post(
                url,
                data={
                    "chat_id": "77",
                    "text": "1",
                    "reply_parameters": '{"message_id": 404, "allow_sending_without_reply": true}',
                },
            )
            await http.post(url, json={"chat_id": 77, "text": "1", "reply_parameters": reply})
        assert [message["text"] for message in server.sent()] == ["1", "1", "1"]
        assert server.calls[1].params == server.calls[2].params

    async def test_broken_json_is_a_bad_request(self, server: TelegramServer) -> None:
        url = f"{server.base_url}/bot{server.token}/sendMessage"
        async with ClientSession() as http:
            answer = await http.post(url, data={"chat_id": "77", "text": "1", "reply_parameters": "{"})
            assert (answer.status, (await answer.json())["error_code"]) == (400, 400)


class TestSending:
    async def test_sent_lists_a_chats_messages_in_order(self, server: TelegramServer, bot: Bot) -> None:
        server.say("question")
        await bot.send_message(PRIVATE, "one")
        await bot.send_message(GROUP, "elsewhere")
        await bot.send_message(PRIVATE, "two")
        assert [message["text"] for message in server.sent(PRIVATE)] == ["one", "two"]
        assert [message["chat"]["type"] for message in server.sent(GROUP)] == ["group"]

    @pytest.mark.parametrize("text", ["", "  \n "])
    async def test_an_empty_text_is_refused(self, bot: Bot, text: str) -> None:
        with pytest.raises(TelegramBadRequest, match="text is empty"):
            await bot.send_message(PRIVATE, text)

    @pytest.mark.parametrize(("fits", "too_long"), [("x" * 4096, "x" * 4097), ("🛟" * 2048, "🛟" * 2048 + "x")])
    async def test_a_text_has_4096_utf16_units(
        self, server: TelegramServer, bot: Bot, fits: str, too_long: str
    ) -> None:
        await bot.send_message(PRIVATE, fits)
        with pytest.raises(TelegramBadRequest, match="message is too long"):
            await bot.send_message(PRIVATE, too_long)
        assert len(server.sent()) == 1

    async def test_a_reply_quotes_its_message(self, server: TelegramServer, bot: Bot) -> None:
        said = server.say("question")
        reply = await bot.send_message(
            PRIVATE, "answer", reply_parameters=ReplyParameters(message_id=said["message_id"])
        )
        assert reply.reply_to_message
        assert reply.reply_to_message.text == "question"

    async def test_a_reply_to_nothing_is_refused_unless_it_may_stand_alone(self, bot: Bot) -> None:
        with pytest.raises(TelegramBadRequest, match="message to be replied not found"):
            await bot.send_message(PRIVATE, "answer", reply_parameters=ReplyParameters(message_id=404))
        alone = ReplyParameters(message_id=404, allow_sending_without_reply=True)
        assert (await bot.send_message(PRIVATE, "answer", reply_parameters=alone)).reply_to_message is None

    async def test_a_thread_exists_in_supergroups_only(self, bot: Bot) -> None:
        assert (await bot.send_message(SUPERGROUP, "in the topic", message_thread_id=7)).message_thread_id == 7
        with pytest.raises(TelegramBadRequest, match="thread not found"):
            await bot.send_message(PRIVATE, "in the topic", message_thread_id=7)

    async def test_entities_arrive_and_move_with_the_trimmed_text(self, server: TelegramServer, bot: Bot) -> None:
        await bot.send_message(PRIVATE, " 🛟 bold \n", entities=[MessageEntity(type="bold", offset=4, length=6)])
        [message] = server.sent()
        assert message["text"] == "🛟 bold"
        assert [(e["offset"], e["length"]) for e in message["entities"]] == [(3, 4)]

    @pytest.mark.parametrize(("offset", "length"), [(1, 1), (0, 1), (0, 9), (9, 1)])
    async def test_an_entity_that_does_not_fit_is_refused(self, bot: Bot, offset: int, length: int) -> None:
        with pytest.raises(TelegramBadRequest, match="entity"):
            await bot.send_message(
                PRIVATE, "🛟 bold", entities=[MessageEntity(type="bold", offset=offset, length=length)]
            )

    async def test_markup_is_refused_rather_than_shown_raw(self, bot: Bot) -> None:
        with pytest.raises(TelegramBadRequest, match="parse_mode"):
            await bot.send_message(PRIVATE, "<b>bold</b>", parse_mode="HTML")

    @pytest.mark.parametrize("broken", [{}, 5, {"message_id": []}])
    async def test_a_parameter_of_the_wrong_shape_is_a_bad_request(
        self, server: TelegramServer, broken: object
    ) -> None:
        url = f"{server.base_url}/bot{server.token}/sendMessage"
        body = {"chat_id": PRIVATE, "text": "hello", "reply_parameters": broken, "entities": [{"type": "bold"}]}
        async with ClientSession() as http, http.post(url, json=body) as answer:
            assert answer.status == 400

    async def test_an_unknown_kind_of_chat_id_is_not_found(self, bot: Bot) -> None:
        with pytest.raises(TelegramBadRequest, match="chat not found"):
            await bot.send_message("@nobody", "hello")

    async def test_typing_and_commands_are_accepted(self, server: TelegramServer, bot: Bot) -> None:
        await bot.send_chat_action(PRIVATE, "typing")
        await bot.set_my_commands([BotCommand(command="new", description="Start again")])
        assert [command["command"] for command in server.state.commands] == ["new"]
        with pytest.raises(TelegramBadRequest, match="BOT_COMMAND_INVALID"):
            await bot.set_my_commands([BotCommand(command="No way", description="Start again")])
        with pytest.raises(TelegramBadRequest, match="action"):
            await bot.send_chat_action(PRIVATE, "dancing")


class TestEditing:
    async def test_an_edit_replaces_the_text_in_place(self, server: TelegramServer, bot: Bot) -> None:
        sent = await bot.send_message(PRIVATE, "one")
        edited = await bot.edit_message_text("two", chat_id=PRIVATE, message_id=sent.message_id)
        assert isinstance(edited, Message)
        assert edited.edit_date
        assert [message["text"] for message in server.sent()] == ["two"]

    @pytest.mark.parametrize("same", ["one", "one ", "one\n"])
    async def test_an_edit_that_changes_nothing_visible_is_refused(self, bot: Bot, same: str) -> None:
        sent = await bot.send_message(PRIVATE, "one")
        with pytest.raises(TelegramBadRequest, match="message is not modified"):
            await bot.edit_message_text(same, chat_id=PRIVATE, message_id=sent.message_id)

    async def test_new_entities_on_the_same_text_are_a_change(self, bot: Bot) -> None:
        sent = await bot.send_message(PRIVATE, "one")
        bold = [MessageEntity(type="bold", offset=0, length=3)]
        edited = await bot.edit_message_text("one", chat_id=PRIVATE, message_id=sent.message_id, entities=bold)
        assert isinstance(edited, Message)
        assert edited.entities

    async def test_an_unknown_message_cannot_be_edited_or_deleted(self, bot: Bot) -> None:
        with pytest.raises(TelegramBadRequest, match="message to edit not found"):
            await bot.edit_message_text("two", chat_id=PRIVATE, message_id=404)
        with pytest.raises(TelegramBadRequest, match="message to delete not found"):
            await bot.delete_message(PRIVATE, 404)

    async def test_a_users_message_cannot_be_edited(self, server: TelegramServer, bot: Bot) -> None:
        said = server.say("mine")
        with pytest.raises(TelegramBadRequest, match="can't be edited"):
            await bot.edit_message_text("yours", chat_id=PRIVATE, message_id=said["message_id"])

    async def test_an_edit_past_the_limit_is_refused(self, bot: Bot) -> None:
        sent = await bot.send_message(PRIVATE, "one")
        with pytest.raises(TelegramBadRequest, match="MESSAGE_TOO_LONG"):
            await bot.edit_message_text("x" * 4097, chat_id=PRIVATE, message_id=sent.message_id)

    async def test_a_deleted_message_is_gone(self, server: TelegramServer, bot: Bot) -> None:
        sent = await bot.send_message(PRIVATE, "one")
        assert await bot.delete_message(PRIVATE, sent.message_id)
        assert server.sent() == []


class TestFiles:
    async def test_a_document_goes_out_by_multipart_and_comes_back_by_its_path(
        self, server: TelegramServer, bot: Bot
    ) -> None:
        sent = await bot.send_document(PRIVATE, BufferedInputFile(b"abc", "a ü.txt"), caption="see")
        assert sent.document
        assert sent.document.file_name == "a ü.txt"
        assert sent.caption == "see"
        downloaded = await bot.download(sent.document)
        assert downloaded
        assert downloaded.read() == b"abc"

    async def test_a_photo_goes_out(self, bot: Bot) -> None:
        sent = await bot.send_photo(PRIVATE, BufferedInputFile(b"\x89PNG", "a.png"))
        assert sent.photo
        assert sent.photo[-1].file_size == 4

    async def test_a_known_file_is_sent_again_by_its_id(self, bot: Bot) -> None:
        sent = await bot.send_document(PRIVATE, BufferedInputFile(b"abc", "a.txt"))
        assert sent.document
        again = await bot.send_document(PRIVATE, sent.document.file_id)
        assert again.document
        assert again.document.file_id == sent.document.file_id

    async def test_a_caption_has_1024_units(self, bot: Bot) -> None:
        file = BufferedInputFile(b"abc", "a.txt")
        await bot.send_document(PRIVATE, file, caption="🛟" * 512)
        with pytest.raises(TelegramBadRequest, match="caption is too long"):
            await bot.send_document(PRIVATE, file, caption="🛟" * 512 + "x")

    async def test_an_empty_file_is_refused(self, bot: Bot) -> None:
        with pytest.raises(TelegramBadRequest, match="non-empty"):
            await bot.send_document(PRIVATE, BufferedInputFile(b"", "a.txt"))

    async def test_a_users_document_is_downloaded(self, server: TelegramServer, bot: Bot) -> None:
        server.say_file(b"hello", "notes.txt", caption="read this")
        [update] = await bot.get_updates()
        assert update.message
        assert update.message.document
        assert update.message.caption == "read this"
        downloaded = await bot.download(update.message.document)
        assert downloaded
        assert downloaded.read() == b"hello"

    async def test_a_file_past_20_megabytes_is_too_big_to_fetch(self, server: TelegramServer, bot: Bot) -> None:
        sent = server.say_file(b"hello", size=20 * 2**20 + 1)
        with pytest.raises(TelegramBadRequest, match="file is too big"):
            await bot.get_file(sent["document"]["file_id"])

    async def test_a_photo_arrives_in_two_sizes(self, server: TelegramServer, bot: Bot) -> None:
        server.say_photo(b"\xff\xd8", caption="look")
        [update] = await bot.get_updates()
        assert update.message
        assert update.message.photo
        assert [size.width for size in update.message.photo] == [90, 1280]


class TestUsers:
    async def test_a_mention_is_marked_in_utf16_units(self, server: TelegramServer, bot: Bot) -> None:
        server.say("🛟 ask @bothub_bot or /help@bothub_bot", kind="group")
        [update] = await bot.get_updates()
        assert update.message
        assert update.message.text
        assert update.message.entities
        marked = [(entity.type, entity.extract_from(update.message.text)) for entity in update.message.entities]
        assert marked == [("mention", "@bothub_bot"), ("bot_command", "/help@bothub_bot")]

    async def test_mention_puts_the_bots_name_in_front(self, server: TelegramServer) -> None:
        said = server.say("hello", kind="group", mention=True)
        assert said["text"] == "@bothub_bot hello"
        assert said["entities"] == [{"type": "mention", "offset": 0, "length": 11}]
        assert said["chat"]["type"] == "group"

    async def test_private_chats_belong_to_their_user(self, server: TelegramServer) -> None:
        said = server.say("hello", chat=78)
        assert said["from"]["id"] == said["chat"]["id"] == 78
        assert said["from"]["first_name"] == said["chat"]["first_name"]

    async def test_a_chat_id_of_another_kind_is_a_mistake_in_the_test(self, server: TelegramServer) -> None:
        with pytest.raises(ValueError, match="private chat by its id"):
            server.say("hello", chat=77, kind="group")

    async def test_threads_and_replies_reach_the_bot(self, server: TelegramServer, bot: Bot) -> None:
        sent = await bot.send_message(SUPERGROUP, "question", message_thread_id=7)
        server.say("answer", kind="supergroup", thread=7, reply_to=sent.message_id)
        [update] = await bot.get_updates()
        assert update.message
        assert update.message.message_thread_id == 7
        assert update.message.chat.is_forum
        assert update.message.reply_to_message
        assert update.message.reply_to_message.text == "question"

    async def test_a_pressed_button_is_answered_by_its_query(self, server: TelegramServer, bot: Bot) -> None:
        button = InlineKeyboardButton(text="Stop", callback_data="stop")
        await bot.send_message(PRIVATE, "working", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]))
        query = server.press(server.sent()[0], "stop")
        [update] = await bot.get_updates()
        assert update.callback_query
        assert (update.callback_query.id, update.callback_query.data) == (query, "stop")
        assert await bot.answer_callback_query(query)
        with pytest.raises(TelegramBadRequest, match="query ID is invalid"):
            await bot.answer_callback_query("other")

    async def test_button_data_has_64_bytes(self, bot: Bot) -> None:
        button = InlineKeyboardButton(text="Stop", callback_data="x" * 65)
        with pytest.raises(TelegramBadRequest, match="BUTTON_DATA_INVALID"):
            await bot.send_message(PRIVATE, "working", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]))

    async def test_an_edited_message_arrives_as_an_edit(self, server: TelegramServer, bot: Bot) -> None:
        server.edit(server.say("one"), "two")
        first, second = await bot.get_updates()
        assert first.message
        assert first.message.text == "one"
        assert second.edited_message
        assert second.edited_message.text == "two"


class TestWaiting:
    async def test_waiting_ends_with_the_message_that_was_waited_for(self, server: TelegramServer, bot: Bot) -> None:
        waiting = asyncio.create_task(server.wait_sent(PRIVATE, 2))
        sent = await bot.send_message(PRIVATE, "one")
        await bot.send_message(PRIVATE, "two")
        assert [message["text"] for message in await waiting] == ["one", "two"]
        settled = asyncio.create_task(server.wait_text("done"))
        await bot.edit_message_text("done", chat_id=PRIVATE, message_id=sent.message_id)
        assert (await settled)["message_id"] == sent.message_id

    async def test_waiting_in_vain_tells_what_the_bot_did_instead(self, server: TelegramServer, bot: Bot) -> None:
        await bot.get_me()
        with pytest.raises(AssertionError, match="getMe -> 200"):
            await server.wait_sent(PRIVATE, 1, timeout=0.01)

    async def test_calls_are_recorded_with_parameters_and_time(
        self, server: TelegramServer, bot: Bot, clock: Clock
    ) -> None:
        await bot.send_message(PRIVATE, "hello", message_thread_id=None)
        [call] = server.calls
        assert (call.method, call.params["chat_id"], call.params["text"]) == ("sendMessage", PRIVATE, "hello")
        assert (call.at, call.status) == (clock.now, 200)
