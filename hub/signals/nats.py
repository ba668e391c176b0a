"""Signals between processes, over core NATS.

A process hears its own signals at once, as with `LocalSignals`, whether NATS is there or not; the server takes them to
the other processes only. Each topic that somebody here listens to is one subscription: a wildcard would bring every
piece of every other process's streams here. Nothing is kept for a server that is away.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error, NoServersError

from hub.errors import ConfigError
from hub.retry import delay
from hub.signals import LARGEST
from hub.signals.local import LocalListener, LocalSignals

log = structlog.get_logger()
CONNECT = 2
"""How long a server may take to answer, in seconds."""
PING = 5
"""How often the server is asked for a sign of life, in seconds; after three times without one it is away."""
FIRST_WAIT = 0.25
"""The wait before the first new attempt to connect, in seconds."""
MOST_WAIT = 10.0
"""The longest wait between attempts to connect, in seconds."""
LAST_WORDS = 0.5
"""How long closing waits until what was sent is with the server, in seconds."""
OUTGOING = 4 << 20
"""How many bytes wait at most for the server to take them; signals beyond are lost."""
OVERHEAD = 256
"""What a waiting signal takes besides its payload, about, in bytes."""
LONGEST = 1000
"""Longer subjects are shortened; NATS allows 4096 characters a command."""


class NatsSignals(LocalSignals):
    """Signals between all processes that use one server and the same path in its URL (`nats://host:4222/staging`)."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for a URL that is none."""
        super().__init__()
        self._server = Server(url)
        self._link: Link | None = None
        self._running: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._connected = asyncio.Event()
        self._up: bool | None = None

    async def start(self, wait: float = CONNECT) -> None:
        """Begin to connect; returns when that has worked or failed, at most `wait` seconds later. It goes on trying."""
        self._running = asyncio.create_task(self._run(), name="signals")
        try:
            async with asyncio.timeout(wait):
                await self._tried.wait()
        except TimeoutError:
            self._now(up=False, why=f"no answer within {wait:g} s")

    def send(self, topic: str, payload: bytes = b"") -> None:
        super().send(topic, payload)
        if self._link is not None and len(payload) <= LARGEST:
            self._link.send(topic, payload)

    def listen(self, topic: str) -> LocalListener:
        is_first = topic not in self.topics
        listener = super().listen(topic)
        if is_first and self._link is not None:
            self._link.attune(topic)
        return listener

    def forget(self, topic: str, listener: LocalListener) -> None:
        super().forget(topic, listener)
        if self._link is not None and topic not in self.topics:
            self._link.attune(topic)

    async def flush(self) -> None:
        """Wait until the server has what was sent so far and knows who listens; raises TimeoutError if it is away."""
        async with asyncio.timeout(CONNECT):
            await self._connected.wait()
            if self._link is not None:
                await self._link.flush()

    async def close(self) -> None:
        await super().close()
        if self._link is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await self._link.flush()
            await self._link.close()
        if self._running is not None:
            # More than once: nats-py swallows a cancellation where it waits for a server that takes nothing.
            while not self._running.done():
                self._running.cancel()
                await asyncio.wait({self._running}, timeout=0.1)

    async def _run(self) -> None:
        failures = 0
        while True:
            link = Link(self._server, self.topics, super().send)
            try:
                await link.open()
                failures = 0
                self._link = link
                self._connected.set()
                self._now(up=True)
                await link.carry()
            except (OSError, TimeoutError, Error) as error:
                link.error = link.error or error
            except Exception:
                log.exception("signals failed")
            finally:
                self._link = None
                self._connected.clear()
                await link.close()
            failures += 1
            self._now(up=False, why=str(link.error or "closed by the server"))
            await asyncio.sleep(delay(failures, first=FIRST_WAIT, most=MOST_WAIT, jitter=random.random()))  # noqa: S311

    def _now(self, *, up: bool, why: str | None = None) -> None:
        self._tried.set()
        if up == self._up:
            return
        self._up = up
        if up:
            log.info("signals connected", server=self._server.name)
        else:
            log.warning("signals away: this process looks for itself", server=self._server.name, error=why)


