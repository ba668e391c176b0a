"""One process at a time holds a channel, keeps it connected and lets go of it whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub.access import Rules
from hub.bus import Bus
from hub.channel import Channel, Intake, Limits, Sending
from hub.delivery.posts import publish
from hub.errors import ChannelRefused, Unreachable
from hub.files import FileStore
from hub.ingress import Ingress
from hub.message import Address, Author, Delivery, Text
from hub.records.health import Health, of_channels
from hub.store import open_store
from hub.store.tables import lanes, messages
from hub.supervise import ELSEWHERE_WAIT, RUN, Line, Supervisor
from hub.worker import Timing, Worker
from tests.hub.engine import Chat, Engine, FailingStore, LossySignals, message, soon

ENDLESS = Timing(lease=8.0, extend=0.02, tries=None)
Make = Callable[[], Awaitable[Channel]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are tried again at once."""
    monkeypatch.setattr("hub.supervise.delay", lambda attempt, **_: 0.001 * attempt)  # type: ignore[misc]


def makes(channel: Channel) -> Make:
    async def make() -> Channel:
        return channel

    return make


class Process:
    """What a process runs of its channels."""

    def __init__(self, bus: Bus, make: dict[str, Make], timing: Timing = ENDLESS) -> None:
        ingress = Ingress(bus, {name: Rules(agent="bot", direct="open") for name in ("support", "news")})
        self.lines = {name: Line(settings=name, make=one) for name, one in make.items()}
        self.supervisor = Supervisor(bus, ingress, FileStore(Path("unused")), timing=timing, grace=0.2)
        self.worker = Worker(bus, RUN, self.supervisor, timing=timing, random=lambda: 0.0)

    async def start(self) -> None:
        await self.apply(self.lines)
        self.worker.start()

    async def apply(self, lines: dict[str, Line]) -> None:
        await self.supervisor.apply(lines)
        await self.supervisor.announce()

    async def close(self) -> None:
        self.supervisor.close()
        await soon(self.worker.close(5.0))

    def state(self, name: str = "support") -> str:
        return self.supervisor.health[name].state


@asynccontextmanager
async def process(engine: Engine, bus: Bus | None = None, **made: Channel) -> AsyncGenerator[Process]:
    one = Process(bus or engine.bus, {name: makes(channel) for name, channel in made.items()})
    await one.start()
    try:
        yield one
    finally:
        engine.store.down = engine.store.hung = False
        await one.close()


@asynccontextmanager
async def another_bus(engine: Engine, url: str) -> AsyncGenerator[Bus]:
    """Another process's bus: its own connections and signals, the same database and clock."""
    store = FailingStore(await open_store(url))
    yield Bus(store, LossySignals(), engine.clock)
    await store.close()


async def until(engine: Engine, check: Callable[[], object]) -> None:
    async def holds() -> bool:
        return bool(check())

    await engine.store.until(holds)


async def test_a_held_channel_listens_and_sends(engine: Engine) -> None:
    chat = Chat()
    async with process(engine, support=chat) as one:
        await soon(chat.connected.wait())
        assert one.state() == "up"
        chat.heard.put_nowait(message("m"))
        await engine.store.until(lambda: engine.row("agent:bot", "m"))
        hi = Delivery(
            id="d", address=Address("support", "42"), parts=(Text(text="hi"),), author=Author(id="b", name="b")
        )
        await engine.bus.commit(publish(hi))
        assert await engine.outcome("channel:support", "d") == ("delivered", None)
    assert (one.state(), chat.listening, chat.closed) == ("stopped", 0, 1)
    assert await engine.bus.residue(0.0) == 0


