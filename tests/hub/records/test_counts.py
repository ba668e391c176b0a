"""What waits where, on both engines."""

import pytest

from hub.bus import Bus, Publish, Release, Settle
from hub.records import counts
from hub.records.counts import InboxCount
from hub.signals.local import LocalSignals
from hub.store import Store
from tests.clock import Clock


@pytest.fixture
def bus(store: Store, clock: Clock) -> Bus:
    return Bus(store, LocalSignals(), clock)


async def publish(bus: Bus, inbox: str, lane: str, id: str) -> None:
    await bus.commit(Publish(inbox=inbox, lane=lane, id=id, body=b"{}"))


async def counted(bus: Bus) -> dict[str, InboxCount]:
    found = await bus.store.read(lambda connection: counts.inboxes(connection, bus.clock()))
    return {count.inbox: count for count in found}


async def test_an_empty_store_has_no_inboxes(bus: Bus) -> None:
    assert await counted(bus) == {}


async def test_each_inbox_is_counted_with_the_time_of_its_oldest(bus: Bus, clock: Clock) -> None:
    began = clock.now
    await publish(bus, "agent:a", "x", "1")
    clock.forward(10.0)
    await publish(bus, "agent:a", "x", "2")
    await publish(bus, "channel:web", "y", "3")
    found = await counted(bus)
    assert list(found) == ["agent:a", "channel:web"]
    assert (found["agent:a"].waiting, found["agent:a"].oldest_at) == (2, began)
    assert (found["channel:web"].open, found["channel:web"].oldest_at) == (1, began + 10.0)


async def test_what_is_leased_runs_and_what_stands_behind_it_waits(bus: Bus) -> None:
    for mid in ("1", "2", "3"):
        await publish(bus, "agent:a", "x", mid)
    [lease] = await bus.claim("agent:a", 1, 8.0)
    await bus.take(lease, 1)
    count = (await counted(bus))["agent:a"]
    assert (count.running, count.waiting, count.backing_off) == (2, 1, 0)


async def test_a_lease_that_expired_waits(bus: Bus, clock: Clock) -> None:
    await publish(bus, "agent:a", "x", "1")
    await bus.claim("agent:a", 1, 8.0)
    clock.now += 9
    count = (await counted(bus))["agent:a"]
    assert (count.running, count.waiting) == (0, 1)


async def test_a_lane_backs_off_until_its_next_try(bus: Bus, clock: Clock) -> None:
    await publish(bus, "channel:web", "x", "1")
    [lease] = await bus.claim("channel:web", 1, 8.0)
    await bus.commit(Release(lease=lease, at=clock.now + 60, error="down"))
    count = (await counted(bus))["channel:web"]
    assert (count.backing_off, count.waiting, count.open) == (1, 0, 1)
    clock.now += 61
    assert (await counted(bus))["channel:web"].waiting == 1


async def test_the_dead_are_counted_until_somebody_looked_at_them(bus: Bus) -> None:
    for mid, reason in (("1", "failed"), ("2", "discarded"), ("3", "failed")):
        await publish(bus, "channel:web", mid, mid)
        [lease] = await bus.claim("channel:web", 1, 8.0)
        await bus.commit(Settle(lease=lease, outcome="dead", reason=reason))
    count = (await counted(bus))["channel:web"]
    assert (count.dead, count.open, count.oldest_at) == (2, 0, None)


async def test_what_runs_once_in_all_processes_is_nobodys_message(bus: Bus) -> None:
    await publish(bus, "run", "channel:web", "1")
    assert await counted(bus) == {}


async def test_past_a_bound_a_count_is_partial(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish(bus, "agent:a", "x", "1")
    assert not (await counted(bus))["agent:a"].partial
    monkeypatch.setattr(counts, "MOST", 1)
    assert (await counted(bus))["agent:a"].partial
