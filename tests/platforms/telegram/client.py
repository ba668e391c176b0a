"""The real aiogram on a local Telegram: for the tests of this server."""

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import Update

from tests.platforms.telegram.server import TelegramServer

SECOND = 0.02
"""What such a server takes for a second."""


class Session(AiohttpSession):
    """aiogram's own session, without the quarter of a second it gives to TLS at its end."""

    async def close(self) -> None:
        if self._session:
            await self._session.close()


def bot_of(server: TelegramServer, token: str) -> Bot:
    """A bot with this token."""
    return Bot(token, session=Session(api=TelegramAPIServer.from_base(server.base_url)))


def texts(updates: list[Update]) -> list[str | None]:
    """What the messages among them say."""
    return [update.message.text if update.message else None for update in updates]
