"""Commands behind a slash, and buttons."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from channels.discord.channel import Channel
from channels.discord.memory import Deferred, Memory
from hub.channel import Sending
from hub.errors import Unreachable
from hub.message import Address, Button, Message
from tests.channels.discord.given import at, channel_of, hearing
from tests.contracts.channel import Hub, listening, to
from tests.platforms.discord import ANNA, BORIS, GENERAL, THREAD, DiscordServer

COMMANDS = ["agent", "ask", "help", "memory", "new", "pair", "status", "stop"]

NOT_TAKEN: list[Callable[[DiscordServer], object]] = [
    lambda server: server.fail("interaction_callback", 404, 10062, "Unknown interaction"),
    lambda server: server.reset("interaction_callback"),
]
"""Ways to lose a first answer."""


@pytest.fixture
async def heard(server: DiscordServer, channel: Channel, hub: Hub) -> AsyncIterator[Hub]:
    """A hub that hears, once Discord has the commands."""
    async with listening(channel, hub):
        await server.wait_for(lambda: server.commands)
        yield hub


def answer(message: Message, text: str, index: int = 0, **more: Any) -> Sending:
    """A part of what the hub answers."""
    reply_to = None if index else message.answers_name
    sending = to(message.address, text, reply_to=reply_to, **more)
    return type(sending)(
        address=sending.address,
        part=sending.part,
        author=sending.author,
        key=f"{message.id}.reply.{index}",
        reply_to=reply_to,
        buttons=sending.buttons,
        final=sending.final,
    )


class TestCommands:
    async def test_they_are_offered_once(self, server: DiscordServer, channel: Channel) -> None:
        for _ in range(2):
            async with hearing(channel):
                await server.wait_for(lambda: server.commands)
                await asyncio.sleep(0.1)
        assert sorted(command["name"] for command in server.commands) == COMMANDS
        assert len(server.called("put_commands")) == 1

    async def test_those_that_are_off_are_not_offered(self, server: DiscordServer) -> None:
        async with hearing(channel_of(server, commands={"new": "off", "stop": ["7"], "pair": False})):
            await server.wait_for(lambda: server.commands)
        assert sorted(command["name"] for command in server.commands) == [
            "agent",
            "ask",
            "help",
            "memory",
            "status",
            "stop",
        ]

    async def test_they_are_not_offered_where_config_says_so(self, server: DiscordServer) -> None:
        async with hearing(channel_of(server, commands=False)) as hub:
            server.say("hello")
            await hub.heard()
        assert server.called("put_commands") == []

    async def test_without_them_the_bot_works_all_the_same(self, server: DiscordServer, channel: Channel) -> None:
        server.fail("put_commands", 403, 50001)
        async with hearing(channel) as hub:
            server.say("hello")
            await hub.heard()

    async def test_ask_is_said_and_its_answer_takes_the_place_of_the_thinking(
        self, server: DiscordServer, channel: Channel, heard: Hub
    ) -> None:
        used = server.slash("ask", {"text": "what is new?"}, BORIS)
        [message] = await heard.heard()
        assert message.text == "what is new?"
        assert message.address == at(GENERAL)
        assert (message.author.id, message.author.name) == (BORIS, "Борис")
        assert (message.direct, message.mentioned) == (False, True)
        assert message.reply_to == f"interaction:{used.id}"
        assert used.deferred
        sent = await channel.send(answer(message, "nothing"))
        assert [response["content"] for response in used.responses] == ["nothing"]
        assert sent == used.responses[0]["id"]
        assert server.called("create_message") == []

    @pytest.mark.parametrize("name", ["new", "stop", "status", "agent", "memory", "help", "pair"])
    async def test_the_others_are_said_as_one_would_type_them(
        self, server: DiscordServer, heard: Hub, name: str
    ) -> None:
        server.slash(name, channel=THREAD)
        [message] = await heard.heard()
        assert message.text == f"/{name}"
        assert message.address == at(THREAD)

    async def test_an_option_follows_its_command(self, server: DiscordServer, heard: Hub) -> None:
        server.slash("memory", {"forget": 2})
        server.slash("agent", {"name": "sales"})
        first, second = await heard.heard(2)
        assert (first.text, second.text) == ("/memory forget 2", "/agent sales")

    async def test_it_is_deferred_at_once_also_while_the_hub_cannot_store(
        self, server: DiscordServer, heard: Hub
    ) -> None:
        heard.gate.clear()
        server.say("before")
        used = server.slash("help")
        await server.wait_for(lambda: used.deferred)
        assert heard.messages == []
        heard.gate.set()
        await heard.heard(2)
        assert heard.texts == ["before", "/help"]

    async def test_in_a_direct_chat_the_answer_finds_its_command_too(
        self, server: DiscordServer, channel: Channel, heard: Hub
    ) -> None:
        chat = server.dm_channel()
        first = server.slash("ask", {"text": "one"}, channel=chat)
        second = server.slash("ask", {"text": "two"}, channel=chat)
        one, two = await heard.heard(2)
        assert one.direct
        await channel.send(to(one.address, "something else"))
        await channel.send(answer(two, "second"))
        await channel.send(answer(one, "first"))
        await channel.send(answer(one, "more of the first", 1))
        assert [response["content"] for response in first.responses] == ["first"]
        assert [response["content"] for response in second.responses] == ["second"]
        plain = [call.params["content"] for call in server.called("create_message")]
        assert plain == ["something else", "more of the first"]

    async def test_a_preview_is_shown_in_the_place_of_the_thinking_and_edited(
        self, server: DiscordServer, channel: Channel, heard: Hub
    ) -> None:
        used = server.slash("ask", {"text": "tell"})
        [message] = await heard.heard()
        sent = await channel.send(answer(message, "once upon", final=False))
        buttons = ((Button(text="More", value="more"),),)
        await channel.edit(answer(message, "once upon a time", buttons=buttons), sent)
        [response] = used.responses
        assert response["content"] == "once upon a time"
        assert response["components"]
        assert server.pings == []

    async def test_an_answer_that_was_lost_on_its_way_is_the_same_when_sent_again(
        self, server: DiscordServer, channel: Channel, heard: Hub
    ) -> None:
        used = server.slash("ask", {"text": "tell"})
        [message] = await heard.heard()
        server.reset("edit_response", handled=True, times=None)
        with pytest.raises(Unreachable) as caught:
            await channel.send(answer(message, "here"))
        assert caught.value.maybe_sent
        server.heal()
        await channel.send(answer(message, "here"))
        assert [response["content"] for response in used.responses] == ["here"]
        assert len(server.sent()) == 1

    async def test_an_answer_that_comes_too_late_is_a_message(
        self, server: DiscordServer, channel: Channel, heard: Hub
    ) -> None:
        used = server.slash("ask", {"text": "tell"})
        [message] = await heard.heard()
        server.fail("edit_response", 401, 50027, "Invalid Webhook Token")
        await channel.send(answer(message, "at last"))
        assert used.responses == []
        assert [call.params["content"] for call in server.called("create_message")] == ["at last"]

    async def test_an_answer_after_a_restart_is_a_message(self, server: DiscordServer, heard: Hub) -> None:
        server.slash("ask", {"text": "tell"})
        [message] = await heard.heard()
        other = channel_of(server)
        await other.send(answer(message, "who asked?"))
        await other.close()
        assert "message_reference" not in server.sent()[-1]

    @pytest.mark.parametrize("trouble", NOT_TAKEN)
    async def test_a_command_that_could_not_be_deferred_is_heard_all_the_same(
        self, server: DiscordServer, channel: Channel, heard: Hub, trouble: Callable[[DiscordServer], object]
    ) -> None:
        trouble(server)
        server.slash("ask", {"text": "tell"})
        [message] = await heard.heard()
        await channel.send(answer(message, "here"))
        assert server.sent()[-1]["content"] == "here"

    async def test_commands_of_others_are_none_of_ours_and_answered_so(self, server: DiscordServer, heard: Hub) -> None:
        server.state.commands[None] = [{"id": "1", "name": "ban", "options": []}]
        used = server.slash("ban")
        await server.wait_for(lambda: used.responses)
        assert [response["content"] for response in used.responses] == ["I do not know this command."]
        server.say("hello")
        await heard.heard()
        assert heard.texts == ["hello"]

    async def test_a_command_that_nobody_can_read_is_a_dead_letter_without_its_token(
        self, server: DiscordServer, heard: Hub
    ) -> None:
        raw = {"id": "9", "type": 2, "token": "local-secret", "channel_id": GENERAL}
        server.state.publish("INTERACTION_CREATE", raw)
        await heard.until(lambda: bool(heard.dead))
        [(_, letter, _)] = heard.dead
        assert json.loads(letter) == {"id": "9", "type": 2, "channel_id": GENERAL}


class TestButtons:
    async def test_pressing_says_the_value_and_quotes_what_it_stood_below(
        self, server: DiscordServer, channel: Channel, heard: Hub
    ) -> None:
        sent = await channel.send(to(at(GENERAL), "Shall I?", buttons=((Button(text="Yes", value="yes, do"),),)))
        used = server.press(server.sent()[0], "yes, do", BORIS)
        [message] = await heard.heard()
        assert (message.text, message.quoted, message.reply_to) == ("yes, do", "Shall I?", sent)
        assert (message.author.id, message.mentioned, message.direct) == (BORIS, True, False)
        assert used.callback == 6
        assert used.responses == []

    async def test_where_the_value_had_no_room_the_label_is_said(
        self, server: DiscordServer, channel: Channel, heard: Hub
    ) -> None:
        await channel.send(to(at(GENERAL), "Shall I?", buttons=((Button(text="Do it", value="x" * 200),),)))
        [message] = server.sent()
        server.press(message, message["components"][0]["components"][0]["custom_id"])
        assert [said.text for said in await heard.heard()] == ["Do it"]

    async def test_two_presses_are_two_messages(self, server: DiscordServer, channel: Channel, heard: Hub) -> None:
        await channel.send(to(at(GENERAL), "More?", buttons=((Button(text="More", value="more"),),)))
        for _ in range(2):
            server.press(server.sent()[0], "more", ANNA)
        first, second = await heard.heard(2)
        assert first.id != second.id


class TestMemory:
    def test_commands_are_forgotten_when_their_time_is_over_and_shown_without_their_token(self) -> None:
        memory = Memory()
        for number, until in enumerate((time.time() - 1, time.time() + 60)):
            name = f"interaction:{number}"
            command = Deferred(chat="1", application=1, token="secret", message=1, until=until)
            memory.waiting.put(name, command)
            assert "secret" not in repr(memory)
        here = Address("a", "1")
        assert memory.deferred(to(here, "x", reply_to="interaction:0")) is None
        assert memory.deferred(to(here, "x", reply_to="interaction:1")) is not None
        assert memory.deferred(to(Address("a", "2"), "x", reply_to="interaction:1")) is None

    def test_only_the_newest_are_kept(self) -> None:
        memory = Memory()
        for number in range(20_000):
            memory.stored.put(number, None)
        assert len(memory.stored) == 10_000
        assert 19_999 in memory.stored
        assert 0 not in memory.stored