class Server:
    """Where the server is, who we are to it, and what our subjects begin with."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for a URL that is none; it does not quote it, for it may hold a password."""
        try:
            parts = urlsplit(url)
            is_known = parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            parts, is_known = urlsplit(""), False
        if not is_known:
            raise ConfigError(["signals.url: is no URL of a NATS server; use nats://[USER:PASSWORD@]HOST:4222"])
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        """The URL without credentials."""
        user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
        self.token = user if password is None else None
        self.user = None if password is None else user
        self.password = password
        self.prefix = ":".join(["bothub", *(_token(part) for part in parts.path.split("/") if part)])
        """The first word of all subjects."""

    def subject(self, topic: str) -> str:
        """How NATS calls a topic of ours."""
        return f"{self.prefix}.{subject(topic)}"


class SafeClient(Client):
    """Tells nothing, no password either, to a server without TLS where the URL asks for it; always says when it ends.

    nats-py forgets its `closed_cb` when the last flush of a broken connection fails.
    """

    def __init__(self, *, tls: bool, ended: Callable[[], None]) -> None:
        super().__init__()
        self._needs_tls = tls
        self._ended = ended

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if self._needs_tls and initial_connection and not info.get("tls_required"):
            raise Error("the server offers no TLS")
        await super()._process_info(info, initial_connection)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        try:
            await super()._close(status, do_cbs)
        finally:
            self._ended()


class Link:
    """One connection to the server, from its beginning to its end."""

    def __init__(self, server: Server, topics: Collection[str], hear: Callable[[str, bytes], None]) -> None:
        self.error: Exception | None = None
        self._server = server
        self._topics = topics
        self._hear = hear
        self._subscriptions: dict[str, Subscription] = {}
        # What to send; without a payload: a topic that gained or lost its listeners; None: the end.
        self._queue: asyncio.Queue[tuple[str, bytes | None] | None] = asyncio.Queue()
        self._client = SafeClient(tls=server.name.startswith("tls:"), ended=lambda: self._queue.put_nowait(None))
        self._size = 0

    async def open(self) -> None:
        """Connect, once; raises OSError, TimeoutError, Error."""
        await self._client.connect(
            self._server.name,
            user=self._server.user,
            password=self._server.password,
            token=self._server.token,
            name="bothub",
            no_echo=True,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT,
            ping_interval=PING,
            flush_timeout=CONNECT,
            error_cb=self._failed,
        )
        for topic in self._topics:
            self.attune(topic)

    async def _failed(self, error: Exception) -> None:
        if not isinstance(error, NoServersError):
            self.error = error
        log.debug("signals", error=str(error))

    def send(self, topic: str, payload: bytes) -> None:
        """Have a signal sent, unless too many wait already."""
        size = len(payload) + OVERHEAD
        if self._size + size > OUTGOING or len(payload) > self._client.max_payload:
            log.debug("signal lost: the server does not take it", topic=topic, bytes=len(payload))
            return
        self._size += size
        self._queue.put_nowait((topic, payload))

    def attune(self, topic: str) -> None:
        """Have a topic subscribed to, or no longer, as somebody listens or nobody does."""
        self._queue.put_nowait((topic, None))

    async def carry(self) -> None:
        """Send and subscribe in the order that was asked for, until the connection ends; raises Error."""
        while (item := await self._queue.get()) is not None:
            topic, payload = item
            if payload is None:
                await self._attune(topic)
            else:
                self._size -= len(payload) + OVERHEAD
                await self._client.publish(self._server.subject(topic), payload)
            self._queue.task_done()

    async def _attune(self, topic: str) -> None:
        if topic in self._topics and topic not in self._subscriptions:
            name, receive = self._server.subject(topic), partial(self._receive, topic)
            self._subscriptions[topic] = await self._client.subscribe(name, cb=receive)  # pyright: ignore[reportUnknownMemberType]
        elif topic not in self._topics and topic in self._subscriptions:
            await self._subscriptions.pop(topic).unsubscribe()

    async def _receive(self, topic: str, message: Msg) -> None:
        self._hear(topic, message.data)

    async def flush(self) -> None:
        """Wait until the server has handled what it was told so far; raises TimeoutError."""
        await self._queue.join()
        try:
            await self._client.flush(CONNECT)
        except Error as error:
            raise TimeoutError from error

    async def close(self) -> None:
        """End the connection."""
        with suppress(OSError, TimeoutError, Error):
            async with asyncio.timeout(LAST_WORDS):
                await self._client.close()


@lru_cache(4096)
def subject(topic: str) -> str:
    """A topic as NATS allows it; no two topics become the same."""
    name = ".".join(_token(word) for word in topic.split("."))
    # No token holds `%%`.
    return name if len(name) <= LONGEST else f"%%{sha256(name.encode()).hexdigest()}"


def _token(word: str) -> str:
    return quote(word, safe=":@", errors="surrogatepass") or "%"
