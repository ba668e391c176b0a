"""One of the processes of the bus's race: `python -m tests.contracts.racer URL NUMBER LIFE`.

It publishes to lanes of its own, and handles whatever any process published: an agent's message is answered by a
reply to one of a few chats, and everything handled is written down in the unit that settles it. On the way it
redelivers, retries, withdraws, freezes past its leases, and dies with leases in its hands.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable, Coroutine

from sqlalchemy import Connection, func, insert, select

from hub.bus import Bus, Lease, Publish, Release, Settle
from hub.errors import LeaseLost
from hub.signals.local import LocalSignals
from hub.store import Store, open_store
from hub.store.tables import messages, posts

PROCESSES = 8
LANES = 32
MESSAGES = 12
"""Messages of a lane."""
CHATS = 20
LEASE = 0.6
LIVES = 2
LONGEST = 90.0
KILLED = 9
Handler = Callable[[Lease], Coroutine[None, None, None]]


def message_id(lane: int, number: int) -> str:
    return f"{lane}-{number}"


class Racer:
    """Publishes, handles, and misbehaves."""

    def __init__(self, store: Store, number: int, life: int) -> None:
        self.bus = Bus(store, LocalSignals(), time.time)
        self.number = number
        self.mortal = life < LIVES
        self.random = random.Random(1000 * number + life)

    async def run(self) -> None:
        async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
            group.create_task(self.publish())
            group.create_task(self.handle("agent:a", self.answer))
            group.create_task(self.handle("channel:t", self.deliver))

    async def publish(self) -> None:
        """Publish everything in order; a later life does it all again, as a platform would redeliver."""
        for number in range(MESSAGES):
            for lane in range(self.number, LANES, PROCESSES):
                mid = message_id(lane, number)
                message = Publish(inbox="agent:a", lane=str(lane), id=mid, body=b"x" * 200)
                await self.bus.commit(message)
                if self.random.random() < 0.2:
                    assert await self.bus.commit(message) == [False]
                if self.random.random() < 0.05:
                    await self.bus.withdraw("agent:a", mid, "refused", "client gone")

    async def handle(self, inbox: str, handler: Handler) -> None:
        while True:
            leases = await self.bus.claim(inbox, 3, LEASE)
            if not leases:
                if await self.bus.store.read(everything_is_over):
                    return
                await asyncio.sleep(0.05)
            self.random.shuffle(leases)
            for lease in leases:
                try:
                    await handler(lease)
                except LeaseLost:
                    await self.bus.extend([lease], LEASE)

    async def answer(self, lease: Lease) -> None:
        chance = self.random.random()
        if chance < 0.02:
            self.die()
        elif chance < 0.04:
            time.sleep(2 * LEASE)  # noqa: ASYNC251 - the whole process freezes, and comes back
        elif chance < 0.10:
            await self.bus.commit(Release(lease=lease, at=time.time() + 0.05, error="once more"))
            return
        elif chance < 0.30:
            await self.bus.take(lease, 2)
        elif chance < 0.40:
            await self.bus.extend([lease], LEASE)
        replies = (
            Publish(inbox="channel:t", lane=f"chat {int(lease.lane) % CHATS}", id=one.id, body=b"y")
            for one in lease.messages
        )
        settle = Settle(lease=lease, outcome="answered")
        await self.bus.commit(settle, *replies, also=lambda connection: write_down(connection, lease))

    async def deliver(self, lease: Lease) -> None:
        if self.random.random() < 0.01:
            self.die()
        settle = Settle(lease=lease, outcome="delivered")
        await self.bus.commit(settle, also=lambda connection: write_down(connection, lease))

    def die(self) -> None:
        if self.mortal:
            os._exit(KILLED)


def write_down(connection: Connection, lease: Lease) -> None:
    """A unit: what was handled, in this order; twice is an error of the database."""
    for one in lease.messages:
        row = {"channel": lease.inbox, "chat_id": lease.lane, "key": f"{lease.inbox} {one.id}", "body": b"", "at": 0}
        connection.execute(insert(posts), row)


def everything_is_over(connection: Connection) -> bool:
    """A unit: all was published and nothing waits."""
    waiting = select(func.count()).where(messages.c.outcome.is_(None))
    published = select(func.count()).where(messages.c.inbox == "agent:a")
    return connection.execute(waiting).scalar() == 0 and connection.execute(published).scalar() == LANES * MESSAGES


async def main(url: str, number: int, life: int) -> None:
    """Race until everything is over."""
    store = await open_store(url)
    try:
        await Racer(store, number, life).run()
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
