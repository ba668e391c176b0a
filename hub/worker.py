"""Claims lanes of an inbox, hands them to a handler and settles what it says.

Only the worker settles. A handler returns an outcome; it may be cancelled at any time (lease lost, hub stopping) and
then has no say: what it did not finish is given back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from structlog.contextvars import bind_contextvars

from hub import bus as buses
from hub import tracing
from hub.bus import Bus, Lease, Publish, Release, Settle
from hub.errors import HubError, LeaseLost, StoreUnavailable
from hub.message import Delivery, Message
from hub.retry import delay
from hub.signals import POLL
from hub.store import Connection

log = structlog.get_logger()
SOON = 5.0
"""A lane that is given back is claimed on time if that is within so many seconds; a later one is found by polling."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long leases hold and how often they are extended, in seconds; `tries` of a message, None for endless."""

    lease: float = 8.0
    extend: float = 3.0
    tries: int | None = 5


@dataclass(frozen=True, kw_only=True)
class Done:
    """The message has its outcome; `publishes` and `also` are committed with it,
    `tell` (topics and payloads) is signalled after."""

    outcome: buses.Outcome
    reason: str | None = None
    error: str | None = None
    publishes: tuple[Publish, ...] = ()
    also: Callable[[Connection], object] | None = None
    tell: tuple[tuple[str, bytes], ...] = ()


Why = str | HubError
"""What went wrong: in words, or an error whose text may be shown to a person."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Try again after a back-off; uses up a try."""

    why: Why


@dataclass(frozen=True, kw_only=True)
class Defer:
    """Try again at a Unix time; uses up no try. `why` is None where nothing went wrong (pacing)."""

    until: float
    why: str | None = None


Outcome = Done | Retry | Defer


@dataclass(kw_only=True, eq=False)
class Work:
    """A lease that is being handled; `stopped` is set once somebody cancels its head."""

    lease: Lease
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self) -> None:
        """Notice a stop mark."""
        if self.lease.stopped:
            self.stopped.set()


class Handler(Protocol):
    """Handles the messages of an inbox."""

    async def handle(self, work: Work) -> Outcome:
        """Do the work of a lease's messages; an exception counts as `Retry`."""
        ...

    async def exhausted(self, lease: Lease, why: Why) -> Done:
        """What to settle when the tries are used up."""
        ...


