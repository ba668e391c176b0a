"""What comes in: a long poll whose offset moves only over what the hub has stored, or a webhook that is kept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

import structlog
from aiogram import Bot
from aiogram.methods import DeleteWebhook, GetMe, GetWebhookInfo, SetMyCommands, SetWebhook
from aiogram.methods.base import TelegramMethod, TelegramType
from aiogram.types import BotCommand, User

from channels.telegram.albums import after, grouped, pieces, whole
from channels.telegram.client import GetRawUpdates, Raw
from channels.telegram.config import PRIVACY, Telegram
from channels.telegram.errors import translated
from channels.telegram.hear import Hearing
from channels.telegram.read import ALLOWED
from hub.channel import Intake
from hub.errors import ChannelRefused, ChatGone, HubError, MessageRefused, RateLimited, Unreachable
from hub.retry import delay

log = structlog.get_logger()

MOST = 30.0
"""The longest wait, in seconds, between tries to store an update."""
ALBUM_LOOKS = 6
"""How often it is looked whether more pictures of an album came."""


class Listener:
    """One connection to Telegram, from the first call to the error that ends it.

    No offset is kept: what was not acknowledged comes again, and the hub knows it by its id.
    """

    def __init__(
        self,
        bot: Bot,
        name: str,
        config: Telegram,
        intake: Intake,
        *,
        poll: int,
        back_off: float,
        album: float,
        watch: float,
    ) -> None:
        self.bot = bot
        self.name = name
        self.config = config
        self.intake = intake
        self.poll = poll
        self.back_off = back_off
        self.album = album
        self.watch = watch
        self.offset: int | None = None

    async def run(self) -> None:
        """Hand over updates in order until cancelled; raises ChannelRefused or Unreachable."""
        me = await self._ask(GetMe())
        self._explain_privacy(me)
        if self.config.mode == "webhook":
            await self._keep_webhook()
        else:
            await self._listen(me)

    async def _keep_webhook(self) -> None:
        """Let Telegram push, and look from time to time whether it does."""
        url = f"{self.config.public_url}/webhooks/telegram/{self.name}"
        await self._set_webhook(url)
        await self._offer_commands()
        self.intake.up()
        since = datetime.now(UTC)
        while True:
            await asyncio.sleep(self.watch)
            info = await self._ask(GetWebhookInfo())
            if info.url != url:
                log.warning("the webhook was not ours any more, and is set again", channel=self.name)
                await self._set_webhook(url)
            elif info.last_error_date is not None and info.last_error_date > since:
                since = info.last_error_date
                log.warning("Telegram cannot push", channel=self.name, error=info.last_error_message)

    async def _set_webhook(self, url: str) -> None:
        secret = self.config.webhook_secret.get_secret_value()
        await self._ask(SetWebhook(url=url, secret_token=secret, allowed_updates=ALLOWED))

    async def _listen(self, me: User) -> None:
        await self._drop_webhook()
        await self._offer_commands()
        hearing = Hearing(self.bot, self.name, self.config, self.intake, me, back_off=self.back_off)
        updates = await self._updates(0)
        self.intake.up()
        while True:
            await self._take_all(await self._settled(updates), hearing)
            updates = await self._updates(self.poll)

    def _explain_privacy(self, me: User) -> None:
        """Say so when the bot is to hear groups and Telegram does not let it."""
        if self.config.hears_groups and not me.can_read_all_group_messages:
            log.warning(PRIVACY, channel=self.name)

    async def _drop_webhook(self) -> None:
        """A bot with a webhook cannot be polled."""
        if (await self._ask(GetWebhookInfo())).url:
            await self._ask(DeleteWebhook())
            log.warning("a webhook was set for a bot that polls, and is removed", channel=self.name)

    async def _offer_commands(self) -> None:
        """Fill the menu of commands, if Telegram lets us: a bot without one works as well."""
        menu = self.config.commands.menu()
        if not menu:
            return
        commands = [BotCommand(command=name, description=words) for name, words in menu.items()]
        try:
            with translated(self.name):
                await self.bot(SetMyCommands(commands=commands))
        except (RateLimited, Unreachable, MessageRefused, ChatGone) as error:
            log.warning("the menu of commands is not set", channel=self.name, error=str(error))

    async def _updates(self, hold: int) -> list[Raw]:
        """The next updates; Telegram may hold the call for `hold` seconds until there is one."""
        asked = GetRawUpdates(offset=self.offset, timeout=hold, allowed_updates=ALLOWED)
        return await self._ask(asked, hold)

    async def _ask(self, method: TelegramMethod[TelegramType], hold: int = 0) -> TelegramType:
        """Telegram's answer, after whatever wait it asks for."""
        patience = hold + math.ceil(self.bot.session.timeout) if hold else None
        while True:
            try:
                with translated(self.name):
                    return await self.bot(method, request_timeout=patience)
            except RateLimited as limited:
                await asyncio.sleep(limited.retry_after)
            except (MessageRefused, ChatGone) as error:
                raise Unreachable(str(error)) from None

    async def _settled(self, updates: list[Raw]) -> Sequence[Raw]:
        """The updates, once the albums among them are complete; until then nothing is acknowledged."""
        seen = 0
        for _ in range(ALBUM_LOOKS):
            if (found := pieces(updates)) == seen:
                break
            seen = found
            await asyncio.sleep(self.album)
            updates = await self._updates(0)
        return whole(updates)

    async def _take_all(self, updates: Sequence[Raw], hearing: Hearing) -> None:
        """Hand updates over in order; the offset moves over what is stored."""
        done: set[int] = set()
        for group in grouped(updates):
            await self._take(group, hearing)
            done |= {raw["update_id"] for raw in group}
            self.offset = after(updates, done)

    async def _take(self, group: Sequence[Raw], hearing: Hearing) -> None:
        """Hand over one message, however long the hub cannot store."""
        for attempt in count(1):
            try:
                await hearing.hear(group)
            except ChannelRefused:
                raise
            except HubError as error:
                log.warning("an update waits for the store", channel=self.name, attempt=attempt, error=str(error))
                await asyncio.sleep(delay(attempt, first=self.back_off, most=MOST))
            else:
                return
