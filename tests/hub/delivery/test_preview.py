"""Previews: an answer is shown while it is written, and stands in the chat once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.channel import Sending
from hub.delivery.deliveries import PartReceipt, add_receipt, parts
from hub.delivery.dispatch import Dispatcher
from hub.delivery.pacing import Pacing
from hub.delivery.posts import publish
from hub.delivery.preview import STOP, Previews, pieces
from hub.errors import MessageRefused, RateLimited, Unreachable
from hub.files import FileStore
from hub.message import Address, Author, Delivery, Live, Text, reply_id
from hub.worker import Worker
from tests.hub.engine import CHAT, FAST, Chat, Engine, running
from tests.patience import PATIENCE

INBOX = "channel:support"
REPLY = reply_id("t")


class EditingChat(Chat):
    """A chat whose messages can be changed and taken back."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**{"length": 1000, "edit_every": 0.001, "edit_every_group": 0.001, **limits})
        self.standing: dict[str, str] = {}
        self.stoppable: list[str] = []
        """The messages with a button below."""
        self.edits: list[Sending] = []
        self.edit_failures: list[Exception] = []
        self.changed = asyncio.Event()

    async def send(self, sending: Sending) -> str:
        try:
            platform_id = await super().send(sending)
        finally:
            self.changed.set()
        self._stand(platform_id, sending)
        return platform_id

    async def edit(self, sending: Sending, platform_id: str) -> None:
        if self.edit_failures:
            self.changed.set()
            raise self.edit_failures.pop(0)
        if platform_id not in self.standing:
            raise MessageRefused("There is no such message.")
        self.edits.append(sending)
        self._stand(platform_id, sending)

    async def delete(self, address: Address, platform_id: str) -> None:
        self.standing.pop(platform_id, None)
        self.changed.set()

    def _stand(self, platform_id: str, sending: Sending) -> None:
        assert isinstance(sending.part, Text)
        self.standing[platform_id] = sending.part.text
        self.stoppable = [one for one in self.stoppable if one != platform_id]
        if sending.buttons:
            assert sending.buttons == STOP
            self.stoppable.append(platform_id)
        self.changed.set()

    @property
    def texts(self) -> list[str]:
        return list(self.standing.values())

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()


class DraftingChat(EditingChat):
    """A chat whose previews are drafts, as long as it shows any; they go away by themselves."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.drafts: list[str] = []
        self.shows_drafts = True

    async def draft(self, sending: Sending) -> bool:
        assert isinstance(sending.part, Text)
        if self.shows_drafts:
            self.drafts.append(sending.part.text)
            self.changed.set()
        return self.shows_drafts


class Writer:
    """A turn that is being answered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._written = ""

    def write(self, text: str) -> None:
        self._send(Live(kind="delta", turn="t", address=CHAT, agent="bot", offset=len(self._written), text=text))
        self._written += text

    def _send(self, live: Live) -> None:
        self._engine.signals.send("live.support", msgspec.json.encode(live))

    async def end(self, text: str | None = None, *, closes: bool = False) -> None:
        """The reply is settled; `text` is all that was written unless told otherwise."""
        said = self._written if text is None else text
        reply = Delivery(
            id=REPLY,
            address=CHAT,
            parts=(Text(text=said),) if said else (),
            author=Author(id="bot", name="bot", kind="agent"),
            closes=closes,
        )
        self._send(Live(kind="done", turn="t", address=CHAT))
        await self._engine.bus.commit(publish(reply))


@asynccontextmanager
async def showing(engine: Engine, chat: Chat) -> AsyncGenerator[Writer]:
    pacing = Pacing(chat.limits, engine.bus.clock)
    previews = Previews(engine.bus, "support", chat, pacing, STOP)
    dispatcher = Dispatcher(engine.bus, chat, FileStore(Path("unused")), pacing, previews)
    following = asyncio.create_task(previews.run())
    await asyncio.sleep(0)
    try:
        async with running(Worker(engine.bus, INBOX, dispatcher, timing=FAST, random=lambda: 0.0), engine):
            yield Writer(engine)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_an_answer_grows_in_one_message_and_stands_there_once(engine: Engine) -> None:
    chat = EditingChat()
    async with showing(engine, chat) as writer:
        writer.write("One ")
        await chat.until(lambda: chat.texts == ["One"])
        writer.write("two ")
        await chat.until(lambda: chat.texts == ["One two"])
        writer.write("three.")
        await writer.end()
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert chat.texts == ["One two three."]
    assert [one.final for one in chat.sent] == [False]
    assert chat.edits[-1].final
    [receipt] = await engine.store.read(lambda c: parts(c, REPLY))
    assert (receipt.platform_id, receipt.final) == ("p1", True)
    assert receipt.edits == len(chat.edits) >= 2
    assert receipt.began_at is not None


