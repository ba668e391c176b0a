"""The ten laws of the bus, for whatever store a subclass brings.

A subclass gives the fixture `store`: a fresh database with its tables. Law 8 is two things: the statements use their
indexes (here), and what they cost stays the same (`python -m bench claim`).
"""

import asyncio

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from hub.bus import (
    AlreadyThere,
    Bus,
    Hold,
    Publish,
    Release,
    Settle,
    Stop,
)
from hub.errors import InboxFull
from hub.signals.local import LocalSignals
from hub.store import Store
from hub.store.inboxes import SIZE_SECONDS
from hub.store.tables import entries, sessions
from tests.clock import Clock
from tests.contracts.bus_conservation import ConservationLaws
from tests.contracts.bus_leases import LeaseLaws
from tests.contracts.bus_plans import Explained, fill, reads_all
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
    stored,
)
from tests.contracts.bus_stops import StopLaws


class BusLaws(LeaseLaws, StopLaws, ConservationLaws):
    """What every store must let the bus keep."""

    @pytest.fixture
    def bus(self, store: Store, clock: Clock) -> Bus:
        return Bus(store, LocalSignals(), clock, lane_limit=5, inbox_limit=12)

    # 1. Same inbox + message id = one message.

    async def test_law_1_the_same_id_is_one_message(self, bus: Bus) -> None:
        assert await bus.commit(message("m1")) == [True]
        assert await bus.commit(message("m1")) == [False]
        assert await bus.commit(message("m1", lane="y")) == [False]
        assert await handle_all(bus) == ["m1"]
        assert await bus.commit(message("m1")) == [False]
        assert await claim(bus) == []

    async def test_law_1_the_same_id_in_another_inbox_is_another_message(self, bus: Bus) -> None:
        assert await bus.commit(message("m1"), message("m1", inbox="agent:b")) == [True, True]

    async def test_law_1_a_duplicate_leaves_no_gap(self, bus: Bus) -> None:
        await publish(bus, "m1")
        await bus.commit(message("m1"))
        await publish(bus, "m2")
        assert await handle_all(bus) == ["m1", "m2"]

    async def test_law_1_many_at_once_with_one_id_are_one_message(self, bus: Bus) -> None:
        lanes_ = [f"lane {number}" for number in range(4)] * 5
        results = await asyncio.gather(*(bus.commit(message("m1", lane)) for lane in lanes_))
        assert sorted(result for (result,) in results) == [False] * 19 + [True]
        assert sum([await bus.waiting(INBOX, lane) for lane in set(lanes_)]) == 1
        assert await handle_all(bus) == ["m1"]
        assert await ready_lanes(bus) == 0

    async def test_law_1_an_id_is_known_for_a_day_after_it_was_settled(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1")
        clock.forward(2 * DAY)
        await settle(bus, await claim_one(bus))
        clock.forward(DAY)
        assert await bus.sweep(clock() - DAY) == 0
        assert await bus.commit(message("m1")) == [False]
        clock.forward(1)
        assert await bus.sweep(clock() - DAY) == 1
        assert await bus.commit(message("m1")) == [True]

    async def test_law_1_a_message_stored_settled_is_known_and_waits_for_nobody(self, bus: Bus) -> None:
        command = Publish(inbox=INBOX, lane="x", id="m1", body=b"", outcome="refused", reason="access")
        assert await bus.commit(command) == [True]
        assert await bus.commit(command, message("m1")) == [False, False]
        assert await outcomes(bus, "m1") == [("refused", "access")]
        await publish(bus, "m2")
        assert await handle_all(bus) == ["m2"]

    async def test_law_1_a_message_published_once_undoes_the_unit_that_repeats_it(self, bus: Bus) -> None:
        once = Publish(inbox=INBOX, lane="x", id="m1", body=b"", once=True)
        assert await bus.commit(once, also=note("first")) == [True]
        with pytest.raises(AlreadyThere):
            await bus.commit(message("other"), once, also=note("second"))
        assert (await notes(bus), await stored(bus, "other")) == (["first"], None)

    # 2. One live lease per lane; publish order; take.

    async def test_law_2_a_leased_lane_is_nobody_elses(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2")
        assert (await claim_one(bus)).head.id == "m1"
        assert await claim(bus) == []
        await publish(bus, "m3")
        assert await claim(bus) == []

    async def test_law_2_other_lanes_do_not_wait(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2", lane="x")
        await claim_one(bus)
        await publish(bus, "m3", lane="y")
        assert (await claim_one(bus)).head.id == "m3"

    async def test_law_2_a_lane_is_handled_in_publish_order(self, bus: Bus) -> None:
        await publish(bus, "m2", "m1", "m3")
        assert await handle_all(bus) == ["m2", "m1", "m3"]

    async def test_law_2_claims_at_once_share_the_lanes(self, bus: Bus) -> None:
        for number in range(12):
            await publish(bus, f"m{number}", lane=f"lane {number}")
        first = await asyncio.gather(*(claim(bus, limit=2) for _ in range(6)))
        claimed = [lease.lane for leases in first for lease in leases] + [lease.lane for lease in await claim(bus)]
        assert sorted(claimed) == sorted(f"lane {number}" for number in range(12))

    async def test_law_2_a_claim_takes_the_lanes_that_wait_longest(self, bus: Bus, clock: Clock) -> None:
        for lane in ("c", "a", "b"):
            await publish(bus, lane, lane=lane)
            clock.forward(1)
        assert [lease.lane for lease in await claim(bus, limit=2)] == ["a", "c"]

    async def test_law_2_settle_covers_all_that_was_taken(self, bus: Bus) -> None:
        await publish(bus, "m1", "m2", "m3", "m4")
        lease = await claim_one(bus)
        assert ids(await bus.take(lease, 1)) == ["m2"]
        assert ids(await bus.take(lease, 1)) == ["m3"]
        await settle(bus, lease)
        assert await outcomes(bus, "m1", "m2", "m3") == [("answered", None), *[("silent", "merged:m1")] * 2]
        assert await handle_all(bus) == ["m4"]

    async def test_law_2_take_finds_nothing_in_an_empty_lane(self, bus: Bus) -> None:
        await publish(bus, "m1")
        lease = await claim_one(bus)
        assert await bus.take(lease, 10) == []
        await publish(bus, "m2")
        assert ids(await bus.take(lease, 10)) == ["m2"]

    async def test_law_2_take_ends_before_what_does_not_fit(self, bus: Bus) -> None:
        await publish(bus, "a1", "a2", "b1", "a3")
        lease = await claim_one(bus)
        assert ids(await bus.take(lease, 10, lambda last, this: last.id[0] == this.id[0])) == ["a2"]
        assert await bus.take(lease, 10, lambda last, this: last.id[0] == this.id[0]) == []
        await settle(bus, lease)
        assert await handle_all(bus) == ["b1", "a3"]

    async def test_law_2_a_crash_gives_back_all_that_was_taken(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2", "m3")
        await bus.take(await claim_one(bus), 10)
        clock.forward(LEASE)
        lease = await claim_one(bus)
        assert (ids(lease.messages), lease.tries) == (["m1"], 2)
        await settle(bus, lease)
        assert await handle_all(bus) == ["m2", "m3"]

    async def test_law_2_release_gives_back_all_that_was_taken(self, bus: Bus, clock: Clock) -> None:
        await publish(bus, "m1", "m2")
        lease = await claim_one(bus)
        await bus.take(lease, 10)
        await bus.commit(Release(lease=lease, at=clock()))
        assert await handle_all(bus) == ["m1", "m2"]

    # 5. One unit of work.

    async def test_law_5_a_unit_that_raises_leaves_nothing(self, bus: Bus) -> None:
        await publish(bus, "m1")
        lease = await claim_one(bus)
        with pytest.raises(RuntimeError):
            await bus.commit(Settle(lease=lease, outcome="answered"), message("reply", inbox="channel:c"), also=refuse)
        assert (await notes(bus), await stored(bus, "reply", "channel:c")) == ([], None)
        await bus.commit(Hold(lease=lease))
        assert await outcomes(bus, "m1") == [(None, None)]

    async def test_law_5_a_turns_reply_exists_exactly_when_the_turn_is_done(self, bus: Bus) -> None:
        await publish(bus, "m1")
        lease = await claim_one(bus)
        reply = message("reply", inbox="channel:c")
        assert await bus.commit(reply, Settle(lease=lease, outcome="answered"), also=note("turn")) == [True, False]
        assert (await outcomes(bus, "m1"), await notes(bus)) == ([("answered", None)], ["turn"])
        assert [lease.head.id for lease in await bus.claim("channel:c", 10, LEASE)] == ["reply"]

    async def test_law_5_a_full_inbox_refuses_the_whole_unit(self, bus: Bus) -> None:
        await publish(bus, "m1", lane="x")
        lease = await claim_one(bus)
        await publish(bus, *(f"y{number}" for number in range(5)), lane="y")
        with pytest.raises(InboxFull):
            await bus.commit(Settle(lease=lease, outcome="answered"), message("y5", "y", bounded=True))
        assert await outcomes(bus, "m1") == [(None, None)]
        await settle(bus, lease)

    async def test_law_5_a_step_is_written_once(self, bus: Bus) -> None:
        await publish(bus, "m1")
        lease = await claim_one(bus)
        await bus.store.write(lambda connection: connection.execute(insert(sessions).values(SESSION)))
        step = insert(entries).values(session=1, turn="m1", ordinal=1, body=b"", at=0)
        await bus.commit(Hold(lease=lease), also=lambda connection: connection.execute(step))
        with pytest.raises(IntegrityError):
            await bus.commit(message("again"), Hold(lease=lease), also=lambda connection: connection.execute(step))
        assert await stored(bus, "again") is None

    async def test_law_5_a_unit_may_publish_to_the_lane_it_settles(self, bus: Bus) -> None:
        await publish(bus, "m1")
        lease = await claim_one(bus)
        await bus.commit(Settle(lease=lease, outcome="answered"), message("m2"))
        lease = await claim_one(bus)
        await bus.commit(message("m3"), Settle(lease=lease, outcome="answered"))
        assert await handle_all(bus) == ["m3"]

    # 7. Lanes are written in order: no deadlocks.

    async def test_law_7_units_that_publish_to_each_others_lanes_do_not_deadlock(self, bus: Bus) -> None:
        names = [f"lane {number}" for number in range(10)]
        for name in names:
            await publish(bus, f"{name}/start", lane=name)
        leases = {lease.lane: lease for lease in await claim(bus)}

        async def talk(name: str, number: int) -> None:
            others = [names[(names.index(name) + step * (number + 1)) % 10] for step in (3, 1, 7)]
            posts = [message(f"{name}/{number}/{index}", other) for index, other in enumerate(others)]
            await bus.commit(*posts, Hold(lease=leases[name]))

        async def agent(name: str) -> None:
            for number in range(15):
                await talk(name, number)

        await asyncio.gather(*(agent(name) for name in names))
        assert await bus.residue(0) == 0

    async def test_law_7_an_extend_is_no_part_of_a_deadlock(self, bus: Bus) -> None:
        names = [f"lane {number}" for number in range(8)]
        for name in names:
            await publish(bus, f"{name}/start", lane=name)
        leases = await claim(bus)

        async def extend() -> None:
            for _ in range(15):
                assert await bus.extend(leases[::-1], LEASE) == []

        async def talk(number: int) -> None:
            for count in range(15):
                posts = [message(f"{number}/{count}/{lane}", lane) for lane in names[number % 2 :: 2]]
                await bus.commit(*posts)

        await asyncio.gather(extend(), extend(), *(talk(number) for number in range(4)))

    # 8. The cost does not grow with what waits: every statement of the hot path uses an index.

    async def test_law_8_no_statement_reads_a_whole_table(self, bus: Bus, clock: Clock) -> None:
        await bus.store.write(fill)
        bus.store = store = Explained(bus.store)
        await _whole_life(bus, clock)
        assert len(store.plans) > 20
        assert {statement: plan for statement, plan in store.plans.items() if any(map(reads_all, plan))} == {}

    # 9. Bounded at the edges only.

    async def test_law_9_a_lane_takes_exactly_its_limit(self, bus: Bus) -> None:
        attempts = (bus.commit(message(f"m{number}", bounded=True)) for number in range(20))
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert results.count([True]) == 5
        assert sum(isinstance(result, InboxFull) for result in results) == 15
        await settle(bus, await claim_one(bus))
        assert await bus.commit(message("next", bounded=True)) == [True]
        with pytest.raises(InboxFull) as full:
            await bus.commit(message("one more", bounded=True))
        assert full.value.retry_after > 0

    async def test_law_9_an_inbox_takes_about_its_limit(self, bus: Bus, clock: Clock) -> None:
        await self._fill_inbox(bus, clock)
        with pytest.raises(InboxFull) as full:
            await bus.commit(message("m12", "new", bounded=True))
        assert full.value.retry_after > 0
        await settle(bus, (await claim(bus))[0])
        clock.forward(SIZE_SECONDS)
        assert await bus.commit(message("m12", "new", bounded=True)) == [True]

    async def test_law_9_replies_are_never_refused(self, bus: Bus, clock: Clock) -> None:
        await self._fill_inbox(bus, clock)
        for number in range(10):
            assert await bus.commit(message(f"reply {number}", "lane 0")) == [True]

    async def test_law_9_a_message_that_is_known_is_not_refused(self, bus: Bus, clock: Clock) -> None:
        await self._fill_inbox(bus, clock)
        assert await bus.commit(message("m0", "lane 0", bounded=True)) == [False]
        await publish(bus, *(f"x{number}" for number in range(5)))
        clock.forward(-DAY)
        assert await bus.commit(message("x0", bounded=True)) == [False]

    async def test_law_9_another_inbox_has_its_own_bounds(self, bus: Bus, clock: Clock) -> None:
        await self._fill_inbox(bus, clock)
        assert await bus.commit(message("m1", "lane 0", inbox="agent:b", bounded=True)) == [True]

    async def _fill_inbox(self, bus: Bus, clock: Clock) -> None:
        for number in range(12):
            await bus.commit(message(f"m{number}", f"lane {number % 4}", bounded=True))
        clock.forward(SIZE_SECONDS)


SESSION = {"id": 1, "agent": "a", "address": "web:1", "started_at": 0}


async def _whole_life(bus: Bus, clock: Clock) -> None:
    """Run every statement the bus has for a message."""
    for mid in ("m1", "m2", "m3", "m3"):
        await bus.commit(message(mid, bounded=True))
    lease = await claim_one(bus)
    await bus.take(lease, 1)
    await bus.extend([lease], LEASE)
    await bus.commit(Stop(inbox=INBOX, lane="x"), Release(lease=lease, at=clock(), error="why"))
    await bus.withdraw(INBOX, "m1", "refused", "client gone")
    await bus.withdraw(INBOX, "m3", "refused", "client gone")
    lease = await claim_one(bus)
    await bus.commit(Hold(lease=lease))
    await settle(bus, lease)
    assert await claim(bus) == []
    clock.forward(DAY)
    await bus.residue(clock() - 1)
    await bus.sweep(clock())
