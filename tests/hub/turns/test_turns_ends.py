"""How a turn ends without an answer: stopped, failed, or silent."""

from __future__ import annotations

import asyncio

import pytest

from hub.agent import Reply, Step, Turn
from hub.bus import Stop
from hub.errors import ModelRefused, ModelUnavailable
from hub.memory import Heard, Said, Stepped
from hub.model import Usage
from hub.worker import Timing, Work
from tests.hub.engine import (
    ASKER,
    BOT,
    CHAT,
    Engine,
    Script,
    journal_of,
    message,
    running,
    soon,
    turn_of,
)
from tests.hub.turns.test_turns import fails, handler_of, replies, reply_to, say, worker_of


async def test_a_stop_keeps_what_was_said_marked(every_engine: Engine) -> None:
    engine, shown = every_engine, asyncio.Event()

    async def play(turn: Turn) -> Reply:
        turn.emit("First.")
        await turn.checkpoint(Step(text="First.", usage=Usage(prompt=5)))
        turn.emit("\n\nHalf a sen")
        shown.set()
        await asyncio.Event().wait()
        raise AssertionError

    await say(engine, message("m"))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        await soon(shown.wait())
        await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
        assert await engine.outcome(BOT, "m") == ("silent", "stopped")
    record = await turn_of(engine, "m")
    assert (record.status, record.response, record.usage) == ("cancelled", "First.\n\nHalf a sen", Usage(prompt=5))
    assert (await journal_of(engine, "m"))[-1] == Said(text="Half a sen", mark="stopped")
    reply = await reply_to(engine, "m")
    assert reply is not None
    assert (reply.closes, reply.text) == (True, "First.\n\nHalf a sen\n\n(stopped)")


async def test_what_a_stopped_model_call_took_is_counted(every_engine: Engine) -> None:
    engine, shown, used = every_engine, asyncio.Event(), Usage(prompt=4, completion=2, estimated=True)

    async def play(turn: Turn) -> Reply:
        await turn.checkpoint(Step(text="First.", usage=Usage(prompt=5), model="a"))
        try:
            shown.set()
            await asyncio.Event().wait()
        finally:
            turn.spent(used, "b")
        raise AssertionError

    await say(engine, message("m"))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        await soon(shown.wait())
        await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
        assert await engine.outcome(BOT, "m") == ("silent", "stopped")
    record = await turn_of(engine, "m")
    assert (record.model, record.usage) == ("b", Usage(prompt=9, completion=2, estimated=True))
    assert (await journal_of(engine, "m"))[-1] == Said(text="", mark="stopped", usage=used, model="b")


async def test_a_stop_while_a_step_is_stored_says_nothing_twice(engine: Engine) -> None:
    async def play(turn: Turn) -> Reply:
        turn.emit("First.")
        storing.set()
        await turn.checkpoint(Step(text="First."))
        await asyncio.Event().wait()
        raise AssertionError

    storing = asyncio.Event()
    await say(engine, message("m"))
    handler = handler_of(engine, play)
    [lease] = await engine.bus.claim(BOT, 1, 8.0)
    work = Work(lease=lease)
    task = asyncio.create_task(handler.handle(work))
    await soon(storing.wait())
    work.stopped.set()  # the write is on its way to the database's thread
    outcome = await soon(task)
    worker = worker_of(engine, handler)
    await worker._settle(lease, outcome)  # pyright: ignore[reportPrivateUsage]
    assert await journal_of(engine, "m") == [
        Heard(text="hello"),
        Stepped(text="First."),
        Said(text="", mark="stopped"),
    ]
    record = await turn_of(engine, "m")
    assert record.response == "First."


async def test_a_stop_settles_what_is_queued_and_not_what_comes_later(engine: Engine) -> None:
    begun = asyncio.Event()

    async def play(turn: Turn) -> Reply:
        if turn.id == "running":
            begun.set()
            await asyncio.Event().wait()
        return Reply(text="hi")

    script = Script(play)
    handler = handler_of(engine, script)
    await say(engine, message("running"), message("queued"))
    async with running(worker_of(engine, handler), engine):
        await soon(begun.wait())
        await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
        await say(engine, message("later"))
        assert await engine.outcome(BOT, "running") == ("silent", "stopped")
        assert await engine.outcome(BOT, "queued") == ("silent", "stopped")
        assert await engine.outcome(BOT, "later") == ("answered", None)
    assert script.answers == 2  # nobody asked for the queued one
    queued = await turn_of(engine, "queued")
    assert queued.status == "cancelled"


async def test_an_agent_that_breaks_when_it_is_stopped_is_stopped(engine: Engine) -> None:
    begun = asyncio.Event()

    async def play(turn: Turn) -> Reply:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    await say(engine, message("m"))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        await soon(begun.wait())
        await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
        assert await engine.outcome(BOT, "m") == ("silent", "stopped")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelUnavailable("The model is away.", status=503), "upstream_503"),
        (ModelUnavailable("The model is away."), "upstream_unavailable"),
        (ModelRefused("The model refuses.", status=400), "upstream_400"),
    ],
)
async def test_a_program_is_told_at_once_that_the_model_failed(engine: Engine, error: Exception, code: str) -> None:
    await say(engine, message("m", address=ASKER))
    async with running(worker_of(engine, handler_of(engine, fails(error))), engine):
        assert await engine.outcome(BOT, "m") == ("dead", "told")
    record = await turn_of(engine, "m")
    assert (record.status, record.error, record.error_code, record.response) == ("failed", str(error), code, "Let me")
    assert (await journal_of(engine, "m"))[-1] == Said(text="Let me", mark="failed")
    assert (await engine.row(BOT, "m")).error == str(error)


