"""One Telegram bot as a channel."""

from __future__ import annotations

from aiogram import Bot

from channels.telegram import send
from channels.telegram.client import bot_of
from channels.telegram.config import Telegram
from channels.telegram.errors import translated
from channels.telegram.listen import Listener
from channels.telegram.render import LENGTH, rendered_size
from channels.telegram.upload import FILE_SIZE, IMAGE_SIZE, upload
from hub.channel import Intake, Limits, Sending
from hub.message import Address, File, Text

LIMITS = Limits(
    length=LENGTH,
    unit="utf16",
    per_chat=1.0,
    per_group=20 / 60,
    group_prefix="-",
    per_bot=30.0,
    burst=3,
    typing_seconds=4.0,
    dedupes=False,
    edit_every=1.5,
    edit_every_group=3.0,
    file_size=FILE_SIZE,
    image_size=IMAGE_SIZE,
)


class Channel:
    """A bot that hears by long polling, or is pushed to.

    `timeout` is how long Telegram may take to answer, `poll` how long it may hold a poll for want of news,
    `back_off` the first wait when the hub cannot store, `album` the wait for more pictures of one, `watch` how often
    a webhook is looked after; all in seconds.
    """

    def __init__(
        self,
        name: str,
        config: Telegram,
        *,
        timeout: float = 30.0,
        poll: int = 25,
        back_off: float = 1.0,
        album: float = 0.5,
        watch: float = 60.0,
    ) -> None:
        self.name = name
        self._config = config
        self._poll = poll
        self._back_off = back_off
        self._album = album
        self._watch = watch
        self._drafts = True
        with translated(name):
            self._bot: Bot = bot_of(config, timeout)

    @property
    def limits(self) -> Limits:
        return LIMITS

    async def listen(self, intake: Intake) -> None:
        """Hand over what people say until cancelled; what was not stored comes again, after a restart too.

        With `mode: webhook` Telegram pushes to the API, and this sees to it that it does.
        """
        await Listener(
            self._bot,
            self.name,
            self._config,
            intake,
            poll=self._poll,
            back_off=self._back_off,
            album=self._album,
            watch=self._watch,
        ).run()

    async def send(self, sending: Sending) -> str:
        with translated(self.name):
            if isinstance(sending.part, File):
                return await upload(self._bot, sending, sending.part)
            return await send.send(self._bot, sending)

    async def draft(self, sending: Sending) -> bool:
        """Show a text that is being written as a draft, which is gone when the message comes.

        False in groups, and where the server shows none: that is tried once.
        """
        if not self._drafts or not send.is_private(sending.address) or not isinstance(sending.part, Text):
            return False
        with translated(self.name):
            self._drafts = await send.draft(self._bot, sending, sending.part.text)
        return self._drafts

    async def edit(self, sending: Sending, platform_id: str) -> None:
        """Change what was sent; the same content again is no error. Raises a ChannelError."""
        with translated(self.name):
            await send.edit(self._bot, sending, platform_id)

    async def delete(self, address: Address, platform_id: str) -> None:
        """Take back what was sent; what is not there any more is no error."""
        with translated(self.name):
            await send.delete(self._bot, address, platform_id)

    def size(self, text: str) -> int:
        """The UTF-16 units that a text takes with its lists, tables and links rendered."""
        return rendered_size(text)

    async def typing(self, address: Address) -> None:
        """Show "typing..." for 5 s or until a message comes; raises a ChannelError that may be ignored."""
        with translated(self.name):
            await send.typing(self._bot, address)

    async def react(self, address: Address, platform_id: str, emoji: str) -> None:
        """Put an emoji below a message, in the place of an earlier one; an empty one takes it away."""
        with translated(self.name):
            await send.react(self._bot, address, platform_id, emoji)

    async def close(self) -> None:
        await self._bot.session.close()
