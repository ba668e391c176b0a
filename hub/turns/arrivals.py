"""What is said before a turn begins and while it runs: taken with it, or a reason to begin its answer anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import msgspec
import structlog

from hub.bus import Lease, Waiting
from hub.errors import StoreUnavailable
from hub.message import Message, news_of
from hub.signals import POLL
from hub.turns.journal import Journal, message_of
from hub.turns.persona import Persona

log = structlog.get_logger()
MOST = 100
"""How many messages a turn takes at a time."""
MOST_PAUSES = 10
"""A sender who never pauses is answered after so many times `debounce`."""


class Arrivals:
    """The newer messages of one turn's lane; `write` stores the turn's journal."""

    def __init__(self, persona: Persona, lease: Lease, journal: Journal, write: Callable[[], Awaitable[None]]) -> None:
        self._persona = persona
        self._bus = persona.bus
        self._lease = lease
        self._journal = journal
        self._write = write
        self.overtaken = asyncio.Event()
        """Set while a newer message may interrupt what the agent does."""
        self.is_behind = False
        """There are messages that the agent has not seen, because they came while it was at work."""
        self._is_acting = False

    async def collect(self) -> float | None:
        """Take what the sender said right after; a Unix time to wait for where more may still come.

        What belongs together is told by when it came, so a turn that is begun again finds the same.
        """
        pause, head, author = self._persona.debounce, self._lease.head, self._journal.message.author
        if not pause or self._journal.stored or author.kind != "person":
            return None
        latest = head.at + pause * MOST_PAUSES

        def fits(last: Waiting, waiting: Waiting) -> bool:
            rapid = waiting.at - last.at <= pause and waiting.at <= latest
            return rapid and may_join(waiting) and message_of(waiting).author.id == author.id

        more = await self._bus.take(self._lease, MOST, fits)
        until = min(self._lease.messages[-1].at + pause, latest)
        if self._bus.clock() < until:
            return until
        self._journal.hear(more)
        return None

    async def take(self) -> Sequence[Message]:
        """What else was said meanwhile, where the agent wants to be steered."""
        if self._persona.busy != "steer" or self._journal.message.by_program:
            return ()
        known = len(self._journal.messages)
        await self._hear()
        await self._remember(known)
        return self._journal.messages[known:]

    async def _hear(self) -> None:
        self._journal.hear(await self._bus.take(self._lease, MOST, lambda _, waiting: may_join(waiting)))

    async def _remember(self, known: int) -> None:
        """Store what was taken besides what was `known`: a turn that is cut off has to take the same again."""
        if len(self._journal.messages) > known:
            await self._write()

    async def catch_up(self) -> None:
        """Take everything that waits; an agent that is at work is behind then."""
        if await self._bus.waiting(self._lease.inbox, self._lease.lane) > len(self._lease.messages):
            known = len(self._journal.messages)
            await self._hear()
            self.is_behind = self.is_behind or len(self._journal.messages) > known
            self._overtake()
            await self._remember(known)

    async def watch(self) -> NoReturn:
        """Take what is said while the turn runs, and interrupt it."""
        with self._bus.signals.listen(news_of(self._lease.inbox, self._lease.lane)) as news:
            while True:
                try:
                    await self.catch_up()
                except StoreUnavailable as error:
                    log.warning("not looked for newer messages", turn=self._journal.message.id, error=str(error))
                await news.next(POLL)

    def restart(self) -> None:
        """The agent begins anew, knowing all messages."""
        self.is_behind = False
        self._overtake()

    @contextmanager
    def acting(self) -> Generator[None]:
        """What is done inside is finished before a newer message interrupts the turn."""
        self._is_acting = True
        self._overtake()
        try:
            yield
        finally:
            self._is_acting = False
            self._overtake()

    def _overtake(self) -> None:
        if self.is_behind and not self._is_acting:
            self.overtaken.set()
        else:
            self.overtaken.clear()


def may_join(waiting: Waiting) -> bool:
    """Whether a message may be taken.

    One that cannot be read ends by itself; one that its platform waits for (a slash command) needs an answer that
    names it; a program's has an answer of its own.
    """
    try:
        message = message_of(waiting)
    except msgspec.DecodeError:
        return False
    return not (message.waited_for or message.by_program)
