"""What the hub says, as Feishu shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from channels.feishu.channel import Channel
from channels.feishu.render import LENGTH
from hub.channel import Measures, Reacts, Sending
from hub.errors import ChatGone, MessageRefused, RateLimited, Unreachable
from hub.message import Address, Button, File
from hub.text import size as bytes_of
from tests.channels.feishu.given import HERE, IN_GROUP, NAME, channel_of
from tests.contracts.channel import Hub, listening, to
from tests.platforms.feishu import ANNA, FEISHU_LIMITS, GROUP, FeishuServer

PNG = b"\x89PNG\r\n\x1a\n picture"
TABLE = "| a | b |\n|---|---|\n| 1 | 2 |"


def file(name: str, media_type: str, content: bytes, address: Address = HERE) -> Sending:
    part = File(ref="r", name=name, media_type=media_type, size=len(content))
    return replace(to(address, "", part=part), content=content)


async def test_markdown_goes_out_as_a_card(server: FeishuServer, channel: Channel) -> None:
    text = "# Title\n\n- **bold** and `code`\n\n> quoted\n\n```py\nprint('<hi>')\n```\n\n" + TABLE
    await channel.send(to(HERE, text))
    [sent] = server.sent()
    assert (sent["msg_type"], sent["text"], sent["card"]["schema"]) == ("interactive", text, "2.0")


async def test_nobody_is_mentioned_and_no_image_is_looked_for(server: FeishuServer, channel: Channel) -> None:
    text = 'hey <at id=all></at> and <AT user_id="all">x</at> ![cat](https://e.org/cat.png)\n\n```\n![raw](x)\n```'
    await channel.send(to(HERE, text))
    [sent] = server.sent()
    assert "<at" not in sent["text"].lower()
    assert "[cat](https://e.org/cat.png)\n\n```\n![raw](x)\n```" in sent["text"]
    assert "![cat]" not in sent["text"]


async def test_a_card_that_is_refused_goes_out_as_plain_text(server: FeishuServer, channel: Channel) -> None:
    server.fail("message.create", 230099)
    buttons = ((Button(text="Yes", value="yes"), Button(text="No", value="no")),)
    number = await channel.send(replace(to(HERE, "**really**?"), buttons=buttons))
    [sent] = server.sent()
    assert (sent["message_id"], sent["msg_type"], sent["text"]) == (number, "text", "**really**?\n[Yes]  [No]")


async def test_the_fullest_card_is_taken_whatever_is_in_it(server: FeishuServer, channel: Channel) -> None:
    for piece in ("a", '"', "\\", "\n", "é", "🦜", "\x01"):
        text = piece * (LENGTH // channel.size(piece)) if piece != "\n" else "x\n" * (LENGTH // channel.size("x\n"))
        assert LENGTH - 16 <= channel.size(text) <= LENGTH
        buttons = tuple((Button(text=f"Button {n}", value="x" * 64),) for n in range(4))
        await channel.send(replace(to(HERE, text), buttons=buttons, key=f"k{piece}"))
    assert [message["msg_type"] for message in server.sent()] == ["interactive"] * 7


async def test_five_tables_fill_a_card_and_more_are_shown_as_code(server: FeishuServer, channel: Channel) -> None:
    assert isinstance(channel, Measures)
    seven = "\n\n".join([TABLE] * 7)
    assert channel.size(seven) < LENGTH < channel.size(seven + "\nword" * 3000)
    await channel.send(to(HERE, seven))
    [sent] = server.sent()
    assert sent["msg_type"] == "interactive"
    assert sent["text"] == "\n\n".join([TABLE] * 5 + [f"```\n{TABLE}\n```"] * 2)


async def test_a_plain_text_takes_its_bytes(channel: Channel) -> None:
    assert channel.size("grüße 🦜") == bytes_of("grüße 🦜", "bytes")


async def test_the_same_key_is_one_message(server: FeishuServer, channel: Channel) -> None:
    assert channel.limits.dedupes
    server.reset("message.create", handled=True)
    with pytest.raises(Unreachable):
        await channel.send(to(HERE, "once"))
    number = await channel.send(to(HERE, "once"))
    assert await channel.send(to(HERE, "once")) == number
    assert [message["text"] for message in server.sent()] == ["once"]
    assert all(0 < len(call.params["uuid"]) <= 50 for call in server.called("message.create"))
    assert await channel.send(to(IN_GROUP, "once")) != number


async def test_in_groups_it_answers_below_the_question_and_in_private_without_quoting(
    server: FeishuServer, channel: Channel, hub: Hub
) -> None:
    async with listening(channel, hub):
        asked, asked_here = server.say("?", kind="group", mention=True), server.say("?")
        await hub.heard(2)
    await channel.send(to(IN_GROUP, "below", reply_to=asked["message_id"]))
    await channel.send(to(HERE, "plainly", reply_to=asked_here["message_id"]))
    assert server.sent(GROUP)[0]["parent_id"] == asked["message_id"]
    assert server.sent()[0]["parent_id"] is None


async def test_after_a_restart_it_asks_once_whether_a_chat_is_private(server: FeishuServer, channel: Channel) -> None:
    asked, asked_here = server.say("?", kind="group", mention=True), server.say("?")
    for _ in range(2):
        await channel.send(to(IN_GROUP, "below", reply_to=asked["message_id"]))
        await channel.send(to(HERE, "plainly", reply_to=asked_here["message_id"]))
    assert server.sent(GROUP)[0]["parent_id"] == asked["message_id"]
    assert server.sent()[0]["parent_id"] is None
    assert len(server.called("chat.get")) == 2


async def test_where_it_may_not_ask_it_answers_below_the_question(server: FeishuServer, channel: Channel) -> None:
    server.fail("chat.get", 99991672, times=None)
    asked = server.say("?")
    for text in ("one", "two"):
        await channel.send(to(HERE, text, reply_to=asked["message_id"]))
    assert [message["parent_id"] for message in server.sent()] == [asked["message_id"]] * 2
    assert len(server.called("chat.get")) == 1


async def test_an_answer_to_a_recalled_question_stands_alone(server: FeishuServer, channel: Channel) -> None:
    asked = server.say("?", kind="group", mention=True)
    server.recall(asked)
    await channel.send(to(IN_GROUP, "anyway", reply_to=asked["message_id"]))
    [sent] = server.sent(GROUP)
    assert (sent["text"], sent["parent_id"]) == ("anyway", None)


async def test_a_thread_is_kept_also_for_posts_that_answer_nothing(server: FeishuServer, channel: Channel) -> None:
    server.say("?", kind="group", thread="omt_9")
    asked = server.say("??", kind="group", thread="omt_9", mention=True)
    there = Address(NAME, GROUP, "omt_9")
    await channel.send(to(there, "an answer", reply_to=asked["message_id"]))
    await channel.send(to(there, "a post"))
    fresh = channel_of(server)
    await fresh.send(to(there, "after a restart"))
    server.recall(asked)
    await fresh.send(to(there, "to nobody", reply_to=asked["message_id"]))
    await fresh.close()
    assert [message["thread_id"] for message in server.sent(GROUP)] == ["omt_9"] * 4


async def test_a_person_can_be_written_to_by_their_id(server: FeishuServer, channel: Channel) -> None:
    await channel.send(to(Address(NAME, ANNA), "hello Anna"))
    assert [message["text"] for message in server.sent()] == ["hello Anna"]


@pytest.mark.parametrize(
    ("name", "media_type", "kind"),
    [
        ("cat.png", "image/png", "image"),
        ("notes.txt", "text/plain", "file"),
        ("report.PDF", "application/pdf", "file"),
        ("voice.opus", "audio/ogg", "audio"),
        ("song.mp3", "audio/mpeg", "file"),
        ("film.mp4", "video/mp4", "media"),
        ('Grüße 中文 "q"\r\n.txt', "text/plain", "file"),
        ("drawing.svg", "image/svg+xml", "file"),
    ],
)
async def test_files_go_out_as_what_they_are(
    server: FeishuServer, channel: Channel, name: str, media_type: str, kind: str
) -> None:
    await channel.send(file(name, media_type, PNG))
    [sent] = server.sent()
    assert sent["msg_type"] == kind
    stored = server.state.files[next(iter(sent["content"].values()))]
    assert stored.data == PNG
    assert kind == "image" or stored.name == name


async def test_a_picture_that_is_too_large_for_one_goes_out_as_a_file(server: FeishuServer, channel: Channel) -> None:
    assert channel.limits.image_size < channel.limits.file_size
    await channel.send(file("big.png", "image/png", PNG + bytes(channel.limits.image_size)))
    assert [message["msg_type"] for message in server.sent()] == ["file"]


async def test_a_picture_that_feishu_does_not_know_goes_out_as_a_file(server: FeishuServer, channel: Channel) -> None:
    server.fail("image.create", 234011)
    await channel.send(file("odd.png", "image/png", PNG))
    assert [message["msg_type"] for message in server.sent()] == ["file"]


async def test_an_empty_file_is_refused_with_a_sentence(channel: Channel) -> None:
    with pytest.raises(MessageRefused, match=r"'nothing\.txt' is empty"):
        await channel.send(file("nothing.txt", "text/plain", b""))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"code": 230020}, RateLimited),
        ({"code": 11232}, RateLimited),
        ({"code": 230013}, ChatGone),
        ({"code": 230035}, ChatGone),
        ({"code": 232009}, ChatGone),
        ({"code": 230002}, ChatGone),
        ({"code": 230001}, MessageRefused),
        ({"code": 99991672}, MessageRefused),
        ({"json": False}, Unreachable),
        ({"code": 99991663, "times": 2}, None),
        ({"code": 2200, "status": 500}, Unreachable),
    ],
)
async def test_a_refusal_is_the_error_that_says_who_must_act(
    server: FeishuServer, channel: Channel, fault: dict[str, Any], error: type[Exception] | None
) -> None:
    server.fail("message.create", **fault)
    with pytest.raises(error or Exception) as caught:
        await channel.send(to(HERE, "x"))
    assert server.app_secret not in str(caught.value)
    assert await channel.send(to(HERE, "y"))


async def test_it_waits_as_long_as_feishu_says(server: FeishuServer, channel: Channel) -> None:
    server.fail("message.create", reset=12)
    with pytest.raises(RateLimited) as caught:
        await channel.send(to(HERE, "x"))
    assert caught.value.retry_after == 12


async def test_a_flood_is_limited_in_one_chat(server: FeishuServer, channel: Channel) -> None:
    server.limit(FEISHU_LIMITS)
    for number in range(5):
        await channel.send(to(HERE, f"{number}"))
    with pytest.raises(RateLimited):
        await channel.send(to(HERE, "5"))
    assert await channel.send(to(IN_GROUP, "elsewhere"))


async def test_half_a_character_is_sent_as_well_as_it_can_be(server: FeishuServer, channel: Channel) -> None:
    await channel.send(to(HERE, "half \ud83e here"))
    assert server.sent()[0]["text"].startswith("half ")


async def test_what_was_said_can_be_taken_back_once_or_twice(server: FeishuServer, channel: Channel) -> None:
    number = await channel.send(to(HERE, "oops"))
    await channel.delete(HERE, number)
    await channel.delete(HERE, number)
    assert server.sent() == []


async def test_an_emoji_is_put_below_a_message_where_feishu_has_it(server: FeishuServer, channel: Channel) -> None:
    said = server.say("well done")
    for emoji in ("👍", "❤️", "OK"):
        await channel.react(HERE, said["message_id"], emoji)
    reactions = server.state.find(said["message_id"]).reactions.values()
    assert [reaction["reaction_type"]["emoji_type"] for reaction in reactions] == ["THUMBSUP", "HEART", "OK"]
    with pytest.raises(MessageRefused, match="🦜"):
        await channel.react(HERE, said["message_id"], "🦜")
    with pytest.raises(MessageRefused):
        await channel.react(HERE, "om_nowhere", "👍")
    assert isinstance(channel, Reacts)


async def test_buttons_stand_in_rows(server: FeishuServer, channel: Channel) -> None:
    rows = ((Button(text="A", value="a"), Button(text="B", value="b")), (Button(text="C", value="c"),))
    await channel.send(replace(to(HERE, "?"), buttons=rows))
    card = json.dumps(server.sent()[0]["card"])
    assert [card.count(f'"say": "{value}"') for value in "abc"] == [1, 1, 1]
    assert card.count('"column_set"') == 2
