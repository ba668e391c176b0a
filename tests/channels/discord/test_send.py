"""What the channel sends, and what it says when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from channels.discord.channel import Channel
from hub.channel import Edits, Measures, Reacts, ShowsTyping
from hub.errors import ChannelError, ChannelRefused, ChatGone, MessageRefused, RateLimited, Unreachable
from hub.message import Button
from tests.channels.discord.given import NAME, at, channel_of
from tests.contracts.channel import file_to, shown, to
from tests.platforms.discord import ANNA, DISCORD_LIMITS, FORUM, GENERAL, THREAD, DiscordServer

HERE = at(GENERAL)
TROUBLES: dict[str, tuple[Callable[[DiscordServer], object], int]] = {
    "500": (lambda server: server.fail("create_message", 500), 0),
    "502": (lambda server: server.fail("create_message", 502, json=False), 0),
    "reset": (lambda server: server.reset("create_message"), 0),
    "lost": (lambda server: server.reset("create_message", handled=True), 1),
    "hang": (lambda server: server.hang("create_message"), 0),
}
"""Ways to lose an answer, and how many messages were sent all the same."""
REFUSALS: list[tuple[int, int, type[ChannelError], str]] = [
    (400, 50006, MessageRefused, "50006"),
    (400, 50035, MessageRefused, "50035"),
    (400, 50083, ChatGone, "thread is closed"),
    (400, 200000, MessageRefused, "200000"),
    (401, 0, ChannelRefused, f"refuses the token of channel '{NAME}'"),
    (403, 50001, ChatGone, "does not see this channel"),
    (403, 50007, ChatGone, "takes no direct messages"),
    (403, 50013, ChatGone, "may not write there"),
    (403, 50278, ChatGone, "shares no server"),
    (404, 10003, ChatGone, "does not exist"),
    (413, 40005, MessageRefused, "40005"),
    (503, 0, Unreachable, "out of order"),
]


class TestSending:
    async def test_it_can_all_that_the_hub_may_ask(self, channel: Channel) -> None:
        for ability in (Edits, Measures, Reacts, ShowsTyping):
            assert isinstance(channel, ability)
        assert channel.limits.dedupes

    async def test_markdown_goes_out_as_it_is_and_tables_as_code(self, server: DiscordServer, channel: Channel) -> None:
        await channel.send(to(HERE, "**bold** [link](https://example.org)\n\n| a | b |\n|---|---|\n| 1 | 2 |"))
        [sent] = server.sent()
        assert sent["content"] == "**bold** [link](https://example.org)\n\n```\na | b\n--+--\n1 | 2\n```"

    async def test_what_grew_over_the_limit_goes_out_as_it_was(self, server: DiscordServer, channel: Channel) -> None:
        text = "| a | b |\n|---|---|\n" + "\n".join(f"| {'x' * n} | {n} |" for n in range(1, 52))
        assert len(text) < 2000 < channel.size(text)
        await channel.send(to(HERE, text))
        assert server.sent()[0]["content"] == text

    async def test_nothing_generated_rings_anybody(self, server: DiscordServer, channel: Channel) -> None:
        question = server.say("who?")
        text = f"@everyone @here <@{ANNA}> <@&{server.state.me['id']}>"
        sent = await channel.send(to(HERE, text, reply_to=question["id"]))
        await channel.edit(to(HERE, text + " again"), sent)
        assert server.sent()[0]["content"] == text + " again"
        assert server.pings == []

    async def test_an_answer_stands_below_its_question(self, server: DiscordServer, channel: Channel) -> None:
        question = server.say("who?")
        await channel.send(to(HERE, "me", reply_to=question["id"]))
        assert server.sent()[0]["message_reference"]["message_id"] == question["id"]

    async def test_a_question_that_was_deleted_keeps_no_answer_back(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        question = server.say("who?")
        server.delete(question)
        await channel.send(to(HERE, "me", reply_to=question["id"]))
        assert "message_reference" not in server.sent()[0]

    async def test_where_the_bot_may_not_read_history_an_answer_stands_alone(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        question = server.say("who?")
        server.forbid("read_history")
        await channel.send(to(HERE, "me", reply_to=question["id"]))
        assert server.sent()[0]["content"] == "me"

    async def test_threads_are_written_to_by_their_own_id(self, server: DiscordServer, channel: Channel) -> None:
        await channel.send(to(at(THREAD), "in the thread"))
        server.archive(THREAD)
        await channel.send(to(at(THREAD), "and again"))
        assert [message["content"] for message in server.sent(THREAD)] == ["in the thread", "and again"]

    async def test_a_file_goes_out_under_its_name(self, server: DiscordServer, channel: Channel) -> None:
        sent = await channel.send(file_to(HERE, "chart.png", "image/png", b"pixels"))
        await channel.edit(file_to(HERE, "chart2.png", "image/png", b"better"), sent)
        [message] = server.sent()
        assert [file["filename"] for file in message["attachments"]] == ["chart2.png"]

    async def test_where_the_bot_may_not_attach_files_only_the_file_is_refused(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        server.forbid("attach")
        with pytest.raises(MessageRefused, match="may not send files there"):
            await channel.send(file_to(HERE, "chart.png", "image/png", b"pixels"))
        await channel.send(to(HERE, "text all the same"))
        assert [message["content"] for message in server.sent()] == ["text all the same"]

    async def test_typing_is_one_call(self, server: DiscordServer, channel: Channel) -> None:
        await channel.typing(HERE)
        assert len(server.called("trigger_typing")) == 1


class TestOnce:
    async def test_the_same_key_is_the_same_message(self, server: DiscordServer, channel: Channel) -> None:
        assert await channel.send(to(HERE, "once")) == await channel.send(to(HERE, "once"))
        assert len(server.sent()) == 1
        call = server.called("create_message")[-1]
        assert len(call.params["nonce"]) <= 25
        assert call.params["enforce_nonce"] is True

    async def test_the_same_key_with_another_text_is_the_same_message_with_that_text(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        preview = to(HERE, "some words, and", final=False)
        whole = to(HERE, "some words, and more", buttons=((Button(text="A", value="a"),),))
        assert preview.key == whole.key
        sent = await channel.send(preview)
        assert await channel.send(whole) == sent
        assert await channel.send(whole) == sent
        [message] = server.sent()
        assert message["content"] == "some words, and more"
        assert message["components"]
        assert len(server.called("edit_message")) == 1

    async def test_what_was_deleted_meanwhile_is_sent_anew(self, server: DiscordServer, channel: Channel) -> None:
        sent = await channel.send(to(HERE, "some words, and", final=False))
        server.delete(server.sent()[0])
        whole = to(HERE, "some words, and more")
        with pytest.raises(MessageRefused):
            await channel.edit(whole, sent)
        assert await channel.send(whole) != sent
        assert [message["content"] for message in server.sent()] == ["some words, and more"]

    async def test_a_key_whose_message_discord_says_was_deleted_is_sent_anew(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        server.fail("create_message", 404, 10008)
        await channel.send(to(HERE, "here"))
        assert len(server.sent()) == 1
        server.fail("create_message", 404, 10008, times=None)
        with pytest.raises(MessageRefused):
            await channel.send(to(HERE, "there"))

    @pytest.mark.parametrize("trouble", TROUBLES)
    async def test_a_lost_answer_is_told_at_once_and_a_second_try_makes_no_copy(
        self, server: DiscordServer, trouble: str
    ) -> None:
        channel = channel_of(server, timeout=1.0)
        cause, sent = TROUBLES[trouble]
        await channel.send(to(HERE, "first"))
        cause(server)
        with pytest.raises(Unreachable) as caught:
            await channel.send(to(HERE, "word"))
        assert caught.value.maybe_sent
        assert server.token not in shown(caught.value)
        assert len(server.sent()) == 1 + sent
        await channel.send(to(HERE, "word"))
        assert [message["content"] for message in server.sent()] == ["first", "word"]
        await channel.close()


class TestRefusals:
    @pytest.mark.parametrize(("status", "code", "error", "words"), REFUSALS)
    async def test_every_refusal_is_an_error_of_the_hubs(
        self, server: DiscordServer, channel: Channel, status: int, code: int, error: type[ChannelError], words: str
    ) -> None:
        server.fail("create_message", status, code)
        with pytest.raises(error, match=words) as caught:
            await channel.send(to(HERE, "x"))
        assert type(caught.value) is error
        assert server.token not in shown(caught.value)

    async def test_a_ban_by_what_stands_before_discord_is_a_wait(self, server: DiscordServer, channel: Channel) -> None:
        server.fail("create_message", 429, json=False)
        with pytest.raises(RateLimited) as caught:
            await channel.send(to(HERE, "x"))
        assert caught.value.retry_after == 60

    @pytest.mark.parametrize("scope", ["user", "shared", "global"])
    async def test_a_limit_of_any_scope_is_told_and_not_waited_for(
        self, server: DiscordServer, channel: Channel, scope: str
    ) -> None:
        server.fail("create_message", 429, retry_after=2.5, scope=scope)
        with pytest.raises(RateLimited) as caught:
            await channel.send(to(HERE, "x"))
        assert caught.value.retry_after == 2.5
        assert await channel.send(to(HERE, "x"))

    async def test_a_place_nobody_can_write_in_is_refused(self, server: DiscordServer, channel: Channel) -> None:
        with pytest.raises(MessageRefused, match="non-text"):
            await channel.send(to(at(FORUM), "x"))
        with pytest.raises(ChatGone):
            await channel.send(to(at("123"), "x"))
        with pytest.raises(MessageRefused, match="Discord's terms"):
            await channel.send(to(at("general"), "x"))

    async def test_a_locked_thread_is_gone(self, server: DiscordServer, channel: Channel) -> None:
        server.archive(THREAD, locked=True)
        with pytest.raises(ChatGone, match="closed"):
            await channel.send(to(at(THREAD), "x"))

    async def test_a_token_that_is_revoked_while_we_speak_is_refused(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        await channel.send(to(HERE, "x"))
        server.revoke_token()
        with pytest.raises(ChannelRefused, match="developer portal"):
            await channel.send(to(HERE, "y"))

    async def test_bursts_under_discords_own_limits_all_arrive(self, server: DiscordServer, channel: Channel) -> None:
        server.limit(DISCORD_LIMITS)
        for number in range(4):
            await channel.send(to(HERE, f"{number} of four"))
        assert len(server.sent()) == 4
        assert not [call for call in server.calls if call.status == 429]


class TestButtons:
    def buttons(self, server: DiscordServer) -> list[list[dict[str, Any]]]:
        return [row["components"] for row in server.sent()[-1]["components"]]

    async def test_rows_stay_rows_and_wide_ones_are_folded(self, server: DiscordServer, channel: Channel) -> None:
        wide = tuple(Button(text=f"B{n}", value=f"v{n}") for n in range(7))
        await channel.send(to(HERE, "choose", buttons=((Button(text="Top", value="top"),), wide)))
        rows = self.buttons(server)
        assert [len(row) for row in rows] == [1, 5, 2]
        assert rows[0][0]["custom_id"] == "top"

    async def test_long_and_repeated_values_are_said_by_their_labels(
        self, server: DiscordServer, channel: Channel
    ) -> None:
        row = (
            Button(text="Long", value="x" * 101),
            Button(text="One", value="same"),
            Button(text="Two", value="same"),
            Button(text="L" * 90, value="l"),
        )
        await channel.send(to(HERE, "choose", buttons=(row,)))
        [shown_row] = self.buttons(server)
        assert len({button["custom_id"] for button in shown_row}) == 4
        assert all(len(button["custom_id"]) <= 100 and len(button["label"]) <= 80 for button in shown_row)
        assert shown_row[1]["custom_id"] == "same"

    async def test_an_edit_without_buttons_takes_them_away(self, server: DiscordServer, channel: Channel) -> None:
        sent = await channel.send(to(HERE, "choose", buttons=((Button(text="A", value="a"),),)))
        await channel.edit(to(HERE, "chosen"), sent)
        assert self.buttons(server) == []


async def test_sending_many_at_once_logs_in_once(server: DiscordServer, channel: Channel) -> None:
    await asyncio.gather(*(channel.send(to(at(chat), words)) for chat, words in ((GENERAL, "here"), (THREAD, "there"))))
    assert len(server.called("get_me")) == 1
    assert len(server.sent()) == len(server.sent(THREAD)) == 1
