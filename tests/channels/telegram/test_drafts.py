"""Drafts in private chats, where the server knows them."""

from __future__ import annotations

import msgspec
import pytest

from channels.telegram.channel import Channel
from hub.channel import Drafts
from hub.errors import ChatGone, RateLimited
from hub.message import File
from tests.channels.telegram.given import HERE, IN_GROUP
from tests.contracts.channel import Hub, listening, to
from tests.platforms.telegram import PRIVATE, TelegramServer


class TestDrafts:
    async def test_one_grows_with_its_marks_and_is_no_message(self, server: TelegramServer, channel: Channel) -> None:
        assert isinstance(channel, Drafts)
        for text in ("*one*", "*one* two"):
            assert await channel.draft(msgspec.structs.replace(to(HERE, text), key="reply.0"))
        first, second = server.state.drafts
        assert first["draft_id"] == second["draft_id"] != 0
        assert (first["chat"], second["text"]) == (PRIVATE, "one two")
        assert second["entities"][0]["type"] == "italic"
        assert server.sent() == []

    async def test_another_answer_has_another_draft(self, server: TelegramServer, channel: Channel) -> None:
        await channel.draft(to(HERE, "one"))
        await channel.draft(to(HERE, "two"))
        assert len({draft["draft_id"] for draft in server.state.drafts}) == 2

    async def test_groups_have_none(self, server: TelegramServer, channel: Channel) -> None:
        assert not await channel.draft(to(IN_GROUP, "one"))
        assert server.calls == []

    async def test_files_have_none(self, server: TelegramServer, channel: Channel) -> None:
        assert not await channel.draft(to(HERE, "", part=File(ref="r", name="a", media_type="a/b", size=1)))
        assert server.calls == []

    async def test_a_server_that_does_not_know_them_is_asked_once(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        server.state.knows_drafts = False
        assert not await channel.draft(to(HERE, "one"))
        assert not await channel.draft(to(HERE, "two"))
        assert len(server.called("sendMessageDraft")) == 1

    async def test_nor_is_one_that_refuses_them(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("sendMessageDraft", 400, "Bad Request: method is available only for some bots")
        assert not await channel.draft(to(HERE, "one"))
        assert not await channel.draft(to(HERE, "two"))
        assert len(server.called("sendMessageDraft")) == 1

    async def test_refused_marks_are_written_out(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("sendMessageDraft", 400, "Bad Request: can't parse entities")
        assert await channel.draft(to(HERE, "*one*"))
        assert server.state.drafts[0]["text"] == "*one*"

    async def test_what_else_fails_is_a_channel_error_and_drafts_go_on(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        server.fail("sendMessageDraft", 429, retry_after=7)
        with pytest.raises(RateLimited):
            await channel.draft(to(HERE, "one"))
        server.block()
        with pytest.raises(ChatGone):
            await channel.draft(to(HERE, "one"))
        server.unblock()
        assert await channel.draft(to(HERE, "one"))

    async def test_its_stop_button_says_stop(self, server: TelegramServer, channel: Channel, hub: Hub) -> None:
        async with listening(channel, hub):
            await channel.draft(to(HERE, "one"))
            server.stop_draft()
            [message] = await hub.heard()
        assert server.called("sendMessageDraft")[0].params["can_stop"] in (True, "true")
        assert (message.text, message.address, message.direct) == ("/stop", HERE, True)
        assert message.author.id == str(PRIVATE)
