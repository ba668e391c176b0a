"""What an agent schedules in a turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hub import timetable
from hub.agent import Schedule
from hub.bus import Bus, Hold, Lease
from hub.delivery.origin import Origin
from hub.errors import RequestError
from hub.message import API, Address
from hub.store import Connection
from hub.timetable import Rule
from hub.when import When, first

LONGEST = 4000
"""Characters of a reminder."""


@dataclass(frozen=True, kw_only=True)
class Reminders:
    """The `Schedules` of one turn; `permitted` resolves an address or raises Forbidden."""

    bus: Bus
    agent: str
    lease: Lease
    stem: str
    """Tells this step of this turn from all others."""
    asking: Address
    direct: bool
    permitted: Callable[[Address], Awaitable[Address]]
    origin: Callable[[Address], Origin | None]
    """What the audit is told where they are for another chat than the one that asks."""

    @property
    def now(self) -> float:
        """The time, in Unix seconds."""
        return self.bus.clock()

    async def add(self, key: str, address: Address, text: str, when: When) -> Schedule:
        """Have the agent reminded."""
        address, now = await self._chat(address), self.now
        if not text.strip() or len(text) > LONGEST:
            raise RequestError(f"A reminder needs a text of at most {LONGEST} characters.", param="text")
        direct = self.direct if address == self.asking else True
        rule = Rule(
            id=0, agent=self.agent, address=address, direct=direct, text=text, when=when, next_at=first(when, now)
        )
        made, origin = list[Rule](), self.origin(address)

        def write(connection: Connection) -> None:
            stored, new = timetable.add(connection, f"{self.stem}.{key}", rule, now)
            if new and origin is not None:
                origin.note(connection, "schedule.create", address, now, schedule=stored.id)
            made[:] = [stored]

        await self.bus.commit(Hold(lease=self.lease), also=write)
        return made[0]

    async def list(self, address: Address) -> list[Schedule]:
        """The agent's own schedules at an address."""
        address = await self._chat(address)
        return [*await self.bus.store.read(lambda connection: timetable.mine(connection, self.agent, address))]

    async def cancel(self, address: Address, id: int) -> bool:
        """Remove one of them."""
        address = await self._chat(address)
        origin = self.origin(address)

        def write(connection: Connection) -> bool:
            gone = timetable.cancel(connection, self.agent, address, id)
            if gone and origin is not None:
                origin.note(connection, "schedule.cancel", address, self.now, schedule=id)
            return gone

        return await self.bus.store.write(write)

    async def _chat(self, address: Address) -> Address:
        if address.channel == API:
            raise RequestError("Nobody listens here when it is due: name the channel and chat_id of a chat.")
        return await self.permitted(address)
