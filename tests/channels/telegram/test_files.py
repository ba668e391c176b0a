"""Files that people send are stored with their message, and their links never leave the adapter."""

from __future__ import annotations

from typing import Any

import pytest

from channels.telegram.channel import Channel
from hub.errors import ChannelRefused, StoreUnavailable
from hub.message import File, Text
from tests.channels.telegram.given import NAME, hear
from tests.contracts.channel import Hub, listening, shown
from tests.platforms.telegram import PRIVATE, TelegramServer

LIMIT = 20 * 2**20


async def heard(server: TelegramServer, channel: Channel, hub: Hub, count: int = 1) -> list[Any]:
    async with listening(channel, hub):
        await hub.heard(count)
    return [message.parts for message in hub.messages]


class TestFiles:
    @pytest.mark.parametrize(
        ("kind", "name", "mime_type", "stored"),
        [
            ("voice", "v.oga", None, ("voice.ogg", "audio/ogg")),
            ("audio", "song.mp3", None, ("song.mp3", "audio/mpeg")),
            ("video", "clip.mov", "video/quicktime", ("clip.mov", "video/quicktime")),
            ("video_note", "n.mp4", None, ("video.mp4", "video/mp4")),
            ("animation", "cat.mp4", "video/mp4", ("cat.mp4", "video/mp4")),
            ("document", "a.bin", None, ("a.bin", "application/octet-stream")),
        ],
    )
    async def test_each_kind_is_stored_with_its_name_and_type(
        self,
        server: TelegramServer,
        channel: Channel,
        hub: Hub,
        kind: str,
        name: str,
        mime_type: str | None,
        stored: tuple[str, str],
    ) -> None:
        server.say_media(kind, b"\0data", name, mime_type=mime_type)
        [[file]] = await heard(server, channel, hub)
        assert isinstance(file, File)
        assert (file.name, file.media_type) == stored
        assert hub.files[file.ref] == b"\0data"

    async def test_of_a_photo_the_largest_size_is_stored(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        said = server.say_photo(b"jpeg", caption="look")
        [[text, file]] = await heard(server, channel, hub)
        assert text == Text(text="look")
        assert (file.name, file.media_type) == ("photo.jpg", "image/jpeg")
        assert [call.params["file_id"] for call in server.called("getFile")] == [said["photo"][1]["file_id"]]

    async def test_a_file_too_large_is_told_and_not_asked_for(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.say_file(b"x", "talk.pdf", size=LIMIT + 2**20, caption="read this")
        [parts] = await heard(server, channel, hub)
        assert parts == (
            Text(text="read this"),
            Text(text="[document talk.pdf, 21.0 MB: too large for a bot to fetch]"),
        )
        assert server.called("getFile") == []

    async def test_a_file_of_just_the_limit_is_asked_for(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.say_file(b"x", size=LIMIT)
        [[file]] = await heard(server, channel, hub)
        assert isinstance(file, File)

    async def test_a_file_whose_size_is_not_told_may_be_too_large(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        reference = server.state.add_file("v.oga", b"x", LIMIT + 1).reference()
        del reference["file_size"]
        server.say(voice={**reference, "duration": 3})
        [parts] = await heard(server, channel, hub)
        assert parts == (Text(text="[voice message: could not be fetched]"),)

    async def test_a_file_that_is_not_there_any_more_is_told(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.fail("getFile", 400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        server.say_file(b"x", "a.txt", caption="here")
        [parts] = await heard(server, channel, hub)
        assert [part.text for part in parts] == ["here", "[document a.txt, 0.0 MB: could not be fetched]"]

    @pytest.mark.parametrize("code", [429, 500, 502])
    async def test_a_file_that_is_refused_for_a_moment_comes(
        self, server: TelegramServer, channel: Channel, hub: Hub, code: int
    ) -> None:
        server.fail("getFile", code, retry_after=0 if code == 429 else None)
        server.say_file(b"x")
        [[file]] = await heard(server, channel, hub)
        assert isinstance(file, File)

    async def test_a_file_that_never_comes_holds_nobody_up(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.fail("getFile", 500, times=None)
        server.say_file(b"x", "a.txt")
        server.say("after")
        parts = await heard(server, channel, hub, 2)
        assert parts[1] == (Text(text="after"),)
        assert "could not be fetched" in hub.texts[0]

    async def test_a_file_whose_link_is_dead_holds_nobody_up(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        said = server.say_file(b"x", "a.txt")
        file = server.state.files[said["document"]["file_id"]]
        server.state.files["other"] = server.state.files.pop(file.file_id)
        await heard(server, channel, hub)
        assert "could not be fetched" in hub.texts[0]

    async def test_a_store_that_is_away_gets_the_file_later(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        hub.failures = [StoreUnavailable("down")]
        server.say_file(b"x")
        [[file]] = await heard(server, channel, hub)
        assert isinstance(file, File)
        assert len(hub.asked) == 2

    async def test_a_token_revoked_meanwhile_ends_the_channel(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.say_file(b"x")
        server.fail("getFile", 401)
        with pytest.raises(ChannelRefused) as caught:
            await channel.listen(hub)
        assert server.token not in shown(caught.value)

    async def test_no_part_of_a_message_shows_the_token(self, server: TelegramServer, channel: Channel) -> None:
        server.fail("getFile", 500)
        server.say_file(b"x", "a.txt")
        message = await hear(server, channel, "after")
        assert server.token not in repr(message)


class TestOthers:
    async def test_files_of_messages_that_are_not_for_the_agent_stay_with_telegram(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        hub.admitting = False
        server.say_file(b"x", "a.txt", kind="group")
        [parts] = await heard(server, channel, hub)
        assert [part.text for part in parts] == ["[document a.txt, 0.0 MB: not fetched]"]
        assert server.called("getFile") == []


class TestAlbums:
    async def test_an_album_is_one_message(self, server: TelegramServer, channel: Channel, hub: Hub) -> None:
        server.say("before")
        first, *_ = server.say_album([b"1", b"2", b"3"], caption="three")
        server.say("after")
        before, album, after = await heard(server, channel, hub, 3)
        assert (before, after) == ((Text(text="before"),), (Text(text="after"),))
        assert album[0] == Text(text="three")
        assert [hub.files[file.ref] for file in album[1:]] == [b"1", b"2", b"3"]
        assert hub.messages[1].id == f"{NAME}.{PRIVATE}.{first['message_id']}"

    async def test_pictures_that_come_later_belong_to_it(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            for number in range(5):
                server.say_photo(b"%d" % number, media_group_id="g")
                calls = len(server.called("getUpdates"))
                await server.wait_for(lambda calls=calls: len(server.called("getUpdates")) > calls)
            await hub.heard()
        assert sum(len(message.parts) for message in hub.messages) == 5

    async def test_it_is_acknowledged_only_once_it_is_stored(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        hub.gate.clear()
        server.say_album([b"1", b"2"])
        async with listening(channel, hub):
            await hub.until(lambda: bool(hub.asked))
            assert {call.params.get("offset") for call in server.called("getUpdates")} == {None}
        hub.gate.set()
        again = Hub()
        await heard(server, channel, again)
        assert [message.id for message in again.messages] == [message.id for message in hub.asked]
        assert len(again.messages[0].parts) == 2

    async def test_albums_of_two_chats_at_once_stay_apart(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        for number in range(3):
            server.say_photo(b"a%d" % number, chat=1001, media_group_id="g")
            server.say_photo(b"b%d" % number, chat=1002, media_group_id="g")
        albums = await heard(server, channel, hub, 2)
        assert [message.address.chat_id for message in hub.messages] == ["1001", "1002"]
        contents = [[hub.files[file.ref] for file in parts] for parts in albums]
        assert contents == [[b"a0", b"a1", b"a2"], [b"b0", b"b1", b"b2"]]

    async def test_one_that_two_batches_share_is_whole(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        for number in range(98):
            server.say(str(number))
        server.say_album([b"1", b"2", b"3", b"4"])
        server.say("after")
        parts = await heard(server, channel, hub, 100)
        assert [len(each) for each in parts] == [1] * 98 + [4, 1]

    async def test_a_piece_that_cannot_be_read_is_a_dead_letter_and_the_rest_is_heard(
        self, server: TelegramServer, channel: Channel, hub: Hub
    ) -> None:
        server.say_photo(b"1", media_group_id="g")
        chat = {"id": PRIVATE, "type": "private"}
        server.push_raw({"message": {"message_id": "x", "chat": chat, "media_group_id": "g"}})
        server.say_photo(b"2", media_group_id="g")
        [parts] = await heard(server, channel, hub)
        assert len(parts) == 2
        assert len(hub.dead) == 1
