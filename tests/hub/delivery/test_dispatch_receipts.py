"""Receipts: what was sent is known, whatever breaks."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from hub.bus import Bus
from hub.channel import Sending
from hub.errors import StoreUnavailable
from hub.store.tables import receipts
from hub.worker import Timing
from tests.hub.delivery.test_dispatch import INBOX, LONG, PARTS, delivery, dispatching, post
from tests.hub.engine import Chat, Engine


@pytest.mark.usefixtures("quick_polls")
async def test_a_receipt_that_cannot_be_stored_yet_is_stored_later_and_nothing_is_sent_twice(engine: Engine) -> None:
    class Outage(Chat):
        async def send(self, sending: Sending) -> str:
            if not self.sent:
                engine.store.break_commit = lambda: StoreUnavailable("away")
            return await super().send(sending)

    chat = Outage()
    await post(engine, delivery("d", LONG))
    async with dispatching(engine, chat, timing=Timing(lease=8.0, extend=60.0, tries=3)):
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
    assert chat.said("42") == PARTS


@pytest.mark.usefixtures("quick_polls")
async def test_a_receipt_whose_storing_was_not_confirmed_is_no_second_receipt(engine: Engine) -> None:
    class Unconfirmed(Chat):
        async def send(self, sending: Sending) -> str:
            engine.store.break_answer = lambda: StoreUnavailable("the connection broke")
            return await super().send(sending)

    chat = Unconfirmed()
    await post(engine, delivery("d"))
    async with dispatching(engine, chat, timing=Timing(lease=8.0, extend=60.0, tries=3)):
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
    assert len(chat.sent) == len(await engine.all(select(receipts))) == 1


async def test_when_the_lane_is_lost_after_a_send_the_receipt_is_kept_and_the_next_holder_goes_on(
    every_engine: Engine,
) -> None:
    engine = every_engine
    tokens: list[int] = []

    class SlowAnswer(Chat):
        async def send(self, sending: Sending) -> str:
            answer = await super().send(sending)
            if len(self.sent) == 1:  # the platform has it; our lease runs out before its answer comes
                engine.clock.forward(9.0)
                [other] = await Bus(engine.store, engine.signals, engine.clock).claim(INBOX, 1, 8.0)
                tokens.append(other.token)
            return answer

    chat = SlowAnswer()
    await post(engine, delivery("d", LONG))
    async with dispatching(engine, chat, timing=Timing(lease=8.0, extend=60.0, tries=3)):

        async def kept() -> bool:
            return len(await engine.all(select(receipts))) == 1

        await engine.store.until(kept)
        assert tokens == [2]
        assert len(chat.sent) == 1  # the one that lost it sends nothing more
        engine.forward(9.0, INBOX)
        assert await engine.outcome(INBOX, "d") == ("delivered", None)
    assert chat.said("42") == PARTS
