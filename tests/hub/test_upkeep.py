"""Once a minute the store is made small again, overdue posts end, and the residue is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from hub.bus import Settle
from hub.delivery.posts import Posts
from hub.errors import StoreUnavailable
from hub.message import Address, Author, Delivery, Message, Text
from hub.metrics import RESIDUE
from hub.records.rooms import StoredRooms
from hub.store.tables import lanes, messages
from hub.upkeep import KEEP, Upkeep
from hub.uploads import Uploads
from tests.hub.engine import Engine, channels, message, soon


class Hub:
    """Hears what rooms hand over."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def accept(self, message: Message) -> None:
        self.heard.append(message.id)


def upkeep(engine: Engine, hub: Hub | None = None, parked: Sequence[str] = ("parked",)) -> Upkeep:
    rooms = StoredRooms(engine.store, engine.signals, engine.clock)
    uploads = Uploads(engine.store, engine.clock, Path("/dev/null"))
    made = Upkeep(engine.bus, rooms, uploads, (hub or Hub()).accept)
    made.parked = parked
    return made


def delivery(id: str, expires_at: float | None, channel: str = "parked") -> Delivery:
    author = Author(id="bot", name="bot", kind="agent")
    address = Address(channel, "1")
    return Delivery(id=id, address=address, parts=(Text(text="hi"),), author=author, expires_at=expires_at)


async def ids(engine: Engine) -> list[str]:
    return [row.mid for row in await engine.all(select(messages.c.mid).order_by(messages.c.at, messages.c.mid))]


async def test_settled_messages_are_forgotten_when_they_are_old_enough(every_engine: Engine) -> None:
    engine = every_engine
    await engine.publish("agent:bot", "old", "waiting")
    [lease] = await engine.bus.claim("agent:bot", 1, 8.0)
    await engine.bus.commit(Settle(lease=lease, outcome="answered"))
    engine.clock.forward(KEEP - 1)
    await upkeep(engine).once()
    assert await ids(engine) == ["old", "waiting"]
    engine.clock.forward(2)
    await upkeep(engine).once()
    assert await ids(engine) == ["waiting"]


async def test_overdue_posts_to_a_channel_that_is_not_enabled_expire(every_engine: Engine) -> None:
    engine = every_engine
    posts = Posts(engine.bus, channels(parked=False, support=True))
    now = engine.clock.now
    for id, expires_at in (("late", now + 10.0), ("early", now + 100.0), ("never", None)):  # noqa: A001
        await posts.deliver(delivery(id, expires_at), wait=0.0)
    await posts.deliver(delivery("enabled", now + 10.0, "support"), wait=0.0)
    engine.clock.forward(50.0)
    with engine.signals.listen("delivery.late") as ends:
        await upkeep(engine).once()
        assert await soon(ends.next()) == b""
    for id, status, reason in (  # noqa: A001
        ("late", "failed", "expired"),
        ("early", "waiting", None),
        ("never", "waiting", None),
        ("enabled", "waiting", None),
    ):
        record = await posts.find(id)
        assert record is not None
        assert (record.status, record.reason) == (status, reason)
    assert await engine.bus.residue(0.0) == 0


async def test_what_was_said_in_a_room_and_not_heard_is_handed_over(engine: Engine) -> None:
    rooms, hub = StoredRooms(engine.store, engine.signals, engine.clock), Hub()
    await rooms.say(message("m", address=Address("web", "lobby"), at=engine.clock.now))
    await upkeep(engine, hub).once()
    assert hub.heard == []  # the request that said it may still be at it
    engine.clock.forward(11.0)
    await upkeep(engine, hub).once()
    await upkeep(engine, hub).once()
    assert hub.heard == ["m"]


@pytest.fixture
def no_residue() -> Iterator[None]:
    """The gauge is the process's: what one test sets is not for the next."""
    yield
    RESIDUE.set(0)


@pytest.mark.usefixtures("no_residue")
async def test_the_residue_is_told(engine: Engine) -> None:
    await engine.publish("agent:bot", "m")
    await upkeep(engine).once()
    assert value() == 0.0
    await engine.store.write(lambda connection: connection.execute(delete(lanes)))
    await upkeep(engine).once()
    assert value() == 1.0


def value() -> float:
    [metric] = RESIDUE.collect()
    return metric.samples[0].value


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ZeroDivisionError("a bug")])
async def test_a_failure_puts_it_off(engine: Engine, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("hub.upkeep.EVERY", 0.001)
    await engine.publish("agent:bot", "m")
    [lease] = await engine.bus.claim("agent:bot", 1, 8.0)
    await engine.bus.commit(Settle(lease=lease, outcome="answered"))
    engine.clock.forward(KEEP + 1)
    engine.store.break_commit = lambda: error
    task = asyncio.create_task(upkeep(engine).run())

    async def done() -> bool:
        return await ids(engine) == []

    await engine.store.until(done)
    task.cancel()
    await asyncio.wait({task})
