"""A machine that does to the bus whatever comes to hypothesis' mind, and a model in memory that says what must follow.

Two buses share the store, as two processes would. A lease that is forgotten is a crash; one that is used late is a
frozen worker that came back.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from hub.bus import Bus, Hold, Lease, Operation, Publish, Release, Settle, Stop
from hub.errors import LeaseLost
from hub.signals.local import LocalSignals
from hub.store import Connection, Store, open_store, tables
from tests.clock import Clock
from tests.contracts.bus_steps import LEASE, note, notes

T = TypeVar("T")
LANES = ("x", "y")
BACK = st.integers(0, 2)
"""Which of the last leases: the newest is 0."""


@dataclass
class World:
    """One store and one event loop for every example; each example has inboxes of its own."""

    store: Store
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    numbers: Iterator[int] = field(default_factory=itertools.count)


@dataclass
class Lane:
    """What a lane must be like; the first `taken` of `waiting` are in the holder's lease."""

    waiting: list[str] = field(default_factory=list[str])
    cancelled: set[str] = field(default_factory=set[str])
    holder: Lease | None = None
    taken: int = 0
    tries: int = 0
    ready_at: float = 0.0

    def free(self) -> None:
        self.holder, self.taken = None, 0


def something_waits(machine: Any) -> bool:
    return any(lane.waiting for lane in machine.lanes.values())


def somebody_worked(machine: Any) -> bool:
    return bool(machine.leases)


