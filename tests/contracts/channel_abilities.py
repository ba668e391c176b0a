"""The laws of what a channel may be able to do besides: inherit those of its abilities beside `ChannelLaws`.

Edits: 17 an edit stands where the message stood, also with the same content again. 18 what was taken back is gone,
also a second time. 19 what is not there cannot be edited. 20 too fast an edit says how long to wait.
Files: 21 a file is stored and stands among the message's parts, with what was written to it; of those
who may not talk it is not fetched. 22 a file arrives whole.
Buttons: 23 pressing one says its value, in its chat, by who pressed it. 24 an edit changes the buttons too.
Reactions: 25 a reaction is put below a message.
"""

from __future__ import annotations

from typing import Protocol

import pytest

from hub.channel import Channel, Edits, Reacts
from hub.errors import MessageRefused, RateLimited
from hub.message import Button, File, Text
from tests.contracts.channel import Given, Hub, Platform, file_to, listening, to

LONG = "a value that is longer than the few bytes which some platforms let a button carry, in any case"
BUTTONS = ((Button(text="Yes", value="yes, please"), Button(text="No", value="no")),)


class EditingPlatform(Platform, Protocol):
    """A platform whose messages can be edited."""

    def limit_edit(self, seconds: int) -> None:
        """The next edit is too fast."""
        ...


class FilePlatform(Platform, Protocol):
    """A platform that carries files."""

    def say_file(self, name: str, media_type: str, content: bytes, text: str) -> None:
        """The person sends a file in the direct chat, and writes something to it."""
        ...

    @property
    def fetched(self) -> bool:
        """Whether the bot has asked for a file that a person sent."""
        ...

    async def files(self, count: int) -> list[tuple[str, bytes]]:
        """The names and contents of the files in the direct chat from the bot, once there are `count`."""
        ...


class ButtonPlatform(Platform, Protocol):
    """A platform with buttons."""

    async def press(self, text: str) -> None:
        """The person presses the button with this text below the newest message of the direct chat."""
        ...


class ReactionPlatform(Platform, Protocol):
    """A platform with reactions."""

    async def reactions(self, count: int) -> list[str]:
        """The bot's reactions in the direct chat, once there are `count`."""
        ...


class EditLaws(Given):
    @pytest.fixture
    async def platform(self) -> EditingPlatform:
        raise NotImplementedError("override this fixture")

    async def test_17_an_edit_stands_where_the_message_stood(self, platform: Platform, channel: Channel) -> None:
        assert isinstance(channel, Edits)
        sent = await channel.send(to(platform.address, "one", final=False))
        for text, final in (("one two", False), ("one two", False), ("one two three", True), ("one two three", True)):
            await channel.edit(to(platform.address, text, final=final), sent)
            assert await platform.sent(1) == [text]

    async def test_18_what_was_taken_back_is_gone(self, platform: Platform, channel: Channel) -> None:
        assert isinstance(channel, Edits)
        sent = await channel.send(to(platform.address, "one", final=False))
        await channel.send(to(platform.address, "two"))
        await channel.delete(platform.address, sent)
        await channel.delete(platform.address, sent)
        assert await platform.sent(1) == ["two"]

    async def test_19_what_is_not_there_cannot_be_edited(self, platform: Platform, channel: Channel) -> None:
        assert isinstance(channel, Edits)
        sent = await channel.send(to(platform.address, "one", final=False))
        await channel.delete(platform.address, sent)
        with pytest.raises(MessageRefused):
            await channel.edit(to(platform.address, "two"), sent)
        assert await platform.sent(0) == []

    async def test_20_too_fast_an_edit_says_how_long_to_wait(self, platform: EditingPlatform, channel: Channel) -> None:
        assert isinstance(channel, Edits)
        sent = await channel.send(to(platform.address, "one", final=False))
        platform.limit_edit(7)
        with pytest.raises(RateLimited) as caught:
            await channel.edit(to(platform.address, "two"), sent)
        assert caught.value.retry_after == 7
        assert await platform.sent(1) == ["one"]


class FileLaws(Given):
    @pytest.fixture
    async def platform(self) -> FilePlatform:
        raise NotImplementedError("override this fixture")

    async def test_21_a_file_is_stored_and_stands_among_the_parts(
        self, platform: FilePlatform, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            platform.say_file("résumé.pdf", "application/pdf", b"%PDF \0\xff", "read this")
            [heard] = await hub.heard()
        text, file = heard.parts
        assert text == Text(text="read this")
        assert isinstance(file, File)
        assert (file.name, file.media_type, file.size) == ("résumé.pdf", "application/pdf", 7)
        assert hub.files[file.ref] == b"%PDF \0\xff"

    async def test_21_of_those_who_may_not_talk_no_file_is_fetched(
        self, platform: FilePlatform, channel: Channel, hub: Hub
    ) -> None:
        hub.admitting = False
        async with listening(channel, hub):
            platform.say_file("plan.pdf", "application/pdf", b"%PDF", "read this")
            [heard] = await hub.heard()
        text, file = heard.parts
        assert text == Text(text="read this")
        assert isinstance(file, Text)
        assert "plan.pdf" in file.text
        assert hub.files == {}
        assert not platform.fetched

    @pytest.mark.parametrize(
        ("name", "media_type"),
        [("chart.png", "image/png"), ("talk.ogg", "audio/ogg"), ("clip.mp4", "video/mp4"), ("data.bin", "x-made/up")],
    )
    async def test_22_a_file_arrives_whole(
        self, platform: FilePlatform, channel: Channel, name: str, media_type: str
    ) -> None:
        assert channel.limits.file_size >= channel.limits.image_size > 0
        content = bytes(range(256)) * 40
        assert await channel.send(file_to(platform.address, name, media_type, content))
        assert await platform.files(1) == [(name, content)]


class ButtonLaws(Given):
    @pytest.fixture
    async def platform(self) -> ButtonPlatform:
        raise NotImplementedError("override this fixture")

    async def test_23_pressing_a_button_says_its_value(
        self, platform: ButtonPlatform, channel: Channel, hub: Hub
    ) -> None:
        async with listening(channel, hub):
            await channel.send(to(platform.address, "Shall I?", buttons=BUTTONS))
            await platform.press("Yes")
            await platform.press("No")
            await hub.heard(2)
        assert hub.texts == ["yes, please", "no"]
        assert [message.address for message in hub.messages] == [platform.address] * 2
        assert len({message.id for message in hub.messages}) == 2
        assert all(message.author.id and message.mentioned for message in hub.messages)

    async def test_24_an_edit_changes_the_buttons_too(
        self, platform: ButtonPlatform, channel: Channel, hub: Hub
    ) -> None:
        assert isinstance(channel, Edits)
        async with listening(channel, hub):
            sent = await channel.send(to(platform.address, "Shall I?", final=False))
            await channel.edit(to(platform.address, "Shall I?", buttons=((Button(text="Do", value=LONG),),)), sent)
            await platform.press("Do")
            [heard] = await hub.heard()
        assert heard.text in (LONG, "Do"), "a value that is too long may be said in the button's words"


class ReactionLaws(Given):
    @pytest.fixture
    async def platform(self) -> ReactionPlatform:
        raise NotImplementedError("override this fixture")

    async def test_25_a_reaction_is_put_below_a_message(
        self, platform: ReactionPlatform, channel: Channel, hub: Hub
    ) -> None:
        assert isinstance(channel, Reacts)
        async with listening(channel, hub):
            platform.say("done?")
            [heard] = await hub.heard()
        assert heard.reply_to
        await channel.react(platform.address, heard.reply_to, "👍")
        assert await platform.reactions(1) == ["👍"]