async def test_a_lost_connection_is_made_again_and_says_why_it_was_lost(engine: Engine) -> None:
    chat = Chat()
    async with process(engine, support=chat) as one:
        await soon(chat.connected.wait())
        for number, error in enumerate([Unreachable("reset"), ZeroDivisionError("a bug"), Unreachable("again")], 2):
            chat.connected.clear()
            chat.heard.put_nowait(error)
            await soon(chat.connected.wait())
            assert chat.connections == number
        health = one.supervisor.health["support"]
        assert (health.state, health.error, health.reconnects) == ("up", None, 3)


async def test_a_channel_that_cannot_connect_is_retrying_and_others_are_not_affected(engine: Engine) -> None:
    class Away(Chat):
        async def listen(self, intake: Intake) -> None:
            self.connections += 1
            raise Unreachable("no route")

    away, alive = Away(), Chat()
    async with process(engine, support=away, news=alive) as one:
        await soon(alive.connected.wait())
        await until(engine, lambda: away.connections >= 3)
        assert one.supervisor.health["support"].error == "no route"
        assert one.state("news") == "up"


async def test_a_refused_token_is_failed_and_stays_and_others_are_not_affected(engine: Engine) -> None:
    refused, alive = Chat(), Chat()
    async with process(engine, support=refused, news=alive) as one:
        await soon(refused.connected.wait())
        refused.heard.put_nowait(ChannelRefused("The token is wrong."))
        await until(engine, lambda: one.state() == "failed")
        alive.heard.put_nowait(message("m", address=Address("news", "1")))
        await engine.store.until(lambda: engine.row("agent:bot", "m"))
        health = one.supervisor.health["support"]
        assert (health.state, health.error, refused.connections) == ("failed", "The token is wrong.", 1)
        assert one.state("news") == "up"


async def test_a_connection_that_just_ends_is_made_again(engine: Engine) -> None:
    class Ends(Chat):
        async def listen(self, intake: Intake) -> None:
            self.connections += 1

    ends = Ends()
    async with process(engine, support=ends) as one:
        await until(engine, lambda: ends.connections >= 3)
        assert one.supervisor.health["support"].error == "the connection ended"


async def test_a_channel_that_cannot_be_made_says_why_and_is_tried_again(engine: Engine) -> None:
    chat = Chat()
    failures = [ImportError("no module named aiogram")]

    async def make() -> Channel:
        if failures:
            raise failures.pop()
        return chat

    one = Process(engine.bus, {"support": make})
    await one.start()
    await until(engine, lambda: one.state() == "retrying")
    assert one.supervisor.health["support"].error == "ImportError: no module named aiogram"

    async def given_back() -> bool:
        return not (await run_lane(engine)).leased

    await engine.store.until(given_back)
    engine.forward(1.0, RUN)
    await soon(chat.connected.wait())
    await one.close()


async def run_lane(engine: Engine) -> Any:
    [row] = await engine.all(select(lanes).where(lanes.c.inbox == RUN, lanes.c.lane == "channel:support"))
    return row


@pytest.mark.usefixtures("quick_polls")
async def test_of_two_processes_exactly_one_holds_a_channel_and_the_other_takes_over(
    every_engine: Engine, request: pytest.FixtureRequest
) -> None:
    engine, chat = every_engine, Chat()
    url = request.getfixturevalue("store_url")
    async with another_bus(engine, url) as other:
        first, second = Process(engine.bus, {"support": makes(chat)}), Process(other, {"support": makes(chat)})
        await first.start()
        await soon(chat.connected.wait())
        await second.start()
        for _ in range(3):  # longer than a lease: the first one extends
            engine.clock.forward(7.0)
            until_then = engine.clock.now + ENDLESS.lease

            async def extended(until_then: float = until_then) -> bool:
                return (await run_lane(engine)).ready_at == until_then

            await engine.store.until(extended)
        assert (first.state(), second.state(), chat.most_listening) == ("up", "stopped", 1)
        chat.connected.clear()
        await first.close()
        await soon(chat.connected.wait())
        assert (first.state(), second.state(), chat.most_listening) == ("stopped", "up", 1)
        await second.close()
    assert chat.connections == 2


