"""Laws 3 and 4 of the bus: tries and back-off, and what a lease is worth."""

import pytest

from hub.bus import (
    Bus,
    Hold,
    Release,
    Settle,
)
from hub.errors import LeaseLost
from tests.clock import Clock
from tests.contracts.bus_steps import (
    DAY,
    LEASE,
    claim,
    claim_one,
    handle_all,
    ids,
    message,
    note,
    notes,
    publish,
    settle,
    stored,
)


class LeaseLaws:
    """What a lease holds, and what becomes of a lane that is given back or lost."""

    # 3. A retry keeps its place at the head.

    async def test_law_3_a_retry_stays_the_head_of_its_lane(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2")
        await bus.commit(Release(lease=await claim_one(bus), at=clock() + 10, error="try later"))
        await publish(bus, "m3")
        clock.forward(9)
        assert await claim(bus) == []
        clock.forward(1)
        assert await handle_all(bus) == ["m1", "m2", "m3"]
        assert (await stored(bus, "m1")).error == "try later"

    async def test_law_3_back_off_is_the_lanes_alone(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", lane="x")
        await bus.commit(Release(lease=await claim_one(bus), at=clock() + 10))
        await publish(bus, "m2", lane="y")
        assert await handle_all(bus) == ["m2"]

    async def test_law_3_tries_count_claims_of_one_head(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2")
        first = await claim_one(bus)
        await bus.commit(Release(lease=first, at=clock()))
        second = await claim_one(bus)
        await bus.commit(Release(lease=second, at=clock(), counted=False))
        third = await claim_one(bus)
        await settle(bus, third)
        assert [first.tries, second.tries, third.tries, (await claim_one(bus)).tries] == [1, 2, 2, 1]

    async def test_law_3_a_release_into_the_past_is_ready_now(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1")
        lease = await claim_one(bus)
        assert await claim(bus) == []
        await bus.commit(Release(lease=lease, at=clock() - DAY))
        assert await handle_all(bus) == ["m1"]

    # 4. A lease expires; fencing is by token.

    async def test_law_4_a_lease_that_is_not_extended_expires(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1")
        first = await claim_one(bus)
        clock.forward(LEASE - 0.01)
        assert await claim(bus) == []
        clock.forward(0.01)
        second = await claim_one(bus)
        assert (second.head.id, second.token > first.token) == ("m1", True)

    async def test_law_4_an_extended_lease_holds(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", lane="x")
        await publish(bus, "m2", lane="y")
        leases = await claim(bus)
        clock.forward(LEASE - 1)
        assert await bus.extend(leases, LEASE) == []
        clock.forward(LEASE - 1)
        assert await claim(bus) == []
        clock.forward(1)
        assert len(await claim(bus)) == 2

    async def test_law_4_who_lost_a_lane_changes_nothing(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2")
        old = await claim_one(bus)
        clock.forward(LEASE)
        new = await claim_one(bus)
        for operation in (
            Settle(lease=old, outcome="dead"),
            Release(lease=old, at=clock() + DAY, error="late"),
            Hold(lease=old),
        ):
            with pytest.raises(LeaseLost):
                await bus.commit(operation, message("reply", inbox="channel:c"), also=note("late"))
        with pytest.raises(LeaseLost):
            await bus.take(old, 10)
        assert await bus.extend([old, new], 2 * LEASE) == [old]
        assert (await notes(bus), await stored(bus, "reply", "channel:c")) == ([], None)
        assert (await stored(bus, "m1")).error is None
        await settle(bus, new)
        assert await handle_all(bus) == ["m2"]

    async def test_law_4_an_extend_does_not_prolong_the_lease_of_another(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1")
        old = await claim_one(bus)
        clock.forward(LEASE)
        await claim_one(bus)
        assert await bus.extend([old], 10 * LEASE) == [old]
        clock.forward(LEASE)
        assert (await claim_one(bus)).tries == 3

    async def test_law_4_an_expired_lease_that_nobody_took_still_holds(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2")
        lease = await claim_one(bus)
        clock.forward(100 * LEASE)
        await bus.commit(Hold(lease=lease), also=note("step"))
        assert ids(await bus.take(lease, 1)) == ["m2"]
        await settle(bus, lease)
        assert await notes(bus) == ["step"]
        assert await claim(bus) == []

    async def test_law_4_an_expired_lease_may_be_extended_while_nobody_took_it(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1")
        lease = await claim_one(bus)
        clock.forward(LEASE)
        assert await bus.extend([lease], LEASE) == []
        assert await claim(bus) == []

    async def test_law_4_a_settled_lease_is_over(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2")
        lease = await claim_one(bus)
        await settle(bus, lease)
        for operation in (Settle(lease=lease, outcome="dead"), Release(lease=lease, at=clock()), Hold(lease=lease)):
            with pytest.raises(LeaseLost):
                await bus.commit(operation)
        assert await bus.extend([lease], LEASE) == [lease]
        assert await handle_all(bus) == ["m2"]

    async def test_law_4_a_lease_does_not_fit_the_lane_that_took_the_name(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1")
        old = await claim_one(bus)
        clock.forward(LEASE)
        await settle(bus, await claim_one(bus))
        clock.forward(DAY)
        await bus.sweep(clock())
        await publish(bus, "m2")
        new = await claim_one(bus)
        assert new.token == old.token
        with pytest.raises(LeaseLost):
            await settle(bus, old)
        await settle(bus, new)
