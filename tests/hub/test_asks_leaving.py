"""A client that goes away stops its turn in time, unless it comes back for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, select

from hub.agent import Reply, Turn
from hub.errors import ModelRefused
from hub.store.tables import turns
from tests.hub.asking import SAID, TEXT, Held, agent, ask, asking, count, read, streams
from tests.hub.engine import BOT, Engine, soon, turn_of


async def test_a_client_gone_before_its_turn_began_withdraws_it_after_the_grace(every_engine: Engine) -> None:
    engine = every_engine
    async with asking(engine, grace=0.02) as asks:
        async with asks.ask(ask()) as answer:
            pass
        assert await engine.outcome(BOT, answer.id) == ("refused", "client gone")
    assert (await turn_of(engine, answer.id)).status == "cancelled"
    async with agent(engine, streams) as script:
        await engine.publish(BOT, "unreadable", lane="sign")
        assert script.answers == 0
    assert await engine.bus.residue(0.0) == 0


async def test_a_client_gone_before_the_first_byte_cancels_its_running_turn_after_the_grace(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=0.02) as asks, agent(engine, held):
        async with asks.ask(ask()) as answer:
            await soon(held.begun.wait())
        await soon(held.cancelled.wait())
        assert await engine.outcome(BOT, answer.id) == ("silent", "stopped")
    assert (await turn_of(engine, answer.id)).response == "Do"


async def test_a_turn_goes_on_for_the_grace(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=60.0) as asks, agent(engine, held):
        async with asks.ask(ask()) as answer:
            await soon(held.begun.wait())
        held.go.set()
        assert await engine.outcome(BOT, answer.id) == ("answered", None)


async def test_a_client_gone_after_the_first_byte_cancels_at_once(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=60.0) as asks, agent(engine, held):
        async with asks.ask(ask()) as answer:
            await soon(anext(aiter(answer)))
            answer.began()
        await soon(held.cancelled.wait())
        assert await engine.outcome(BOT, answer.id) == ("silent", "stopped")


async def test_a_client_cut_off_while_its_message_is_stored_leaves_nothing_running(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, stored = engine.store.write, asyncio.Event()

    async def unheard(unit: Callable[[Connection], object]) -> object:
        result = await write(unit)
        if not stored.is_set():
            stored.set()
            await asyncio.Event().wait()
        return result

    monkeypatch.setattr(engine.store, "write", unheard)
    async with asking(engine, grace=0.02) as asks:

        async def call() -> None:
            async with asks.ask(ask()):
                raise AssertionError

        task = asyncio.create_task(call())
        await soon(stored.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def withdrawn() -> bool:
            found = await engine.all(select(turns.c.status))
            return [row.status for row in found] == ["cancelled"]

        await engine.store.until(withdrawn)


async def test_an_sdks_retry_attaches_to_the_running_turn_and_keeps_it_alive(engine: Engine) -> None:
    held = Held(TEXT)
    async with asking(engine, grace=0.05) as asks, agent(engine, held) as script:
        async with asks.ask(ask()) as first:
            await soon(held.begun.wait())
        async with asks.ask(ask(repeats=True)) as second:
            assert second.id == first.id
            await asyncio.wait({asyncio.create_task(held.cancelled.wait())}, timeout=0.2)  # longer than the grace
            held.go.set()
            assert await soon(read(second)) == TEXT
        assert script.answers == 1
    assert await count(engine) == 1


async def test_an_sdks_retry_gets_the_answer_that_came_in_between(engine: Engine) -> None:
    async with asking(engine) as asks, agent(engine, streams) as script:
        async with asks.ask(ask()) as first:
            pass
        await engine.outcome(BOT, first.id)
        async with asks.ask(ask(repeats=True)) as second:
            assert await soon(read(second)) == SAID
        assert (second.id, script.answers) == (first.id, 1)


async def test_after_a_restart_no_answer_counts_as_written(engine: Engine) -> None:
    async with agent(engine, streams):
        async with asking(engine) as asks, asks.ask(ask()) as first:
            await soon(read(first))
            first.written()
        async with asking(engine) as asks, asks.ask(ask(repeats=True)) as second:
            assert await soon(read(second)) == SAID
    assert second.id == first.id


@pytest.mark.parametrize(
    "why", ["written", "cancelled", "failed", "other body", "other session", "too old", "no retry"]
)
async def test_a_request_that_repeats_nothing_is_a_turn_of_its_own(engine: Engine, why: str) -> None:
    begun = asyncio.Event()

    async def play(turn: Turn) -> Reply:
        if why == "failed" and script.answers == 1:
            raise ModelRefused("no", status=400)
        if why == "cancelled" and script.answers == 1:
            begun.set()
            await asyncio.Event().wait()
        return await streams(turn)

    again = {
        "other body": ask(repeats=True, body="else"),
        "other session": ask(repeats=True, session="else"),
        "no retry": ask(),
    }
    async with asking(engine) as asks, agent(engine, play) as script:
        async with asks.ask(ask()) as first:
            if why == "cancelled":
                # A turn cancelled before it began would leave the agent's first answer to the second.
                await soon(begun.wait())
                await asks.cancel(first.id)
            await soon(read(first))
            if why == "written":
                first.written()
        if why == "too old":
            engine.clock.forward(601.0)
        async with asks.ask(again.get(why, ask(repeats=True))) as second:
            assert await soon(read(second)) == SAID
    assert second.id != first.id
    assert await count(engine) == 2


async def test_the_last_follower_decides(engine: Engine) -> None:
    held = Held(TEXT)
    async with asking(engine, grace=0.02) as asks, agent(engine, held), asks.ask(ask()) as first:
        await soon(held.begun.wait())
        async with asks.ask(ask(repeats=True)) as second:
            assert second.id == first.id
            second.began()
        await asyncio.wait({asyncio.create_task(held.cancelled.wait())}, timeout=0.1)
        assert not held.cancelled.is_set()
        held.go.set()
        assert await soon(read(first)) == TEXT


async def test_a_store_that_is_away_when_a_client_leaves_is_no_crash(engine: Engine) -> None:
    held = Held()
    async with asking(engine, grace=0.0) as asks, agent(engine, held):
        async with asks.ask(ask()) as answer:
            await soon(held.begun.wait())
            engine.store.down = True
        await asyncio.gather(*asks._leaving)  # pyright: ignore[reportPrivateUsage]
        engine.store.down = False
        held.go.set()
        assert await engine.outcome(BOT, answer.id) == ("answered", None)
