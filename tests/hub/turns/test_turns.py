"""A turn: what it changes is one unit, what it did survives a crash, and it ends as it should."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from sqlalchemy import func, select

from hub import memory
from hub.agent import Receipt, Reply, Step, Turn
from hub.bus import Publish
from hub.delivery.posts import Posts
from hub.errors import StoreUnavailable
from hub.memory import Heard, Said, Stepped
from hub.message import Address, Delivery, File, Live, Message, Text
from hub.model import ToolCall, Usage
from hub.signals import Listener
from hub.store.tables import entries, sessions, turns
from hub.store.tables import messages as rows
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Timing, Work, Worker
from tests.auditing import audited
from tests.hub.engine import (
    ASKER,
    BOT,
    CHAT,
    FAST,
    Engine,
    Script,
    channels,
    journal_of,
    message,
    running,
    soon,
    turn_of,
)

OTHER = Address("support", "43")
STILL = Timing(lease=8.0, extend=60.0, tries=3)
"""No extension comes between what a test does."""


def handler_of(
    engine: Engine, play: Callable[[Turn], Awaitable[Reply]] | Script, *, posts_to: tuple[str, ...] = ()
) -> TurnHandler:
    posts = Posts(engine.bus, channels(support=True, parked=False))
    agent = play if isinstance(play, Script) else Script(play)
    return TurnHandler(Persona(name="bot", bus=engine.bus, posts=posts, posts_to=posts_to), agent)


def worker_of(engine: Engine, handler: TurnHandler, timing: Timing = FAST) -> Worker:
    return Worker(engine.bus, BOT, handler, timing=timing, random=lambda: 0.0)


async def say(engine: Engine, *said: Message) -> None:
    for one in said:
        body = msgspec.json.encode(one)
        await engine.bus.commit(Publish(inbox=BOT, lane=str(one.address), id=one.id, body=body))


async def reply_to(engine: Engine, id: str, channel: str = "support") -> Delivery | None:
    row = await engine.row(f"channel:{channel}", f"{id}.reply")
    return None if row is None else msgspec.json.decode(row.body, type=Delivery)


def replies(text: str) -> Callable[[Turn], Awaitable[Reply]]:
    async def play(turn: Turn) -> Reply:
        turn.emit(text)
        return Reply(text=text, usage=Usage(prompt=2, completion=3), model="m")

    return play


def fails(error: Exception) -> Callable[[Turn], Awaitable[Reply]]:
    async def play(turn: Turn) -> Reply:
        turn.emit("Let me")
        raise error

    return play


async def test_a_reply_is_delivered_to_the_chat_that_asked(every_engine: Engine) -> None:
    engine = every_engine
    await say(engine, message("m", "hello"))
    async with running(worker_of(engine, handler_of(engine, replies("hi"))), engine):
        assert await engine.outcome(BOT, "m") == ("answered", None)
    delivery = await reply_to(engine, "m")
    assert delivery is not None
    assert (delivery.address, delivery.text, delivery.author.kind, delivery.expires_at) == (CHAT, "hi", "agent", None)
    assert await journal_of(engine, "m") == [
        Heard(text="hello"),
        Said(text="hi", usage=Usage(prompt=2, completion=3), model="m"),
    ]
    record = await turn_of(engine, "m")
    assert (record.status, record.response, record.usage) == ("completed", "hi", Usage(prompt=2, completion=3))
    assert (record.model, record.agent, record.address, record.session) == ("m", "bot", "support:42", 1)
    assert await engine.bus.residue(0.0) == 0


async def test_the_end_of_a_turn_is_there_whole_or_not_at_all(every_engine: Engine) -> None:
    engine = every_engine

    async def play(turn: Turn) -> Reply:
        if script.answers == 1:
            engine.store.break_commit = lambda: StoreUnavailable("the machine stopped")
        return Reply(text="hi")

    script = Script(play)
    handler = handler_of(engine, script)
    await say(engine, message("m"))
    async with running(worker_of(engine, handler, STILL), engine):

        async def used_up() -> bool:
            return script.answers == 1 and engine.store.break_commit is None

        await engine.store.until(used_up)
        assert await engine.all(select(turns.c.id)) == []
        assert await journal_of(engine, "m") == []
        assert await reply_to(engine, "m") is None
        assert (await engine.row(BOT, "m")).outcome is None
        assert (await engine.all(select(func.count()).select_from(sessions)))[0][0] == 0
        engine.forward(8.0, BOT)
        assert await engine.outcome(BOT, "m") == ("answered", None)
    assert await journal_of(engine, "m") == [Heard(text="hello"), Said(text="hi")]
    assert await reply_to(engine, "m") is not None


class Stepping:
    """An agent that does three steps with a post each, and then answers; it can be held at any point in between."""

    STEPS = ("Looking.", "", "Posting.")
    POINTS = 3 * 4 + 1

    def __init__(self, hold_at: int) -> None:
        self.hold_at = hold_at
        self.point = 0
        self.held = asyncio.Event()
        self.receipts: list[Receipt] = []

    async def answer(self, turn: Turn) -> Reply:
        done = sum(one["role"] == "assistant" for one in (await turn.view())[1:])
        for index, text in list(enumerate(self.STEPS))[done:]:
            await self.at(index * 4)
            self.show(turn, text, first=index == 0)
            await self.at(index * 4 + 1)
            self.receipts.append(await turn.post("0", OTHER, (Text(text=f"step {index}"),)))
            await self.at(index * 4 + 2)
            call = ToolCall(id=f"c{index}", name="message", arguments="{}")
            await turn.checkpoint(
                Step(text=text, calls=(call,), results=("sent",), usage=Usage(prompt=10, completion=1), model="m")
            )
            await self.at(index * 4 + 3)
        self.show(turn, "Done.", first=False)
        await self.at(12)
        return Reply(text="Done.", usage=Usage(prompt=10, completion=1), model="m")

    def show(self, turn: Turn, text: str, *, first: bool) -> None:
        half = len(text) // 2
        for piece in (f"{'' if first else self.gap(text)}{text[:half]}", text[half:]):
            if piece:
                turn.emit(piece)

    @staticmethod
    def gap(text: str) -> str:
        return "\n\n" if text else ""

    async def at(self, point: int) -> None:
        if point == self.hold_at:
            self.held.set()
            await asyncio.Event().wait()


@pytest.mark.parametrize("point", range(Stepping.POINTS))
@pytest.mark.parametrize("how", ["killed", "closed"])
async def test_a_turn_that_is_cut_off_goes_on_after_its_last_finished_step(
    engine: Engine, point: int, how: str
) -> None:
    posts = Posts(engine.bus, channels(support=False))

    def handler(agent: Stepping) -> TurnHandler:
        return TurnHandler(Persona(name="bot", bus=engine.bus, posts=posts, posts_to=("support:*",)), agent)

    await say(engine, message("m"))
    with engine.signals.listen("live.support") as signs:
        first = Stepping(point)
        if how == "killed":
            [lease] = await engine.bus.claim(BOT, 1, 8.0)
            task = asyncio.create_task(handler(first).handle(Work(lease=lease)))
            await soon(first.held.wait())
            task.cancel()
            await asyncio.wait({task})
            engine.clock.forward(8.0)
        else:
            async with running(worker_of(engine, handler(first)), engine):
                await soon(first.held.wait())
        second = Stepping(-1)
        async with running(worker_of(engine, handler(second)), engine):
            assert await engine.outcome(BOT, "m") == ("answered", None)
        lives = await drained(signs)

    journal = await journal_of(engine, "m")
    assert [type(entry) for entry in journal] == [Heard, Stepped, Stepped, Stepped, Said]
    assert [one.text for one in journal[1:4] if isinstance(one, Stepped)] == list(Stepping.STEPS)
    assert len(first.receipts) + len(second.receipts) <= 3 + 1  # only the step it was cut off in is done again
    posted = await engine.all(select(rows.c.mid).where(rows.c.inbox == "channel:support").order_by(rows.c.mid))
    assert [row.mid for row in posted] == ["m.0.0", "m.1.0", "m.2.0", "m.reply"]
    assert [row.after["delivery"] for row in await audited(engine.store)] == ["m.0.0", "m.1.0", "m.2.0"]
    record, delivery = await turn_of(engine, "m"), await reply_to(engine, "m")
    assert delivery is not None
    assert record.response is not None
    assert record.response == delivery.text == "Looking.\n\nPosting.\n\nDone."
    assert record.usage == Usage(prompt=40, completion=4)
    for live in lives:
        assert record.response[live.offset :].startswith(live.text)
    assert max(live.offset + len(live.text) for live in lives) == len(record.response)
    assert await engine.bus.residue(0.0) == 0


async def drained(signs: Listener) -> list[Live]:
    """The deltas a listener has."""
    found: list[Live] = []
    while (payload := await signs.next(0.0)) is not None:
        live = msgspec.json.decode(payload, type=Live)
        if live.kind == "delta":
            found.append(live)
    return found


async def test_a_turn_keeps_why_its_answer_ends(every_engine: Engine) -> None:
    async def play(turn: Turn) -> Reply:
        return Reply(text="Once upon", finish="length")

    await say(every_engine, message("m"))
    async with running(worker_of(every_engine, handler_of(every_engine, play)), every_engine):
        assert await every_engine.outcome(BOT, "m") == ("answered", None)
    assert (await turn_of(every_engine, "m")).finish == "length"


async def test_a_program_gets_an_empty_answer_as_an_answer(engine: Engine) -> None:
    await say(engine, message("m", address=ASKER))
    async with running(worker_of(engine, handler_of(engine, replies(""))), engine):
        assert await engine.outcome(BOT, "m") == ("answered", None)


async def test_a_reply_may_have_files(engine: Engine) -> None:
    file = File(ref="abc", name="a.png", media_type="image/png", size=3)

    async def play(turn: Turn) -> Reply:
        return Reply(parts=(file,))

    await say(engine, message("m"))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        assert await engine.outcome(BOT, "m") == ("answered", None)
    delivery = await reply_to(engine, "m")
    assert delivery is not None
    assert delivery.parts == (file,)


async def test_in_a_group_the_reply_quotes_and_the_history_names_who_spoke(engine: Engine) -> None:
    async def play(turn: Turn) -> Reply:
        seen.extend(await turn.view())
        return Reply(text="hi")

    seen: list[dict[str, object]] = []
    await say(engine, message("m", direct=False, reply_to="77"))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        await engine.outcome(BOT, "m")
    delivery = await reply_to(engine, "m")
    assert delivery is not None
    assert delivery.reply_to == "77"
    assert seen == [{"role": "user", "content": "Ann: hello"}]


async def test_a_turn_sees_what_was_said_before_in_its_own_conversation(engine: Engine) -> None:
    views: list[list[object]] = []

    async def play(turn: Turn) -> Reply:
        views.append([one["content"] for one in await turn.view()])
        return Reply(text=f"re {turn.messages[0].text}")

    await say(engine, message("m1", "one"), message("x1", "secret", OTHER))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        await engine.outcome(BOT, "m1")
        await engine.outcome(BOT, "x1")
        await say(engine, message("m2", "two"))
        await engine.outcome(BOT, "m2")
    assert views[-1] == ["one", "re one", "two"]


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_running_turn_keeps_its_session_when_a_new_one_begins(every_engine: Engine, is_first: bool) -> None:
    engine, go = every_engine, asyncio.Event()
    if not is_first:
        await engine.store.write(lambda connection: memory.new_session(connection, "bot", CHAT, 0.0))

    async def play(turn: Turn) -> Reply:
        if turn.id == "m":
            begun.set()
            await go.wait()
        views.append(await turn.view())
        return Reply(text="hi")

    begun, views = asyncio.Event(), list[list[dict[str, object]]]()
    await say(engine, message("m", "old"))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        await soon(begun.wait())
        new = await engine.store.write(lambda connection: memory.new_session(connection, "bot", CHAT, 0.0))
        go.set()
        await engine.outcome(BOT, "m")
        await say(engine, message("next", "fresh"))
        await engine.outcome(BOT, "next")
    assert views[-1] == [{"role": "user", "content": "fresh"}]
    of_turn = {row.turn: row.session for row in await engine.all(select(entries.c.turn, entries.c.session))}
    assert of_turn["m"] != of_turn["next"] == new


async def test_a_message_that_cannot_be_read_ends_dead_and_frees_its_lane(engine: Engine) -> None:
    await engine.publish(BOT, "broken", lane=str(CHAT))
    await say(engine, message("m"))
    timing = Timing(lease=8.0, extend=0.02, tries=1)
    async with running(worker_of(engine, handler_of(engine, replies("hi")), timing), engine):
        assert await engine.outcome(BOT, "broken") == ("dead", "failed")
        assert await engine.outcome(BOT, "m") == ("answered", None)


async def test_a_turn_shows_that_it_runs_and_that_it_is_over(engine: Engine) -> None:
    await say(engine, message("m"))
    with engine.signals.listen("live.support") as signs:
        async with running(worker_of(engine, handler_of(engine, replies("hi"))), engine):
            kinds = [msgspec.json.decode(await soon(signs.next()) or b"", type=Live).kind for _ in range(3)]
    assert kinds == ["typing", "delta", "done"]


async def test_two_chats_behind_one_agent_each_get_exactly_their_own_answer(every_engine: Engine) -> None:
    """L14."""
    engine = every_engine
    chats = [Address("support", str(number)) for number in range(10)]

    async def play(turn: Turn) -> Reply:
        await asyncio.sleep(0)
        return Reply(text=f"to {turn.address}: {turn.messages[0].text}")

    said = [message(f"{chat.chat_id}-{n}", f"question {n}", chat) for n in range(5) for chat in chats]
    await say(engine, *said)
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        for one in said:
            assert await engine.outcome(BOT, one.id) == ("answered", None)
    found = await engine.all(select(rows.c.body).where(rows.c.inbox == "channel:support").order_by(rows.c.seq))
    answers: dict[Address, list[str]] = {}
    for row in found:
        delivery = msgspec.json.decode(row.body, type=Delivery)
        answers.setdefault(delivery.address, []).append(delivery.text)
    assert answers == {chat: [f"to {chat}: question {n}" for n in range(5)] for chat in chats}
    assert len(await engine.all(select(turns.c.id))) == 50


async def test_a_turn_knows_when_it_was_asked_begun_and_heard(engine: Engine) -> None:
    async def play(turn: Turn) -> Reply:
        engine.clock.forward(1.0)
        turn.emit("hi")
        engine.clock.forward(1.0)
        return Reply(text="hi")

    start = engine.clock.now
    await say(engine, message("m", at=start - 5.0))
    async with running(worker_of(engine, handler_of(engine, play), STILL), engine):
        await engine.outcome(BOT, "m")
    record = await turn_of(engine, "m")
    times = (record.created_at, record.started_at, record.first_token_at, record.finished_at)
    assert times == (start - 5.0, start, start + 1.0, start + 2.0)
