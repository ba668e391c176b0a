"""Posts find their channel, go out once per id, and say what became of them as soon as it is known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.accounts.audit import By
from hub.bus import Bus, Lease
from hub.delivery.dispatch import Dispatcher
from hub.delivery.origin import Origin
from hub.delivery.pacing import Pacing
from hub.delivery.posts import Channels, Posts, may_post
from hub.errors import ChatGone, InboxFull, LeaseLost, RequestError, StoreUnavailable
from hub.files import FileStore
from hub.message import Address, Author, Delivery, Text
from hub.worker import Worker
from tests.auditing import audited
from tests.hub.engine import CHAT, FAST, Chat, Engine, channels, running, soon

INBOX = "channel:support"


def delivery(id: str, address: Address = CHAT, text: str = "hi") -> Delivery:
    author = Author(id="bot", name="bot", kind="agent")
    return Delivery(id=id, address=address, parts=(Text(text=text),), author=author)


def dispatcher(engine: Engine, chat: Chat) -> Worker:
    return Worker(
        engine.bus,
        INBOX,
        Dispatcher(engine.bus, chat, FileStore(Path("unused")), Pacing(chat.limits, engine.bus.clock)),
        timing=FAST,
        random=lambda: 0.0,
    )


KNOWN = Channels(
    kinds={"support": "telegram", "sales": "telegram", "news": "discord", "web": "web"},
    enabled={"support", "sales", "web"},
    known_kinds={"telegram", "discord", "feishu", "web"},
)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("support", "support"),
        ("news", "news"),  # not enabled: posts wait for it
        ("discord", "news"),  # the one channel of its kind
        ("web", "web"),
        ("feishu", "feishu"),  # a kind without a channel stands for itself
    ],
)
def test_a_channel_is_named_by_its_name_or_its_kind(wanted: str, name: str) -> None:
    assert KNOWN.name(wanted) == name
    assert KNOWN.resolve(Address(wanted, "1", "2")) == Address(name, "1", "2")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("telegram", "'telegram' is more than one channel: name one of sales, support."),
        ("nowhere", "Unknown channel 'nowhere'. Channels: news, sales, support, web."),
        ("api", "Unknown channel 'api'. Channels: news, sales, support, web."),
    ],
)
def test_a_channel_that_is_not_clear_is_the_callers_to_mend(wanted: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        KNOWN.name(wanted)
    assert (str(refused.value), refused.value.param) == (said, "channel")


def test_of_a_kind_only_the_enabled_channels_count_if_there_is_one() -> None:
    one = Channels(kinds={"a": "telegram", "b": "telegram"}, enabled={"b"}, known_kinds={"telegram"})
    assert one.name("telegram") == "b"
    none = Channels(kinds={"a": "telegram", "b": "telegram"}, enabled=set(), known_kinds={"telegram"})
    with pytest.raises(RequestError, match="more than one"):
        none.name("telegram")


@pytest.mark.parametrize(
    ("patterns", "address", "allowed"),
    [
        ((), CHAT, False),
        (("*",), CHAT, True),
        (("support:*",), CHAT, True),
        (("support:*",), Address("support", "42", "7"), True),
        (("support:42",), CHAT, True),
        (("support:42",), Address("support", "421"), False),
        (("SUPPORT:*",), CHAT, False),
        (("web:*", "support:4?"), CHAT, True),
        (("supp*",), Address("supporters", "1"), True),
    ],
)
def test_patterns_cover_addresses(patterns: tuple[str, ...], address: Address, allowed: bool) -> None:
    assert may_post(patterns, address) is allowed


async def test_a_room_is_a_chat_of_a_web_channel(engine: Engine) -> None:
    channels = Channels(kinds={"hall": "web", "support": "telegram"}, enabled=set(), known_kinds={"web", "telegram"})
    posts = Posts(engine.bus, channels)
    assert await posts.room(Address("hall", "lobby")) == Address("hall", "lobby")
    assert await posts.room(Address("web", "lobby")) == Address("hall", "lobby")
    assert await Posts(engine.bus, Channels(kinds={}, enabled=set(), known_kinds={"web"})).room(Address("web", "x"))
    for channel, said in (("support", "no web channel"), ("nope", "Unknown channel")):
        with pytest.raises(RequestError, match=said):
            await posts.room(Address(channel, "lobby"))


async def test_a_post_tells_its_end_as_soon_as_it_is_known(every_engine: Engine) -> None:
    engine, chat = every_engine, Chat()
    chat.gates["42"] = asyncio.Event()
    posts = Posts(engine.bus, channels(support=True))
    async with running(dispatcher(engine, chat), engine):
        post = asyncio.create_task(posts.deliver(delivery("d"), wait=60.0))

        async def sending() -> bool:
            record = await posts.find("d")
            return record is not None and record.status == "sending"

        await engine.store.until(sending)
        chat.gates["42"].set()
        record = await soon(post)
    assert (record.status, record.reason, record.attempts) == ("delivered", None, 1)
    assert [(part.part, part.platform_id) for part in record.parts] == [(0, "p1")]


@pytest.mark.usefixtures("quick_polls")
async def test_a_post_whose_end_is_not_signalled_is_found_by_polling(engine: Engine) -> None:
    engine.signals.lost = ("delivery.",)
    posts = Posts(engine.bus, channels(support=True))
    async with running(dispatcher(engine, Chat()), engine):
        record = await soon(posts.deliver(delivery("d"), wait=60.0))
    assert record.status == "delivered"


async def test_a_post_that_takes_longer_than_its_caller_waits_says_so(engine: Engine) -> None:
    posts = Posts(engine.bus, channels(support=True))
    record = await soon(posts.deliver(delivery("d"), wait=0.05))
    assert (record.status, posts.waiting_because(record)) == ("waiting", None)


async def test_a_post_that_failed_says_why(engine: Engine) -> None:
    chat = Chat()
    chat.failures = [ChatGone("The bot was blocked.")]
    posts = Posts(engine.bus, channels(support=True))
    async with running(dispatcher(engine, chat), engine):
        record = await soon(posts.deliver(delivery("d"), wait=60.0))
    assert (record.status, record.reason, record.last_error) == ("failed", "gone", "The bot was blocked.")
    assert posts.waiting_because(record) == "gone"


async def test_the_same_id_again_is_the_same_post(every_engine: Engine) -> None:
    engine, chat = every_engine, Chat()
    posts = Posts(engine.bus, channels(support=True))
    async with running(dispatcher(engine, chat), engine):
        records = await soon(asyncio.gather(*(posts.deliver(delivery("d"), wait=60.0) for _ in range(5))))
        again = await soon(posts.deliver(delivery("d", text="something else"), wait=60.0))
    assert {record.status for record in (*records, again)} == {"delivered"}
    assert chat.said("42") == ["hi"]


async def test_a_post_to_a_channel_that_is_not_enabled_waits_and_says_so_at_once(engine: Engine) -> None:
    """N7."""
    posts = Posts(engine.bus, channels(parked=False))
    record = await soon(posts.deliver(delivery("d", Address("parked", "1")), wait=3600.0))
    assert (record.status, posts.waiting_because(record)) == ("waiting", "channel not enabled")
    discarded = await posts.discard("d", By())
    assert discarded is not None
    assert (discarded.status, posts.waiting_because(discarded)) == ("discarded", "discarded")
    assert await engine.bus.residue(0.0) == 0


async def test_a_post_by_kind_is_stored_under_its_channels_name(engine: Engine) -> None:
    posts = Posts(engine.bus, channels(support=True))
    record = await posts.deliver(delivery("d", Address("telegram", "1")), wait=0.0)
    assert record.delivery.address == Address("support", "1")


async def test_a_full_channel_takes_no_more_posts(engine: Engine) -> None:
    posts = Posts(Bus(engine.store, engine.signals, engine.clock, lane_limit=2), channels(support=True))
    for number in range(2):
        await posts.deliver(delivery(f"d{number}"), wait=0.0)
    with pytest.raises(InboxFull):
        await posts.deliver(delivery("d2"), wait=0.0)
    assert (await posts.deliver(delivery("d1"), wait=0.0)).status == "waiting"  # known, not new
    await posts.deliver(delivery("o", Address("support", "43")), wait=0.0)


async def test_a_post_of_a_turn_that_was_lost_is_not_made(engine: Engine) -> None:
    posts = Posts(engine.bus, channels(support=True))
    await engine.publish("agent:bot", "m")
    [lost] = await engine.bus.claim("agent:bot", 1, 8.0)
    engine.clock.forward(9.0)
    [held] = await engine.bus.claim("agent:bot", 1, 8.0)

    async def post(lease: Lease) -> None:
        await posts.deliver(delivery("d"), wait=0.0, hold=lease)

    with pytest.raises(LeaseLost):
        await post(lost)
    assert await posts.find("d") is None
    await post(held)
    assert await posts.find("d") is not None


async def test_what_is_not_there_is_neither_found_nor_discarded(engine: Engine) -> None:
    posts = Posts(engine.bus, channels(support=True))
    assert (await posts.find("d"), await posts.discard("d", By())) == (None, None)


async def test_a_delivered_post_stays_delivered_when_it_is_discarded(engine: Engine) -> None:
    posts = Posts(engine.bus, channels(support=True))
    async with running(dispatcher(engine, Chat()), engine):
        await soon(posts.deliver(delivery("d"), wait=60.0))
        record = await posts.discard("d", By())
    assert record is not None
    assert record.status == "delivered"


async def test_a_discard_wakes_whoever_waits_for_the_post(engine: Engine) -> None:
    posts = Posts(engine.bus, channels(support=True))
    post = asyncio.create_task(posts.deliver(delivery("d"), wait=3600.0))
    await engine.store.until(lambda: posts.find("d"))
    await posts.discard("d", By())
    assert (await soon(post)).status == "discarded"


async def test_a_post_with_an_origin_is_audited_once_and_without_its_text(every_engine: Engine) -> None:
    engine, origin = every_engine, Origin(by=By(called="agent:bot", asked=7), told={"turn": "m"})
    posts = Posts(engine.bus, channels(support=True))
    for text in ("secret words", "other words"):
        await posts.deliver(delivery("d", text=text), 0.0, origin)
    [row] = await audited(engine.store)
    assert (row.what, row.target, row.by, row.key_id, row.at) == ("post", str(CHAT), "agent:bot", 7, engine.clock())
    assert (row.before, row.after) == ({}, {"delivery": "d", "turn": "m"})


async def test_what_was_not_posted_is_not_audited(engine: Engine) -> None:
    posts = Posts(Bus(engine.store, engine.signals, engine.clock, lane_limit=1), channels(support=True))
    await posts.deliver(delivery("answer"), wait=0.0)
    with pytest.raises(InboxFull):
        await posts.deliver(delivery("d"), 0.0, Origin(by=By()))
    engine.store.break_commit = lambda: StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await posts.deliver(delivery("d", Address("support", "43")), 0.0, Origin(by=By()))
    assert (await posts.find("d"), await audited(engine.store)) == (None, [])


async def test_who_withdraws_a_post_is_audited(every_engine: Engine) -> None:
    engine, posts = every_engine, Posts(every_engine.bus, channels(support=True))
    await posts.deliver(delivery("d"), wait=0.0)
    for _ in range(2):
        await posts.discard("d", By())
    [row] = await audited(engine.store)
    assert (row.what, row.target, row.after) == ("delivery.discard", str(CHAT), {"delivery": "d"})