class Worker:
    """Handles up to `concurrency` lanes of one inbox at a time."""

    def __init__(
        self,
        bus: Bus,
        inbox: str,
        handler: Handler,
        *,
        timing: Timing,
        concurrency: int = 64,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._bus = bus
        self._inbox = inbox
        self._handler = handler
        self._timing = timing
        self._concurrency = concurrency
        self._random = random
        self._running: dict[asyncio.Task[None], Work] = {}
        self._changed = asyncio.Event()
        self._closing = False
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to claim."""
        loops = (self._claim_loop(), self._extend_loop(), self._stop_loop())
        self._loops = [asyncio.create_task(loop, name=f"{self._inbox} worker") for loop in loops]

    async def close(self, grace: float) -> None:
        """Claim nothing more, give what runs `grace` seconds to finish, and give the rest back."""
        self._closing = True
        self._changed.set()
        self._bus.signals.send(f"inbox.{self._inbox}")
        if self._loops:
            await self._loops[0]
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        if self._running:
            self._drop(self._running)
            await asyncio.wait(self._running)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def _claim_loop(self) -> None:
        with self._bus.signals.listen(f"inbox.{self._inbox}") as wakes:
            while not self._closing:
                self._changed.clear()
                wakes.clear()
                free = self._concurrency - len(self._running)
                if free == 0:
                    await self._changed.wait()
                elif await self._claim(free) < free and not self._closing:
                    await wakes.next(POLL)

    async def _claim(self, limit: int) -> int:
        try:
            leases = await self._bus.claim(self._inbox, limit, self._timing.lease)
        except StoreUnavailable as error:
            log.warning("nothing claimed: store unavailable", inbox=self._inbox, error=str(error))
            return 0
        except Exception:
            log.exception("nothing claimed", inbox=self._inbox)
            return 0
        for lease in leases:
            work = Work(lease=lease)
            task = asyncio.create_task(self._run(work), name=f"{self._inbox} {lease.lane}")
            self._running[task] = work
            task.add_done_callback(self._finished)
        return len(leases)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("worker failed", inbox=self._inbox, exc_info=error)

    async def _run(self, work: Work) -> None:
        lease = work.lease
        try:
            await self._end(lease, await self._outcome(work))
        except LeaseLost:
            log.warning("lease lost", inbox=self._inbox, lane=lease.lane, id=lease.head.id)
        except StoreUnavailable as error:
            log.warning("not settled: store unavailable", inbox=self._inbox, id=lease.head.id, error=str(error))
        except asyncio.CancelledError:
            if self._closing:
                await self._give_back(lease)
            raise

    async def _outcome(self, work: Work) -> Outcome:
        lease, most = work.lease, self._timing.tries
        work.look()
        if most is not None and lease.tries > most:
            return await self._give_up(lease, f"given up after {most} tries that did not end")
        try:
            outcome = await self._handler.handle(work)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            log.exception("handler failed", inbox=self._inbox, lane=lease.lane, id=lease.head.id)
            outcome = Retry(why=_in_words(error))
        return await self._unless_last(lease, outcome)

    async def _unless_last(self, lease: Lease, outcome: Outcome) -> Outcome:
        """What to do in place of a retry after the last try."""
        if isinstance(outcome, Retry) and self._is_last(lease):
            return await self._give_up(lease, outcome.why)
        return outcome

    def _is_last(self, lease: Lease) -> bool:
        return self._timing.tries is not None and lease.tries >= self._timing.tries

    async def _give_up(self, lease: Lease, why: Why) -> Done:
        try:
            return await self._handler.exhausted(lease, why)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception:
            log.exception("handler failed to give up", inbox=self._inbox, lane=lease.lane, id=lease.head.id)
            return Done(outcome="dead", reason="failed", error=str(why))

    async def _end(self, lease: Lease, outcome: Outcome) -> None:
        """Settle an outcome; one that cannot be stored is a failed try, and after the last the message ends bare."""
        why = await self._refused(lease, outcome)
        if why is not None:
            why = await self._refused(lease, await self._unless_last(lease, Retry(why=why)))
        if why is not None and self._is_last(lease):
            await self._settle(lease, Done(outcome="dead", reason="failed", error=why))

    async def _refused(self, lease: Lease, outcome: Outcome) -> str | None:
        """Settle an outcome; says why it cannot be stored, None when it was."""
        try:
            await self._settle(lease, outcome)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            log.exception("outcome not stored", inbox=self._inbox, lane=lease.lane, id=lease.head.id)
            return _in_words(error)
        return None

    async def _settle(self, lease: Lease, outcome: Outcome) -> None:
        match outcome:
            case Done():
                settle = Settle(lease=lease, outcome=outcome.outcome, reason=outcome.reason, error=outcome.error)
                await self._bus.commit(settle, *outcome.publishes, also=outcome.also)
                for topic, payload in outcome.tell:
                    self._bus.signals.send(topic, payload)
            case Retry():
                at = self._bus.clock() + delay(lease.tries, jitter=self._random())
                await self._release(Release(lease=lease, at=at, error=str(outcome.why)))
            case Defer():
                await self._release(Release(lease=lease, at=outcome.until, error=outcome.why, counted=False))

    async def _release(self, release: Release) -> None:
        await self._bus.commit(release)
        if (wait := release.at - self._bus.clock()) <= SOON:
            asyncio.get_running_loop().call_later(max(wait, 0.0), self._wake)

    def _wake(self) -> None:
        if not self._closing:
            self._bus.signals.send(f"inbox.{self._inbox}")

    async def _give_back(self, lease: Lease) -> None:
        try:
            await self._bus.commit(Release(lease=lease, at=self._bus.clock(), counted=False))
        except (LeaseLost, StoreUnavailable):
            log.warning("lease not given back; it expires", inbox=self._inbox, lane=lease.lane)

    async def _extend_loop(self) -> None:
        """Extend in time; what could not be is dropped when its lease ends, for others may hold these lanes then."""
        loop = asyncio.get_running_loop()
        extended_at = loop.time()
        while True:
            await asyncio.sleep(self._timing.extend)
            now = loop.time()
            try:
                async with asyncio.timeout_at(extended_at + self._timing.lease):
                    await self._extend_until_done()
                extended_at = now
            except TimeoutError:
                log.error("leases ended: not extended in time", inbox=self._inbox, lanes=len(self._running))
                self._drop(self._running)
                extended_at = loop.time()

    async def _extend_until_done(self) -> None:
        again = self._timing.extend / 4
        while not await self._extend(dict(self._running)):  # noqa: ASYNC110
            await asyncio.sleep(again)  # a database that is away says nothing when it is back

    async def _stop_loop(self) -> None:
        with self._bus.signals.listen(f"stop.{self._inbox}") as stops:
            while True:
                lane = await stops.next()
                if lane is not None:
                    held = {task: work for task, work in self._running.items() if work.lease.lane == lane.decode()}
                    await self._extend(held)

    async def _extend(self, running: dict[asyncio.Task[None], Work]) -> bool:
        """Extend leases, drop what is lost, notice stop marks; False when the store would not."""
        try:
            lost = await self._bus.extend([work.lease for work in running.values()], self._timing.lease)
        except StoreUnavailable as error:
            log.warning("not extended: store unavailable", inbox=self._inbox, error=str(error))
            return False
        except Exception:
            log.exception("not extended", inbox=self._inbox)
            return False
        ids = {id(lease) for lease in lost}
        # A lease that was settled while this ran is "lost" too; its task is over, and cancelling it does nothing.
        self._drop({task: work for task, work in running.items() if id(work.lease) in ids})
        for work in running.values():
            work.look()
        return True

    def _drop(self, running: dict[asyncio.Task[None], Work]) -> None:
        """Cancel, once: what a handler does then to let go is not to be cut off."""
        for task in running:
            if not task.cancelling():
                task.cancel()


def named(outcome: Outcome) -> str:
    """An outcome in a word."""
    return outcome.outcome if isinstance(outcome, Done) else type(outcome).__name__.lower()


def take_up(lease: Lease, value: Message | Delivery) -> None:
    """Go on with what the head of a lease was made for, and tell how long it had waited; the log's lines name it."""
    bind_contextvars(id=lease.head.id, address=str(value.address))
    tracing.resume(value)
    told = {"bothub.message.id": lease.head.id, "bothub.try": lease.tries}
    tracing.past(f"queue {lease.inbox}", lease.head.at, lease.claimed_at, told, kind="consumer")


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
