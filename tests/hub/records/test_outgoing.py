"""Lists of deliveries on both engines: what they find, in which order, by which index."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import msgspec
import pytest

from hub.bus import Bus, Publish, Release, Settle
from hub.delivery.deliveries import PartReceipt, add_receipt
from hub.errors import RequestError
from hub.message import BOT, Address, Delivery, Text
from hub.records import deadletters, outgoing
from hub.records.outgoing import STATES, Outgoing, Wanted
from hub.signals.local import LocalSignals
from hub.store import Connection, Store
from hub.store.listing import Part
from tests.contracts.bus_plans import Explained, fill, reads_all

ALL = Part(limit=50)


@pytest.fixture
def bus(store: Store) -> Bus:
    """Its clock goes on by a second at each look."""
    seconds = count(1000)
    return Bus(store, LocalSignals(), lambda: float(next(seconds)))


def post(id: str, to: str = "web:lobby", text: str = "hello") -> Publish:
    address = Address.parse(to)
    made = Delivery(id=id, address=address, parts=(Text(text=text),), author=BOT)
    return Publish(inbox=f"channel:{address.channel}", lane=to, id=id, body=msgspec.json.encode(made))


async def settle(bus: Bus, entry: Publish, outcome: Any = "dead", reason: str | None = "failed") -> None:
    await bus.commit(entry)
    [lease] = await bus.claim(entry.inbox, 1, 60.0)
    await bus.commit(Settle(lease=lease, outcome=outcome, reason=reason, error="why" if outcome == "dead" else None))


async def one_of_each(bus: Bus) -> None:
    """A delivery of each state, named after it, in a chat of its own; and messages that are no deliveries."""
    await settle(bus, post("delivered", "web:a"), "delivered", None)
    await settle(bus, post("dead", "web:b"))
    await settle(bus, post("discarded", "web:c"), reason="discarded")
    await settle(bus, post("retried", "web:d"), reason="retried")
    await bus.commit(post("failing", "web:e"))
    [lease] = await bus.claim("channel:web", 1, 60.0)
    await bus.commit(Release(lease=lease, at=1e9, counted=True, error="away"))
    await bus.commit(post("sending", "web:f"))
    await bus.claim("channel:web", 1, 60.0)
    await bus.commit(post("waiting", "web:g"))
    await settle(bus, Publish(inbox="agent:a", lane="web:a", id="said", body=b"{}"))


async def ids(store: Store, part: Part = ALL, **wanted: Any) -> list[str]:
    page = await store.read(lambda connection: outgoing.list_deliveries(connection, Wanted(**wanted), part))
    return [one.id for one in page.items]


async def test_each_is_found_by_its_state_and_counted(store: Store, bus: Bus) -> None:
    await one_of_each(bus)
    for state in STATES:
        assert await ids(store, state=state) == [state]
    counted = await store.read(lambda connection: outgoing.count(connection, Wanted()))
    assert counted == dict.fromkeys(STATES, 1)
    newest_first = ["waiting", "sending", "failing", "discarded", "dead", "delivered"]
    assert await ids(store) == newest_first
    page = await store.read(lambda connection: outgoing.list_deliveries(connection, Wanted(), ALL))
    assert ([one.state for one in page.items], page.total) == (newest_first, 6)


async def test_a_list_goes_on_where_it_ended_over_all_channels(store: Store, bus: Bus) -> None:
    for number in range(7):
        await settle(bus, post(f"d{number}", f"{'one' if number % 3 else 'two'}:x"), "delivered", None)
    await bus.commit(post("d7", "three:x"))
    found: list[str] = []
    part: Part | None = Part(limit=3)
    while part is not None:
        asked = part
        page = await store.read(lambda connection: outgoing.list_deliveries(connection, Wanted(), asked))  # noqa: B023
        found += [one.id for one in page.items]
        part = None if page.next is None else Part(limit=3, after=page.next)
    assert found == [f"d{number}" for number in reversed(range(8))]


async def test_a_channel_a_chat_and_a_thread_are_found_alone(store: Store, bus: Bus) -> None:
    for name, to in (("1", "one:7"), ("2", "one:7:a"), ("3", "one:77"), ("4", "two:7")):
        await bus.commit(post(name, to))
    assert await ids(store, channel="one") == ["3", "2", "1"]
    assert await ids(store, address="one:7") == ["2", "1"]
    assert await ids(store, address="one:7:a") == ["2"]
    assert await ids(store, address="one:7", channel="two") == []
    assert await ids(store, address="one:7", state="waiting") == ["2", "1"]
    assert await ids(store, channel="none") == []
    with pytest.raises(RequestError, match="is not an address"):
        await ids(store, address="one")


async def test_an_id_is_that_of_a_delivery_of_a_turn_or_the_platforms(store: Store, bus: Bus) -> None:
    await settle(bus, post("t1.reply"), "delivered", None)
    await settle(bus, post("d1"), reason="retried")
    await bus.commit(post("d1#2"))
    await bus.commit(Publish(inbox="agent:a", lane="x", id="t1", body=b"{}"))
    await store.write(lambda c: add_receipt(c, "t1.reply", PartReceipt(part=0, platform_id="4711", at=1.0)))
    for asked in ("t1.reply", "t1", "4711"):
        assert await ids(store, id=asked) == ["t1.reply"]
    for asked in ("d1", "d1#2"):
        assert await ids(store, id=asked) == ["d1#2"]
    assert await ids(store, id="t") == []


async def test_a_delivery_tells_its_tries_and_what_arrived(store: Store, bus: Bus) -> None:
    await settle(bus, post("d1"))
    for part in range(2):
        receipt = PartReceipt(part=part, platform_id=f"p{part}", at=1.0, final=part == 0)
        await store.write(lambda c, receipt=receipt: add_receipt(c, "d1", receipt))
    [letter] = await store.read(lambda connection: deadletters.find(connection, "d1"))
    await deadletters.resend(bus, letter, "other words", deadletters.By())
    for asked in ("d1", "d1#2"):
        new, old = await store.read(lambda connection, asked=asked: outgoing.tries(connection, asked))
        assert (new.id, new.state, new.arrived, new.delivery and new.delivery.text) == (
            "d1#2",
            "waiting",
            0,
            "other words",
        )
        assert (old.id, old.state, old.reason, old.arrived, old.error) == ("d1", "dead", "retried", 1, "why")
    assert await store.read(lambda connection: outgoing.tries(connection, "nothing")) == []


async def test_one_that_cannot_be_read_is_shown_all_the_same(store: Store, bus: Bus) -> None:
    await settle(bus, Publish(inbox="channel:web", lane="x", id="odd", body=b"\x00"))
    [one] = await store.read(lambda connection: outgoing.tries(connection, "odd"))
    assert one == Outgoing(
        id="odd",
        inbox="channel:web",
        delivery=None,
        state="dead",
        reason="failed",
        error="why",
        attempts=1,
        at=one.at,
        ended_at=one.ended_at,
    )


@pytest.mark.parametrize("wanted", [{}, *({"state": state} for state in STATES), {"channel": "web"}, {"id": "x"}])
async def test_no_list_reads_a_whole_table(store: Store, wanted: Mapping[str, Any]) -> None:
    def known(connection: Connection) -> None:
        fill(connection)
        connection.exec_driver_sql("UPDATE messages SET inbox = 'channel' || substr(inbox, 6), outcome = 'delivered'")
        connection.exec_driver_sql("UPDATE lanes SET inbox = 'channel' || substr(inbox, 6)")
        connection.exec_driver_sql("ANALYZE")

    await store.write(known)
    explained = Explained(store)
    await explained.read(lambda connection: outgoing.list_deliveries(connection, Wanted(**wanted), Part(limit=5)))
    assert explained.plans
    for statement, plan in explained.plans.items():
        assert not any(map(reads_all, plan)), (statement, plan)
