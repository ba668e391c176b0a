"""Holds channels: one lane of the inbox `run` each, so that one process at a time is connected.

The holder listens, sends and shows typing; it lets go when the lease is lost. A channel that fails is tried again
with back-off, one whose token is refused waits for its operator; others are not affected.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars

from hub.bus import Bus, Free, Lease, Publish
from hub.channel import Channel, Drafts, Edits, ShowsTyping, State
from hub.delivery.dispatch import Dispatcher
from hub.delivery.pacing import Pacing
from hub.delivery.presence import Presence
from hub.delivery.preview import STOP, Previews
from hub.errors import ChannelRefused, StoreUnavailable, Unreachable
from hub.files import FileStore
from hub.ingress import Ingress
from hub.inlet import Inlet
from hub.message import channel_inbox
from hub.records.health import Health, record
from hub.retry import delay
from hub.store import Connection
from hub.worker import Defer, Done, Outcome, Timing, Why, Work, Worker

log = structlog.get_logger()
RUN = "run"
"""The inbox whose lanes are singletons."""
ELSEWHERE_WAIT = 3.0
"""How long a singleton that this process cannot run rests, in seconds; then the first to look has it, also others."""
STEADY = 30.0
"""A connection that stood this long was a good one: back-off begins anew, in seconds."""
MOST_WAIT = 60.0
"""The longest back-off of a connection, in seconds."""


def lane_of(channel: str) -> str:
    """A channel's lane in the inbox `run`."""
    return f"channel:{channel}"


class Held(Inlet):
    """One channel while this process holds it; the `Intake` it hands its messages to."""

    def __init__(
        self,
        name: str,
        ingress: Ingress,
        files: FileStore,
        clock: Callable[[], float],
        health: Health,
        tell: Callable[[Health], None],
    ) -> None:
        super().__init__(name, ingress, files)
        self._clock = clock
        self._tell = tell
        self._failures = 0
        self.health = health

    def up(self) -> None:
        """Say that the connection stands."""
        if self.health.state != "up":
            log.info("channel up", channel=self._name)
        self._now("up")

    async def listen(self, channel: Channel) -> None:
        """Keep the channel connected until cancelled."""
        while True:
            self._now("starting", self.health.error)
            try:
                await channel.listen(self)
                self.lost("the connection ended")
            except ChannelRefused as error:
                log.error("channel failed", channel=self._name, error=str(error))
                self._now("failed", str(error))
                await asyncio.Event().wait()
            except Unreachable as error:
                self.lost(str(error))
            except Exception as error:
                log.exception("channel crashed", channel=self._name)
                self.lost(f"{type(error).__name__}: {error}")
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # the platform's library took it for an error of its own
            await asyncio.sleep(delay(self._failures, most=MOST_WAIT, jitter=random.random()))  # noqa: S311

    def lost(self, error: str) -> None:
        """Say that there is no connection; there will be a next try, the sooner if it had stood for a while."""
        stood = self._clock() - self.health.since if self.health.state == "up" else 0.0
        self._failures = 1 if stood >= STEADY else self._failures + 1
        log.warning("channel lost", channel=self._name, error=error, failures=self._failures)
        self._now("retrying", error, reconnects=self.health.reconnects + 1)

    def ended(self) -> None:
        """Say that this process does not hold the channel any more."""
        self._now("stopped", self.health.error)

    def _now(self, state: State, error: str | None = None, *, reconnects: int | None = None) -> None:
        before = self.health
        since = before.since if state == before.state else self._clock()
        count = before.reconnects if reconnects is None else reconnects
        self.health = Health(state=state, since=since, error=error, reconnects=count)
        if self.health != before:
            self._tell(self.health)


@dataclass(frozen=True, kw_only=True)
class Line:
    """How to connect a channel: the same `settings` are the same connection."""

    settings: object
    make: Callable[[], Awaitable[Channel]]
    previews: bool = True
    """Shows an answer as it is written."""
    stoppable: bool = True
    """With a button to stop it."""


