"""Law 6 of the bus: signals may be lost; cancels are durable and never hit a later message."""

import pytest

from hub.bus import (
    Bus,
    Release,
    Stop,
)
from hub.signals.local import LocalSignals
from hub.store.inboxes import FLOOR_SECONDS, SWEEP_SECONDS
from tests.clock import Clock
from tests.contracts.bus_steps import (
    DAY,
    INBOX,
    LEASE,
    claim,
    claim_one,
    handle_all,
    ids,
    message,
    note,
    notes,
    outcomes,
    publish,
    ready_lanes,
    refuse,
    settle,
)


class StopLaws:
    """What every store must let the bus keep when it is told to stop, or not told of something."""

    async def test_law_6_a_stop_hits_what_was_there_and_nothing_later(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        assert await bus.commit(Stop(inbox=INBOX, lane="x")) == [True]
        await publish(bus, "m3")
        stopped: list[bool] = []
        while leases := await claim(bus):
            stopped.append(leases[0].stopped)
            await settle(bus, leases[0])
        assert stopped == [True, True, False]

    async def test_law_6_an_extend_tells_the_holder_of_a_stop(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        lease = await claim_one(bus)
        await bus.commit(Stop(inbox=INBOX, lane="x"))
        assert not lease.stopped
        assert await bus.extend([lease], LEASE) == []
        assert (lease.stopped, lease.stop) == (True, 2)

    async def test_law_6_a_stop_of_an_idle_lane_does_nothing(self, bus: Bus) -> None:
        assert await bus.commit(Stop(inbox=INBOX, lane="x")) == [False]
        await publish(bus, "m1")
        await settle(bus, await claim_one(bus))
        assert await bus.commit(Stop(inbox=INBOX, lane="x")) == [False]
        await publish(bus, "m2")
        assert not (await claim_one(bus)).stopped

    async def test_law_6_a_stop_hits_its_own_lane_only(self, bus: Bus) -> None:
        await publish(bus, "m1", lane="x")
        await publish(bus, "m2", lane="y")
        await bus.commit(Stop(inbox=INBOX, lane="y"))
        assert [lease.stopped for lease in await claim(bus)] == [False, True]

    async def test_law_6_a_withdrawn_message_is_never_handed_out(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2", "m3", "m4", "m5")
        for mid in ("m1", "m3", "m5"):
            assert await bus.withdraw(INBOX, mid, "refused", "client gone") == "done"
        assert await handle_all(bus) == ["m2", "m4"]
        assert await outcomes(bus, "m1", "m3", "m5") == [("refused", "client gone")] * 3
        assert await ready_lanes(bus) == 0

    async def test_law_6_what_came_after_a_cancel_is_not_taken(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        lease = await claim_one(bus)
        await bus.commit(Stop(inbox=INBOX, lane="x"))
        await publish(bus, "m3")
        assert ids(await bus.take(lease, 10)) == ["m2"]
        assert lease.stopped
        await settle(bus, lease)
        lease = await claim_one(bus)
        assert (ids(lease.messages), lease.stopped) == (["m3"], False)

    async def test_law_6_take_steps_over_a_withdrawn_message(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2", "m3")
        lease = await claim_one(bus)
        assert await bus.withdraw(INBOX, "m2", "refused", "client gone") == "done"
        assert ids(await bus.take(lease, 10)) == ["m3"]
        await settle(bus, lease)
        assert await outcomes(bus, "m2", "m3") == [("refused", "client gone"), ("silent", "merged:m1")]

    async def test_law_6_a_lane_of_withdrawn_messages_is_idle(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        for mid in ("m1", "m2"):
            await bus.withdraw(INBOX, mid, "refused", "client gone")
        assert await claim(bus) == []
        assert await ready_lanes(bus) == 0
        await publish(bus, "m3")
        assert await handle_all(bus) == ["m3"]

    async def test_law_6_who_runs_is_asked_to_stop_and_settles_itself(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        lease = await claim_one(bus)
        with bus.signals.listen(f"stop.{INBOX}") as stops:
            assert await bus.withdraw(INBOX, "m1", "refused", "client gone", also=note("done")) == "running"
            assert await stops.next(0) == b"x"
        assert await bus.extend([lease], LEASE) == []
        assert (lease.stopped, lease.stop, await notes(bus)) == (True, 1, [])
        await settle(bus, lease)
        assert await outcomes(bus, "m1") == [("answered", None)]
        assert not (await claim_one(bus)).stopped

    async def test_law_6_a_message_that_was_taken_runs(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        lease = await claim_one(bus)
        await bus.take(lease, 10)
        assert await bus.withdraw(INBOX, "m2", "refused", "client gone") == "running"

    async def test_law_6_a_message_given_back_may_be_withdrawn(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2")
        lease = await claim_one(bus)
        await bus.take(lease, 10)
        await bus.commit(Release(lease=lease, at=clock() + DAY))
        assert await bus.withdraw(INBOX, "m2", "refused", "client gone") == "done"
        assert await bus.withdraw(INBOX, "m1", "refused", "client gone", also=note("done")) == "done"
        assert await notes(bus) == ["done"]

    async def test_law_6_a_lane_does_not_sit_out_the_back_off_of_a_withdrawn_head(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2")
        await bus.commit(Release(lease=await claim_one(bus), at=clock() + DAY))
        await bus.withdraw(INBOX, "m1", "refused", "client gone")
        lease = await claim_one(bus)
        assert (lease.head.id, lease.tries) == ("m2", 1)

    async def test_law_6_a_settled_or_unknown_message_cannot_be_withdrawn(self, bus: Bus) -> None:
        await publish(bus, "m1")
        await settle(bus, await claim_one(bus))
        for mid in ("m1", "unknown"):
            assert await bus.withdraw(INBOX, mid, "refused", "client gone", also=note(mid)) == "over"
        assert (await outcomes(bus, "m1"), await notes(bus)) == ([("answered", None)], [])

    async def test_law_6_signals_follow_the_commit(self, bus: Bus) -> None:
        with bus.signals.listen(f"inbox.{INBOX}") as wakes, bus.signals.listen(f"stop.{INBOX}") as stops:
            await publish(bus, "m1")
            assert await wakes.next(0) == b""
            await bus.commit(message("m1"))
            with pytest.raises(RuntimeError):
                await bus.commit(message("m2"), also=refuse)
            assert await wakes.next(0) is None
            await bus.commit(Stop(inbox=INBOX, lane="x"))
            assert await stops.next(0) == b"x"

    async def test_law_6_a_settle_wakes_when_more_waits(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        with bus.signals.listen(f"inbox.{INBOX}") as wakes:
            await settle(bus, await claim_one(bus))
            assert await wakes.next(0) == b""
            await settle(bus, await claim_one(bus))
            assert await wakes.next(0) is None

    async def test_law_6_no_lane_hides_below_the_floor(self, bus: Bus, clock: Clock) -> None:
        """A lane may wait for long while claims come and go, and a clock may be set back."""
        await publish(bus, "old", lane="old")
        await bus.commit(Release(lease=await claim_one(bus), at=clock() + 2))
        for _ in range(20):
            await handle_all(bus)
            clock.forward(0.5)
        assert (await outcomes(bus, "old"))[0] == ("answered", None)
        clock.forward(-DAY)
        await publish(bus, "m1")
        assert await handle_all(bus) == ["m1"]

    async def test_law_6_what_a_slow_clock_put_below_the_floor_is_found(self, bus: Bus, clock: Clock) -> None:
        behind = Bus(bus.store, LocalSignals(), lambda: clock() - DAY)
        for _ in range(3):
            assert await claim(bus) == []
            clock.forward(FLOOR_SECONDS)
        await publish(behind, "m1")
        clock.forward(SWEEP_SECONDS)
        assert await handle_all(bus) == ["m1"]
