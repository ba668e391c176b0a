"""Law 10 of the bus: every message has one outcome or waits, and is forgotten in time."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from hub.bus import (
    Bus,
    Release,
    Settle,
)
from hub.store.tables import lanes, messages
from tests.clock import Clock
from tests.contracts.bus_steps import (
    DAY,
    INBOX,
    claim,
    claim_one,
    handle_all,
    message,
    outcomes,
    publish,
    settle,
    stored,
)


class ConservationLaws:
    """What every store must let the bus keep count of."""

    async def test_law_10_nothing_is_lost_on_the_way(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2", "m3", "m4", "m5")
        lease = await claim_one(bus)
        assert await bus.residue(0) == 0
        await bus.take(lease, 1)
        await bus.withdraw(INBOX, "m3", "refused", "client gone")
        await bus.commit(Settle(lease=lease, outcome="dead", reason="failed", error="why"))
        assert await bus.residue(0) == 0
        await bus.commit(Release(lease=await claim_one(bus), at=clock() + 10))
        clock.forward(10)
        await claim_one(bus)
        assert await bus.residue(0) == 0
        assert await outcomes(bus, "m1", "m2", "m3", "m4") == [
            ("dead", "failed"),
            ("silent", "merged:m1"),
            ("refused", "client gone"),
            (None, None),
        ]

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(update(lanes).values(head=1), id="a head that moved past it"),
            pytest.param(update(lanes).values(ready_at=None), id="a lane nobody will claim"),
            pytest.param(update(lanes).values(tail=0), id="a place beyond the tail"),
            pytest.param(delete(lanes), id="a lane that is gone"),
        ],
    )
    async def test_law_10_a_lost_message_shows(self, bus: Bus, clock: Clock, damage: Any) -> None:
        await publish(bus, "m1")
        await bus.store.write(lambda connection: connection.execute(damage))
        assert await bus.residue(0) == 1
        assert await bus.residue(clock() + 1) == 0

    async def test_law_10_a_message_whose_head_is_missing_is_handed_out(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        await bus.store.write(lambda connection: connection.execute(delete(messages).where(messages.c.mid == "m1")))
        assert await handle_all(bus) == ["m2"]

    async def test_law_10_a_sweep_forgets_only_what_is_over(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "answered", "dead", "discarded", "waiting")
        await settle(bus, await claim_one(bus))
        await bus.commit(Settle(lease=await claim_one(bus), outcome="dead", reason="failed"))
        await bus.commit(Settle(lease=await claim_one(bus), outcome="dead", reason="discarded"))
        clock.forward(DAY)
        assert await bus.sweep(clock(), limit=1) == 1
        assert await bus.sweep(clock()) == 1
        assert await bus.sweep(clock()) == 0
        assert [bool(await stored(bus, mid)) for mid in ("answered", "dead", "discarded", "waiting")] == [0, 1, 0, 1]
        assert await handle_all(bus) == ["waiting"]

    async def test_law_10_a_sweep_forgets_lanes_that_are_empty(self, bus: Bus, clock: Clock) -> None:
        for lane in ("over", "later", "waiting"):
            await publish(bus, f"{lane} 1", lane=lane)
        assert len(await handle_all(bus)) == 3
        clock.forward(1)
        await publish(bus, "later 2", lane="later")
        assert await handle_all(bus) == ["later 2"]
        await publish(bus, "waiting 2", lane="waiting")
        assert await bus.sweep(clock()) == 3
        names = await bus.store.read(lambda connection: connection.execute(select(lanes.c.lane)).scalars().all())
        assert sorted(names) == ["later", "waiting"]

    async def test_law_10_sweeps_at_once_do_not_disturb_publishers(self, bus: Bus, clock: Clock) -> None:
        for number in range(12):
            await publish(bus, f"m{number}", lane=f"lane {number}")
        for lease in await claim(bus):
            await settle(bus, lease)
        clock.forward(1)
        again = (bus.commit(message(f"m{number}", f"lane {number}")) for number in range(12))
        swept, other, *republished = await asyncio.gather(bus.sweep(clock()), bus.sweep(clock()), *again)
        assert isinstance(swept, int)
        assert isinstance(other, int)
        assert len(await handle_all(bus)) == republished.count([True])
        assert await bus.residue(0) == 0
