"""discord.py's Client twice: one hears, over the gateway, and one speaks, over HTTP.

They fail apart: a lost gateway keeps no answer back. The one that speaks passes every refusal on at once, because the
hub paces and tries again; the one that hears has discord.py's patience.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import discord
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from channels.discord.config import Discord
from hub.errors import ChannelRefused, RateLimited, Unreachable

Raw = Mapping[str, Any]
"""An event as Discord sent it."""
LED = ("discord.com", "discord.gg", "discordapp.com", "discordapp.net")
"""Whose hosts are led to `base_url`: the API, the gateways and the files."""
LONGEST_WAIT = 30.0
"""How long discord.py itself may wait for a rate limit to end, in seconds; it takes no shorter time."""
PAGE = 100
"""How many messages Discord gives at once."""
CLOSING = 2.0
"""How long a goodbye may take, in seconds."""
BANNED = 60.0
"""How long to keep still when something in front of Discord asks for it without saying how long, in seconds."""


class Resolver(AbstractResolver):
    """Leads Discord's names to one server."""

    def __init__(self, base_url: str) -> None:
        target = urlsplit(base_url)
        self._host, self._port = target.hostname or "", target.port or 443
        self._inner = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if not any(host == name or host.endswith(f".{name}") for name in LED):
            return await self._inner.resolve(host, port, family)
        found = await self._inner.resolve(self._host, self._port, family)
        return [{**address, "hostname": host} for address in found]

    async def close(self) -> None:
        await self._inner.close()


def connector_of(config: Discord) -> aiohttp.BaseConnector:
    """Connections to Discord, or to what stands in for it; raises ChannelRefused when `ca_file` cannot be used."""
    try:
        trusted = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else True
    except OSError:
        raise ChannelRefused(f"The ca_file '{config.ca_file}' holds no certificate that can be used.") from None
    resolver = Resolver(config.base_url) if config.base_url else None
    return aiohttp.TCPConnector(resolver=resolver, ssl=trusted, limit=0)


class Client(discord.Client):
    """One that keeps nothing in memory that it need not, and pings nobody."""

    def __init__(self, config: Discord, **options: Any) -> None:
        self._config = config
        self._connector = connector_of(config)
        super().__init__(
            connector=self._connector,
            allowed_mentions=discord.AllowedMentions.none(),
            max_ratelimit_timeout=LONGEST_WAIT,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            **options,
        )

    async def enter(self) -> None:
        """Log in; raises what discord.py and aiohttp raise."""
        await self.login(self._config.token.get_secret_value())

    async def leave(self) -> None:
        """Close every connection, with or without a goodbye."""
        with suppress(TimeoutError, Exception):
            async with asyncio.timeout(CLOSING):
                await self.close()
        await self._connector.close()


class Speaker(Client):
    """Sends; never connects to the gateway."""

    def __init__(self, config: Discord) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(_refuse)
        super().__init__(config, intents=discord.Intents(guilds=True), http_trace=trace)


async def _refuse(_: aiohttp.ClientSession, __: object, params: aiohttp.TraceRequestEndParams) -> None:
    """Raise what discord.py would wait for or try again, for up to half a minute, without a word."""
    response = params.response
    if response.status == 429:
        raise RateLimited("Discord asks to wait.", retry_after=await _retry_after(response))
    if response.status >= 500:
        raise Unreachable(f"Discord is out of order: HTTP {response.status}.", maybe_sent=True)


async def _retry_after(response: aiohttp.ClientResponse) -> float:
    try:
        return float((await response.json())["retry_after"])
    except (aiohttp.ClientError, ValueError, KeyError, TypeError):
        return float(response.headers.get("Retry-After", BANNED))


class Hearer(Protocol):
    """What is told of every event, in order and at once."""

    def hear(self, event: str, what: Any, raw: Raw) -> None:
        """Take an event of discord.py's, and the frame it came in."""
        ...

    def stumble(self, kind: str, raw: Raw, error: Exception) -> None:
        """Take a frame that discord.py could not read."""
        ...


class Listener(Client):
    """Hears; what it cannot read it tells, and goes on.

    `settle` is how long to wait for the servers to be named after connecting, `pause` before a second session; both
    in seconds.
    """

    def __init__(self, config: Discord, hearer: Hearer, *, settle: float, pause: float) -> None:
        asked = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)
        super().__init__(config, intents=asked, guild_ready_timeout=settle)
        self._hearer = hearer
        self._pause = pause
        self._frame: Raw = {}
        # A frame that discord.py cannot read would end the connection, and come again with the next one. There is no
        # public door to this: tests/channels/discord/test_listen.py notices when the lock is changed.
        parsers: dict[str, Callable[[Any], None]] = self._connection.parsers
        for kind, parse in parsers.items():
            if kind != "READY":
                parsers[kind] = partial(self._parse, kind, parse)

    def _parse(self, kind: str, parse: Callable[[Any], None], data: Any) -> None:
        self._frame = data
        try:
            parse(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the frame
            self._hearer.stumble(kind, data, error)

    def dispatch(self, event: str, /, *args: Any, **named: Any) -> None:
        super().dispatch(event, *args, **named)
        self._hearer.hear(event, args[0] if args else None, self._frame)

    async def history(
        self, chat: int, after: int, *, direct: bool
    ) -> AsyncGenerator[tuple[Raw, discord.Message | Exception]]:
        """What was said in a chat after an id, oldest first, or why it cannot be read; raises what discord.py does."""
        kind = discord.ChannelType.private if direct else None
        place: Any = self.get_channel(chat) or self.get_partial_messageable(chat, type=kind)
        while True:
            page: list[Any] = list(await self.http.logs_from(chat, PAGE, after=after))
            for raw in sorted(page, key=lambda raw: int(raw["id"])):
                after = int(raw["id"])
                yield raw, self._said(place, raw)
            if len(page) < PAGE:
                return

    def _said(self, place: Any, raw: Any) -> discord.Message | Exception:
        try:
            return discord.Message(state=self._connection, channel=place, data=raw)
        except Exception as error:  # noqa: BLE001 - as with an event
            return error

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:  # noqa: ARG002 - its port
        """Discord takes one new session in five seconds."""
        if not initial:
            await asyncio.sleep(self._pause)


class _NoVoice(logging.Filter):
    """discord.py misses what it needs for calls; bothub makes none."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "voice will NOT be supported" not in record.getMessage()


logging.getLogger("discord.client").addFilter(_NoVoice())
