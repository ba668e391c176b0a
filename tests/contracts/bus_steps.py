"""The steps in which the laws of the bus are told: publish, claim, settle, and looking at what is stored."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, insert, select

from hub.bus import Bus, Lease, Publish, Settle, Waiting
from hub.store.tables import lanes, messages, settings

INBOX = "agent:a"
LEASE = 8.0
DAY = 86_400.0


def message(id: str, lane: str = "x", *, inbox: str = INBOX, bounded: bool = False) -> Publish:
    return Publish(inbox=inbox, lane=lane, id=id, body=id.encode(), bounded=bounded)


async def publish(bus: Bus, *ids: str, lane: str = "x") -> None:
    """Put new messages into a lane, one unit each."""
    for mid in ids:
        assert await bus.commit(message(mid, lane)) == [True]


async def claim(bus: Bus, limit: int = 100) -> list[Lease]:
    """Lease whatever is ready, in the order of the lanes' names."""
    return sorted(await bus.claim(INBOX, limit, LEASE), key=lambda lease: lease.lane)


async def claim_one(bus: Bus) -> Lease:
    """Lease the one lane that is ready."""
    (lease,) = await claim(bus)
    return lease


async def settle(bus: Bus, lease: Lease) -> None:
    await bus.commit(Settle(lease=lease, outcome="answered"))


async def handle_all(bus: Bus) -> list[str]:
    """Claim and settle until nothing is ready; the ids in the order they were handled."""
    handled: list[str] = []
    while leases := await claim(bus):
        for lease in leases:
            handled.append(lease.head.id)
            await settle(bus, lease)
    return handled


def ids(waiting: list[Waiting]) -> list[str]:
    return [one.id for one in waiting]


async def stored(bus: Bus, id: str, inbox: str = INBOX) -> Any:
    """The row of a message, or None."""
    query = select(messages).where(messages.c.inbox == inbox, messages.c.mid == id)
    return await bus.store.read(lambda connection: connection.execute(query).first())


async def outcomes(bus: Bus, *wanted: str) -> list[tuple[str | None, str | None]]:
    """Outcome and reason of messages."""
    rows = [await stored(bus, mid) for mid in wanted]
    return [(row.outcome, row.reason) for row in rows]


def note(name: str) -> Callable[[Connection], object]:
    """A unit that writes another table."""
    return lambda connection: connection.execute(insert(settings).values(name=name, value="written"))


async def notes(bus: Bus) -> list[str]:
    """What `note` left."""
    return list(await bus.store.read(lambda connection: connection.execute(select(settings.c.name)).scalars().all()))


def refuse(connection: Connection) -> None:
    """A unit that fails after it wrote."""
    note("half")(connection)
    raise RuntimeError("the unit fails")


async def ready_lanes(bus: Bus) -> int:
    """How many lanes a claim may find, now or later."""
    query = select(lanes.c.id).where(lanes.c.ready_at.is_not(None))
    return len(await bus.store.read(lambda connection: connection.execute(query).all()))
