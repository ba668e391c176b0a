"""aiogram's Bot, with a session that tells "not connected" from "not answered", and updates left raw."""

from __future__ import annotations

from typing import Any, cast

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.methods.base import TelegramMethod, TelegramType
from aiogram.types import InlineKeyboardMarkup, LinkPreviewOptions, MessageEntity, ReplyParameters
from aiohttp import ClientTimeout
from pydantic import BaseModel

from channels.telegram.config import Telegram

Raw = dict[str, Any]
"""An update as Telegram sent it."""
CONNECT = 10.0
"""How long a connection may take, in seconds, if the whole call may take longer."""


class GetRawUpdates(TelegramMethod[list[Raw]]):
    """getUpdates with every update unread: aiogram's own reads them all at once, so that a bad one blocks the rest."""

    __returning__ = list[Raw]
    __api_method__ = "getUpdates"

    timeout: int
    allowed_updates: list[str]
    offset: int | None = None


class Posted(BaseModel):
    """All we need of a message that was sent: whatever else Telegram tells of it cannot make it look unsent."""

    message_id: int


class Post(TelegramMethod[Posted]):
    """Something that is sent, with a small answer."""

    __returning__ = Posted


class PostMessage(Post):
    """sendMessage."""

    __api_method__ = "sendMessage"

    chat_id: str
    text: str
    entities: list[MessageEntity] | None = None
    message_thread_id: int | None = None
    reply_parameters: ReplyParameters | None = None
    reply_markup: InlineKeyboardMarkup | None = None
    link_preview_options: LinkPreviewOptions | None = None


class ChangeMessage(TelegramMethod[Any]):
    """editMessageText, whose answer does not matter."""

    __returning__ = Any
    __api_method__ = "editMessageText"

    chat_id: str
    message_id: int
    text: str
    entities: list[MessageEntity] | None = None
    reply_markup: InlineKeyboardMarkup | None = None
    link_preview_options: LinkPreviewOptions | None = None


class Session(AiohttpSession):
    """Raises what aiohttp raises, which says whether a request was written; ends at once."""

    async def make_request(
        self, bot: Bot, method: TelegramMethod[TelegramType], timeout: int | None = None
    ) -> TelegramType:
        http = await self.create_session()
        total = self.timeout if timeout is None else timeout
        async with http.post(
            self.api.api_url(token=bot.token, method=method.__api_method__),
            data=self.build_form_data(bot=bot, method=method),
            timeout=ClientTimeout(total=total, connect=min(CONNECT, self.timeout / 2)),
        ) as response:
            content = await response.text(encoding="utf-8", errors="replace")
        answer = self.check_response(bot=bot, method=method, status_code=response.status, content=content)
        return cast(TelegramType, answer.result)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def bot_of(config: Telegram, timeout: float) -> Bot:
    """The bot of a channel; nothing is connected yet."""
    server = TelegramAPIServer.from_base(config.base_url) if config.base_url else PRODUCTION
    return Bot(config.token.get_secret_value(), session=Session(api=server, timeout=timeout))


def session_of(bot: Bot) -> Session:
    """The session that `bot_of` gave a bot."""
    assert isinstance(bot.session, Session)
    return bot.session