class Supervisor:
    """Handles the inbox `run`."""

    def __init__(
        self,
        bus: Bus,
        ingress: Ingress,
        files: FileStore,
        *,
        timing: Timing,
        grace: float,
        others: Mapping[str, Callable[[Lease], Coroutine[Any, Any, None]]] = MappingProxyType({}),
    ) -> None:
        """`others` are what runs once besides channels, by lane."""
        self._others = others
        self._bus = bus
        self._ingress = ingress
        self._files = files
        self._timing = timing
        self._grace = grace
        self._deaf = asyncio.Event()
        self._closing = asyncio.Event()
        self._alone: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._recording = asyncio.Lock()
        self._records: set[asyncio.Task[None]] = set()
        self._lines: Mapping[str, Line] = {}
        self._held: set[str] = set()
        self.health: dict[str, Health] = {}
        """How the channels are that there are, by name."""

    async def apply(self, lines: Mapping[str, Line]) -> None:
        """Know these channels and no others; one that is held here and differs now is let go, and connects anew."""
        before, self._lines = self._lines, lines
        now = self._bus.clock()
        known = {name: self.health.get(name) or Health(state="stopped", since=now) for name in lines}
        self.health.clear()
        self.health.update(known)
        for name in self._held & before.keys():
            if name not in lines or lines[name].settings != before[name].settings:
                await self.restart(name)

    async def announce(self) -> None:
        """Put the channels into the inbox `run`, where they stay."""
        for name in self._lines:
            await self._announce(lane_of(name))
        for lane in self._others:
            await self._announce(lane)

    async def _announce(self, lane: str) -> None:
        await self._bus.commit(Publish(inbox=RUN, lane=lane, id=lane, body=b""))

    async def restart(self, name: str, also: Callable[[Connection], object] | None = None) -> bool:
        """Have a channel connect anew, whichever process holds it; says whether one did. `also` is a unit beside it."""
        [freed] = await self._bus.commit(Free(inbox=RUN, lane=lane_of(name)), also=also)
        return freed

    def stop_listening(self) -> None:
        """Take nothing in any more; what is to be sent is still sent."""
        self._deaf.set()

    def close(self) -> None:
        """Let the channels go once what is being sent is sent."""
        self._deaf.set()
        self._closing.set()

    async def handle(self, work: Work) -> Outcome:
        """Hold one channel, or run what else runs once, until the hub closes or the lease is lost."""
        if (other := self._others.get(work.lease.lane)) and not self._closing.is_set():
            await self._until_closing(other(work.lease), work.lease.lane)
            return Defer(until=self._bus.clock())
        name = work.lease.lane.removeprefix("channel:")
        if name not in self._lines or self._closing.is_set():
            return Defer(until=self._bus.clock() + (0.0 if name in self._lines else ELSEWHERE_WAIT))
        async with self._alone[name]:  # a restart waits until the connection before it is closed
            if line := self._lines.get(name):
                self._held.add(name)
                try:
                    await self._run(name, line)
                finally:
                    self._held.discard(name)
        return Defer(until=self._bus.clock())

    async def _until_closing(self, run: Coroutine[Any, Any, None], name: str) -> None:
        task, closing = asyncio.create_task(run, name=name), asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            for one in (task, closing):
                one.cancel()
            await asyncio.gather(task, closing, return_exceptions=True)

    async def _run(self, name: str, line: Line) -> None:
        bind_contextvars(channel=name)
        tell = partial(self._told, name)
        held = Held(name, self._ingress, self._files, self._bus.clock, self.health[name], tell)
        try:
            channel = await line.make()
        except Exception as error:
            held.lost(f"{type(error).__name__}: {error}")
            raise
        try:
            await self._hold(name, line, channel, held)
        finally:
            held.ended()
            await channel.close()
            await asyncio.gather(*self._records)

    def _told(self, name: str, health: Health) -> None:
        if name in self._lines:
            self.health[name] = health
        task = asyncio.create_task(self._record(name), name=f"{name} is {health.state}")
        self._records.add(task)
        task.add_done_callback(self._records.discard)

    async def _record(self, name: str) -> None:
        """Store how a channel now is, for those who look from outside."""
        async with self._recording:
            now = self.health.get(name)
            if now is None:
                return
            try:
                await self._bus.store.write(lambda connection: record(connection, name, now))
            except StoreUnavailable as error:
                log.warning("state not stored", channel=name, error=str(error))

    async def _hold(self, name: str, line: Line, channel: Channel, held: Held) -> None:
        pacing = Pacing(channel.limits, self._bus.clock)
        previews = self._previews(name, line, channel, pacing)
        dispatcher = Dispatcher(self._bus, channel, self._files, pacing, previews)
        sender = Worker(self._bus, channel_inbox(name), dispatcher, timing=self._timing)
        sender.start()
        tasks = [asyncio.create_task(held.listen(channel), name=f"{name} listens")]
        if previews is not None:
            tasks.append(asyncio.create_task(previews.run(), name=f"{name} shows previews"))
        seconds = channel.limits.typing_seconds
        if isinstance(channel, ShowsTyping) and seconds is not None:
            presence = Presence(self._bus, name, channel, seconds)
            tasks.append(asyncio.create_task(presence.run(), name=f"{name} shows typing"))
        try:
            await self._deaf.wait()
            await _end(tasks[:1])
            await self._closing.wait()
        finally:
            await _end(tasks)
            # Also when the lease is lost: what is on its way to the platform would else be sent twice.
            await sender.close(self._grace)

    def _previews(self, name: str, line: Line, channel: Channel, pacing: Pacing) -> Previews | None:
        if not line.previews or not isinstance(channel, Edits | Drafts):
            return None
        return Previews(self._bus, name, channel, pacing, STOP if line.stoppable else ())

    async def exhausted(self, lease: Lease, why: Why) -> Done:
        """Never: singletons have no try limit."""
        raise AssertionError(f"{lease.lane}: {why}")


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until all have ended; code we do not know may swallow a cancellation."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1.0)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", task=task.get_name(), exc_info=error)
