"""Rapid messages of one sender are collected before their turn begins (`debounce`)."""

from __future__ import annotations

from hub.bus import Stop
from hub.message import Author
from hub.turns.arrivals import MOST_PAUSES
from tests.hub.engine import (
    ANN,
    ASKER,
    BOT,
    CHAT,
    Engine,
)
from tests.hub.turns.test_busy import BOB, OTHER, Gated, at_work, is_free, reply_to, say


class TestDebounce:
    async def test_rapid_messages_of_one_sender_are_one_turn(self, every_engine: Engine) -> None:
        engine, agent = every_engine, Gated()
        agent.go.set()
        async with at_work(engine, agent.answer, debounce=2.0):
            for mid in ("a", "b", "c"):
                await say(engine, mid)
                await engine.store.until(lambda: is_free(engine))
                engine.forward(1.5, BOT)
            assert (await engine.row(BOT, "a")).outcome is None
            engine.forward(0.5, BOT)
            assert await engine.outcome(BOT, "a") == ("answered", None)
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
            assert await engine.outcome(BOT, "c") == ("silent", "merged:a")
        assert agent.begun.qsize() == 1
        assert (await reply_to(engine, "a")).text == "Well, a and b and c"
        assert (await engine.row(BOT, "a")).attempts == 1
        assert await engine.bus.residue(0.0) == 0

    async def test_another_sender_and_another_chat_are_turns_of_their_own(self, every_engine: Engine) -> None:
        engine, agent = every_engine, Gated()
        agent.go.set()
        await say(engine, "a1")
        await say(engine, "x1", ANN, OTHER)
        await say(engine, "b1", BOB)
        await say(engine, "a2")
        engine.clock.forward(2.0)
        async with at_work(engine, agent.answer, debounce=2.0):
            for mid in ("a1", "x1", "b1", "a2"):
                assert await engine.outcome(BOT, mid) == ("answered", None)

    async def test_a_longer_pause_parts_them(self, engine: Engine) -> None:
        agent = Gated()
        agent.go.set()
        for mid, pause in (("a", 1.0), ("b", 3.0), ("c", 2.0)):
            await say(engine, mid)
            engine.clock.forward(pause)
        async with at_work(engine, agent.answer, debounce=2.0):
            assert await engine.outcome(BOT, "b") == ("silent", "merged:a")
            assert await engine.outcome(BOT, "c") == ("answered", None)

    async def test_who_never_pauses_is_answered_all_the_same(self, engine: Engine) -> None:
        agent = Gated()
        agent.go.set()
        for number in range(2 * MOST_PAUSES):
            await say(engine, f"m{number}")
            engine.clock.forward(1.0)
        async with at_work(engine, agent.answer, debounce=1.0):
            assert await engine.outcome(BOT, f"m{MOST_PAUSES}") == ("silent", "merged:m0")
            assert await engine.outcome(BOT, f"m{MOST_PAUSES + 1}") == ("answered", None)

    async def test_programs_do_not_wait_and_are_never_merged(self, every_engine: Engine) -> None:
        engine, agent = every_engine, Gated()
        agent.go.set()
        program = Author(id="1", name="1", kind="api")
        await say(engine, "a", program, ASKER)
        await say(engine, "b", program, ASKER)
        for busy in ("steer", "interrupt"):
            async with at_work(engine, agent.answer, busy=busy, debounce=5.0):
                assert await engine.outcome(BOT, "a") == ("answered", None)
                assert await engine.outcome(BOT, "b") == ("answered", None)

    async def test_a_stop_ends_the_wait(self, engine: Engine) -> None:
        agent = Gated()
        async with at_work(engine, agent.answer, debounce=2.0):
            await say(engine, "a")
            await say(engine, "b")
            await engine.store.until(lambda: is_free(engine))
            await engine.bus.commit(Stop(inbox=BOT, lane=str(CHAT)))
            engine.forward(2.0, BOT)
            assert await engine.outcome(BOT, "a") == ("silent", "stopped")
            assert await engine.outcome(BOT, "b") == ("silent", "stopped")
        assert agent.begun.empty()
