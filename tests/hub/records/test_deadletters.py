"""Dead letters on both engines."""

from typing import Any

import msgspec
import pytest

from hub.accounts import audit
from hub.accounts.audit import By
from hub.bus import Bus, Publish, Settle
from hub.delivery.deliveries import PartReceipt, add_receipt, parts
from hub.errors import Conflict, RequestError
from hub.message import BOT, Address, Author, Delivery, File, Message, Text, last_try, next_try
from hub.records import deadletters
from hub.records.deadletters import DeadLetter
from hub.signals.local import LocalSignals
from hub.store import Store
from hub.store.listing import Part


@pytest.fixture
def bus(store: Store) -> Bus:
    return Bus(store, LocalSignals(), lambda: 1000.0)


FILE = File(ref="ab", name="plan.pdf", media_type="application/pdf", size=3)


async def die(bus: Bus, inbox: str, id: str, reason: str | None = "failed", body: bytes = b"\x00\xff") -> None:
    await bus.commit(Publish(inbox=inbox, lane="x", id=id, body=body))
    [lease] = await bus.claim(inbox, 1, 8.0)
    await bus.commit(Settle(lease=lease, outcome="dead", reason=reason, error="why"))


async def test_the_open_ones_are_listed_in_the_order_they_died(bus: Bus) -> None:
    for number, reason in enumerate(["failed", None, "told", "discarded", "retried", "expired"]):
        await die(bus, "channel:web", str(number), reason)
    found = await bus.store.read(lambda connection: deadletters.newest(connection, None, 10))
    assert [letter.id for letter in found] == ["0", "1", "5"]
    assert (found[0].lane, found[0].body, found[0].attempts, found[0].error) == ("x", b"\x00\xff", 1, "why")
    assert [one.id for one in await bus.store.read(lambda c: deadletters.newest(c, None, 2))] == ["1", "5"]
    assert await bus.store.read(lambda connection: deadletters.count(connection, None)) == 3


async def test_an_inbox_can_be_asked_alone(bus: Bus) -> None:
    await die(bus, "channel:web", "1")
    await die(bus, "agent:a", "1")
    assert await bus.store.read(lambda c: deadletters.places(c, "agent:a")) == [("agent:a", "1")]
    assert await bus.store.read(lambda c: deadletters.count(c, "channel:web")) == 1
    assert len(await bus.store.read(lambda c: deadletters.find(c, "1"))) == 2


async def test_one_is_closed_once(bus: Bus) -> None:
    await die(bus, "channel:web", "1", None)
    closed = [
        await bus.store.write(lambda c: deadletters.close(c, "channel:web", "1", "retried", 2000.0)) for _ in range(2)
    ]
    assert closed == [True, False]
    [letter] = await bus.store.read(lambda c: deadletters.find(c, "1"))
    assert (letter.open, letter.reason, letter.died_at) == (False, "retried", 2000.0)


async def test_what_is_not_dead_is_not_closed(bus: Bus) -> None:
    await bus.commit(Publish(inbox="channel:web", lane="x", id="1", body=b""))
    assert not await bus.store.write(lambda c: deadletters.close(c, "channel:web", "1", "discarded", 2000.0))


async def test_messages_to_agents_are_listed_by_pages_those_that_died_last_first(store: Store) -> None:
    times = iter(range(1000, 2000))
    bus = Bus(store, LocalSignals(), lambda: float(next(times)))
    for number in range(5):
        await die(bus, f"agent:{number % 2}", str(number), None if number else "told")
        await die(bus, "channel:web", str(number))
    await die(bus, "run", "x")
    first = await store.read(lambda c: deadletters.list_incoming(c, None, Part(limit=3)))
    assert ([one.id for one in first.items], first.total) == (["4", "3", "2"], 4)
    rest = await store.read(lambda c: deadletters.list_incoming(c, None, Part(limit=3, after=first.next or ())))
    assert ([one.id for one in rest.items], rest.next) == (["1"], None)
    ones = await store.read(lambda c: deadletters.list_incoming(c, "agent:0", Part(limit=3)))
    assert [one.id for one in ones.items] == ["4", "2"]


async def dead(bus: Bus, inbox: str, said: Message | Delivery) -> DeadLetter:
    await die(bus, inbox, said.id, body=msgspec.json.encode(said))
    [letter] = await bus.store.read(lambda c: deadletters.find(c, said.id))
    return letter


