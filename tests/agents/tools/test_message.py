"""The `message` tool posts where it is told to."""

from typing import Any

import msgspec
import pytest

from agents.tools import make
from agents.tools.message import MessageTool
from hub.errors import Forbidden
from hub.message import Button, Text
from tests.agents.fake_turn import API_CONVERSATION, CHAT, FakeTurn


async def use(turn: FakeTurn, **arguments: Any) -> dict[str, Any]:
    return msgspec.json.decode(await MessageTool().call(turn, "0", arguments))


async def target(turn: FakeTurn, **arguments: Any) -> str:
    await use(turn, content="hi", **arguments)
    [post] = turn.posts
    return str(post.address)


class TestTarget:
    async def test_the_asking_chat_is_the_default(self) -> None:
        assert await target(FakeTurn(address=CHAT)) == "support:42:7"

    async def test_any_chat_that_is_named(self) -> None:
        assert await target(FakeTurn(), channel="news", chat_id="9") == "news:9"
        assert await target(FakeTurn(), channel="news", chat_id="9", thread_id="3") == "news:9:3"

    async def test_another_chat_of_the_same_channel(self) -> None:
        assert await target(FakeTurn(), chat_id="9") == "support:9"

    async def test_the_asking_chat_by_name_keeps_its_thread(self) -> None:
        assert await target(FakeTurn(), channel="support", chat_id="42") == "support:42:7"
        assert await target(FakeTurn(), channel="support") == "support:42:7"
        assert await target(FakeTurn(), thread_id="8") == "support:42:8"

    async def test_ids_may_be_numbers(self) -> None:
        assert await target(FakeTurn(), channel="news", chat_id=-100123, thread_id=4) == "news:-100123:4"

    async def test_empty_is_not_given(self) -> None:
        assert await target(FakeTurn(), channel="", chat_id="", thread_id="") == "support:42:7"

    @pytest.mark.parametrize("given", [{}, {"channel": "news"}, {"chat_id": "9"}])
    async def test_an_api_conversation_names_channel_and_chat(self, given: dict[str, Any]) -> None:
        turn = FakeTurn(address=API_CONVERSATION)
        assert "channel and chat_id" in (await use(turn, content="hi", **given))["error"]
        assert turn.posts == []

    async def test_an_api_conversation_posts_where_it_says(self) -> None:
        assert await target(FakeTurn(address=API_CONVERSATION), channel="news", chat_id="9") == "news:9"

    async def test_another_channel_needs_a_chat(self) -> None:
        assert "chat_id" in (await use(FakeTurn(), content="hi", channel="news"))["error"]


class TestResult:
    async def test_it_says_what_became_of_the_post(self) -> None:
        turn = FakeTurn()
        receipt = await use(turn, content="**hi**")
        assert receipt == {"status": "delivered", "id": "turn-1:0", "platform_ids": ["p1"], "reason": None}
        assert turn.posts[0].parts == (Text(text="**hi**"),)

    async def test_a_post_that_waits_says_why(self) -> None:
        turn = FakeTurn()
        turn.status, turn.reason = "waiting", "channel not enabled"
        receipt = await use(turn, content="hi")
        assert (receipt["status"], receipt["reason"]) == ("waiting", "channel not enabled")

    async def test_buttons_go_along_row_by_row_and_blank_ones_do_not(self) -> None:
        turn = FakeTurn()
        await use(turn, content="hi", buttons=[["yes", "no"], [" "]])
        yes, no = Button(text="yes", value="yes"), Button(text="no", value="no")
        assert [post.buttons for post in turn.posts] == [((yes, no),)]

    async def test_no_media_is_no_reason_to_refuse(self) -> None:
        assert (await use(FakeTurn(), content="hi", media=[], buttons=None))["status"] == "delivered"

    async def test_empty_content_is_not_sent(self) -> None:
        turn = FakeTurn()
        assert "empty" in (await use(turn, content=" \n"))["error"]
        assert turn.posts == []

    @pytest.mark.parametrize(
        "wrong", [{}, {"content": 3}, {"content": "hi", "to": "x"}, {"content": "x", "chat_id": []}]
    )
    async def test_wrong_arguments_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(msgspec.ValidationError):
            await use(FakeTurn(), **wrong)

    async def test_a_refusal_of_the_hub_is_not_hidden(self) -> None:
        turn = FakeTurn()
        turn.refusal = Forbidden("'assistant' may not post to news:9 from here.")
        with pytest.raises(Forbidden):
            await use(turn, content="hi", channel="news", chat_id="9")


def test_only_what_works_is_offered() -> None:
    tool = make("message")
    assert tool.name == "message"
    assert set(tool.parameters["properties"]) == {"content", "channel", "chat_id", "thread_id", "media", "buttons"}