async def test_a_process_that_died_is_replaced_when_its_lease_is_over(
    every_engine: Engine, request: pytest.FixtureRequest
) -> None:
    engine, mine, theirs = every_engine, Chat(), Chat()
    url = request.getfixturevalue("store_url")
    async with another_bus(engine, url) as other:
        dead = Process(other, {"support": makes(theirs)}, Timing(lease=8.0, extend=3600.0, tries=None))
        await dead.start()
        await soon(theirs.connected.wait())  # and from now on extends nothing
        async with process(engine, support=mine) as one:
            engine.forward(7.9, RUN)
            await engine.publish("sign", "s")
            assert mine.connections == 0
            engine.forward(0.2, RUN)
            await soon(mine.connected.wait())
            assert one.state() == "up"
        await dead.close()


async def test_a_holder_that_lost_its_lease_stops_listening(engine: Engine) -> None:
    chat = Chat()
    async with process(engine, support=chat) as one:
        await soon(chat.connected.wait())
        stolen = Bus(engine.store, LossySignals(), engine.clock)
        while not (found := await stolen.claim(RUN, 1, 3600.0)):
            engine.clock.forward(8.1)
        await until(engine, lambda: chat.listening == 0 and one.state() == "stopped")
        assert (await run_lane(engine)).token == found[0].token
        assert chat.closed == 1


async def test_a_holder_that_cannot_extend_stops_listening(engine: Engine) -> None:
    chat = Chat()
    one = Process(engine.bus, {"support": makes(chat)}, Timing(lease=0.3, extend=0.05, tries=None))
    await one.start()
    await soon(chat.connected.wait())
    engine.store.down = True
    await until(engine, lambda: chat.listening == 0)
    engine.store.down = False
    chat.connected.clear()
    engine.forward(0.4, RUN)
    await soon(chat.connected.wait())
    await one.close()


async def test_a_listener_that_swallows_its_cancellation_is_cancelled_again(engine: Engine) -> None:
    class Stubborn(Chat):
        async def listen(self, intake: Intake) -> None:
            try:
                await super().listen(intake)
            except asyncio.CancelledError:
                raise Unreachable("the library made this of it") from None

    chat = Stubborn()
    async with process(engine, support=chat) as one:
        await soon(chat.connected.wait())
    assert (one.state(), chat.listening, chat.closed) == ("stopped", 0, 1)


async def test_ten_starts_and_stops_leave_one_connection(engine: Engine) -> None:
    chat = Chat()
    before = len(asyncio.all_tasks())
    for number in range(10):
        chat.connected.clear()
        async with process(engine, support=chat):
            await soon(chat.connected.wait())
            assert (chat.connections, chat.listening) == (number + 1, 1)
    async with process(engine, support=chat):
        await until(engine, lambda: chat.connections == 11)
        assert (chat.listening, chat.most_listening, chat.closed) == (1, 1, 10)
    assert len(asyncio.all_tasks()) == before


async def test_nothing_is_heard_any_more_while_what_is_said_still_goes_out(engine: Engine) -> None:
    chat = Chat()
    async with process(engine, support=chat) as one:
        await soon(chat.connected.wait())
        one.supervisor.stop_listening()
        await until(engine, lambda: chat.listening == 0)
        hi = Delivery(
            id="d", address=Address("support", "42"), parts=(Text(text="hi"),), author=Author(id="b", name="b")
        )
        await engine.bus.commit(publish(hi))
        assert await engine.outcome("channel:support", "d") == ("delivered", None)


async def test_what_is_being_sent_when_the_lease_is_lost_is_finished(engine: Engine) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    class Slow(Chat):
        async def send(self, sending: Sending) -> str:
            begun.set()
            await go.wait()
            return await super().send(sending)

    chat = Slow()
    hi = Delivery(id="d", address=Address("support", "42"), parts=(Text(text="hi"),), author=Author(id="b", name="b"))
    await engine.bus.commit(publish(hi))
    async with process(engine, support=chat):
        await soon(begun.wait())
        stolen = Bus(engine.store, LossySignals(), engine.clock)
        while not await stolen.claim(RUN, 1, 3600.0):
            engine.clock.forward(8.1)
        await until(engine, lambda: chat.listening == 0)
        go.set()
        assert await engine.outcome("channel:support", "d") == ("delivered", None)
    assert len(chat.sent) == 1


