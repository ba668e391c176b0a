"""Fetches what a URL names from the public internet, and from nowhere else.

The URL comes from a model, a chat or a request, so it may point at this machine, its network or the cloud it runs in.
A name is resolved once a hop, every address of it is judged, and the connection goes to one of those that passed:
there is no second look-up that could answer otherwise.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import PurePosixPath

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from hub.errors import FetchFailed, FetchRefused, TooLarge

IP = IPv4Address | IPv6Address
MB = 2**20
_REDIRECTS = {301, 302, 303, 307, 308}
_UNICAST = IPv6Network("2000::/3")
_NOBODYS = [
    *map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")),
    *map(IPv6Network, ("2002::/16", "3fff::/20")),
    IPv4Network("168.63.129.16"),  # Azure's metadata, answered inside the cloud
]
"""What Python's `is_global` lets pass, in some of its versions."""


def is_public(address: IP) -> bool:
    """Whether an address is somebody's on the internet.

    For IPv6 that is global unicast alone: the rest can carry any IPv4 address inside (mapped, NAT64).
    """
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    odd = address.is_multicast or address.is_reserved or any(address in network for network in _NOBODYS)
    return address.is_global and not odd


async def look_up(host: str) -> list[str]:
    """The addresses of a name, as this machine resolves it; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What came: the URL it came from after redirects, its type in lower case, and all of its bytes."""

    url: str
    media_type: str
    data: bytes
    charset: str | None = None
    name: str = ""
    """What the sender calls the file, without folders; empty when it says nothing."""


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """Fetches URLs within limits of bytes, seconds and redirects.

    Proxies, cookies and credentials of this machine are never used. `resolve` and `allow` are there for tests, whose
    servers are not public.
    """

    most: int = 10 * MB
    seconds: float = 20.0
    redirects: int = 5
    resolve: Callable[[str], Awaitable[Sequence[str]]] = look_up
    allow: Callable[[IP], bool] = is_public

    async def get(self, url: str, *, accept: str = "*/*") -> Fetched:
        """Fetch a URL.

        Raises FetchRefused for one that must not be fetched, FetchFailed when nothing useful came, TooLarge.
        No message holds more of a URL than its host: the rest may be a secret.
        """
        target = _parsed(url)
        try:
            async with asyncio.timeout(self.seconds):
                for _ in range(self.redirects + 1):
                    found = await self._hop(target, accept)
                    if isinstance(found, Fetched):
                        return found
                    target = found
        except TimeoutError as error:
            raise FetchFailed(f"{target.host} did not send it within {self.seconds:g} seconds.") from error
        raise FetchFailed(f"{target.host} was reached after {self.redirects} redirects and redirects again.")

    async def _hop(self, url: URL, accept: str) -> Fetched | URL:
        """What one URL answers: its content, or where to look instead."""
        async with self._asked(url, accept) as response:
            if response.status in _REDIRECTS:
                return _next(url, response)
            if response.status != 200:
                raise FetchFailed(f"{url.host} answered with status {response.status}.")
            disposition = response.content_disposition
            return Fetched(
                url=str(url),
                media_type=response.content_type.lower(),
                data=await self._read(url, response),
                charset=response.charset,
                name=_name(disposition.filename if disposition else None) or _name(url.name),
            )

    @asynccontextmanager
    async def _asked(self, url: URL, accept: str) -> AsyncGenerator[ClientResponse]:
        connector = TCPConnector(resolver=_Pinned(await self._addresses(url)), use_dns_cache=False, force_close=True)
        headers = {"Accept": accept, "User-Agent": "bothub"}
        session = ClientSession(
            connector=connector, cookie_jar=DummyCookieJar(), headers=headers, trust_env=False, timeout=ClientTimeout()
        )
        try:
            async with session, session.get(url, allow_redirects=False) as response:
                yield response
        except TimeoutError:
            raise
        except (ClientError, OSError) as error:
            raise FetchFailed(f"{url.host} could not be read ({type(error).__name__}).") from error

    async def _addresses(self, url: URL) -> list[str]:
        """Where to connect to: the addresses of the URL's host that may be reached."""
        host = url.raw_host or ""
        try:
            found = [host] if _is_address(host) else await self.resolve(host)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(f"There is no host '{url.host}'.") from error
        if allowed := [address for address in found if self.allow(ip_address(address))]:
            return allowed
        raise FetchRefused(f"{url.host} is not fetched: it has no public address.", code="not_public")

    async def _read(self, url: URL, response: ClientResponse) -> bytes:
        """All of the body; stops at the limit, whatever length was announced and however it is compressed."""
        read = bytearray()
        if (response.content_length or 0) <= self.most:
            async for piece in response.content.iter_chunked(64 * 1024):
                read += piece
                if len(read) > self.most:
                    break
            else:
                return bytes(read)
        raise TooLarge(f"{url.host} sends more than {self.most / MB:g} MB; that is not fetched.")


class _Pinned(AbstractResolver):
    """Answers with the addresses that were judged."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _parsed(url: str) -> URL:
    try:
        return _checked(URL(url.strip()))
    except ValueError as error:
        raise FetchRefused("That is not a URL: write http://host/path or https://host/path.", code="bad_url") from error


def _checked(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host:
        raise FetchRefused("Only http:// and https:// URLs with a host are fetched.", code="bad_url")
    if url.raw_user is not None or url.raw_password is not None:
        raise FetchRefused("URLs with a user name or password are not fetched.", code="bad_url")
    return url.with_fragment(None)


def _next(url: URL, response: ClientResponse) -> URL:
    try:
        return _checked(url.join(URL(response.headers["Location"])))
    except (KeyError, ValueError) as error:
        raise FetchFailed(f"{url.host} redirects to nowhere.") from error


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6


def _name(given: str | None) -> str:
    """A file's name alone, without folders and without what does not print."""
    name = PurePosixPath((given or "").replace("\\", "/")).name
    return "".join(letter for letter in name if letter.isprintable())[:200]