async def test_the_newest_message_has_a_button_to_stop_until_the_answer_is_there(engine: Engine) -> None:
    chat = EditingChat(length=20)
    async with showing(engine, chat) as writer:
        writer.write("A first line here.")
        await chat.until(lambda: chat.stoppable == ["p1"])
        writer.write("\nA second line here.")
        await chat.until(lambda: chat.stoppable == ["p2"])
        await writer.end()
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert (len(chat.standing), chat.stoppable) == (2, [])


async def test_of_what_is_written_between_two_edits_only_the_newest_is_shown(engine: Engine) -> None:
    chat = EditingChat()
    async with showing(engine, chat) as writer:
        writer.write("0")
        await chat.until(lambda: bool(chat.texts))
        for number in range(1, 200):
            writer.write(f" {number}")
        await chat.until(lambda: chat.texts[0].endswith(" 199"))
    assert len(chat.edits) < 100


async def test_what_is_over_the_limit_rolls_into_further_messages(engine: Engine) -> None:
    chat = EditingChat(length=20)
    text = "A first line here.\nA second line here.\nA third line here."
    async with showing(engine, chat) as writer:
        writer.write(text[:30])
        await chat.until(lambda: len(chat.texts) == 2)
        writer.write(text[30:])
        await chat.until(lambda: len(chat.texts) == 3)
        await writer.end()
        await engine.outcome(INBOX, REPLY)
    assert chat.texts == text.split("\n")
    assert len(chat.sent) == 3


async def test_a_preview_that_failed_costs_nothing_of_the_answer(engine: Engine) -> None:
    chat = EditingChat()
    async with showing(engine, chat) as writer:
        writer.write("One ")
        await chat.until(lambda: bool(chat.texts))
        chat.edit_failures = [MessageRefused("no")]
        writer.write("two ")
        await chat.until(lambda: not chat.edit_failures)
        writer.write("three.")
        await writer.end()
        await engine.outcome(INBOX, REPLY)
    assert chat.texts == ["One two three."]


async def test_what_was_deleted_meanwhile_is_sent_anew(engine: Engine) -> None:
    chat = EditingChat()
    async with showing(engine, chat) as writer:
        writer.write("One ")
        await chat.until(lambda: bool(chat.texts))
        chat.standing.clear()
        await writer.end("One two.")
        await engine.outcome(INBOX, REPLY)
    assert chat.texts == ["One two."]


async def test_a_platform_that_is_away_during_the_stream_gets_the_answer_once(engine: Engine) -> None:
    chat = EditingChat()
    chat.failures = [Unreachable("away") for _ in range(3)]
    async with showing(engine, chat) as writer:
        writer.write("One ")
        await chat.until(lambda: not chat.failures)
        await writer.end("One two.")
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert chat.texts == ["One two."]


async def test_too_fast_waits_as_told_and_shows_the_newest(engine: Engine) -> None:
    chat = EditingChat()
    async with showing(engine, chat) as writer:
        writer.write("One ")
        await chat.until(lambda: bool(chat.texts))
        chat.edit_failures = [RateLimited("slow down", retry_after=0.01)]
        writer.write("two ")
        await chat.until(lambda: chat.texts == ["One two"])


async def test_an_answer_is_not_shown_before_what_waits_for_the_same_chat(engine: Engine) -> None:
    chat = EditingChat()
    chat.gates["42"] = asyncio.Event()
    first = Delivery(id="first", address=CHAT, parts=(Text(text="first"),), author=Author(id="b", name="b"))
    await engine.bus.commit(publish(first))
    async with showing(engine, chat) as writer:
        writer.write("second")
        await asyncio.sleep(0.05)  # nothing is to happen
        assert chat.sent == []
        chat.gates.pop("42").set()
        await chat.until(lambda: chat.texts == ["first", "second"])


