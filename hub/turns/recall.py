"""The `Memory` of a turn: facts and search, as far as the place of the turn lets it see."""

from __future__ import annotations

from hub import facts, memory
from hub.agent import Fact, Recalled, Scope
from hub.bus import Bus, Hold, Lease
from hub.facts import Place
from hub.message import Address
from hub.store import Connection


class TurnMemory:
    """What one turn may remember and recall; it writes only while its lease holds.

    It finds what was said in its chat, with an `exact` address what was said in that very thread.
    """

    def __init__(self, bus: Bus, lease: Lease, place: Place, address: Address, *, exact: bool = False) -> None:
        self._bus = bus
        self._lease = lease
        self._place = place
        self._address = address
        self._exact = exact

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
            without, agent = self._lease.head.id, self._place.agent
            said = memory.recall(connection, agent, self._address, query, without=without, exact=self._exact)
            return Recalled(facts=tuple(facts.matching(seen, query)), said=tuple(said))

        return await self._bus.store.read(read)

    async def forget(self, text: str) -> Fact:
        """Forget a fact."""
        gone: list[Fact] = []

        def write(connection: Connection) -> None:
            gone.append(facts.forget(connection, self._place, text))

        await self._bus.commit(Hold(lease=self._lease), also=write)
        return gone[-1]
