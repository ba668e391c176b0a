"""Answers that are shown while they are written: card entities with a growing sequence, closed at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from channels.feishu.cards import AHEAD
from channels.feishu.channel import Channel
from hub.channel import Edits, Sending
from hub.errors import ChatGone, MessageRefused, RateLimited, Unreachable
from hub.message import Address, Button
from tests.channels.feishu.given import HERE, IN_GROUP, channel_of
from tests.contracts.channel import to
from tests.platforms.feishu import FEISHU_LIMITS, GROUP, P2P, FeishuServer

T = TypeVar("T")


def so_far(text: str, address: Address = HERE) -> Sending:
    return replace(to(address, text), key="preview", final=False)


def at_last(text: str, address: Address = HERE) -> Sending:
    return replace(to(address, text), key="preview")


def sequences(server: FeishuServer) -> list[int]:
    methods = ("card.content", "card.settings", "card.update")
    return [call.params["sequence"] for call in server.calls if call.method in methods]


async def test_an_answer_is_shown_while_it_is_written_and_then_stands(server: FeishuServer, channel: Channel) -> None:
    assert isinstance(channel, Edits)
    number = await channel.send(so_far("The"))
    assert (server.sent()[0]["text"], server.sent()[0]["streaming"]) == ("The", True)
    for text in ("The quick", "The quick **brown**", "The quick **brown** fox"):
        await channel.edit(so_far(text), number)
        assert server.sent()[0]["text"] == text
    await channel.edit(at_last("The quick **brown** fox."), number)
    [sent] = server.sent()
    assert (sent["message_id"], sent["text"], sent["streaming"]) == (number, "The quick **brown** fox.", False)
    assert sequences(server) == sorted(set(sequences(server)))


async def test_the_same_text_again_is_no_error(server: FeishuServer, channel: Channel) -> None:
    number = await channel.send(so_far("x"))
    for sending in (so_far("x"), so_far("x"), at_last("x"), at_last("x")):
        await channel.edit(sending, number)
    assert server.sent()[0]["text"] == "x"
    assert not server.sent()[0]["streaming"]


async def test_the_last_edit_brings_the_buttons(server: FeishuServer, channel: Channel) -> None:
    number = await channel.send(so_far("Which"))
    buttons = ((Button(text="Red", value="red"),),)
    await channel.edit(replace(at_last("Which?"), buttons=buttons), number)
    [sent] = server.sent()
    assert (sent["text"], sent["streaming"]) == ("Which?", False)
    assert "red" in str(sent["card"])


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_preview_has_its_buttons_until_the_last_edit(server: FeishuServer, restarts: bool) -> None:
    channel, other = channel_of(server), channel_of(server)
    stop = ((Button(text="Stop", value="/stop"),),)
    number = await channel.send(replace(so_far("One"), buttons=stop))
    assert "/stop" in str(server.sent()[0]["card"])
    await (other if restarts else channel).edit(replace(so_far("One two"), buttons=stop), number)
    assert "/stop" in str(server.sent()[0]["card"])
    await (other if restarts else channel).edit(at_last("One two three."), number)
    [sent] = server.sent()
    assert (sent["text"], sent["streaming"]) == ("One two three.", False)
    assert "/stop" not in str(sent["card"])
    await channel.close()
    await other.close()


async def test_a_preview_that_is_sent_twice_is_one_card_and_is_edited(server: FeishuServer) -> None:
    before, after = channel_of(server), channel_of(server)
    server.reset("message.create", handled=True)
    with pytest.raises(Unreachable):
        await before.send(so_far("a"))
    number = await after.send(so_far("a b"))
    await after.edit(at_last("a b c"), number)
    await before.close()
    await after.close()
    assert [message["text"] for message in server.sent()] == ["a b c"]


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_answer_after_a_preview_that_may_have_arrived_is_there_once_and_whole(
    server: FeishuServer, channel: Channel, arrived: bool
) -> None:
    server.reset("message.create", handled=arrived)
    with pytest.raises(Unreachable):
        await channel.send(so_far("a"))
    await channel.send(at_last("a b c"))
    [sent] = server.sent()
    assert (sent["text"], sent["streaming"]) == ("a b c", False)


async def test_an_answer_after_a_crash_in_the_middle_of_its_preview_is_there_once_and_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.time() - 10
    async with FeishuServer(clock=lambda: now) as server:
        before, after = channel_of(server), channel_of(server)
        await before.send(so_far("a"))
        now += 10
        monkeypatch.setattr(server.state, "item", untold(server.state.item))
        await after.send(at_last("a b c"))
        await before.close()
        await after.close()
        [sent] = server.sent()
        assert (sent["text"], sent["streaming"]) == ("a b c", False)


async def test_after_a_restart_the_card_is_found_and_its_sequence_goes_on(server: FeishuServer) -> None:
    before, after = channel_of(server), channel_of(server)
    number = await before.send(so_far("before"))
    for count in range(20):
        await before.edit(so_far(f"before {count}"), number)
    await after.edit(so_far("after"), number)
    await after.edit(at_last("after all"), number)
    await before.close()
    await after.close()
    assert server.sent()[0]["text"] == "after all"
    assert not server.sent()[0]["streaming"]
    assert sequences(server) == sorted(set(sequences(server)))
    assert max(sequences(server)) < 2**31


async def test_a_sequence_that_is_stale_is_made_a_new_one(server: FeishuServer, channel: Channel) -> None:
    number = await channel.send(so_far("a"))
    card = next(iter(server.state.cards.values()))
    await channel.edit(so_far("b"), number)
    card.sequence += AHEAD - 1
    await channel.edit(at_last("c"), number)
    assert server.sent()[0]["text"] == "c"


async def test_streaming_that_feishu_ended_is_no_obstacle() -> None:
    now = 1_800_000_000.0
    async with FeishuServer(clock=lambda: now) as server:
        channel = channel_of(server)
        number = await channel.send(so_far("a"))
        now += 700
        await channel.edit(so_far("a b"), number)
        assert (server.sent()[0]["text"], server.sent()[0]["streaming"]) == ("a b", True)
        now += 700
        await channel.edit(at_last("a b c"), number)
        assert (server.sent()[0]["text"], server.sent()[0]["streaming"]) == ("a b c", False)
        await channel.close()


async def test_a_message_that_was_no_preview_is_edited_too(server: FeishuServer, channel: Channel) -> None:
    card = await channel.send(to(HERE, "a card"))
    server.fail("message.create", 230099)
    plain = await channel.send(to(HERE, "a text"))
    await channel.edit(at_last("another card"), card)
    await channel.edit(at_last("another text"), plain)
    assert [message["text"] for message in server.sent()] == ["another card", "another text"]


async def test_an_app_that_may_not_make_such_cards_shows_usual_ones(server: FeishuServer, channel: Channel) -> None:
    server.fail("card.create", 99991672, times=None)
    number = await channel.send(so_far("a"))
    await channel.edit(so_far("a b"), number)
    await channel.edit(at_last("a b c"), number)
    await channel.send(replace(so_far("another"), key="other"))
    assert [message["text"] for message in server.sent()] == ["a b c", "another"]
    assert len(server.called("card.create")) == 1


async def test_a_last_text_that_the_card_does_not_take_is_refused_so_that_it_is_sent_anew(
    server: FeishuServer, channel: Channel
) -> None:
    number = await channel.send(so_far("a"))
    for method in ("card.content", "card.update"):
        server.fail(method, 230099)
    with pytest.raises(MessageRefused):
        await channel.edit(at_last("b"), number)


async def test_too_many_edits_are_limited_and_the_last_one_still_comes(server: FeishuServer, channel: Channel) -> None:
    server.limit(FEISHU_LIMITS)
    number = await channel.send(so_far("0"))
    for count in range(10):
        await channel.edit(so_far(f"{count}"), number)
    with pytest.raises(RateLimited) as caught:
        await channel.edit(so_far("10"), number)
    assert 0 < caught.value.retry_after <= 1
    await asyncio.sleep(1)
    await channel.edit(at_last("the end"), number)
    assert server.sent()[0]["text"] == "the end"


async def test_an_edit_in_a_chat_that_is_gone_says_so(server: FeishuServer, channel: Channel) -> None:
    number = await channel.send(to(IN_GROUP, "a"))
    server.remove_bot(GROUP)
    with pytest.raises(ChatGone):
        await channel.edit(at_last("b", IN_GROUP), number)


async def test_an_edit_of_a_recalled_message_is_refused(server: FeishuServer, channel: Channel) -> None:
    number = await channel.send(to(HERE, "a"))
    await channel.delete(HERE, number)
    with pytest.raises(MessageRefused):
        await channel.edit(at_last("b"), number)


@pytest.mark.parametrize("fault", ["drop", "lose", "page", "limit"])
@pytest.mark.parametrize("method", ["card.create", "message.create", "card.content", "card.settings"])
async def test_whatever_fails_the_answer_stands_once_in_the_end(
    server: FeishuServer, channel: Channel, method: str, fault: str
) -> None:
    match fault:
        case "page":
            server.fail(method, json=False)
        case "limit":
            server.fail(method, reset=0)
        case _:
            server.reset(method, handled=fault == "lose")
    number = await again(lambda: channel.send(so_far("a")))
    await again(lambda: channel.edit(so_far("a b"), number))
    await again(lambda: channel.edit(at_last("a b c"), number))
    [sent] = server.sent(P2P)
    assert (sent["text"], sent["streaming"]) == ("a b c", False)


async def again(call: Callable[[], Awaitable[T]]) -> T:
    """As the dispatcher does: once more after an error that passes."""
    for _ in range(3):
        try:
            return await call()
        except (Unreachable, RateLimited):
            continue
    raise AssertionError("three tries were not enough")


def untold(item: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """The platform's answers, without what is in a card: Feishu need not say it as it was sent."""
    return lambda message: {**item(message), "body": {"content": '{"title": null, "elements": []}'}}
