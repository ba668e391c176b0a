"""What comes in from one channel: over its connection, or pushed to the API by its platform."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from hub.channel import Webhook, WebhookAnswer
from hub.files import FileStore
from hub.ingress import Ingress
from hub.message import File, Message


class Inlet:
    """The `Intake` of one channel."""

    def __init__(self, name: str, ingress: Ingress, files: FileStore) -> None:
        self._name = name
        self._ingress = ingress
        self._files = files

    async def accept(self, message: Message) -> None:
        """Store a message."""
        await self._ingress.accept(message)

    async def admits(self, message: Message) -> bool:
        """Whether an agent will come to see a message."""
        return await self._ingress.admits(message)

    async def reject(self, id: str, raw: bytes, why: str) -> None:
        """Store a dead letter."""
        await self._ingress.reject(self._name, id, raw, why)

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        """Store a file."""
        return await self._files.keep(name, media_type, content)

    async def chats(self) -> list[str]:
        """The chats in which somebody has spoken, those with the newest sessions first."""
        return await self._ingress.chats(self._name)

    async def gone(self, chat_id: str, why: str) -> None:
        """Remember that nothing can be sent to a chat."""
        await self._ingress.gone(self._name, chat_id, why)

    async def moved(self, chat_id: str, to: str) -> None:
        """Let a chat's conversations go on under its new id."""
        await self._ingress.moved(self._name, chat_id, to)

    def up(self) -> None:
        """Say that the connection stands; a push says nothing of that."""


class Door:
    """Where a platform pushes what is said in one channel; what reads it is made when the first push comes."""

    def __init__(self, make: Callable[[], Awaitable[Webhook]], inlet: Inlet) -> None:
        self._make = make
        self._inlet = inlet
        self._made: Webhook | None = None
        self._making = asyncio.Lock()

    async def __call__(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Store what was pushed, and the answer; header names are in lower case. Raises Forbidden."""
        async with self._making:
            if self._made is None:
                self._made = await self._make()
        return await self._made.receive(headers, body, self._inlet)
