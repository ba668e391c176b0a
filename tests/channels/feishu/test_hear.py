"""What people say in Feishu, as the hub hears it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from channels.feishu import hear as hearing
from channels.feishu.channel import Channel
from hub.message import Address, Button, File, Text
from tests.channels.feishu.given import HERE, IN_GROUP, NAME, channel_of, hear
from tests.contracts.channel import Hub, listening, to
from tests.platforms.feishu import ANNA, BORIS, CHLOE, GROUP, P2P, FeishuServer

PNG = b"\x89PNG\r\n\x1a\n picture"


async def test_a_mention_of_the_bot_is_stripped_and_others_are_readable(server: FeishuServer, channel: Channel) -> None:
    heard = await hear(server, channel, "what does he say?", kind="group", mention=True, mention_users=[BORIS])
    assert heard.text == "@Борис Орлов what does he say?"
    assert (heard.direct, heard.mentioned, heard.address) == (False, True, IN_GROUP)


async def test_everyone_is_not_the_bot(server: FeishuServer, channel: Channel) -> None:
    heard = await hear(server, channel, "lunch", kind="group", mention_all=True)
    assert (heard.text, heard.mentioned) == ("@所有人 lunch", False)


async def test_a_message_in_a_thread_keeps_it(server: FeishuServer, channel: Channel) -> None:
    heard = await hear(server, channel, "in here", kind="group", thread="omt_1", mention=True)
    assert heard.address == Address(NAME, GROUP, "omt_1")


async def test_a_quoted_message_comes_along(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        first = server.say("the **old** one", kind="group", mention_users=[CHLOE])
        server.say("what about that?", kind="group", mention=True, parent=first)
        await hub.heard(2)
    assert hub.messages[1].quoted == "@李小龙 the **old** one"


async def test_an_answer_of_the_bot_that_is_quoted_comes_along_as_it_was_written(
    server: FeishuServer, channel: Channel, hub: Hub
) -> None:
    number = await channel.send(to(HERE, "**42**, of course"))
    async with listening(channel, hub):
        server.say("why?", parent=number)
        await hub.heard()
    assert hub.messages[0].quoted == "**42**, of course"
    assert server.called("message.get") == []


async def test_a_quote_that_cannot_be_had_holds_nothing_up(
    server: FeishuServer, channel: Channel, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "PATIENCE", 0.05)
    async with listening(channel, hub):
        first = server.say("first")
        server.hang("message.get")
        server.say("second", parent=first)
        server.recall(server.say("gone"))
        await hub.heard(3)
    assert [message.quoted for message in hub.messages] == [None, None, None]


async def test_pictures_files_and_voices_are_kept(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        server.say_image(PNG)
        server.say_file(b"some notes", "notes.txt")
        server.say_audio(b"opus")
        await hub.heard(3)
    files = [part for message in hub.messages for part in message.parts]
    assert all(isinstance(file, File) for file in files)
    told = [(file.name, file.media_type, file.size) for file in files if isinstance(file, File)]
    assert told == [
        ("image.png", "image/png", len(PNG)),
        ("notes.txt", "text/plain", 10),
        ("voice.opus", "audio/ogg", 4),
    ]
    assert [*hub.files.values()] == [PNG, b"some notes", b"opus"]


async def test_a_rich_text_comes_with_its_pictures(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        server.say_image(PNG)
        await hub.heard()
        key = next(iter(server.state.files))
        lines: list[list[dict[str, Any]]] = [
            [{"tag": "text", "text": "see "}, {"tag": "a", "text": "this", "href": "https://e.org"}],
            [{"tag": "img", "image_key": key}],
        ]
        server.say_post(lines, title="News")
        await hub.heard(2)
    text, file = hub.messages[1].parts
    assert text == Text(text="**News**\n\nsee [this](https://e.org)")
    assert isinstance(file, File)


async def test_a_file_of_a_message_that_is_not_for_the_agent_is_not_loaded(
    server: FeishuServer, channel: Channel, hub: Hub
) -> None:
    hub.admitting = False
    async with listening(channel, hub):
        server.say_file(b"x", "plan.txt")
        [message] = await hub.heard()
    assert message.text == "[plan.txt: not fetched]"
    assert server.called("resource.get") == []


async def test_a_file_that_cannot_be_loaded_is_a_sentence(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        server.fail("resource.get", 234003)
        server.say_file(b"x", "lost.txt")
        await hub.heard()
    assert hub.texts == ["[lost.txt: could not be loaded]"]


async def test_a_file_is_asked_for_again_where_feishu_is_busy(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        server.fail("resource.get", json=False)
        server.fail("resource.get", reset=0)
        server.say_file(b"x", "found.txt")
        await hub.heard()
    assert [*hub.files.values()] == [b"x"]


async def test_a_file_that_is_too_large_is_a_sentence(
    server: FeishuServer, channel: Channel, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "MOST", 100)
    async with listening(channel, hub):
        server.say_file(b"x" * 101, "large.bin")
        await hub.heard()
    assert hub.texts == ["[large.bin: larger than 0 MB]"]
    assert hub.files == {}


async def test_stickers_and_places_are_said_in_words(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    async with listening(channel, hub):
        server.say_sticker()
        server.say_location()
        server.say_content("share_chat", {"chat_id": "oc_other"})
        await hub.heard(3)
    assert hub.texts == ["[sticker]", "[location: 天安门, 39.908, 116.397]", "[shared group: oc_other]"]


async def test_a_button_says_its_value(server: FeishuServer, channel: Channel, hub: Hub) -> None:
    sending = to(HERE, "Which?")
    buttons = ((Button(text="Red", value="the red one"), Button(text="Blue", value="the blue one")),)
    async with listening(channel, hub):
        server.say("hello")
        await hub.heard()
        number = await channel.send(replace(sending, buttons=buttons))
        push = await server.wait_push(server.press(number, {"say": "the blue one"}))
        await hub.heard(2)
    pressed = hub.messages[1]
    assert (push.status, push.answer) == (200, {})
    assert (pressed.text, pressed.address, pressed.author.id) == ("the blue one", HERE, ANNA)
    assert (pressed.direct, pressed.mentioned, pressed.reply_to) == (True, True, number)


async def test_a_button_pressed_after_a_restart_knows_chat_and_thread(server: FeishuServer, hub: Hub) -> None:
    before, after = channel_of(server), channel_of(server)
    asked = server.say("x", kind="group", thread="omt_7", mention=True)
    sending = to(Address(NAME, GROUP, "omt_7"), "Which?", reply_to=asked["message_id"])
    buttons = ((Button(text="Red", value="red"),),)
    number = await before.send(replace(sending, buttons=buttons))
    async with listening(after, hub):
        await hub.heard()
        after_restart = server.press(number, {"say": "red"}, user=BORIS)
        await server.wait_push(after_restart)
        await hub.heard(2)
    assert hub.messages[1].address == Address(NAME, GROUP, "omt_7")
    assert not hub.messages[1].direct
    for channel in (before, after):
        await channel.close()


@pytest.mark.parametrize(("bots", "count"), [("ignore", 0), ("allow", 1)])
async def test_other_bots_are_heard_only_where_that_is_allowed(server: FeishuServer, bots: str, count: int) -> None:
    hub = Hub()
    channel = channel_of(server, bots=bots)
    async with listening(channel, hub):
        for app in ("ou_other_bot", "ou_bot"):
            event = server.push_event("im.message.receive_v1", said_by_app(app))
            assert (await server.wait_push(event)).status == 200
    await channel.close()
    assert [message.author.id for message in hub.messages] == ["ou_other_bot"] * count


async def test_without_that_permission_they_go_by_their_id_until_they_are_mentioned(
    server: FeishuServer, channel: Channel, hub: Hub
) -> None:
    async with listening(channel, hub):
        server.say("one", kind="group", user=BORIS)
        server.say("two", kind="group", user=CHLOE, mention_users=[BORIS])
        server.say("three", kind="group", user=BORIS)
        await hub.heard(3)
    assert [message.author.name for message in hub.messages] == ["user oris", "user hloe", "Борис Орлов"]


def said_by_app(app: str) -> dict[str, Any]:
    return {
        "sender": {"sender_id": {"open_id": app}, "sender_type": "app"},
        "message": {
            "message_id": f"om_of_{app}",
            "chat_id": P2P,
            "chat_type": "p2p",
            "message_type": "text",
            "content": '{"text": "I am a bot"}',
            "create_time": "1700000000000",
        },
    }
