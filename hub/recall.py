"""The `Memory` of a turn: facts and search, as far as the place of the turn lets it see."""

from __future__ import annotations

from hub import facts, memory
from hub.agent import Fact, Recalled, Scope
from hub.bus import Bus, Hold, Lease
from hub.facts import Place
from hub.message import Address
from hub.store import Connection


class TurnMemory:
    """What one turn may remember and recall; it writes only while its lease holds."""

    def __init__(self, bus: Bus, lease: Lease, place: Place, address: Address) -> None:
        self._bus = bus
        self._lease = lease
        self._place = place
        self._address = address

    async def remember(self, text: str, scope: Scope | None = None) -> Fact:
        """Keep a fact."""
        wanted: Scope = scope or ("person" if self._place.private else "chat")
        made: list[Fact] = []

        def write(connection: Connection) -> None:
            made.append(facts.remember(connection, self._place, wanted, text, self._bus.clock()))

        await self._bus.commit(Hold(lease=self._lease), also=write)
        return made[-1]

    async def recall(self, query: str) -> Recalled:
        """Search the facts, and what was said here."""

        def read(connection: Connection) -> Recalled:
            seen = facts.visible(connection, self._place)
            said = memory.recall(connection, self._place.agent, self._address, query, without=self._lease.head.id)
            return Recalled(facts=tuple(facts.matching(seen, query)), said=tuple(said))

        return await self._bus.store.read(read)

    async def forget(self, text: str) -> Fact:
        """Forget a fact."""
        gone: list[Fact] = []

        def write(connection: Connection) -> None:
            gone.append(facts.forget(connection, self._place, text))

        await self._bus.commit(Hold(lease=self._lease), also=write)
        return gone[-1]