@pytest.mark.parametrize(("text", "left"), [("One\n\n(stopped)", ["One\n\n(stopped)"]), ("", [])])
async def test_a_turn_without_an_answer_ends_its_preview(engine: Engine, text: str, left: list[str]) -> None:
    chat = EditingChat()
    async with showing(engine, chat) as writer:
        writer.write("One")
        await chat.until(lambda: bool(chat.texts))
        await writer.end(text, closes=True)
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert chat.texts == left


async def test_where_nothing_was_shown_there_is_nothing_to_end(engine: Engine) -> None:
    chat = EditingChat()
    async with showing(engine, chat) as writer:
        await writer.end("(stopped)", closes=True)
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert chat.texts == []


@pytest.mark.parametrize(("text", "left"), [("One\n\n(stopped)", ["One\n\n(stopped)"]), ("", [])])
async def test_a_turn_that_showed_a_draft_ends_in_a_message(engine: Engine, text: str, left: list[str]) -> None:
    chat = DraftingChat()
    async with showing(engine, chat) as writer:
        writer.write("One")
        await chat.until(lambda: chat.drafts == ["One"])
        chat.failures = [RateLimited("slow down", retry_after=0.0)] if text else []
        await writer.end(text, closes=True)
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert chat.texts == left
    receipts = await engine.store.read(lambda c: parts(c, REPLY))
    assert [receipt.platform_id for receipt in receipts] == list(chat.standing)


async def test_what_a_draft_showed_before_a_crash_is_not_lost(engine: Engine) -> None:
    chat = DraftingChat()
    async with showing(engine, chat) as writer:
        writer.write("One")
        await chat.until(lambda: bool(chat.drafts))
    async with showing(engine, chat) as writer:
        await writer.end("One\n\n(stopped)", closes=True)
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert chat.texts == ["One\n\n(stopped)"]


async def test_where_drafts_end_a_message_grows(engine: Engine) -> None:
    chat = DraftingChat()
    async with showing(engine, chat) as writer:
        writer.write("One ")
        await chat.until(lambda: bool(chat.drafts))
        chat.shows_drafts = False
        writer.write("two ")
        await chat.until(lambda: chat.texts == ["One two"])
        writer.write("three.")
        await writer.end()
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert chat.texts == ["One two three."]


@pytest.mark.parametrize(("text", "left"), [("One\n\n(stopped)", ["One\n\n(stopped)"]), ("", [])])
async def test_where_answers_are_seen_live_a_stopped_one_stays(engine: Engine, text: str, left: list[str]) -> None:
    chat = EditingChat(live=True)
    async with showing(engine, chat) as writer:
        await writer.end(text, closes=True)
        assert await engine.outcome(INBOX, REPLY) == ("delivered", None)
    assert chat.texts == left


async def test_after_a_crash_the_answer_takes_the_place_of_the_preview(engine: Engine) -> None:
    chat = EditingChat()
    chat.standing["p9"] = "Half a sen"
    receipt = PartReceipt(part=0, platform_id="p9", at=0.0, final=False)
    await engine.store.write(lambda c: add_receipt(c, REPLY, receipt))
    async with showing(engine, chat) as writer:
        writer.write("Half a sentence, ")
        await chat.until(lambda: chat.texts == ["Half a sentence,"])
        writer.write("whole.")
        await writer.end()
        await engine.outcome(INBOX, REPLY)
    assert chat.standing == {"p9": "Half a sentence, whole."}
    assert chat.sent == []


async def test_a_piece_that_comes_after_the_end_opens_nothing(engine: Engine) -> None:
    chat = EditingChat()
    async with showing(engine, chat) as writer:
        await writer.end("All of it.")
        await engine.outcome(INBOX, REPLY)
        writer.write("All ")
        await asyncio.sleep(0.02)  # nothing is to happen
    assert chat.texts == ["All of it."]


class Growing(Chat):
    """A platform on which a star takes five units."""

    def size(self, text: str) -> int:
        return len(text) + 4 * text.count("*")


def test_what_grows_when_rendered_is_split_until_it_fits() -> None:
    chat = Growing(length=100)
    text = "\n".join("*" * 9 for _ in range(40))
    found = pieces(chat, text)
    assert all(chat.size(piece) <= 100 for piece in found)
    assert "\n".join(found) == text
