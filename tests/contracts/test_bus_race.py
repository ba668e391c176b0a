"""Eight processes race on one store, and die, freeze, retry and redeliver on the way."""

import asyncio
import sys
from collections import defaultdict
from typing import Any

import pytest
from sqlalchemy import select

from hub.bus import Bus
from hub.signals.local import LocalSignals
from hub.store import Store, open_store
from hub.store.tables import messages, metadata, posts
from tests.contracts import racer

pytestmark = pytest.mark.slow


async def test_nothing_is_out_of_order_lost_or_doubled(store_url: str) -> None:
    store = await open_store(store_url)
    try:
        await store.write(metadata.create_all)
        async with asyncio.TaskGroup() as group:
            racers = [group.create_task(race(store_url, number)) for number in range(racer.PROCESSES)]
        assert sum(task.result() for task in racers) > 0
        assert await Bus(store, LocalSignals(), lambda: 0.0).residue(0) == 0
        check_messages(await rows(store, select(messages.c.inbox, messages.c.mid, messages.c.outcome)))
        check_order(await rows(store, select(posts.c.channel, posts.c.chat_id, posts.c.key).order_by(posts.c.id)))
    finally:
        await store.close()


async def race(url: str, number: int) -> int:
    """Run one of the processes, start it again whenever it dies, and say how often it did."""
    life = 0
    while True:
        command = [sys.executable, "-m", "tests.contracts.racer", url, str(number), str(life)]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        try:
            _, errors = await process.communicate()
        finally:
            await end(process)
        if process.returncode == 0:
            return life
        assert process.returncode == racer.KILLED, errors.decode()
        life += 1


async def end(process: asyncio.subprocess.Process) -> None:
    """Should another racer fail, this one stops too."""
    if process.returncode is None:
        process.kill()
        await process.wait()


def check_messages(stored: list[Any]) -> None:
    """Every message has its outcome, and a message of an agent has a reply exactly when it was not withdrawn."""
    outcomes = {(row.inbox, row.mid): row.outcome for row in stored}
    assert set(outcomes.values()) == {"answered", "silent", "refused", "delivered"}
    for lane in range(racer.LANES):
        for number in range(racer.MESSAGES):
            mid = racer.message_id(lane, number)
            delivered = outcomes.get(("channel:t", mid)) in ("delivered", "silent")
            assert delivered == (outcomes["agent:a", mid] != "refused"), mid


def check_order(written: list[Any]) -> None:
    """What was handled in a lane was handled in the order it was published, and replies follow their messages."""
    handled: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in written:
        lane, number = row.key.partition(" ")[2].split("-")
        handled[row.channel, lane].append(int(number))
    for lane, numbers in handled.items():
        assert numbers == sorted(set(numbers)), lane
    for lane in range(racer.LANES):
        assert handled["agent:a", str(lane)] == handled["channel:t", str(lane)]


async def rows(store: Store, query: Any) -> list[Any]:
    return list(await store.read(lambda connection: connection.execute(query).all()))
