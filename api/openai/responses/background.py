"""Answers of models that are written whoever waits for them.

They run in the process that was asked, which says each few seconds that it still does. Any process may cancel or delete
one, and tells when it has ended; a signal that is lost costs a moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import msgspec

from api.errors import Problem
from api.openai.responses import stored
from api.openai.responses.events import Answer, State, replay
from api.ports import Hub
from hub.accounts import responses
from hub.accounts.responses import Kept
from hub.errors import ModelUnavailable, StoreUnavailable
from hub.model import Usage
from hub.signals import POLL, Listener

log = logging.getLogger(__name__)
BEAT = 5.0
"""How often a process says that it still works on an answer, in seconds."""
DEAD = 30.0
"""Who says nothing for so long is gone, in seconds."""
CUT_OFF = Problem(status=500, message="The hub was stopped while the model answered; ask again.", type="server_error")
Queue = asyncio.Queue[bytes | None]
"""Events for who asked, and None at the end."""


def topic(id: str) -> str:
    """Where is told that a response has ended."""
    return f"response.{id}"


async def start(hub: Hub, kept: Kept) -> Kept:
    """Store the question of an answer that will be written."""
    kept = msgspec.structs.replace(kept, alive_at=hub.clock())
    await hub.store.write(lambda connection: responses.save(connection, kept))
    return kept


async def run(hub: Hub, kept: Kept, work: Callable[[], AsyncGenerator[bytes, None]], queue: Queue | None) -> None:
    """Write an answer to its end, unless it is cancelled or deleted."""
    with hub.signals.listen(topic(kept.id)) as news:
        tasks = {asyncio.create_task(_write(work, queue)), asyncio.create_task(_watch(hub, kept, news))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    log.error("The response %s was not written to its end", kept.id, exc_info=result)
            if queue is not None:
                queue.put_nowait(None)
            hub.signals.send(topic(kept.id))


async def _write(work: Callable[[], AsyncGenerator[bytes, None]], queue: Queue | None) -> None:
    async with aclosing(work()) as events:
        async for event in events:
            if queue is not None:
                queue.put_nowait(event)


async def _watch(hub: Hub, kept: Kept, news: Listener) -> None:
    """Say that it goes on until it does not."""
    while True:
        try:
            if not await hub.store.write(lambda connection: responses.alive(connection, kept.id, hub.clock())):
                return
        except StoreUnavailable:
            pass
        await news.next(BEAT)


async def told(queue: Queue) -> AsyncIterator[bytes]:
    """The events of a queue."""
    while (event := await queue.get()) is not None:
        yield event


async def ended(hub: Hub, kept: Kept) -> State:
    """The response when it has ended; raises ModelUnavailable where it was deleted meanwhile."""
    with hub.signals.listen(topic(kept.id)) as news:
        while True:
            found = await look(hub, kept)
            if found is None:
                raise ModelUnavailable("The response was deleted.")
            if found.answer is not None:
                return found.answer
            await news.next(POLL)


async def look(hub: Hub, kept: Kept) -> Kept | None:
    """The response as it is now; one whose process is gone has failed."""
    found = await hub.store.read(lambda connection: responses.find(connection, kept.id, kept.key_id))
    if found is None or found.answer is not None or (found.alive_at or 0.0) > hub.clock() - DEAD:
        return found
    state = stored.ended(found, "failed", (), Usage(), at=hub.clock())
    return await _answer(hub, found, stored.failed(state, CUT_OFF))


async def cancel(hub: Hub, kept: Kept) -> Kept:
    """The response after it was stopped; one that has ended stays as it is."""
    return await _answer(hub, kept, stored.ended(kept, "cancelled", (), Usage(), at=hub.clock())) or kept


async def _answer(hub: Hub, kept: Kept, state: State) -> Kept | None:
    await hub.store.write(lambda connection: responses.answered(connection, kept.id, state))
    hub.signals.send(topic(kept.id))
    return await hub.store.read(lambda connection: responses.find(connection, kept.id, kept.key_id))


def replayed(answer: Answer, state: State) -> bytes:
    """An answer that has ended, as events."""
    return replay(answer, state["output"]) + answer.end(state)