async def test_a_program_is_told_after_the_tries_that_its_turn_has_a_bug(engine: Engine) -> None:
    await say(engine, message("m", address=ASKER))
    timing = Timing(lease=8.0, extend=0.02, tries=1)
    async with running(worker_of(engine, handler_of(engine, fails(ZeroDivisionError())), timing), engine):
        assert await engine.outcome(BOT, "m") == ("dead", "told")
    record = await turn_of(engine, "m")
    assert (record.status, record.error_code) == ("failed", "internal_error")


async def test_in_a_chat_a_model_that_is_away_is_asked_again_and_then_excused(engine: Engine) -> None:
    away = fails(ModelUnavailable("The model is away.", status=503))

    async def play(turn: Turn) -> Reply:
        return await away(turn) if turn.id == "m" else Reply(text="hi")

    script = Script(play)
    handler = handler_of(engine, script)
    await say(engine, message("m"), message("next"))
    async with running(worker_of(engine, handler), engine):
        for attempt, wait in ((1, 1.0), (2, 2.0)):

            async def given_back(attempt: int = attempt) -> bool:
                row = await engine.row(BOT, "m")
                return row.attempts == attempt

            await engine.store.until(given_back)
            assert await reply_to(engine, "m") is None
            engine.forward(wait, BOT)
        assert await engine.outcome(BOT, "m") == ("dead", None)
        delivery = await reply_to(engine, "m")
        assert delivery is not None
        assert delivery.text.startswith("Sorry, ")
        assert "turn m" in delivery.text
        assert await engine.outcome(BOT, "next") == ("answered", None)
    assert script.answers == 4


async def test_in_a_chat_a_model_that_refuses_is_excused_at_once(engine: Engine) -> None:
    handler = handler_of(engine, fails(ModelRefused("The model refuses.", status=400)))
    await say(engine, message("m"))
    async with running(worker_of(engine, handler), engine):
        assert await engine.outcome(BOT, "m") == ("dead", None)
    delivery = await reply_to(engine, "m")
    assert delivery is not None
    assert "The model refuses." in delivery.text


@pytest.mark.parametrize("text", ["", " \n"])
async def test_an_agent_may_stay_silent_in_a_chat(engine: Engine, text: str) -> None:
    await say(engine, message("m"))
    async with running(worker_of(engine, handler_of(engine, replies(text))), engine):
        assert await engine.outcome(BOT, "m") == ("silent", "stay_silent")
    reply = await reply_to(engine, "m")
    assert reply is None or (reply.closes, reply.parts) == (True, ()), "at most a preview is taken back"
    record = await turn_of(engine, "m")
    assert record.status == "completed"


async def test_silence_takes_back_what_the_steps_had_shown(engine: Engine) -> None:
    async def play(turn: Turn) -> Reply:
        turn.emit("Let me see.")
        await turn.checkpoint(Step(text="Let me see."))
        return Reply(silent=True)

    async with running(worker_of(engine, handler_of(engine, play)), engine):
        await say(engine, message("m"), message("h", address=ASKER))
        assert await engine.outcome(BOT, "m") == ("silent", "stay_silent")
        assert await engine.outcome(BOT, "h") == ("answered", None)
    closing = await reply_to(engine, "m")
    assert closing is not None
    assert closing.closes
    assert closing.parts == ()
    assert (await turn_of(engine, "h")).response == ""


@pytest.mark.parametrize("shows", [True, False])
async def test_where_the_platform_waits_for_an_answer_a_silent_agent_gives_one(engine: Engine, shows: bool) -> None:
    async def play(turn: Turn) -> Reply:
        if shows:
            turn.emit(" ")
        return Reply(text="")

    await say(engine, message("m", waited_for=True, reply_to="interaction:1"))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        assert await engine.outcome(BOT, "m") == ("silent", "stay_silent")
    reply = await reply_to(engine, "m")
    assert reply is not None
    assert (reply.text, reply.closes) == ("I have nothing to say to that.", False)
    assert reply.reply_to == "interaction:1"


async def test_where_the_platform_waits_for_an_answer_a_stop_gives_one(engine: Engine) -> None:
    begun = asyncio.Event()

    async def play(turn: Turn) -> Reply:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    await say(engine, *(message(each, waited_for=True, reply_to=f"interaction:{each}") for each in ("m", "n")))
    async with running(worker_of(engine, handler_of(engine, play)), engine):
        await soon(begun.wait())
        await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
        assert await engine.outcome(BOT, "n") == ("silent", "stopped")
    for each in ("m", "n"):
        reply = await reply_to(engine, each)
        assert reply is not None
        assert (reply.text, reply.closes, reply.reply_to) == ("(stopped)", False, f"interaction:{each}")
