"""What the channel sends, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

import pytest

from channels.telegram.channel import Channel
from hub.channel import Measures, Sending, ShowsTyping
from hub.errors import ChannelError, ChannelRefused, ChatGone, ChatMoved, MessageRefused, RateLimited, Unreachable
from hub.message import Address, Button
from tests.channels.telegram.given import HERE, IN_GROUP, NAME, channel_of
from tests.contracts.channel import Hub, file_to, listening, shown, to
from tests.platforms.telegram import GROUP, PRIVATE, SUPERGROUP, TelegramServer

TROUBLES: dict[str, tuple[Callable[[TelegramServer], object], int]] = {
    "502": (lambda server: server.fail("sendMessage", 502), 0),
    "page": (lambda server: server.fail("sendMessage", 502, json=False), 0),
    "reset": (lambda server: server.reset("sendMessage"), 0),
    "lost": (lambda server: server.reset("sendMessage", handled=True), 1),
    "hang": (lambda server: server.hang("sendMessage"), 0),
}
"""Ways to lose an answer, and how many messages were sent all the same."""
REFUSALS: list[tuple[int, str, type[ChannelError], str]] = [
    (400, "Bad Request: chat not found", ChatGone, "chat not found"),
    (400, "Bad Request: message is too long", MessageRefused, "message is too long"),
    (400, "Bad Request: not enough rights to send text messages to the chat", MessageRefused, "not enough rights"),
    (401, "Unauthorized", ChannelRefused, "refuses the token of channel 'support'"),
    (403, "Forbidden: user is deactivated", ChatGone, "user is deactivated"),
    (403, "Forbidden: the group chat was deleted", ChatGone, "was deleted"),
    (404, "Not Found", ChannelRefused, "refuses the token of channel 'support'"),
    (413, "Request Entity Too Large", MessageRefused, "Too Large"),
    (500, "Internal Server Error", Unreachable, "out of order"),
]


class TestSending:
    async def test_plain_text_goes_out_as_it_is(self, server: TelegramServer, channel: Channel) -> None:
        text = "1 < 2, a_b_c and x@example.org"
        assert await channel.send(to(HERE, text)) == str(server.sent()[0]["message_id"])
        assert server.sent()[0]["text"] == text
        assert set(server.calls[-1].params) == {"chat_id", "text"}

    async def test_markdown_goes_out_as_entities(self, server: TelegramServer, channel: Channel) -> None:
        await channel.send(to(HERE, "**bold** and `code`"))
        [sent] = server.sent()
        assert sent["text"] == "bold and code"
        assert [(entity["type"], entity["offset"]) for entity in sent["entities"]] == [("bold", 0), ("code", 9)]
        assert "parse_mode" not in server.calls[-1].params

    @pytest.mark.parametrize("words", ["can't parse entities: no", "ENTITY_BOUNDS_INVALID"])
    async def test_refused_marks_are_sent_once_more_as_written(
        self, server: TelegramServer, channel: Channel, words: str
    ) -> None:
        server.fail("sendMessage", 400, f"Bad Request: {words}")
        await channel.send(to(HERE, "**bold** @anna"))
        [sent] = server.sent()
        assert sent["text"] == "**bold** @\u2060anna"
        assert "entities" not in sent

    async def test_marks_that_are_refused_twice_are_a_refusal(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("sendMessage", 400, "Bad Request: can't parse entities", times=2)
        with pytest.raises(MessageRefused, match="can't parse"):
            await channel.send(to(HERE, "**bold**"))

    async def test_a_preview_shows_no_pages_that_it_links_to(self, server: TelegramServer, channel: Channel) -> None:
        await channel.send(to(HERE, "https://example.org", final=False))
        assert server.calls[-1].params["link_preview_options"] == {"is_disabled": True}

    async def test_it_goes_to_its_topic(self, server: TelegramServer, channel: Channel) -> None:
        await channel.send(to(Address(NAME, str(SUPERGROUP), "7"), "hello"))
        assert server.sent(SUPERGROUP)[0]["message_thread_id"] == 7

    async def test_in_a_group_it_quotes_what_it_answers(self, server: TelegramServer, channel: Channel) -> None:
        asked = server.say("a question", kind="group")["message_id"]
        await channel.send(to(IN_GROUP, "an answer", reply_to=str(asked)))
        assert server.sent(GROUP)[0]["reply_to_message"]["message_id"] == asked

    async def test_a_question_that_was_deleted_is_answered_all_the_same(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        await channel.send(to(IN_GROUP, "an answer", reply_to="404"))
        assert "reply_to_message" not in server.sent(GROUP)[0]

    async def test_in_private_it_does_not_quote(self, server: TelegramServer, channel: Channel) -> None:
        asked = server.say("a question")["message_id"]
        await channel.send(to(HERE, "an answer", reply_to=str(asked)))
        assert "reply_to_message" not in server.sent()[0]

    async def test_what_else_telegram_tells_of_a_sent_message_does_not_matter(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        server.state.me["id"] = "not a number"
        assert await channel.send(to(HERE, "hello")) == "1"

    async def test_typing_is_shown_in_the_chat_and_in_the_topic(self, server: TelegramServer, channel: Channel) -> None:
        assert isinstance(channel, ShowsTyping)
        await channel.typing(HERE)
        await channel.typing(Address(NAME, str(SUPERGROUP), "7"))
        shown = [call.params for call in server.called("sendChatAction")]
        assert shown == [
            {"chat_id": PRIVATE, "action": "typing"},
            {"chat_id": SUPERGROUP, "action": "typing", "message_thread_id": 7},
        ]

    async def test_typing_that_fails_is_a_channel_error(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("sendChatAction", 403)
        with pytest.raises(ChatGone):
            await channel.typing(HERE)


class TestEdits:
    async def test_an_edit_is_rendered_and_keeps_its_buttons(self, server: TelegramServer, channel: Channel) -> None:
        sent = await channel.send(to(HERE, "one", final=False))
        await channel.edit(to(HERE, "*two*", buttons=((Button(text="Yes", value="y"),),)), sent)
        [message] = server.sent()
        assert (message["text"], message["entities"][0]["type"]) == ("two", "italic")
        assert message["reply_markup"] == {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}

    async def test_refused_marks_of_an_edit_are_written_out(self, server: TelegramServer, channel: Channel) -> None:
        sent = await channel.send(to(HERE, "one", final=False))
        server.fail("editMessageText", 400, "Bad Request: can't parse entities")
        await channel.edit(to(HERE, "*two*"), sent)
        assert server.sent()[0]["text"] == "*two*"

    async def test_the_answer_to_an_edit_does_not_matter(self, server: TelegramServer, channel: Channel) -> None:
        sent = await channel.send(to(HERE, "one", final=False))
        server.state.me["first_name"] = 5
        server.sent()[0]["date"] = "never"
        await channel.edit(to(HERE, "two"), sent)
        assert server.sent()[0]["text"] == "two"

    async def test_a_file_cannot_stand_in_the_place_of_a_text(self, server: TelegramServer, channel: Channel) -> None:
        sent = await channel.send(to(HERE, "one", final=False))
        with pytest.raises(MessageRefused, match=r"'a\.pdf' is a file"):
            await channel.edit(file_to(HERE, "a.pdf", "application/pdf", b"%PDF"), sent)

    async def test_a_message_too_old_to_delete_is_a_refusal(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("deleteMessage", 400, "Bad Request: message can't be deleted")
        with pytest.raises(MessageRefused, match="can't be deleted"):
            await channel.delete(HERE, "1")

    async def test_it_measures_what_it_renders(self, channel: Channel) -> None:
        assert isinstance(channel, Measures)
        assert channel.size("🦜 **b** `c`") == 6


class TestRefusals:
    @pytest.mark.parametrize(("code", "words", "error", "told"), REFUSALS)
    async def test_each_refusal_is_the_right_error(
        self, server: TelegramServer, channel: Channel, code: int, words: str, error: type[ChannelError], told: str
    ) -> None:
        server.fail("sendMessage", code, words)
        with pytest.raises(error, match=told) as caught:
            await channel.send(to(HERE, "hello"))
        assert server.token not in shown(caught.value)
        assert caught.value.__suppress_context__

    async def test_a_wait_is_told_in_seconds(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("sendMessage", 429, retry_after=17)
        with pytest.raises(RateLimited, match="to wait 17 s") as caught:
            await channel.send(to(HERE, "hello"))
        assert caught.value.retry_after == 17

    async def test_a_wait_without_seconds_is_one(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("sendMessage", 429, retry_after=0)
        with pytest.raises(RateLimited) as caught:
            await channel.send(to(HERE, "hello"))
        assert caught.value.retry_after == 1

    async def test_a_group_that_moved_tells_its_new_id(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("sendMessage", 400, "Bad Request: group chat was upgraded", migrate_to_chat_id=SUPERGROUP)
        with pytest.raises(ChatMoved, match=f"another id: {SUPERGROUP}") as caught:
            await channel.send(to(IN_GROUP, "hello"))
        assert caught.value.to == str(SUPERGROUP)

    @pytest.mark.parametrize(
        "sending",
        [to(Address(NAME, "77", "no topic"), "hello"), to(HERE, "half \ud83d"), to(IN_GROUP, "x", reply_to="m1")],
        ids=["thread", "text", "reply"],
    )
    async def test_what_cannot_be_written_is_refused(
        self, server: TelegramServer, channel: Channel, sending: Sending
    ) -> None:
        with pytest.raises(MessageRefused, match="cannot be written"):
            await channel.send(sending)
        assert server.sent() == []


class TestOutages:
    @pytest.mark.parametrize("trouble", TROUBLES)
    async def test_a_lost_answer_may_have_been_sent(self, server: TelegramServer, hasty: Channel, trouble: str) -> None:
        cause, sent = TROUBLES[trouble]
        cause(server)
        with pytest.raises(Unreachable) as caught:
            await hasty.send(to(HERE, "hello"))
        assert caught.value.maybe_sent
        assert server.token not in shown(caught.value)
        assert len(server.sent()) == sent

    async def test_a_refused_connection_has_sent_nothing(self, server: TelegramServer, channel: Channel) -> None:
        await server.stop()
        with pytest.raises(Unreachable) as caught:
            await channel.send(to(HERE, "hello"))
        assert not caught.value.maybe_sent

    async def test_a_name_that_is_not_found_has_sent_nothing(self, server: TelegramServer, network: list[str]) -> None:
        channel = channel_of(server, base_url="http://telegram.invalid")
        with pytest.raises(Unreachable) as caught:
            await channel.send(to(HERE, "hello"))
        assert not caught.value.maybe_sent
        assert server.token not in shown(caught.value)
        network.clear()
        await channel.close()

    async def test_a_connection_that_does_not_come_about_has_sent_nothing(self, server: TelegramServer) -> None:
        with deaf() as port:
            channel = channel_of(server, base_url=f"http://127.0.0.1:{port}", timeout=0.2)
            with pytest.raises(Unreachable) as caught:
                await channel.send(to(HERE, "hello"))
            await channel.close()
        assert not caught.value.maybe_sent
        assert server.token not in shown(caught.value)

    async def test_after_an_outage_the_same_channel_goes_on(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        task = asyncio.create_task(channel.listen(hub))
        await hub.is_up()
        await server.stop()
        with pytest.raises(Unreachable):
            await task
        await server.start()
        server.say("still there?")
        async with listening(channel, hub):
            await hub.heard()
            await channel.send(to(HERE, "yes"))
        assert [message["text"] for message in server.sent()] == ["yes"]


@contextmanager
def deaf() -> Generator[int]:
    """A port whose connections are never accepted, with its queue full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
