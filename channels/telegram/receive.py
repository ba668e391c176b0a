"""Updates that Telegram pushes: read and stored before they are acknowledged."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog
from aiogram import Bot
from aiogram.types import User

from channels.telegram.client import Raw, bot_of
from channels.telegram.config import Telegram
from channels.telegram.errors import translated
from channels.telegram.hear import Hearing
from hub.channel import Intake, WebhookAnswer
from hub.errors import ChannelError, Forbidden

log = structlog.get_logger()
SECRET = "x-telegram-bot-api-secret-token"  # noqa: S105 - the name of a header
LATER = WebhookAnswer(status=503, body=b"try again later")
"""Telegram pushes the update again, for a day."""


class Receiver:
    """Takes what Telegram pushes for one bot; `timeout` is how long Telegram may take to answer, in seconds."""

    def __init__(self, name: str, config: Telegram, *, timeout: float = 20.0) -> None:
        self._name = name
        self._config = config
        self._timeout = timeout
        self._made: Bot | None = None
        self._me: User | None = None
        self._users = 0

    async def receive(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> WebhookAnswer:
        """Store one update; raises Forbidden for one that does not know the secret."""
        secret = self._config.webhook_secret.get_secret_value()
        given = headers.get(SECRET, "")
        if not secret or not hmac.compare_digest(given.encode(), secret.encode()):
            raise Forbidden("This webhook takes nothing that does not know its secret.")
        raw = _update(body)
        if raw is None:
            id = f"{self._name}.pushed.{hashlib.sha256(body).hexdigest()[:32]}"  # noqa: A001
            await intake.reject(id, body, "This is not an update of Telegram's.")
            return WebhookAnswer()
        try:
            async with self._bot() as bot:
                me = await self._who(bot)
                await Hearing(bot, self._name, self._config, intake, me).hear([raw])
        except ChannelError as error:
            log.warning("an update has to wait", channel=self._name, update=raw["update_id"], error=str(error))
            return LATER
        return WebhookAnswer()

    @asynccontextmanager
    async def _bot(self) -> AsyncGenerator[Bot]:
        """The bot, whose connections are closed when nobody uses them."""
        if self._made is None:
            with translated(self._name):
                self._made = bot_of(self._config, self._timeout)
        self._users += 1
        try:
            yield self._made
        finally:
            self._users -= 1
            if not self._users:
                await self._made.session.close()

    async def _who(self, bot: Bot) -> User:
        """The bot's own name, which tells what is said to it."""
        if self._me is None:
            with translated(self._name):
                self._me = await bot.get_me()
        return self._me


def _update(body: bytes) -> Raw | None:
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    update = cast(Raw, found)
    return update if isinstance(update.get("update_id"), int) else None
