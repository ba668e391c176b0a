"""The local Telegram, driven by the real aiogram: it behaves as Telegram does."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
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
    Update,
)
from aiohttp import ClientSession, web

from tests.platforms.telegram import GROUP, PRIVATE, SUPERGROUP, TELEGRAM_LIMITS, TelegramServer

SECOND = 0.02


class Clock:
    def __init__(self) -> None:
        self.now = 1_760_000_000.0

    def __call__(self) -> float:
        return self.now


class Session(AiohttpSession):
    """aiogram's own session, without the quarter of a second it gives to TLS at its end."""

    async def close(self) -> None:
        if self._session:
            await self._session.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server(clock: Clock) -> AsyncIterator[TelegramServer]:
    async with TelegramServer(clock=clock, second=SECOND) as server:
        yield server


@pytest.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    async with bot_of(server, server.token) as bot:
        yield bot


def bot_of(server: TelegramServer, token: str) -> Bot:
    return Bot(token, session=Session(api=TelegramAPIServer.from_base(server.base_url)))


def texts(updates: list[Update]) -> list[str | None]:
    return [update.message.text if update.message else None for update in updates]


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


class TestPolling:
    async def test_a_long_poll_returns_when_something_arrives(self, server: TelegramServer, bot: Bot) -> None:
        poll = asyncio.create_task(bot.get_updates(timeout=1000))
        await server.wait_call("getUpdates")
        assert not poll.done()
        server.say("hello")
        assert texts(await poll) == ["hello"]

    async def test_a_long_poll_is_held_and_then_comes_back_empty(self, bot: Bot) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert await bot.get_updates(timeout=5) == []
        assert loop.time() - start >= 5 * SECOND

    async def test_updates_come_again_until_a_higher_offset_acknowledges_them(
        self, server: TelegramServer, bot: Bot
    ) -> None:
        server.say("one")
        server.say("two")
        first = await bot.get_updates()
        assert texts(first) == texts(await bot.get_updates()) == ["one", "two"]
        assert texts(await bot.get_updates(offset=first[0].update_id + 1)) == ["two"]
        assert texts(await bot.get_updates()) == ["two"]

    async def test_the_limit_bounds_a_batch(self, server: TelegramServer, bot: Bot) -> None:
        for number in range(3):
            server.say(str(number))
        assert texts(await bot.get_updates(limit=2)) == ["0", "1"]

    async def test_a_second_poller_ends_the_first_with_a_conflict(self, server: TelegramServer, bot: Bot) -> None:
        first = asyncio.create_task(bot.get_updates(timeout=1000))
        await server.wait_call("getUpdates")
        second = asyncio.create_task(bot.get_updates(timeout=1000))
        with pytest.raises(TelegramConflictError, match="other getUpdates request"):
            await first
        server.say("hello")
        assert texts(await second) == ["hello"]

    async def test_only_the_kinds_asked_for_arrive(self, server: TelegramServer, bot: Bot) -> None:
        await bot.get_updates(allowed_updates=["message"])
        said = server.say("one")
        server.edit(said, "two")
        server.say("three")
        assert texts(await bot.get_updates()) == ["one", "three"]

    async def test_a_poison_update_arrives_as_it_is(self, server: TelegramServer) -> None:
        server.push_raw({"message": {"message_id": "poison"}})
        async with ClientSession() as http, http.get(f"{server.base_url}/bot{server.token}/getUpdates") as answer:
            [update] = (await answer.json())["result"]
        assert update["message"] == {"message_id": "poison"}
        assert update["update_id"] > 0

    async def test_an_outage_loses_nothing(self, server: TelegramServer, bot: Bot) -> None:
        url = server.base_url
        poll = asyncio.create_task(bot.get_updates(timeout=1000))
        await server.wait_call("getUpdates")
        await server.stop()
        with pytest.raises(TelegramNetworkError):
            await poll
        server.say("while it was away")
        await server.start()
        assert server.base_url == url
        assert texts(await bot.get_updates()) == ["while it was away"]


class Hook:
    """A webhook that answers with the next of `statuses`, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.updates: list[dict[str, Any]] = []
        self.secrets: list[str | None] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.updates.append(await request.json())
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        """Its URL, while it answers."""
        app = web.Application()
        app.router.add_post("/hook", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        finally:
            await runner.cleanup()


class TestWebhook:
    async def test_updates_are_pushed_in_order_with_the_secret(self, server: TelegramServer, bot: Bot) -> None:
        hook = Hook()
        server.say("before")
        async with hook.listening() as url:
            await bot.set_webhook(url, secret_token="S3cret-_")
            server.say("after")
            await server.wait_for(lambda: len(server.pushes) == 2)
        assert [update["message"]["text"] for update in hook.updates] == ["before", "after"]
        assert set(hook.secrets) == {"S3cret-_"}

    async def test_a_refused_push_is_repeated_until_it_is_taken(self, server: TelegramServer, bot: Bot) -> None:
        hook = Hook(500, 503)
        async with hook.listening() as url:
            await bot.set_webhook(url)
            server.say("hello")
            await server.wait_for(lambda: len(server.pushes) == 3)
        assert [push.status for push in server.pushes] == [500, 503, 200]
        assert len({update["update_id"] for update in hook.updates}) == 1
        assert (await bot.get_webhook_info()).pending_update_count == 0

    async def test_pushes_survive_an_outage_of_telegram(self, server: TelegramServer, bot: Bot) -> None:
        hook = Hook()
        async with hook.listening() as url:
            await bot.set_webhook(url)
            await server.stop()
            server.say("hello")
            await server.start()
            await server.wait_for(lambda: len(server.pushes) == 1)
        assert [update["message"]["text"] for update in hook.updates] == ["hello"]

    async def test_an_unreachable_webhook_is_given_up_and_the_next_update_has_its_turn(self) -> None:
        async with TelegramServer(second=SECOND, webhook_retries=(0.1,)) as server, bot_of(server, server.token) as bot:
            await bot.set_webhook("http://127.0.0.1:1/hook")
            server.say("one")
            server.say("two")
            await server.wait_for(lambda: len(server.pushes) == 4)
            assert [push.status for push in server.pushes] == [None] * 4
            assert server.pushes[1].update_id < server.pushes[2].update_id

    async def test_polling_conflicts_with_a_webhook_until_it_is_deleted(self, server: TelegramServer, bot: Bot) -> None:
        poll = asyncio.create_task(bot.get_updates(timeout=1000))
        await server.wait_call("getUpdates")
        await bot.set_webhook("http://127.0.0.1:1/hook")
        with pytest.raises(TelegramConflictError, match="terminated by setWebhook"):
            await poll
        with pytest.raises(TelegramConflictError, match="webhook is active"):
            await bot.get_updates()
        assert (await bot.get_webhook_info()).url == "http://127.0.0.1:1/hook"
        server.say("dropped")
        await bot.delete_webhook(drop_pending_updates=True)
        assert (await bot.get_webhook_info()).url == ""
        assert await bot.get_updates() == []

    async def test_a_secret_with_other_characters_is_refused(self, bot: Bot) -> None:
        with pytest.raises(TelegramBadRequest, match="unallowed characters"):
            await bot.set_webhook("http://127.0.0.1:1/hook", secret_token="not allowed!")


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
