"""Files go out as what they are, and as documents where Telegram cannot show them."""

from __future__ import annotations

import msgspec
import pytest

from channels.telegram.channel import Channel
from channels.telegram.upload import IMAGE_SIZE
from hub.errors import ChannelError, ChatGone, MessageRefused, RateLimited, Unreachable
from hub.message import Address, Button
from tests.channels.telegram.given import HERE, IN_GROUP, NAME
from tests.contracts.channel import file_to, shown
from tests.platforms.telegram import GROUP, SUPERGROUP, TelegramServer

UPLOADS = ["sendPhoto", "sendVoice", "sendAudio", "sendVideo", "sendAnimation", "sendDocument"]


def methods(server: TelegramServer) -> list[str]:
    return [call.method for call in server.calls if call.method in UPLOADS]


class TestKinds:
    @pytest.mark.parametrize(
        ("name", "media_type", "method"),
        [
            ("a.png", "image/png", "sendPhoto"),
            ("a.jpg", "image/jpeg", "sendPhoto"),
            ("a.gif", "image/gif", "sendAnimation"),
            ("a.svg", "image/svg+xml", "sendDocument"),
            ("a.ogg", "audio/ogg; codecs=opus", "sendVoice"),
            ("a.mp3", "AUDIO/MPEG", "sendAudio"),
            ("a.wav", "audio/wav", "sendDocument"),
            ("a.mp4", "video/mp4", "sendVideo"),
            ("a.mkv", "video/x-matroska", "sendDocument"),
            ("a.pdf", "application/pdf", "sendDocument"),
            ("a", "", "sendDocument"),
        ],
    )
    async def test_each_goes_out_as_what_it_is(
        self, server: TelegramServer, channel: Channel, name: str, media_type: str, method: str
    ) -> None:
        sent = await channel.send(file_to(HERE, name, media_type, b"\0\xff"))
        assert methods(server) == [method]
        assert sent == str(server.sent()[0]["message_id"])
        [file] = server.state.files.values()
        assert (file.name, file.data) == (name, b"\0\xff")

    async def test_an_image_too_large_for_a_photo_is_a_document(self, server: TelegramServer, channel: Channel) -> None:
        await channel.send(file_to(HERE, "a.png", "image/png", bytes(IMAGE_SIZE + 1)))
        assert methods(server) == ["sendDocument"]

    @pytest.mark.parametrize(
        ("name", "media_type", "words"),
        [
            ("a.png", "image/png", "IMAGE_PROCESS_FAILED"),
            ("a.png", "image/png", "PHOTO_INVALID_DIMENSIONS"),
            ("a.ogg", "audio/ogg", "VOICE_MESSAGES_FORBIDDEN"),
        ],
    )
    async def test_what_telegram_cannot_show_goes_out_as_a_document(
        self, server: TelegramServer, channel: Channel, name: str, media_type: str, words: str
    ) -> None:
        server.fail("*", 400, f"Bad Request: {words}")
        await channel.send(file_to(HERE, name, media_type, b"x"))
        assert methods(server)[1:] == ["sendDocument"]
        assert server.sent()[0]["document"]["file_name"] == name

    async def test_it_goes_to_its_topic_with_its_buttons_below_the_question(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        asked = server.say("draw", kind="supergroup", thread=7)
        sending = file_to(Address(NAME, str(SUPERGROUP), "7"), "a.png", "image/png", b"x")
        buttons = ((Button(text="More", value="more"),),)
        sending = msgspec.structs.replace(sending, reply_to=str(asked["message_id"]), buttons=buttons)
        await channel.send(sending)
        [sent] = server.sent(SUPERGROUP)
        assert sent["message_thread_id"] == 7
        assert sent["reply_to_message"]["message_id"] == asked["message_id"]
        assert sent["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "more"


class TestRefusals:
    async def test_an_empty_file_is_refused_in_words(self, server: TelegramServer, channel: Channel) -> None:
        with pytest.raises(MessageRefused, match=r"'a\.pdf' is empty"):
            await channel.send(file_to(HERE, "a.pdf", "application/pdf", b""))
        assert server.calls == []

    @pytest.mark.parametrize(
        ("code", "words", "error"),
        [
            (400, "Bad Request: not enough rights to send photos to the chat", MessageRefused),
            (403, "Forbidden: bot was blocked by the user", ChatGone),
            (413, "Request Entity Too Large", MessageRefused),
            (429, None, RateLimited),
            (502, None, Unreachable),
        ],
    )
    async def test_each_refusal_is_the_right_error_and_tried_once(
        self, server: TelegramServer, channel: Channel, code: int, words: str | None, error: type[ChannelError]
    ) -> None:
        server.fail("sendPhoto", code, words)
        with pytest.raises(error) as caught:
            await channel.send(file_to(IN_GROUP, "a.png", "image/png", b"x"))
        assert methods(server) == ["sendPhoto"]
        assert server.token not in shown(caught.value)
        assert server.sent(GROUP) == []

    async def test_an_upload_whose_answer_is_lost_may_have_arrived(
        self, server: TelegramServer, channel: Channel
    ) -> None:
        server.reset("sendDocument", handled=True)
        with pytest.raises(Unreachable) as caught:
            await channel.send(file_to(HERE, "a.pdf", "application/pdf", b"x"))
        assert caught.value.maybe_sent
        assert len(server.sent()) == 1