def delivery(**more: Any) -> Delivery:
    made: dict[str, Any] = {"id": "d", "parts": (Text(text="one"), FILE, Text(text="two")), "expires_at": 900.0, **more}
    return Delivery(address=Address("web", "lobby"), author=BOT, **made)


async def test_an_edited_delivery_keeps_its_files_and_is_a_delivery_of_its_own(bus: Bus) -> None:
    letter = await dead(bus, "channel:web", delivery(closes=True, reply_to="7"))
    assert await deadletters.resend(bus, letter, "three", By()) == "d#2"
    with pytest.raises(Conflict, match="retried already"):
        await deadletters.resend(bus, letter, "four", By())
    [lease] = await bus.claim("channel:web", 9, 8.0)
    again = msgspec.json.decode(lease.head.body, type=Delivery)
    kept = (Text(text="three"), FILE)
    assert again == delivery(id="d#2", parts=kept, reply_to="7", expires_at=1000.0 + deadletters.EXPIRES)
    assert (lease.head.id, await bus.waiting("channel:web", "x")) == ("d#2", 1)


async def test_who_edited_what_is_audited_without_the_words(bus: Bus) -> None:
    await deadletters.resend(bus, await dead(bus, "channel:web", delivery()), "my diary", By())
    [record] = (await bus.store.read(lambda c: audit.listed(c, Part(limit=9)))).items
    assert (record.what, record.target) == ("dead.resend", "web:lobby")
    assert record.after == {"inbox": "channel:web", "message": "d", "again": "d#2"}


async def test_a_preview_goes_along_and_what_arrived_stays(bus: Bus) -> None:
    for name, final in (("shown", False), ("half", True)):
        letter = await dead(bus, f"channel:{name}", delivery(id=name))
        for part in range(2):
            receipt = PartReceipt(part=part, platform_id=f"{name}-{part}", at=1.0, final=final and part == 0)
            await bus.store.write(lambda c, name=name, receipt=receipt: add_receipt(c, name, receipt))
        await deadletters.resend(bus, letter, "new", By())
    told = {
        name: [part.platform_id for part in await bus.store.read(lambda c, name=name: parts(c, name))]
        for name in ("shown", "shown#2", "half", "half#2")
    }
    assert told == {"shown": [], "shown#2": ["shown-0", "shown-1"], "half": ["half-0", "half-1"], "half#2": []}


async def test_an_edited_message_is_a_turn_of_its_own(bus: Bus) -> None:
    author = Author(id="u", name="U")
    said = Message(id="m", address=Address("web", "lobby"), author=author, parts=(FILE,), at=1.0, reply_to="9")
    await deadletters.resend(bus, await dead(bus, "agent:a", said), "hello", By())
    [lease] = await bus.claim("agent:a", 9, 8.0)
    again = msgspec.json.decode(lease.head.body, type=Message)
    assert again == msgspec.structs.replace(said, id="m#2", parts=(Text(text="hello"), FILE))


async def test_what_has_no_text_is_not_edited_and_stays(bus: Bus) -> None:
    reaction = await dead(bus, "channel:web", delivery(parts=(), reaction="+1", reply_to="7"))
    await die(bus, "agent:a", "odd")
    [odd] = await bus.store.read(lambda c: deadletters.find(c, "odd"))
    for letter in (reaction, odd):
        assert not letter.can_edit
        with pytest.raises(Conflict):
            await deadletters.resend(bus, letter, "x", By())
    spoken = await dead(bus, "channel:other", delivery(id="e"))
    assert spoken.can_edit
    with pytest.raises(RequestError, match="text is missing"):
        await deadletters.resend(bus, spoken, "\n", By())
    assert await bus.store.read(lambda c: deadletters.count(c, None)) == 3


@pytest.mark.parametrize(("id", "following"), [("a", "a#2"), ("a#2", "a#3"), ("a#9", "a#10"), ("a#b", "a#b#2")])
def test_tries_are_counted_in_the_id(id: str, following: str) -> None:
    assert next_try(id) == following
    assert last_try(following) == id


@pytest.mark.parametrize("id", ["a", "a#b", "a#1", "a#0", "#2"])
def test_a_first_try_has_none_before_it(id: str) -> None:
    assert last_try(id) is None
