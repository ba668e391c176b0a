"""Deliveries reach their chats once, in order and in time, and one chat's or channel's trouble is nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from hub.accounts.audit import By
from hub.channel import Limits, Sending
from hub.delivery.dispatch import Dispatcher
from hub.delivery.pacing import Pacing
from hub.delivery.posts import Posts, publish
from hub.errors import ChannelRefused, ChatGone, ChatMoved, MessageRefused, RateLimited, Unreachable
from hub.files import FileStore
from hub.message import Address, Author, Button, Delivery, Text
from hub.store.tables import lanes, receipts
from hub.worker import Timing, Worker
from tests.hub.engine import CHAT, FAST, Chat, Engine, channels, running, soon

INBOX = "channel:support"
LONG = "aaaa bbbb cccc dddd eeee ffff gggg hhhh"
PARTS = ["aaaa bbbb cccc dddd", "eeee ffff gggg hhhh"]
BOT = Author(id="bot", name="bot", kind="agent")
NO_FILES = FileStore(Path("unused"))


def delivery(id: str, text: str = "hi", address: Address = CHAT, expires_at: float | None = None) -> Delivery:
    return Delivery(id=id, address=address, parts=(Text(text=text),), author=BOT, reply_to="q", expires_at=expires_at)


async def post(engine: Engine, *deliveries: Delivery) -> None:
    for one in deliveries:
        await engine.bus.commit(publish(one))


@asynccontextmanager
async def dispatching(
    engine: Engine,
    chat: Chat,
    *,
    timing: Timing = FAST,
    inbox: str = INBOX,
    concurrency: int = 64,
    files: FileStore = NO_FILES,
) -> AsyncGenerator[Worker]:
    dispatcher = Dispatcher(engine.bus, chat, files, Pacing(chat.limits, engine.bus.clock))
    worker = Worker(engine.bus, inbox, dispatcher, timing=timing, concurrency=concurrency, random=lambda: 0.0)
    async with running(worker, engine):
        yield worker


async def given_back(engine: Engine, chat_id: str = "42") -> float:
    """Seconds until a lane that was given back may be claimed again."""
    query = select(lanes).where(lanes.c.inbox == INBOX, lanes.c.lane == f"support:{chat_id}")
    left = 0.0

    async def waits() -> bool:
        nonlocal left
        [row] = await engine.all(query) or [None]
        if row is None or row.leased or row.ready_at is None:
            return False
        left = row.ready_at - engine.clock.now
        return left > 0

    await engine.store.until(waits)
    return left


async def test_a_delivery_is_sent_and_its_receipt_kept(every_engine: Engine) -> None:
    engine, chat = every_engine, Chat()
    await post(engine, delivery("d"))
    async with dispatching(engine, chat):
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
    [sending] = chat.sent
    assert (sending.address, sending.part, sending.key, sending.reply_to) == (CHAT, Text(text="hi"), "d.0", "q")
    found = [(row.delivery, row.part, row.platform_id) for row in await engine.all(select(receipts))]
    assert found == [("d", 0, "p1")]
    assert await engine.bus.residue(0.0) == 0


async def test_a_long_text_is_split_and_only_its_first_part_quotes(engine: Engine) -> None:
    chat = Chat()
    await post(engine, delivery("d", LONG))
    async with dispatching(engine, chat):
        await engine.outcome(INBOX, "d")
    assert chat.said("42") == PARTS
    assert [(one.key, one.reply_to) for one in chat.sent] == [("d.0", "q"), ("d.1", None)]


async def test_files_go_as_they_are_and_a_sentence_in_place_of_one_that_is_too_large(
    engine: Engine, tmp_path: Path
) -> None:
    files, chat = FileStore(tmp_path), Chat(file_size=3)
    small, large = await files.keep("a.png", "image/png", b"abc"), await files.keep("b.png", "image/png", b"abcd")
    await post(engine, msgspec.structs.replace(delivery("d"), parts=(Text(text="look"), small, large)))
    async with dispatching(engine, chat, files=files):
        await engine.outcome(INBOX, "d")
    said = Text(text="(The file “b.png”, 0.0 MB, is too large to send here.)")
    assert [one.part for one in chat.sent] == [Text(text="look"), small, said]
    assert [one.content for one in chat.sent] == [b"", b"abc", b""]


async def test_buttons_are_below_the_last_part(engine: Engine) -> None:
    chat, rows = Chat(length=10), ((Button(text="yes", value="yes"),),)
    await post(engine, msgspec.structs.replace(delivery("d", text="one two three"), buttons=rows))
    async with dispatching(engine, chat):
        await engine.outcome(INBOX, "d")
    assert [one.buttons for one in chat.sent] == [(), rows]


async def test_a_chat_with_another_id_gets_what_is_left_under_it(engine: Engine) -> None:
    chat = Chat()
    chat.failures = [ChatMoved("The group is a supergroup now.", to="-100")]
    await post(engine, delivery("d"))
    async with dispatching(engine, chat):
        assert await engine.outcome(INBOX, "d") == ("dead", "retried")
        assert await engine.outcome(INBOX, "d#2") == ("delivered", None)
    assert [str(one.address) for one in chat.sent] == ["support:-100"]


async def test_posts_to_a_chat_that_is_gone_fail_at_once(engine: Engine) -> None:
    chat = Chat()
    chat.failures = [ChatGone("The bot was blocked.")]
    await post(engine, delivery("d"))
    async with dispatching(engine, chat):
        await engine.outcome(INBOX, "d")
        await post(engine, delivery("next"))
        assert await engine.outcome(INBOX, "next") == ("dead", "gone")
    assert chat.sent == []
    assert (await engine.row(INBOX, "next")).error == "The bot was blocked."


async def test_a_blank_delivery_is_not_called_delivered(engine: Engine) -> None:
    chat = Chat()
    await post(engine, delivery("d", " \n"))
    async with dispatching(engine, chat):
        assert await engine.outcome(INBOX, "d") == ("dead", "failed")
    assert chat.sent == []


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("error", [Unreachable("away"), RateLimited("slow", retry_after=9.0), ValueError("a bug")])
async def test_a_delivery_that_fails_at_a_part_goes_on_with_that_part(
    engine: Engine, at: int, error: Exception
) -> None:
    text = " ".join("abcdefghijklmnopqrs" for _ in range(4))
    chat = Chat()
    chat.failures_at = {at: error}
    await post(engine, delivery("d", text))
    async with dispatching(engine, chat):
        wait = await given_back(engine)
        assert len(chat.sent) == at
        assert wait == (9.0 if isinstance(error, RateLimited) else 1.0)
        engine.forward(wait, INBOX)
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
    assert [one.key for one in chat.sent] == [f"d.{index}" for index in range(4)]


@pytest.mark.parametrize("at", range(3))
async def test_a_delivery_that_is_cut_off_between_parts_goes_on_after_the_last_receipt(engine: Engine, at: int) -> None:
    text = " ".join("abcdefghijklmnopqrs" for _ in range(3))
    reached = asyncio.Event()

    class Stuck(Chat):
        async def send(self, sending: Sending) -> str:
            if len(self.sent) == at and not reached.is_set():
                reached.set()
                await asyncio.Event().wait()
            return await super().send(sending)

    chat = Stuck()
    await post(engine, delivery("d", text))
    async with dispatching(engine, chat):
        await soon(reached.wait())
    async with dispatching(engine, chat):
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
    assert [one.key for one in chat.sent] == ["d.0", "d.1", "d.2"]


async def test_a_limit_of_the_platform_is_kept_and_uses_up_no_try(engine: Engine) -> None:
    chat = Chat()
    chat.failures = [RateLimited("slow", retry_after=30.0) for _ in range(10)]
    await post(engine, delivery("d"))
    async with dispatching(engine, chat):
        for _ in range(10):
            assert await given_back(engine) == 30.0
            engine.forward(30.0, INBOX)
            await engine.store.until(lambda: claimed_again(engine))
        assert await engine.outcome(INBOX, "d") == ("delivered", None)


async def claimed_again(engine: Engine) -> bool:
    [row] = await engine.all(select(lanes).where(lanes.c.inbox == INBOX))
    return row.ready_at is None or row.ready_at > engine.clock.now


async def test_an_unreachable_platform_is_tried_ever_more_slowly_without_using_up_tries(engine: Engine) -> None:
    chat = Chat()
    chat.failures = [Unreachable("away", maybe_sent=number == 0) for number in range(11)]
    await post(engine, delivery("d"))
    waits: list[float] = []
    async with dispatching(engine, chat):
        for _ in range(11):
            waits.append(await given_back(engine))
            engine.forward(waits[-1], INBOX)
            await engine.store.until(lambda: claimed_again(engine))
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]


@pytest.mark.parametrize(
    ("error", "reason"), [(ChatGone("The bot was blocked."), "gone"), (MessageRefused("Too odd."), "failed")]
)
async def test_what_the_platform_refuses_for_good_ends_dead_and_frees_the_lane(
    engine: Engine, error: Exception, reason: str
) -> None:
    chat = Chat()
    chat.failures = [error]
    await post(engine, delivery("d"), delivery("next"))
    async with dispatching(engine, chat):
        assert await engine.outcome(INBOX, "d") == ("dead", reason)
        await engine.outcome(INBOX, "next")
    assert (await engine.row(INBOX, "d")).error == str(error)


async def test_a_bug_in_a_channel_ends_dead_after_the_tries(engine: Engine) -> None:
    chat = Chat()
    chat.failures = [ZeroDivisionError("a bug") for _ in range(3)]
    await post(engine, delivery("d"), delivery("next"))
    async with dispatching(engine, chat):
        for wait in (1.0, 2.0):
            assert await given_back(engine) == wait
            engine.forward(wait, INBOX)
            await engine.store.until(lambda: claimed_again(engine))
        assert await engine.outcome(INBOX, "d") == ("dead", "failed")
        assert await engine.outcome(INBOX, "next") == ("delivered", None)


async def test_a_refused_token_holds_deliveries_back(engine: Engine) -> None:
    chat = Chat()
    chat.failures = [ChannelRefused("The token is wrong.")]
    await post(engine, delivery("d"))
    async with dispatching(engine, chat):
        assert await given_back(engine) == 60.0
        engine.forward(60.0, INBOX)
        assert await engine.outcome(INBOX, "d") == ("delivered", None)


async def test_an_overdue_delivery_expires_and_frees_the_lane(engine: Engine) -> None:
    chat = Chat()
    await post(engine, delivery("late", expires_at=engine.clock.now), delivery("next"))
    async with dispatching(engine, chat):
        assert await engine.outcome(INBOX, "late") == ("dead", "expired")
        assert await engine.outcome(INBOX, "next") == ("delivered", None)
    assert [one.key for one in chat.sent] == ["next.0"]


async def test_a_delivery_that_is_half_sent_is_finished_though_it_is_late(engine: Engine) -> None:
    chat = Chat()
    chat.failures_at = {1: Unreachable("away")}
    await post(engine, delivery("d", LONG, expires_at=engine.clock.now + 0.5))
    async with dispatching(engine, chat):
        await given_back(engine)
        engine.forward(1.0, INBOX)
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
    assert chat.said("42") == PARTS


@pytest.mark.usefixtures("quick_polls")
@pytest.mark.parametrize("waits", ["behind another", "for its next try"])
async def test_a_waiting_delivery_can_be_discarded(engine: Engine, waits: str) -> None:
    chat, posts = Chat(), Posts(engine.bus, channels(support=True))
    gate = chat.gates["42"] = asyncio.Event()
    if waits == "for its next try":
        gate.set()
        chat.failures = [Unreachable("away")]
    await post(engine, *([delivery("first")] if waits == "behind another" else []), delivery("d"), delivery("next"))
    async with dispatching(engine, chat):
        if waits == "for its next try":
            await given_back(engine)
        record = await posts.discard("d", By())
        assert record is not None
        assert record.status == "discarded"
        gate.set()
        assert await engine.outcome(INBOX, "next") == ("delivered", None)
    assert await engine.outcome(INBOX, "d") == ("dead", "discarded")
    assert "d.0" not in [one.key for one in chat.sent]
    assert await engine.bus.residue(0.0) == 0


async def test_one_address_is_served_in_order(every_engine: Engine) -> None:
    engine, chat = every_engine, Chat()
    await post(engine, *(delivery(f"d{number}", LONG) for number in range(10)))
    async with dispatching(engine, chat):
        await engine.outcome(INBOX, "d9")
    assert [one.key for one in chat.sent] == [f"d{number}.{part}" for number in range(10) for part in (0, 1)]


async def test_a_chat_that_hangs_delays_no_other(engine: Engine) -> None:
    chat = Chat()
    chat.gates["42"] = asyncio.Event()
    await post(engine, delivery("stuck"), delivery("other", address=Address("support", "43")))
    async with dispatching(engine, chat):
        assert await engine.outcome(INBOX, "other") == ("delivered", None)
        assert (await engine.row(INBOX, "stuck")).outcome is None


async def test_a_dead_channel_delays_no_other(engine: Engine) -> None:
    dead, alive = Chat(), Chat()
    dead.failures = [Unreachable("away") for _ in range(99)]
    await post(engine, delivery("d"), delivery("a", address=Address("news", "1")))
    async with dispatching(engine, dead), dispatching(engine, alive, inbox="channel:news"):
        assert await engine.outcome("channel:news", "a") == ("delivered", None)
        assert (await engine.row(INBOX, "d")).outcome is None


async def test_a_flooded_chat_is_paced_and_delays_no_other(engine: Engine) -> None:
    chat = Chat(per_chat=0.1, burst=2)
    await post(engine, *(delivery(f"d{number}") for number in range(5)))
    await post(engine, *(delivery(f"o{number}", address=Address("support", f"x{number}")) for number in range(30)))
    async with dispatching(engine, chat, concurrency=4):
        for number in range(30):
            await engine.outcome(INBOX, f"o{number}")
        for number in range(2, 5):
            await engine.outcome(INBOX, f"d{number - 1}")
            assert len(chat.said("42")) == number
            wait = await given_back(engine)
            assert wait == pytest.approx(10.0, abs=0.01)  # pyright: ignore[reportUnknownMemberType]
            engine.forward(wait + 0.001, INBOX)
        await engine.outcome(INBOX, "d4")
    row = await engine.row(INBOX, "d4")
    assert (row.error, row.attempts) == (None, 1)  # pacing is no failure


class Reacting(Chat):
    """A platform with reactions."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.reactions: list[tuple[Address, str, str]] = []

    async def react(self, address: Address, platform_id: str, emoji: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.reactions.append((address, platform_id, emoji))


def reaction(id: str = "r") -> Delivery:
    return Delivery(id=id, address=CHAT, parts=(), author=BOT, reply_to="q", reaction="👍")


async def test_a_reaction_is_put_below_its_message_once_and_tried_again(engine: Engine) -> None:
    chat = Reacting()
    chat.failures = [Unreachable("away")]
    await post(engine, reaction())
    async with dispatching(engine, chat):
        engine.forward(await given_back(engine), INBOX)
        assert await engine.outcome(INBOX, "r") == ("delivered", None)
    assert chat.reactions == [(CHAT, "q", "👍")]
    assert chat.sent == []
    assert [(row.part, row.platform_id) for row in await engine.all(select(receipts))] == [(0, "q")]


async def test_a_channel_without_reactions_refuses_one(engine: Engine) -> None:
    await post(engine, reaction())
    async with dispatching(engine, Chat()):
        assert await engine.outcome(INBOX, "r") == ("dead", "failed")
    assert (await engine.row(INBOX, "r")).error == "Messages cannot be reacted to here."


async def test_the_bot_as_a_whole_is_paced(engine: Engine) -> None:
    loop = asyncio.get_running_loop()
    chat = Chat(per_bot=20.0)
    engine.bus.clock = lambda: 1_800_000_000.0 + loop.time()
    await post(engine, *(delivery(f"d{number}", address=Address("support", f"x{number}")) for number in range(30)))
    began = loop.time()
    async with dispatching(engine, chat):
        for number in range(30):
            await engine.outcome(INBOX, f"d{number}")
    assert loop.time() - began > 0.45  # 20 at once, 10 more at 20 a second
    rows = [await engine.row(INBOX, f"d{number}") for number in range(30)]
    assert {row.attempts for row in rows} == {1}


def test_a_group_has_a_rate_of_its_own_and_the_clock_may_step_back() -> None:
    now = 1000.0
    limits = Limits(length=10, per_chat=1.0, per_group=0.1, group_prefix="-", burst=1)
    pacing = Pacing(limits, lambda: now)
    person, group = Address("support", "1"), Address("support", "-1", "7")
    assert [pacing.wait(person), pacing.wait(group)] == [0.0, 0.0]
    assert [pacing.take(person), pacing.take(group)] == [0.0, 0.0]
    assert [pacing.wait(person), pacing.wait(group)] == [1.0, 10.0]
    now -= 3600.0
    assert pacing.wait(person) == 1.0
    now += 1.0
    assert pacing.wait(person) == 0.0


async def test_a_delivery_that_cannot_be_read_ends_dead(engine: Engine) -> None:
    await engine.publish(INBOX, "broken", lane=str(CHAT))
    await post(engine, delivery("d"))
    async with dispatching(engine, Chat(), timing=Timing(lease=8.0, extend=0.02, tries=1)):
        assert await engine.outcome(INBOX, "broken") == ("dead", "failed")
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