class BusMachine(RuleBasedStateMachine):
    """The bus and its model, side by side."""

    ids: Bundle[str] = Bundle("ids")

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.example = next(self.world.numbers)
        self.buses = [Bus(self.world.store, LocalSignals(), self.clock) for _ in range(2)]
        self.inbox = f"agent:{self.example}"
        self.lanes = {name: Lane() for name in LANES}
        self.leases: list[Lease] = []
        self.outcomes: dict[str, str] = {}
        self.settled_at: dict[str, float] = {}
        self.replies: set[str] = set()
        self.numbers = itertools.count()

    # What may happen.

    @rule(target=ids, lane=st.sampled_from(LANES), count=st.integers(1, 3), which=st.booleans())
    def publish(self, lane: str, count: int, which: bool) -> Any:
        mids = [f"{self.example}/{next(self.numbers)}" for _ in range(count)]
        for mid in mids:
            assert self.commit(which, self.message(mid, lane)) == [True]
            self.publish_in_model(mid, lane)
        return multiple(*mids)

    def publish_in_model(self, mid: str, lane: str) -> None:
        model = self.lanes[lane]
        if not model.waiting:
            model.ready_at = self.clock()
        model.waiting.append(mid)

    @rule(mid=ids, lane=st.sampled_from(LANES), which=st.booleans())
    def publish_again(self, mid: str, lane: str, which: bool) -> None:
        if mid in self.outcomes or any(mid in model.waiting for model in self.lanes.values()):
            assert self.commit(which, self.message(mid, lane)) == [False]

    @precondition(somebody_worked)
    @rule(target=ids, lane=st.sampled_from(LANES))
    def publish_settled(self, lane: str) -> str:
        mid = f"{self.example}/{next(self.numbers)}"
        operation = Publish(inbox=self.inbox, lane=lane, id=mid, body=b"", outcome="refused", reason="access")
        assert self.commit(False, operation) == [True]
        self.settle_in_model("refused", mid)
        return mid

    @precondition(something_waits)
    @rule(which=st.booleans())
    def claim(self, which: bool) -> None:
        """All lanes at once: which of several ready ones a smaller limit takes is up to the store."""
        self.leases += self.claimed(which)

    def claimed(self, which: bool) -> list[Lease]:
        now = self.clock()
        leases = sorted(self.run(self.buses[which].claim(self.inbox, 10, LEASE)), key=lambda lease: lease.lane)
        ready = [name for name, lane in self.lanes.items() if lane.waiting and lane.ready_at <= now]
        assert [lease.lane for lease in leases] == ready
        for lease in leases:
            self.hold_in_model(self.lanes[lease.lane], lease)
        return leases

    def hold_in_model(self, model: Lane, lease: Lease) -> None:
        model.tries += 1
        assert [(one.id, one.body) for one in lease.messages] == [(model.waiting[0], model.waiting[0].encode())]
        assert lease.tries == model.tries
        assert lease.stopped == (model.waiting[0] in model.cancelled)
        model.holder, model.taken, model.ready_at = lease, 1, self.clock() + LEASE

    @precondition(somebody_worked)
    @rule(back=BACK, limit=st.integers(1, 3))
    def take(self, back: int, limit: int) -> None:
        lease = self.lease(back)
        model = self.lanes[lease.lane]
        taken = self.unless_lost(lease, lambda bus: bus.take(lease, limit))
        if taken is not None:
            expected = model.waiting[model.taken : model.taken + limit]
            if model.waiting[0] in model.cancelled:  # what came after the stop is not for this lease
                expected = [one for one in expected if one in model.cancelled]
            assert [one.id for one in taken] == expected
            model.taken += len(expected)

    @precondition(somebody_worked)
    @rule(backs=st.sets(BACK), which=st.booleans())
    def extend(self, backs: set[int], which: bool) -> None:
        leases = [self.lease(back) for back in backs]
        lost: list[Lease] = self.run(self.buses[which].extend(leases, LEASE))
        for lease in leases:
            model = self.lanes[lease.lane]
            assert (lease in lost) == (lease is not model.holder)
            if lease is model.holder:
                model.ready_at = self.clock() + LEASE
                assert lease.stopped == (model.waiting[0] in model.cancelled)

    @precondition(somebody_worked)
    @rule(back=BACK, lane=st.sampled_from(LANES))
    def checkpoint(self, back: int, lane: str) -> None:
        """A step that also posts: to a channel, and to another lane of this inbox."""
        lease = self.lease(back)
        reply, post = self.reply(), f"{self.example}/{next(self.numbers)}"
        operations = (self.to_channel(reply), self.message(post, lane), Hold(lease=lease))
        if self.unless_lost(lease, lambda bus: bus.commit(*operations, also=note(reply))):
            self.replies.add(reply)
            self.publish_in_model(post, lane)

    @precondition(somebody_worked)
    @rule(back=BACK, outcome=st.sampled_from(["answered", "dead"]))
    def settle(self, back: int, outcome: Literal["answered", "dead"]) -> None:
        self.settled(self.lease(back), outcome)

    def settled(self, lease: Lease, outcome: Literal["answered", "dead"]) -> None:
        reply, model = self.reply(), self.lanes[lease.lane]
        operations = (Settle(lease=lease, outcome=outcome), self.to_channel(reply))
        if self.unless_lost(lease, lambda bus: bus.commit(*operations, also=note(reply))):
            self.replies.add(reply)
            self.settle_in_model(outcome, model.waiting[0])
            self.settle_in_model("silent", *model.waiting[1 : model.taken])
            del model.waiting[: model.taken]
            model.free()
            model.tries, model.ready_at = 0, self.clock()

    @precondition(somebody_worked)
    @rule(back=BACK)
    def fail_to_settle(self, back: int) -> None:
        """The last write of the unit goes wrong: nothing of it stays."""

        def fail(connection: Connection) -> None:
            note(reply)(connection)
            raise RuntimeError("the unit fails")

        lease, reply = self.lease(back), self.reply()
        with pytest.raises((RuntimeError, LeaseLost)):
            self.run(self.buses[0].commit(self.to_channel(reply), Settle(lease=lease, outcome="dead"), also=fail))

    @precondition(somebody_worked)
    @rule(back=BACK, delay=st.sampled_from([0.0, 1.0, 20.0]), counted=st.booleans())
    def release(self, back: int, delay: float, counted: bool) -> None:
        lease = self.lease(back)
        at, model = self.clock() + delay, self.lanes[lease.lane]
        operation = Release(lease=lease, at=at, error="why", counted=counted)
        if self.unless_lost(lease, lambda bus: bus.commit(operation)) is not None:
            model.free()
            model.ready_at = at
            model.tries -= not counted

    @precondition(something_waits)
    @rule(lane=st.sampled_from(LANES), which=st.booleans())
    def stop(self, lane: str, which: bool) -> None:
        model = self.lanes[lane]
        (stopped,) = self.commit(which, Stop(inbox=self.inbox, lane=lane))
        assert stopped or not model.waiting
        model.cancelled.update(model.waiting)

    @precondition(something_waits)
    @rule(lane=st.sampled_from(LANES), place=st.integers(0, 2), which=st.booleans())
    def withdraw(self, lane: str, place: int, which: bool) -> None:
        for mid in self.lanes[lane].waiting[place : place + 1]:
            self.withdrawn(mid, which)

    @rule(mid=ids, which=st.booleans())
    def withdraw_any(self, mid: str, which: bool) -> None:
        self.withdrawn(mid, which)

    def withdrawn(self, mid: str, which: bool) -> None:
        state = self.run(self.buses[which].withdraw(self.inbox, mid, "refused", "client gone"))
        model = next((lane for lane in self.lanes.values() if mid in lane.waiting), None)
        if model is None:
            assert state == "over"
            return
        place = model.waiting.index(mid)
        if place < model.taken:
            assert state == "running"
            model.cancelled.update(model.waiting[: place + 1])
            return
        assert state == "done"
        if place == 0:
            model.tries, model.ready_at = 0, self.clock()
        model.waiting.remove(mid)
        self.settle_in_model("refused", mid)

    @precondition(somebody_worked)
    @rule(back=BACK)
    def crash(self, back: int) -> None:
        """Nobody will use this lease again."""
        self.leases.remove(self.lease(back))

    @precondition(something_waits)
    @rule(seconds=st.sampled_from([0.5, 3.0, LEASE, 40.0]))
    def wait(self, seconds: float) -> None:
        self.clock.forward(seconds)

    @precondition(lambda self: len(self.settled_at) > 3)
    @rule()
    def sweep(self) -> None:
        now = self.clock()
        while self.run(self.buses[0].sweep(now)):
            pass
        for mid, at in list(self.settled_at.items()):
            if at < now and self.outcomes[mid] != "dead":
                del self.settled_at[mid], self.outcomes[mid]

    # What must be true all the time, and at the end.

    @invariant()
    def every_message_is_where_the_model_says(self) -> None:
        waiting = {mid: None for lane in self.lanes.values() for mid in lane.waiting}
        assert self.stored() == waiting | self.outcomes

    def teardown(self) -> None:
        """Whatever is left is handed out in order, whoever crashed, and nothing of a refused unit is there."""
        while any(lane.waiting for lane in self.lanes.values()):
            self.clock.forward(100.0)
            for lease in self.claimed(True):
                self.settled(lease, "answered")
        assert self.run(self.buses[0].residue(0)) == 0
        assert self.stored(f"channel:{self.example}").keys() == self.replies
        assert {name for name in self.run(notes(self.buses[0])) if name.startswith(f"{self.example}/")} == self.replies

    # Words.

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.world.run(coroutine)

    def commit(self, which: bool, operation: Operation) -> list[bool]:
        return self.run(self.buses[which].commit(operation))

    def unless_lost(self, lease: Lease, call: Callable[[Bus], Coroutine[Any, Any, T]]) -> T | None:
        """What the call gives; None, and LeaseLost it must be, when the lease does not hold its lane any more."""
        if lease is self.lanes[lease.lane].holder:
            return self.run(call(self.buses[0]))
        with pytest.raises(LeaseLost):
            self.run(call(self.buses[0]))
        return None

    def lease(self, back: int) -> Lease:
        """One of the last leases that were handed out, whatever became of it."""
        return self.leases[-1 - back % len(self.leases)]

    def message(self, mid: str, lane: str) -> Publish:
        return Publish(inbox=self.inbox, lane=lane, id=mid, body=mid.encode())

    def reply(self) -> str:
        return f"{self.example}/{next(self.numbers)}"

    def to_channel(self, mid: str) -> Publish:
        return Publish(inbox=f"channel:{self.example}", lane="web:1", id=mid, body=b"")

    def settle_in_model(self, outcome: str, *mids: str) -> None:
        self.outcomes.update(dict.fromkeys(mids, outcome))
        self.settled_at.update(dict.fromkeys(mids, self.clock()))

    def stored(self, inbox: str | None = None) -> dict[str, str | None]:
        messages = tables.messages
        query = select(messages.c.mid, messages.c.outcome).where(messages.c.inbox == (inbox or self.inbox))
        rows = self.run(self.world.store.read(lambda connection: connection.execute(query).all()))
        return {row.mid: row.outcome for row in rows}


@pytest.mark.slow
def test_the_bus_does_what_its_model_does(store_url: str) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(open_store(store_url))

        class Machine(BusMachine):
            world = World(store=store, run=runner.run)

        try:
            runner.run(store.write(tables.metadata.create_all))
            slow = [HealthCheck.too_slow]
            run_state_machine_as_test(
                Machine, settings=settings(max_examples=120, stateful_step_count=40, suppress_health_check=slow)
            )
        finally:
            runner.run(store.close())
