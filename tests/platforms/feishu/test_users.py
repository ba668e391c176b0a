"""The local Feishu's people: what they do is told to the bot, read by the real lark-oapi."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.platforms.feishu import ANNA, BORIS, GROUP, P2P, FeishuServer
from tests.platforms.feishu.sdk import Inbox, connected

Told = Callable[..., Awaitable[list[Any]]]


class TestPeople:
    @pytest.fixture
    async def told(self, server: FeishuServer, inbox: Inbox) -> AsyncIterator[Told]:
        """The messages that arrived, once they are that many."""

        async def told(count: int = 1) -> list[Any]:
            await server.wait_for(lambda: len(inbox.events) >= count)
            return [event.event for event in inbox.events]

        async with connected(server, inbox):
            yield told

    async def test_who_writes_where_is_told(self, server: FeishuServer, told: Told) -> None:
        server.say("hello", user=BORIS)
        server.say("all", kind="group", user=BORIS)
        first, second = await told(2)
        assert (first.sender.sender_id.open_id, first.message.chat_type) == (BORIS, "p2p")
        assert (second.message.chat_id, second.message.chat_type) == (GROUP, "group")
        assert first.message.chat_id != P2P

    async def test_a_mention_is_a_key_in_the_text(self, server: FeishuServer, told: Told) -> None:
        server.say("help", kind="group", mention=True, mention_users=[ANNA])
        server.say("lunch", kind="group", mention_all=True)
        first, second = await told(2)
        assert json.loads(first.message.content)["text"] == "@_user_1 @_user_2 help"
        assert [mention.id.open_id for mention in first.message.mentions] == ["ou_bot", ANNA]
        assert [mention.key for mention in second.message.mentions] == ["@_all"]

    async def test_a_bot_that_may_not_read_all_is_told_only_what_names_it(
        self, server: FeishuServer, told: Told, inbox: Inbox
    ) -> None:
        server.sees_all = False
        server.say("among us", kind="group")
        server.say("for all", kind="group", mention_all=True)
        server.say("for you", kind="group", mention=True)
        await told()
        assert inbox.texts == ["@_user_1 for you"]

    async def test_a_reply_names_its_parent_its_root_and_its_thread(self, server: FeishuServer, told: Told) -> None:
        top = server.say("top", kind="group", thread="omt_1")
        middle = server.say("middle", chat=GROUP, parent=top)
        server.say("end", chat=GROUP, parent=middle["message_id"])
        *_, end = await told(3)
        links = (end.message.parent_id, end.message.root_id, end.message.thread_id)
        assert links == (middle["message_id"], top["message_id"], "omt_1")

    async def test_every_kind_of_message_is_told(self, server: FeishuServer, told: Told) -> None:
        server.say_image(b"\x89PNG")
        server.say_file(b"x", "a.txt")
        server.say_audio(b"x", 1500)
        server.say_sticker()
        server.say_post([[{"tag": "text", "text": "hi"}]], "title")
        server.say_location("Sofia")
        kinds = [event.message.message_type for event in await told(6)]
        assert kinds == ["image", "file", "audio", "sticker", "post", "location"]

    async def test_an_event_is_sent_again_by_its_id(self, server: FeishuServer, told: Told, inbox: Inbox) -> None:
        server.say("hello")
        [event] = await told()
        server.push_event("im.message.receive_v1", {"message": {"content": event.message.content}}, inbox.ids[0])
        await told(2)
        assert inbox.ids[0] == inbox.ids[1]


async def test_recalls_and_reactions_are_told(server: FeishuServer, inbox: Inbox) -> None:
    other = Inbox()
    handlers = {"im_message_recalled_v1": other, "im_message_reaction_created_v1": other, "im_chat_disbanded_v1": other}
    async with connected(server, inbox, **handlers):
        said = server.say("oops")
        server.react(said, "SMILE", BORIS)
        server.recall(said)
        server.dissolve()
        await server.wait_for(lambda: len(other.events) == 3)
    reacted, recalled, disbanded = (event.event for event in other.events)
    assert (reacted.reaction_type.emoji_type, reacted.user_id.open_id) == ("SMILE", BORIS)
    assert (recalled.message_id, recalled.recall_type) == (said["message_id"], "message_owner")
    assert disbanded.chat_id == GROUP
