"""From updates to the hub: files fetched, albums joined, and what cannot be read put aside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence

import msgspec
import structlog
from aiogram import Bot
from aiogram.methods import AnswerCallbackQuery
from aiogram.types import User
from pydantic import ValidationError

from channels.telegram.client import Raw
from channels.telegram.config import Telegram
from channels.telegram.errors import translated
from channels.telegram.files import Attachment, fetch, instead
from channels.telegram.read import Event, Heard, Left, Moved, Stale, joined, read
from hub.channel import Intake
from hub.errors import ChannelError, ChannelRefused, HubError, RateLimited, Unreachable
from hub.message import Part, Text
from hub.retry import delay

log = structlog.get_logger()
TRIES = 4
"""How often a file is asked for before the message goes on without it."""
PATIENCE = 10.0
"""The longest wait, in seconds, before a file is asked for again: all that comes later waits too."""


class Hearing:
    """What a bot does with the updates it gets, however they come."""

    def __init__(
        self, bot: Bot, name: str, config: Telegram, intake: Intake, me: User, *, back_off: float = 1.0
    ) -> None:
        self.bot = bot
        self.name = name
        self.config = config
        self.intake = intake
        self.me = me
        self.back_off = back_off

    async def hear(self, updates: Sequence[Raw]) -> None:
        """Hand over one update, or those of one album; raises when the hub cannot store.

        Whatever cannot be read or handled is a dead letter: it must not stand in the way of the next.
        """
        events = [event for raw in updates if (event := await self._read(raw)) is not None]
        try:
            heard = [event for event in events if isinstance(event, Heard)]
            if len(heard) > 1:
                await self._say(joined(heard))
                events = [event for event in events if not isinstance(event, Heard)]
            for event in events:
                await self._handle(event)
        except HubError:
            raise
        except Exception as error:
            log.exception("an update cannot be handled", channel=self.name, update=updates[0]["update_id"])
            for raw in updates:
                await self._reject(raw, f"{type(error).__name__}: {error}")

    async def _read(self, raw: Raw) -> Event | None:
        try:
            return read(raw, self.name, self.me, bots=self.config.bots == "allow")
        except ValidationError as error:
            await self._reject(raw, "; ".join(_problems(error)))
        except Exception as error:
            log.exception("an update cannot be read", channel=self.name, update=raw["update_id"])
            await self._reject(raw, f"{type(error).__name__}: {error}")
        return None

    async def _handle(self, event: Event) -> None:
        match event:
            case Heard():
                await self._say(event)
            case Stale(press=press):
                await self._answer(press, "This button is too old.")
            case Left(chat_id=chat_id, why=why):
                await self.intake.gone(chat_id, why)
            case Moved(chat_id=chat_id, to=to):
                await self.intake.moved(chat_id, to)

    async def _say(self, heard: Heard) -> None:
        wanted = not heard.files or await self.intake.admits(heard.message)
        files = [await self._keep(file) if wanted else Text(text=instead(file, "not fetched")) for file in heard.files]
        await self.intake.accept(msgspec.structs.replace(heard.message, parts=(*heard.message.parts, *files)))
        if heard.press:
            await self._answer(heard.press)

    async def _answer(self, press: str, text: str | None = None) -> None:
        """End the waiting sign on a button; it ends by itself too."""
        try:
            with translated(self.name):
                await self.bot(AnswerCallbackQuery(callback_query_id=press, text=text))
        except ChannelError as error:
            log.debug("a press is not answered", channel=self.name, error=str(error))

    async def _keep(self, file: Attachment) -> Part:
        """The file in the hub's store, or words for one that Telegram does not give."""
        content = await self._content(file)
        if content is None:
            return Text(text=instead(file, "could not be fetched"))
        return await self.intake.keep(file.name, file.media_type, content)

    async def _content(self, file: Attachment) -> bytes | None:
        for attempt in range(1, TRIES + 1):
            try:
                with translated(self.name):
                    return await fetch(self.bot, file)
            except ChannelRefused:
                raise
            except RateLimited as limited:
                log.warning("a file has to wait", channel=self.name, seconds=limited.retry_after)
                await asyncio.sleep(min(limited.retry_after, PATIENCE))
            except Unreachable as error:
                log.warning("a file is not there yet", channel=self.name, attempt=attempt, error=str(error))
                await asyncio.sleep(delay(attempt, first=self.back_off))
            except ChannelError as error:
                log.warning("a file cannot be fetched", channel=self.name, error=str(error))
                return None
        return None

    async def _reject(self, raw: Raw, why: str) -> None:
        await self.intake.reject(f"{self.name}.update.{raw['update_id']}", json.dumps(raw).encode(), why)


def _problems(error: ValidationError) -> Iterator[str]:
    """What is wrong and where, without what people said."""
    for problem in error.errors(include_input=False, include_url=False):
        yield f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
