"""Work in order: for each chat one thing after the other, chats beside each other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count

import structlog

from hub.errors import ChannelError, HubError
from hub.retry import delay

log = structlog.get_logger()
Job = Callable[[], Awaitable[None]]
MOST = 30.0
"""The longest wait, in seconds, between tries to store something."""


class Lanes:
    """Does each job however long the hub cannot store; what else goes wrong ends them all, in `wait`."""

    def __init__(self, channel: str, back_off: float) -> None:
        self._channel = channel
        self._back_off = back_off
        self._jobs: dict[str, deque[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, lane: str, job: Job) -> None:
        """Have a job done after those that are in its lane."""
        jobs = self._jobs.get(lane)
        if jobs is not None:
            jobs.append(job)
            return
        self._jobs[lane] = deque([job])
        self.start(self._drain(lane))

    def start(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Have something done beside the lanes."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def wait(self) -> None:
        """Wait until something goes wrong, and raise it."""
        await asyncio.shield(self._failed)

    async def close(self) -> None:
        """Drop what is not done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._failed.cancel()

    async def _drain(self, lane: str) -> None:
        jobs = self._jobs[lane]
        while jobs:
            await self._do(jobs[0])
            jobs.popleft()
        del self._jobs[lane]

    async def _do(self, job: Job) -> None:
        for attempt in count(1):
            try:
                await job()
            except ChannelError:
                raise
            except HubError as error:
                log.warning(
                    "something heard waits for the store", channel=self._channel, attempt=attempt, error=str(error)
                )
                await asyncio.sleep(delay(attempt, first=self._back_off, most=MOST))
            else:
                return

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)