async def test_a_channel_of_another_process_is_left_to_it(every_engine: Engine, request: pytest.FixtureRequest) -> None:
    engine, chat = every_engine, Chat()
    url = request.getfixturevalue("store_url")
    async with process(engine, news=Chat()), another_bus(engine, url) as other:
        two = Process(other, {"support": makes(chat)})
        await two.apply(two.lines)

        async def left() -> bool:
            row = await run_lane(engine)
            return not row.leased and row.token > 0

        engine.forward(0.0, RUN)
        await engine.store.until(left)
        two.worker.start()

        async def taken() -> bool:
            engine.forward(ELSEWHERE_WAIT, RUN)  # as often as the other one is quicker, and leaves it again
            return chat.connected.is_set()

        await engine.store.until(taken)
        await two.close()


async def test_a_channel_that_shows_typing_is_asked_to(engine: Engine) -> None:
    class Typist(Chat):
        async def typing(self, address: Address) -> None:
            typed.set()

    typed, chat = asyncio.Event(), Typist(typing_seconds=0.01)
    assert chat.limits == Limits(
        length=20, unit="chars", per_chat=1e6, per_group=1e6, per_bot=1e6, burst=1000, typing_seconds=0.01
    )
    async with process(engine, support=chat):
        await soon(chat.connected.wait())

        async def shown() -> bool:
            engine.signals.send(
                "live.support", b'{"kind":"typing","turn":"t","address":{"channel":"support","chat_id":"42"}}'
            )
            return typed.is_set()

        await engine.store.until(shown)


async def test_announcing_again_changes_nothing(engine: Engine) -> None:
    one = Process(engine.bus, {"support": makes(Chat())})
    for _ in range(3):
        await one.apply(one.lines)
    assert len(await engine.all(select(messages.c.mid).where(messages.c.inbox == RUN))) == 1


async def test_ten_restarts_leave_one_connection(engine: Engine) -> None:
    chat = Chat()
    async with process(engine, support=chat) as one:
        for number in range(10):
            await until(engine, lambda number=number: chat.connections == number + 1 and one.state() == "up")
            assert await one.supervisor.restart("support")
        await until(engine, lambda: chat.connections == 11 and one.state() == "up")
        assert (chat.most_listening, chat.closed) == (1, 10)
        chat.heard.put_nowait(message("m"))
        await engine.store.until(lambda: engine.row("agent:bot", "m"))


async def test_a_channel_that_nobody_holds_cannot_be_restarted(engine: Engine) -> None:
    chat = Chat()
    async with process(engine, support=chat) as one:
        await soon(chat.connected.wait())
    assert not await one.supervisor.restart("support")


async def test_how_a_channel_is_can_be_read_from_outside(engine: Engine) -> None:
    chat = Chat()

    async def seen() -> tuple[str, str | None, int]:
        health = (await engine.store.read(of_channels)).get("support", Health(state="stopped", since=0.0))
        return health.state, health.error, health.reconnects

    async with process(engine, support=chat):
        await soon(chat.connected.wait())
        chat.heard.put_nowait(Unreachable("away"))
        await engine.store.until(lambda: _is(seen, ("up", None, 1)))
        chat.heard.put_nowait(ChannelRefused("The token is refused."))
        await engine.store.until(lambda: _is(seen, ("failed", "The token is refused.", 1)))
    assert (await seen())[0] == "stopped"


async def _is(seen: Callable[[], Awaitable[object]], wanted: object) -> bool:
    return await seen() == wanted
