"""The bus: lanes and messages in the store.

An *inbox* is a durable queue, a *lane* its unit of order. A lease holds a lane, starting with its head; everything
else of the lane waits, other lanes do not. A lane's messages have the numbers 1, 2, ... in publish order, given under
the lane's row lock: `head` is the newest settled one, `tail` the newest at all, and `ready_at` says when the next
claim may come (NULL: nothing waits). The ten laws this file keeps are `tests/contracts/bus.py`.

What changes together is one `commit` of operations. It writes lanes sorted by (inbox, lane), so two units that write
to each other's lanes cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection

from hub.errors import InboxFull, LeaseLost
from hub.metrics import OUTCOMES
from hub.operations import (
    AlreadyThere,
    Free,
    Hold,
    Lease,
    Operation,
    Outcome,
    Publish,
    Release,
    Settle,
    Stop,
    Waiting,
)
from hub.signals import Signals
from hub.store import Store
from hub.store.inboxes import Inboxes
from hub.store.lanes import Statements, statements

__all__ = [
    "AlreadyThere",
    "Bus",
    "Free",
    "Hold",
    "Lease",
    "Operation",
    "Outcome",
    "Publish",
    "Release",
    "Settle",
    "Stop",
    "Waiting",
]

T = TypeVar("T")
Fits = Callable[[Waiting, Waiting], bool]
"""Whether a message belongs to the one before it; pure."""
ASIDE = ""
"""The lane of messages that were settled when they were stored."""


class Bus:
    """Publishes, leases and settles messages; every method is one transaction."""

    def __init__(
        self,
        store: Store,
        signals: Signals,
        clock: Callable[[], float],
        *,
        lane_limit: int = 100,
        inbox_limit: int = 10_000,
    ) -> None:
        self.store = store
        self.signals = signals
        self.clock = clock
        self._lane_limit = lane_limit
        self._inbox_limit = inbox_limit
        self._inboxes = Inboxes(clock)

    async def commit(self, *operations: Operation, also: Callable[[Connection], object] | None = None) -> list[bool]:
        """Do all of it or nothing; says of each operation what came of it (publish: is it new, settle: does more wait).

        `also` is a unit that writes other tables; it runs after the lanes were written. Raises LeaseLost, InboxFull,
        AlreadyThere.
        """

        def unit(connection: Connection) -> list[bool]:
            results = self.write(connection, operations)
            if also is not None:
                also(connection)
            return results

        results = await self.store.write(unit)
        for operation, changed in zip(operations, results, strict=True):
            self._tell(operation, changed)
        return results

    def write(self, connection: Connection, operations: Sequence[Operation]) -> list[bool]:
        """`commit` as a unit, for callers that tell nobody."""
        results = [False] * len(operations)
        order = sorted(range(len(operations)), key=lambda i: _lane_of(operations[i]))
        for index in order:
            results[index] = self._apply(connection, operations[index])
        return results

    def _apply(self, connection: Connection, operation: Operation) -> bool:
        match operation:
            case Publish():
                new = self._publish(connection, operation)
                if operation.once and not new:
                    raise AlreadyThere(f"{operation.inbox} already has '{operation.id}'")
                return new
            case Settle():
                return self._settle(connection, operation)
            case Release():
                return self._release(connection, operation)
            case Hold():
                self._hold(connection, operation.lease)
                return True
            case Free():
                row = {"inbox_": operation.inbox, "lane_": operation.lane, "now": self.clock()}
                return connection.execute(_q(connection).free, row).first() is not None
            case Stop():
                row = {"inbox_": operation.inbox, "lane_": operation.lane}
                return connection.execute(_q(connection).stop, row).first() is not None

    def _tell(self, operation: Operation, changed: bool) -> None:
        match operation:
            case Publish(outcome=str(outcome)) if changed:
                OUTCOMES.labels(operation.inbox, outcome).inc()
            case Publish() if changed:
                self.signals.send(f"inbox.{operation.inbox}")
            case Settle(outcome=outcome):
                OUTCOMES.labels(operation.inbox, outcome).inc()
                if changed:
                    self.signals.send(f"inbox.{operation.inbox}")
            case Free() if changed:
                self.signals.send(f"stop.{operation.inbox}", operation.lane.encode())
                self.signals.send(f"inbox.{operation.inbox}")
            case Stop() if changed:
                self.signals.send(f"stop.{operation.inbox}", operation.lane.encode())
            case _:
                pass

    def _publish(self, connection: Connection, message: Publish) -> bool:
        q, now = _q(connection), self.clock()
        if message.bounded:
            self._check_inbox(connection, message)
        settled = message.outcome is not None
        lane = ASIDE if settled else message.lane
        limit = self._lane_limit if message.bounded else 2**62
        key = {"inbox_": message.inbox, "lane_": lane, "mid_": message.id}
        enter = q.enter_settled if settled else q.enter
        place = connection.execute(enter, {**key, "now": now, "limit_": limit}).first()
        if place is None:
            if message.bounded and connection.execute(q.find, key).first() is None:
                raise InboxFull(f"'{message.lane}' already has {self._lane_limit} messages waiting: try again later.")
            return False
        row = {
            "lane_id": place.id,
            "seq": place.tail,
            "inbox": message.inbox,
            "mid": message.id,
            "body": message.body,
            "at": now,
            "attempts": 0,
            "error": message.error,
            "outcome": message.outcome,
            "reason": message.reason,
            "settled_at": now if settled else None,
        }
        if connection.execute(q.put, row).first() is not None:
            return True
        connection.execute(q.undo_settled if settled else q.undo, {"lane_id_": place.id})
        return False

    def _check_inbox(self, connection: Connection, message: Publish) -> None:
        size = self._inboxes.size(connection, message.inbox, self._inbox_limit)
        if size < self._inbox_limit:
            return
        row = {"inbox_": message.inbox, "mid_": message.id}
        if connection.execute(_q(connection).find, row).first() is None:
            raise InboxFull(
                f"The inbox '{message.inbox}' has {size} messages waiting: try again later.", retry_after=5.0
            )

    def _settle(self, connection: Connection, settle: Settle) -> bool:
        q, now, lease = _q(connection), self.clock(), settle.lease
        through = lease.messages[-1].seq
        row = {"lane_id_": lease.lane_id, "token_": lease.token, "through": through, "now": now}
        settled = connection.execute(q.settle, row).first()
        if settled is None:
            raise _lost(lease)
        result = {"lane_id_": lease.lane_id, "now": now, "tried": 1, "claimed_": lease.claimed_at}
        head = {"first": lease.head.seq, "last": lease.head.seq, "outcome_": settle.outcome, "reason_": settle.reason}
        connection.execute(q.outcome, {**result, **head, "error_": settle.error})
        if through > lease.head.seq:
            rest = {"first": lease.head.seq + 1, "last": through, "outcome_": "silent"}
            connection.execute(q.outcome, {**result, **rest, "reason_": f"merged:{lease.head.id}", "error_": None})
        return settled.tail > through

    def _release(self, connection: Connection, release: Release) -> bool:
        q, now, lease = _q(connection), self.clock(), release.lease
        row = {
            "lane_id_": lease.lane_id,
            "token_": lease.token,
            "at": max(release.at, now),
            "uncount": int(not release.counted),
        }
        if connection.execute(q.release, row).first() is None:
            raise _lost(lease)
        if release.error is not None:
            row = {"lane_id_": lease.lane_id, "seq_": lease.head.seq, "error_": release.error}
            connection.execute(q.attempt, row)
        return True

    def _hold(self, connection: Connection, lease: Lease) -> int:
        """Lock the lane if it is still held; returns its stop mark."""
        held = connection.execute(_q(connection).hold, {"lane_id_": lease.lane_id, "token_": lease.token}).first()
        if held is None:
            raise _lost(lease)
        return held.stop

    async def claim(self, inbox: str, limit: int, seconds: float) -> list[Lease]:
        """Lease up to `limit` ready lanes of an inbox for `seconds`; those that wait longest, in no order."""
        return await self.store.write(lambda connection: self._claim(connection, inbox, limit, seconds))

    def _claim(self, connection: Connection, inbox: str, limit: int, seconds: float) -> list[Lease]:
        q, now = _q(connection), self.clock()
        ready = {"inbox_": inbox, "now": now, "limit_": limit, "floor": self._inboxes.floor(connection, inbox)}
        rows = connection.execute(q.claim, {**ready, "until": now + seconds}).all()
        if not rows:
            return []
        # A statement of its own: it sees what was committed until the lanes were locked.
        heads = connection.execute(q.heads, {"places": [(row.id, row.head + 1) for row in rows]})
        by_lane = {head.lane_id: head for head in heads}
        leases = (self._lease(connection, inbox, row, by_lane.get(row.id)) for row in rows)
        return [lease for lease in leases if lease is not None]

    def _lease(self, connection: Connection, inbox: str, row: Any, head: Any) -> Lease | None:
        """The lease of a lane that was just claimed; steps over withdrawn messages at its head."""
        q, tries = _q(connection), row.tries
        if head is None or head.outcome is not None:
            tries = 1
            head = connection.execute(q.following, {"lane_id_": row.id, "after": row.head}).first()
            if head is None:
                connection.execute(q.drain, {"lane_id_": row.id})
                return None
            connection.execute(q.advance, {"lane_id_": row.id, "head_": head.seq - 1})
        return Lease(
            lane_id=row.id,
            inbox=inbox,
            lane=row.lane,
            token=row.token,
            tries=tries,
            stop=row.stop,
            messages=[_waiting(head)],
            claimed_at=self.clock(),
        )

    async def take(self, lease: Lease, limit: int, fits: Fits | None = None) -> list[Waiting]:
        """Further messages of the leased lane, added to the lease; raises LeaseLost.

        Only as long as each one `fits` the one before it, and nothing that was sent after a cancel of the lease.
        """

        def unit(connection: Connection) -> tuple[int, list[Waiting]]:
            q, last = _q(connection), lease.messages[-1]
            stop = self._hold(connection, lease)
            after = {"lane_id_": lease.lane_id, "after": last.seq, "limit_": limit}
            more: list[Waiting] = []
            for waiting in map(_waiting, connection.execute(q.more, after)):
                if lease.head.seq <= stop < waiting.seq or (fits and not fits((more or [last])[-1], waiting)):
                    break
                more.append(waiting)
            if more:
                connection.execute(q.take, {"lane_id_": lease.lane_id, "taken_": more[-1].seq})
            return stop, more

        lease.stop, more = await self.store.write(unit)
        lease.messages += more
        return more

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[Lease]:
        """Hold on to leases for `seconds` from now and learn their stop marks; returns those that are lost.

        A lane that somebody writes to at this moment is skipped rather than waited for, then extended by itself: a
        unit that waits for one lane only cannot be part of a deadlock.
        """
        skipped = await self._extend(leases, seconds, wait=False)
        return [lease for lease in skipped if await self._extend([lease], seconds, wait=True)]

    async def _extend(self, leases: Sequence[Lease], seconds: float, *, wait: bool) -> list[Lease]:
        if not leases:
            return []
        by_fence = {(lease.lane_id, lease.token): lease for lease in leases}

        def unit(connection: Connection) -> Sequence[Any]:
            q, until = _q(connection), self.clock() + seconds
            extend = q.extend_waiting if wait else q.extend
            return connection.execute(extend, {"fences": list(by_fence), "until": until}).all()

        for row in await self.store.write(unit):
            by_fence.pop((row.id, row.token)).stop = row.stop
        return list(by_fence.values())

    async def withdraw(
        self,
        inbox: str,
        id: str,
        outcome: Outcome,
        reason: str,
        also: Callable[[Connection], object] | None = None,
    ) -> Literal["done", "running", "over"]:
        """Settle a message that nobody has claimed (`done`); one that runs is asked to stop (`running`).

        `over`: it has an outcome already, or was never there. `also` is a unit that is part of it when `done`.
        """

        def unit(connection: Connection) -> tuple[Literal["done", "running", "over"], str]:
            q, now = _q(connection), self.clock()
            found = connection.execute(q.find, {"inbox_": inbox, "mid_": id}).first()
            if found is None or found.outcome is not None:
                return "over", ""
            lane = connection.execute(q.lock, {"lane_id_": found.lane_id}).one()
            if found.seq <= lane.head:
                return "over", lane.lane
            if lane.leased and found.seq <= lane.taken:
                connection.execute(q.mark, {"lane_id_": found.lane_id, "stop_": found.seq})
                return "running", lane.lane
            one = {"lane_id_": found.lane_id, "first": found.seq, "last": found.seq, "now": now}
            one |= {"tried": 0, "claimed_": None}
            connection.execute(q.outcome, {**one, "outcome_": outcome, "reason_": reason, "error_": None})
            if found.seq == lane.head + 1:
                connection.execute(q.hurry, {"lane_id_": found.lane_id, "now": now})
            if also is not None:
                also(connection)
            return "done", lane.lane

        state, lane = await self.store.write(unit)
        if state == "running":
            self.signals.send(f"stop.{inbox}", lane.encode())
        return state

    async def is_claimed(self, inbox: str, id: str) -> bool:
        """Whether somebody holds this message at the moment."""
        row = {"inbox_": inbox, "mid_": id}
        return (
            await self.store.read(lambda connection: connection.execute(_q(connection).claimed, row).first())
            is not None
        )

    async def waiting(self, inbox: str, lane: str) -> int:
        """How many messages of a lane have no outcome yet, the ones in work included."""
        row = {"inbox_": inbox, "lane_": lane}
        return await self.store.read(lambda connection: connection.execute(_q(connection).depth, row).scalar()) or 0

    async def sweep(self, older_than: float, limit: int = 1000) -> int:
        """Forget up to `limit` messages that were settled before a time, and their lanes if nothing else is there.

        Dead messages stay until somebody retried or discarded them.
        """

        def unit(connection: Connection) -> int:
            q = _q(connection)
            gone = connection.execute(q.forget, {"before": older_than, "limit_": limit}).scalars().all()
            idle = connection.execute(q.idle, {"ids": sorted(set(gone))}).scalars().all()
            if idle:
                # A statement of its own: it sees what was published until the lanes were locked.
                connection.execute(q.forget_lanes, {"ids": idle})
            return len(gone)

        return await self.store.write(unit)

    async def residue(self, since: float) -> int:
        """How many messages accepted after a time have no outcome and no claim will find; law 10 says 0."""
        return await self.store.read(
            lambda connection: connection.execute(_q(connection).residue, {"since": since}).scalar() or 0
        )


def _q(connection: Connection) -> Statements:
    return statements(connection.dialect.name)


def _lane_of(operation: Operation) -> tuple[str, str]:
    if isinstance(operation, Publish) and operation.outcome is not None:
        return operation.inbox, ASIDE
    return operation.inbox, operation.lane


def _waiting(row: Any) -> Waiting:
    return Waiting(seq=row.seq, id=row.mid, body=row.body, at=row.at, attempts=row.attempts)


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"{lease.inbox} {lease.lane}: the lane was leased again")
