"""The local Feishu's messaging API, driven by the real lark-oapi: it answers and refuses as Feishu does."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientSession
from requests import ConnectionError as Disconnected

from tests.clock import Clock
from tests.platforms.feishu import ANNA, FEISHU_LIMITS, GROUP, P2P, FeishuServer
from tests.platforms.feishu.sdk import Bot


def texts(server: FeishuServer, chat: str = P2P) -> list[str]:
    return [message["text"] for message in server.sent(chat)]


class TestToken:
    async def test_a_bot_learns_who_it_is(self, bot: Bot) -> None:
        assert (await bot.info())["bot"]["open_id"] == "ou_bot"

    async def test_a_wrong_secret_gets_no_token(self, server: FeishuServer) -> None:
        with pytest.raises(Exception, match="app secret invalid"):
            await Bot(server, "wrong").say("hi", P2P)
        assert server.called("message.create") == []

    async def test_one_token_serves_many_calls(self, server: FeishuServer, bot: Bot) -> None:
        await bot.say("one", P2P)
        await bot.say("two", P2P)
        assert len(server.called("token")) == 1

    async def test_a_revoked_token_is_refused(self, server: FeishuServer, bot: Bot) -> None:
        await bot.say("one", P2P)
        server.revoke()
        assert (await bot.say("two", P2P)).code == 99991663
        assert texts(server) == ["one"]

    async def test_a_token_ends(self, clock: Clock, bot: Bot) -> None:
        await bot.say("one", P2P)
        clock.now += 7200
        assert (await bot.say("two", P2P)).code == 99991663

    async def test_a_token_is_renewed_when_its_last_half_hour_has_come(
        self, server: FeishuServer, clock: Clock
    ) -> None:
        first = await ask_token(server)
        clock.now += 5400
        assert await ask_token(server) == first
        clock.now += 1
        assert await ask_token(server) != first
        assert len(server.state.tokens) == 2

    async def test_a_call_without_a_token_is_refused(self, server: FeishuServer) -> None:
        async with ClientSession() as http, http.get(f"{server.base_url}/open-apis/bot/v3/info") as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, 99991661)

    async def test_a_token_that_is_held_holds_nothing_else(self, server: FeishuServer, bot: Bot) -> None:
        released = server.hang("token")
        send = asyncio.create_task(bot.say("late", P2P))
        await server.wait_call("token")
        async with ClientSession() as http, http.get(f"{server.base_url}/open-apis/bot/v3/info") as answer:
            assert answer.status == 400
        assert not send.done()
        released.set()
        assert (await send).success()


async def ask_token(server: FeishuServer) -> str:
    body = {"app_id": server.app_id, "app_secret": server.app_secret}
    url = f"{server.base_url}/open-apis/auth/v3/tenant_access_token/internal"
    async with ClientSession() as http, http.post(url, json=body) as answer:
        return (await answer.json())["tenant_access_token"]


class TestSending:
    async def test_sent_lists_a_chats_messages_in_order(self, server: FeishuServer, bot: Bot) -> None:
        server.say("question")
        await bot.say("one", P2P)
        await bot.say("elsewhere", GROUP)
        await bot.say("two", P2P)
        assert texts(server) == ["one", "two"]

    async def test_a_person_is_reached_in_their_own_chat(self, server: FeishuServer, bot: Bot) -> None:
        await bot.create(ANNA, {"text": "hi"}, by="open_id")
        sent = await bot.create("ou_stranger", {"text": "hi"}, by="open_id")
        assert (texts(server), texts(server, sent.data.chat_id)) == (["hi"], ["hi"])

    @pytest.mark.parametrize(("to", "by", "code"), [("ou_x", "chat_id", 230001), ("oc_x", "user_id", 99992402)])
    async def test_a_wrong_receiver_is_refused(self, bot: Bot, to: str, by: str, code: int) -> None:
        assert (await bot.create(to, {"text": "hi"}, by=by)).code == code

    @pytest.mark.parametrize("text", ["", "  \n"])
    async def test_an_empty_text_is_refused(self, bot: Bot, text: str) -> None:
        assert (await bot.say(text, P2P)).code == 230001

    async def test_content_that_is_no_json_is_refused(self, server: FeishuServer) -> None:
        token = {"Authorization": f"Bearer {await ask_token(server)}"}
        url = f"{server.base_url}/open-apis/im/v1/messages?receive_id_type=chat_id"
        body = {"receive_id": P2P, "msg_type": "text", "content": "plain"}
        async with ClientSession(headers=token) as http, http.post(url, json=body) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, 230001)

    async def test_the_body_of_a_text_has_150_kilobytes(self, server: FeishuServer, bot: Bot) -> None:
        await bot.say("x", P2P)
        room = 150 * 1024 - server.calls[-1].size
        assert (await bot.say("ж" * (room // 2), P2P)).success()
        assert (await bot.say("ж" * (room // 2 + 2), P2P)).code == 230025

    async def test_the_body_of_a_post_has_30_kilobytes(self, server: FeishuServer, bot: Bot) -> None:
        def post(size: int) -> dict[str, Any]:
            return {"zh_cn": {"title": "t", "content": [[{"tag": "text", "text": "x" * size}]]}}

        assert (await bot.create(P2P, post(29_000), "post")).success()
        assert (await bot.create(P2P, post(31_000), "post")).code == 230025
        assert [text[:3] for text in texts(server)] == ["t\nx"]

    async def test_the_same_uuid_within_an_hour_is_the_same_message(
        self, server: FeishuServer, clock: Clock, bot: Bot
    ) -> None:
        first = await bot.say("one", P2P, uuid="u1")
        again = await bot.say("one", P2P, uuid="u1")
        assert again.data.message_id == first.data.message_id
        clock.now += 3600
        assert (await bot.say("one", P2P, uuid="u1")).data.message_id != first.data.message_id
        assert (await bot.say("one", P2P, uuid="u" * 51)).code == 99992402
        assert texts(server) == ["one", "one"]

    async def test_a_reply_knows_its_parent_and_its_root(self, server: FeishuServer, bot: Bot) -> None:
        said = server.say("question")["message_id"]
        first = (await bot.reply(said, "answer")).data
        second = (await bot.reply(first.message_id, "more")).data
        assert (second.parent_id, second.root_id, second.thread_id) == (first.message_id, said, None)

    async def test_a_reply_in_a_thread_opens_it_and_stays_in_it(self, server: FeishuServer, bot: Bot) -> None:
        said = server.say("question", kind="group")["message_id"]
        first = (await bot.reply(said, "answer", thread=True)).data
        second = (await bot.reply(first.message_id, "more")).data
        follow = server.say("thanks", chat=GROUP, parent=second.message_id)
        assert first.thread_id == second.thread_id == follow["thread_id"]
        assert follow["root_id"] == said

    async def test_a_reply_to_nothing_or_to_what_was_recalled_is_refused(self, server: FeishuServer, bot: Bot) -> None:
        said = server.say("question")
        server.recall(said)
        assert (await bot.reply(said["message_id"], "answer")).code == 230011
        assert (await bot.reply("om_404", "answer")).code == 99992354


class TestChanging:
    async def test_a_text_is_edited_twenty_times(self, server: FeishuServer, bot: Bot) -> None:
        sent = (await bot.say("0", P2P)).data.message_id
        answers = [await bot.update(sent, {"text": str(n)}) for n in range(1, 22)]
        assert [answer.code for answer in answers] == [0] * 20 + [230072]
        assert texts(server) == ["20"]
        assert server.sent()[0]["edits"] == 20

    async def test_only_ones_own_texts_are_edited(self, server: FeishuServer, bot: Bot) -> None:
        said = server.say("question")["message_id"]
        assert (await bot.update(said, {"text": "no"})).code == 230071

    async def test_a_text_is_not_patched_and_a_card_not_edited(self, bot: Bot) -> None:
        text = (await bot.say("hi", P2P)).data.message_id
        card = (await bot.create(P2P, {"schema": "2.0", "body": {"elements": []}}, "interactive")).data.message_id
        assert (await bot.patch(text, {"schema": "2.0"})).code == 230054
        assert (await bot.update(card, {"text": "no"})).code == 230054

    async def test_a_recalled_message_is_gone(self, server: FeishuServer, bot: Bot) -> None:
        sent = (await bot.say("hi", P2P)).data.message_id
        assert (await bot.delete(sent)).success()
        assert server.sent() == []
        assert (await bot.delete(sent)).code == 230110
        assert (await bot.update(sent, {"text": "back"})).code == 230011
        assert (await bot.get(sent)).data.items[0].deleted is True

    async def test_somebody_elses_message_is_not_recalled(self, server: FeishuServer, bot: Bot) -> None:
        assert (await bot.delete(server.say("mine")["message_id"])).code == 230026

    async def test_a_chat_is_listed_page_by_page(self, server: FeishuServer, bot: Bot) -> None:
        server.say("one")
        await bot.say("two", P2P)
        server.say("three")
        first = (await bot.list(P2P, size=2)).data
        rest = (await bot.list(P2P, size=2, page=first.page_token)).data
        said = [json.loads(item.body.content)["text"] for item in [*first.items, *rest.items]]
        assert (said, first.has_more, rest.has_more) == (["one", "two", "three"], True, False)
        assert [item.sender.sender_type for item in first.items] == ["user", "app"]

    async def test_a_reaction_comes_and_goes(self, server: FeishuServer, bot: Bot) -> None:
        said = server.say("question")["message_id"]
        first = (await bot.react(said, "Typing")).data.reaction_id
        assert (await bot.react(said, "Typing")).data.reaction_id == first
        assert (await bot.unreact(said, first)).success()
        assert (await bot.unreact(said, first)).code == 231007
        assert (await bot.react(said, "🙂")).code == 231001
        assert (await bot.react("om_404", "OK")).code == 231003


class TestFiles:
    async def test_an_uploaded_file_keeps_its_name_and_is_sent(self, server: FeishuServer, bot: Bot) -> None:
        key = (await bot.upload_file(b"data" * 100, "отчёт.txt")).data.file_key
        sent = (await bot.create(P2P, {"file_key": key}, "file")).data.message_id
        got = await bot.download(sent, key)
        assert (got.file.read(), got.file_name) == (b"data" * 100, "отчёт.txt")
        assert server.state.files[key].name == "отчёт.txt"

    async def test_an_image_is_uploaded_and_sent_as_an_image_only(self, bot: Bot) -> None:
        key = (await bot.upload_image(b"\x89PNG")).data.image_key
        assert (await bot.create(P2P, {"image_key": key}, "image")).success()
        assert (await bot.create(P2P, {"file_key": key}, "file")).code == 230055
        assert (await bot.create(P2P, {"image_key": "img_404"}, "image")).code == 230001

    async def test_nothing_is_no_file_and_a_stream_without_a_name_neither(self, bot: Bot) -> None:
        assert (await bot.upload_file(b"", "empty.txt")).code == 234010
        assert (await bot.upload_image(b"\x89PNG", None)).code == 234001
        assert (await bot.upload_file(b"x", "x.exe", "exe")).code == 234001

    async def test_an_image_has_10_megabytes_and_a_file_30(self, bot: Bot) -> None:
        assert (await bot.upload_image(b"x" * (10 * 2**20))).success()
        assert (await bot.upload_image(b"x" * (10 * 2**20 + 1))).code == 234006
        assert (await bot.upload_file(b"x" * (10 * 2**20 + 1), "big")).success()
        assert (await bot.upload_file(b"x" * (30 * 2**20 + 1), "huge")).code == 234006

    async def test_what_people_send_is_downloaded_from_its_own_message_only(
        self, server: FeishuServer, bot: Bot
    ) -> None:
        said, other = server.say_file(b"notes", "заметки.txt"), server.say("hi")
        key = json.loads(said["content"])["file_key"]
        assert (await bot.download(said["message_id"], key)).file.read() == b"notes"
        assert (await bot.download(other["message_id"], key)).code == 234003
        picture = server.say_image(b"\x89PNG")
        key = json.loads(picture["content"])["image_key"]
        assert (await bot.download(picture["message_id"], key, "image")).file.read() == b"\x89PNG"
        assert (await bot.download(picture["message_id"], key, "file")).code == 234001


class TestWhereTheBotMayNotBe:
    async def test_a_chat_tells_its_name_and_kind(self, bot: Bot) -> None:
        chat = (await bot.chat(GROUP)).data
        assert (chat.name, chat.chat_mode) == ("Support 🛟", "group")

    async def test_the_bot_is_thrown_out_and_taken_in_again(self, server: FeishuServer, bot: Bot) -> None:
        server.remove_bot()
        assert ((await bot.say("hi", GROUP)).code, (await bot.chat(GROUP)).code) == (230002, 232011)
        server.add_bot()
        assert (await bot.say("hi", GROUP)).success()

    async def test_a_dissolved_group_an_unknown_one_and_a_person_who_blocks_are_refused(
        self, server: FeishuServer, bot: Bot
    ) -> None:
        sent = (await bot.say("hi", GROUP)).data.message_id
        server.dissolve()
        server.block()
        codes = [(await bot.say("hi", chat)).code for chat in (GROUP, "oc_404", P2P)]
        assert codes == [232009, 230002, 230035]
        assert (await bot.update(sent, {"text": "still?"})).code == 232009


class TestRates:
    async def test_a_chat_takes_five_messages_a_second(self, server: FeishuServer, clock: Clock, bot: Bot) -> None:
        server.limit(FEISHU_LIMITS)
        assert [(await bot.say(str(n), P2P)).code for n in range(6)] == [0] * 5 + [230020]
        assert (await bot.say("elsewhere", GROUP)).success()
        clock.now += 1
        assert (await bot.say("later", P2P)).success()

    async def test_a_message_takes_five_edits_a_second(self, server: FeishuServer, bot: Bot) -> None:
        server.limit(FEISHU_LIMITS)
        sent = (await bot.say("hi", P2P)).data.message_id
        assert [(await bot.update(sent, {"text": str(n)})).code for n in range(6)] == [0] * 5 + [230020]

    async def test_fifty_calls_a_second_of_one_kind_end_with_the_seconds_to_wait(
        self, server: FeishuServer, bot: Bot
    ) -> None:
        server.limit(FEISHU_LIMITS)
        sent = (await bot.say("hi", P2P)).data.message_id
        codes = [(await bot.get(sent)).code for _ in range(50)]
        refused = await bot.get(sent)
        assert (set(codes), refused.code, refused.raw.status_code) == ({0}, 99991400, 429)
        assert refused.raw.headers["x-ogw-ratelimit-reset"] == "1"


class TestFaults:
    async def test_a_call_fails_once_as_told(self, server: FeishuServer, bot: Bot) -> None:
        server.fail("message.create", status=400, reset=7)
        refused = await bot.say("hi", P2P)
        assert (refused.code, refused.raw.status_code) == (99991400, 400)
        assert refused.raw.headers["x-ogw-ratelimit-reset"] == "7"
        assert (await bot.say("hi", P2P)).success()

    async def test_a_fault_for_one_chat_spares_the_others_until_it_heals(self, server: FeishuServer, bot: Bot) -> None:
        server.fail("message.create", 230035, chat=GROUP, times=None)
        assert (await bot.say("hi", P2P)).success()
        assert [(await bot.say("hi", GROUP)).code for _ in range(2)] == [230035, 230035]
        server.heal()
        assert (await bot.say("hi", GROUP)).success()

    async def test_a_proxy_answers_with_a_page(self, server: FeishuServer, bot: Bot) -> None:
        server.fail("message.create", json=False)
        with pytest.raises(json.JSONDecodeError):
            await bot.say("hi", P2P)
        assert server.calls[-1].status == 502

    async def test_a_lost_answer_leaves_the_message_and_the_uuid_finds_it(self, server: FeishuServer, bot: Bot) -> None:
        server.reset("message.create")
        with pytest.raises(Disconnected):
            await bot.say("hi", P2P, uuid="u1")
        assert server.sent() == []
        server.reset("message.create", handled=True)
        with pytest.raises(Disconnected):
            await bot.say("hi", P2P, uuid="u1")
        assert (await bot.say("hi", P2P, uuid="u1")).success()
        assert texts(server) == ["hi"]

    async def test_an_outage_keeps_the_port_and_what_was_sent(self, server: FeishuServer, bot: Bot) -> None:
        await bot.say("before", P2P)
        url = server.base_url
        await server.stop()
        with pytest.raises(Disconnected):
            await bot.say("lost", P2P)
        await server.start()
        assert server.base_url == url
        await bot.say("after", P2P)
        assert texts(server) == ["before", "after"]

    async def test_waiting_in_vain_says_what_the_bot_did_instead(self, server: FeishuServer, bot: Bot) -> None:
        await bot.say("hi", P2P)
        assert (await server.wait_text("hi"))["msg_type"] == "text"
        with pytest.raises(AssertionError, match=r"message\.create -> 200 0"):
            await server.wait_text("never", timeout=0.01)

    async def test_a_misspelt_call_is_an_error_of_the_test(self, server: FeishuServer) -> None:
        with pytest.raises(ValueError, match="no call is named"):
            server.fail("im.message.create")
