"""Dead letters on both engines."""

import pytest

from hub.bus import Bus, Publish, Settle
from hub.message import next_try
from hub.records import deadletters
from hub.signals.local import LocalSignals
from hub.store import Store


@pytest.fixture
def bus(store: Store) -> Bus:
    return Bus(store, LocalSignals(), lambda: 1000.0)


async def die(bus: Bus, inbox: str, id: str, reason: str | None = "failed") -> None:
    await bus.commit(Publish(inbox=inbox, lane="x", id=id, body=b"\x00\xff"))
    [lease] = await bus.claim(inbox, 1, 8.0)
    await bus.commit(Settle(lease=lease, outcome="dead", reason=reason, error="why"))


async def test_the_open_ones_are_listed_in_the_order_they_died(bus: Bus) -> None:
    for number, reason in enumerate(["failed", None, "told", "discarded", "retried", "expired"]):
        await die(bus, "channel:web", str(number), reason)
    found = await bus.store.read(lambda connection: deadletters.newest(connection, None, 10))
    assert [letter.id for letter in found] == ["0", "1", "5"]
    assert (found[0].lane, found[0].body, found[0].attempts, found[0].error) == ("x", b"\x00\xff", 1, "why")
    assert [one.id for one in await bus.store.read(lambda c: deadletters.newest(c, None, 2))] == ["1", "5"]
    assert await bus.store.read(lambda connection: deadletters.count(connection, None)) == 3


async def test_an_inbox_can_be_asked_alone(bus: Bus) -> None:
    await die(bus, "channel:web", "1")
    await die(bus, "agent:a", "1")
    assert await bus.store.read(lambda c: deadletters.places(c, "agent:a")) == [("agent:a", "1")]
    assert await bus.store.read(lambda c: deadletters.count(c, "channel:web")) == 1
    assert len(await bus.store.read(lambda c: deadletters.find(c, "1"))) == 2


async def test_one_is_closed_once(bus: Bus) -> None:
    await die(bus, "channel:web", "1", None)
    closed = [
        await bus.store.write(lambda c: deadletters.close(c, "channel:web", "1", "retried", 2000.0)) for _ in range(2)
    ]
    assert closed == [True, False]
    [letter] = await bus.store.read(lambda c: deadletters.find(c, "1"))
    assert (letter.open, letter.reason, letter.died_at) == (False, "retried", 2000.0)


async def test_what_is_not_dead_is_not_closed(bus: Bus) -> None:
    await bus.commit(Publish(inbox="channel:web", lane="x", id="1", body=b""))
    assert not await bus.store.write(lambda c: deadletters.close(c, "channel:web", "1", "discarded", 2000.0))


@pytest.mark.parametrize(("id", "following"), [("a", "a#2"), ("a#2", "a#3"), ("a#9", "a#10"), ("a#b", "a#b#2")])
def test_tries_are_counted_in_the_id(id: str, following: str) -> None:
    assert next_try(id) == following
