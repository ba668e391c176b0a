"""The past that benches measure with: a hub finds in it what it would have written itself."""

from __future__ import annotations

from sqlalchemy import func, select

from bench import history, said
from bench.history import DAY, History
from bench.looks import room
from hub.accounts import keys
from hub.delivery import deliveries
from hub.memory import Heard, Said, Stepped
from hub.message import Address
from hub.records import counts, deadletters, listed, statistics
from hub.records.rooms import StoredRooms
from hub.records.search import Sought
from hub.records.statistics import Asked
from hub.signals.local import LocalSignals
from hub.store import Store
from hub.store.listing import Part
from hub.store.tables import entries, receipts

PAST = History(sessions=130, turns=700, keys=5, days=30)
NOW = 20_000.0 * DAY + DAY / 2


class TestPast:
    async def test_all_of_it_is_what_a_hub_reads(self, store: Store) -> None:
        await history.fill(store, PAST, NOW)
        await said.fill(store, PAST, NOW)
        await self.sessions_are_found_and_read(store)
        await self.searches_find_what_was_said(store)
        await self.messages_and_deliveries_are_there(store)
        await self.rooms_are_there(store)
        await self.everything_is_counted(store)

    async def sessions_are_found_and_read(self, store: Store) -> None:
        part = Part(limit=50)
        found = await store.read(lambda c: listed.list_sessions(c, Sought(), None, part))
        assert found.total == PAST.sessions
        own = await store.read(lambda c: listed.list_sessions(c, Sought(key_id=1), [1], part))
        assert {one.person for one in own.items} == {"api:1"}
        long = await store.read(lambda c: listed.transcript(c, 1, part))
        first = long.items[0].written.entry
        assert isinstance(first, Heard)
        kinds = {type(line.written.entry) for line in long.items}
        assert kinds == {Heard, Stepped, Said}
        assert long.items[0].turn is not None
        assert long.items[0].turn.prompt == first.text

    async def searches_find_what_was_said(self, store: Store) -> None:
        part = Part(limit=50)
        for text, found in (("request404", 1), ("nowhere", 0), ("weather grey", 50)):
            page = await store.read(lambda c, text=text: listed.list_sessions(c, Sought(text=text), None, part))
            assert len(page.items) == found
        key = await store.read(lambda c: keys.find(c, history.secret(1), NOW))
        assert key is not None
        mine = await store.read(lambda c: listed.list_sessions(c, Sought(text="weather"), [key.id], part))
        assert {one.key_id for one in mine.items} == {key.id}

    async def messages_and_deliveries_are_there(self, store: Store) -> None:
        found = await store.read(lambda c: deliveries.find(c, "turn1.reply"))
        assert found is not None
        assert (found.status, found.delivery.address, len(found.parts)) == ("delivered", Address("bot1", "1"), 1)
        waiting = {each.inbox: each.waiting for each in await store.read(lambda c: counts.inboxes(c, NOW))}
        assert waiting["channel:bot1"] == sum(s % 4 > 0 for s in range(1, PAST.sessions, 3))
        dead = await store.read(lambda c: deadletters.newest(c, None, 1000))
        assert all(one.said is not None for one in dead)
        assert {one.inbox.partition(":")[0] for one in dead} == {"agent", "channel"}

    async def rooms_are_there(self, store: Store) -> None:
        rooms = StoredRooms(store, LocalSignals(), lambda: NOW)
        assert "lobby" in {told.room for told in await rooms.shared("web", 50)}
        assert room(PAST, 1) in {told.room for told in await rooms.owned("web", 1, 50)}
        lobby = await rooms.before("web", "lobby", None, 10)
        assert [post.turn is None for post in lobby] == [True, False] * 5

    async def everything_is_counted(self, store: Store) -> None:
        found = statistics.total(await store.read(lambda c: statistics.measure(c, Asked(since=NOW - 40 * DAY))))
        made = await store.read(lambda c: c.execute(select(func.count()).select_from(receipts)).scalar_one())
        asked = select(func.count()).select_from(entries).where(entries.c.ordinal == 0)
        assert found.turns == await store.read(lambda c: c.execute(asked).scalar_one()) == PAST.turns
        assert found.received == PAST.turns
        assert found.delivered + found.undelivered == made
