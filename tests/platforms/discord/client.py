"""The way to a local Discord, and the real discord.py on it: for the tests of this server."""

import asyncio
import socket
import ssl
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import discord
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from discord.app_commands import CommandTree

from tests.patience import PATIENCE
from tests.platforms.discord.certificate import HOSTS
from tests.platforms.discord.server import DiscordServer
from tests.platforms.discord.shapes import GENERAL
from tests.platforms.waker import Signal


class Resolver(AbstractResolver):
    """Leads Discord's names to one port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in HOSTS:
            raise OSError(f"{host} is not led anywhere")
        found = ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        return [found]

    async def close(self) -> None:
        """There is nothing to close."""


def connector(server: DiscordServer) -> aiohttp.TCPConnector:
    """Connections that trust `server` to be Discord."""
    trusted = ssl.create_default_context(cafile=server.ca_file)
    return aiohttp.TCPConnector(resolver=Resolver(server.port), ssl=trusted)


def intents(**more: bool) -> discord.Intents:
    """All that is free, and whatever is named."""
    asked = discord.Intents.default()
    for name, value in {"message_content": True, **more}.items():
        setattr(asked, name, value)
    return asked


class Bot(discord.Client):
    """A bot that remembers what it heard, by event."""

    def __init__(self, server: DiscordServer, asked: discord.Intents | None = None, **options: Any) -> None:
        super().__init__(intents=asked or intents(), connector=connector(server), guild_ready_timeout=0.1, **options)
        self.tree = CommandTree(self)
        self.changed = Signal()
        self.heard: defaultdict[str, list[Any]] = defaultdict(list)

    def dispatch(self, event: str, /, *args: Any, **named: Any) -> None:
        super().dispatch(event, *args, **named)
        self.heard[event].append(args[-1] if args else None)
        self.changed.notify()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """discord.py would wait five seconds before a second session."""

    async def hears(self, event: str, count: int = 1, timeout: float = PATIENCE) -> list[Any]:
        """Everything heard under that name, once it is at least `count` times."""
        await self.changed.until(lambda: len(self.heard[event]) >= count, timeout)
        return self.heard[event]

    def place(self, channel: str) -> discord.TextChannel:
        """The channel, as something to send to."""
        found = self.get_channel(int(channel))
        assert isinstance(found, discord.TextChannel)
        return found

    def texts(self) -> list[str]:
        """What others said."""
        return [message.content for message in self.heard["message"] if message.author != self.user]


@asynccontextmanager
async def running(server: DiscordServer, asked: discord.Intents | None = None, **options: Any) -> AsyncGenerator[Bot]:
    """A bot that is ready."""
    bot = Bot(server, asked, **options)
    task = asyncio.create_task(bot.start(server.token))
    try:
        await bot.hears("ready")
        yield bot
    finally:
        await bot.close()
        await task


class Rest:
    """The REST API without a library, for what discord.py would smooth over."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(self, verb: str, path: str, json: Any = None) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers."""
        sent = {} if json is None else {"json": json}
        async with self._session.request(verb, f"https://discord.com/api/v10{path}", **sent) as response:
            body: Any = await response.json() if response.status != 204 else {}
            return response.status, body, dict(response.headers)


@asynccontextmanager
async def rest(server: DiscordServer, token: str | None = None) -> AsyncGenerator[Rest]:
    """Calls to `server` in the name of the bot."""
    headers = {"Authorization": f"Bot {token or server.token}"}
    async with aiohttp.ClientSession(connector=connector(server), headers=headers) as session:
        yield Rest(session)


def texts(server: DiscordServer, channel: str = GENERAL) -> list[str]:
    """What stands in a channel."""
    return [message["content"] for message in server.sent(channel)]


async def refused(awaitable: Awaitable[object]) -> tuple[int, int]:
    """Status and code of a refusal."""
    with pytest.raises(discord.HTTPException) as refusal:
        await awaitable
    return refusal.value.status, refusal.value.code
