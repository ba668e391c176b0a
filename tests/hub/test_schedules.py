"""Schedules become messages: once, in the chat they are for, and only while they are wanted."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select

from hub import chats, timetable
from hub.bus import Bus, Lease, Publish
from hub.delivery.posts import Posts
from hub.errors import Forbidden, LeaseLost, RequestError
from hub.message import Address, Message
from hub.schedules import LANE, Scheduler
from hub.store import Connection
from hub.store.tables import messages, schedules
from hub.supervise import RUN
from hub.turns.persona import Persona
from hub.turns.running import RunningTurn
from hub.when import Every, Once, When
from hub.worker import Work
from tests.auditing import audited
from tests.hub.engine import ASKER, BOT, CHAT, Engine, channels, message

OTHER = Address("support", "43")


async def held(bus: Bus, lane: str = LANE, inbox: str = RUN) -> Lease:
    [lease] = await bus.claim(inbox, 1, 8.0)
    return lease


async def scheduler(engine: Engine) -> Lease:
    await engine.bus.commit(Publish(inbox=RUN, lane=LANE, id=LANE, body=b""))
    return await held(engine.bus)


async def turn(engine: Engine, id: str = "m", address: Address = CHAT, posts_to: tuple[str, ...] = ()) -> RunningTurn:
    said = message(id, address=address, posts_to=() if address == ASKER else None)
    await engine.bus.commit(Publish(inbox=BOT, lane=id, id=id, body=msgspec.json.encode(said)))
    posts = Posts(engine.bus, channels(support=True))
    persona = Persona(name="bot", bus=engine.bus, posts=posts, posts_to=posts_to)
    return RunningTurn(persona, Work(lease=await held(engine.bus, id, BOT)))


async def add(engine: Engine, when: When, text: str = "tea", id: str = "m") -> int:
    one = await turn(engine, id)
    made = await one.schedules.add("0", CHAT, text, when)
    return made.id


async def fired(engine: Engine) -> list[Message]:
    query = select(messages.c.body).where(messages.c.mid.startswith("schedule:")).order_by(messages.c.seq)
    return [msgspec.json.decode(row.body, type=Message) for row in await engine.all(query)]


async def test_a_schedule_fires_once_as_a_message_of_its_chat(every_engine: Engine) -> None:
    engine, lease = every_engine, await scheduler(every_engine)
    due = engine.clock() + 60
    made = await add(engine, Once(at=due))
    await Scheduler(engine.bus).fire(lease)
    assert await fired(engine) == []
    engine.clock.forward(61)
    await Scheduler(engine.bus).fire(lease)
    await Scheduler(engine.bus).fire(lease)
    [one] = await fired(engine)
    assert (one.id, one.address) == (f"schedule:{made}:{int(due)}", CHAT)
    assert (one.author.id, one.author.kind) == ("bot", "agent")
    assert one.text.startswith("(A reminder you set yourself")
    assert one.text.endswith("\n\ntea")
    assert await engine.all(select(schedules.c.id)) == []


async def test_after_a_long_stop_there_is_one_catch_up(every_engine: Engine) -> None:
    engine, lease = every_engine, await scheduler(every_engine)
    due = engine.clock() + 60
    made = await add(engine, Every(seconds=60))
    engine.clock.forward(30 * 60 + 5)
    await Scheduler(engine.bus).fire(lease)
    await Scheduler(engine.bus).fire(lease)
    assert [one.id for one in await fired(engine)] == [f"schedule:{made}:{int(due)}"]
    [row] = await engine.all(select(schedules.c.next_at))
    assert row.next_at == due + 30 * 60


async def test_nothing_piles_up_while_the_last_one_waits(engine: Engine) -> None:
    lease = await scheduler(engine)
    await add(engine, Every(seconds=60))
    for _ in range(5):
        engine.clock.forward(60)
        await Scheduler(engine.bus).fire(lease)
    [first_one] = await fired(engine)
    await engine.bus.withdraw(BOT, first_one.id, "silent", "stopped")
    engine.clock.forward(60)
    await Scheduler(engine.bus).fire(lease)
    assert len(await fired(engine)) == 2


async def test_who_lost_the_lane_fires_nothing(every_engine: Engine) -> None:
    engine, old = every_engine, await scheduler(every_engine)
    await add(engine, Once(at=engine.clock() + 60))
    engine.clock.forward(61)
    new = await held(engine.bus)
    with pytest.raises(LeaseLost):
        await Scheduler(engine.bus).fire(old)
    assert await fired(engine) == []
    await Scheduler(engine.bus).fire(new)
    assert len(await fired(engine)) == 1


async def test_message_and_next_time_are_one_unit(engine: Engine) -> None:
    lease = await scheduler(engine)
    await add(engine, Every(seconds=60))
    engine.clock.forward(61)
    engine.store.break_commit = lambda: RuntimeError("killed")
    with pytest.raises(RuntimeError):
        await Scheduler(engine.bus).fire(lease)
    assert await fired(engine) == []
    await Scheduler(engine.bus).fire(lease)
    assert len(await fired(engine)) == 1


async def test_one_that_is_cancelled_in_between_does_not_fire(engine: Engine) -> None:
    lease = await scheduler(engine)
    made = await add(engine, Once(at=engine.clock() + 60))
    engine.clock.forward(61)
    commit = engine.bus.commit

    async def commit_late(*operations: object, **more: object) -> list[bool]:
        def cancel(connection: Connection) -> bool:
            return timetable.cancel(connection, "bot", CHAT, made)

        await engine.store.write(cancel)
        return await commit(*operations, **more)  # pyright: ignore[reportArgumentType] - passed on as they are

    engine.bus.commit = commit_late  # pyright: ignore[reportAttributeAccessIssue] - a test double of one method
    await Scheduler(engine.bus).fire(lease)
    assert await fired(engine) == []


async def test_a_step_that_runs_again_adds_nothing(every_engine: Engine) -> None:
    one = await turn(every_engine)
    when = Every(seconds=60)
    made = await one.schedules.add("0", CHAT, "tea", when)
    assert await one.schedules.add("0", CHAT, "tea", when) == made
    other = await one.schedules.add("1", CHAT, "cake", Every(seconds=120))
    assert [s.id for s in await one.schedules.list(CHAT)] == [made.id, other.id]


async def test_only_ones_own_are_seen_and_cancelled(engine: Engine) -> None:
    one = await turn(engine, posts_to=("support:*",))
    made = await one.schedules.add("0", CHAT, "tea", Every(seconds=60))
    assert await one.schedules.list(OTHER) == []
    assert not await one.schedules.cancel(OTHER, made.id)
    assert not await engine.store.write(lambda connection: timetable.cancel(connection, "other", CHAT, made.id))
    assert await one.schedules.cancel(CHAT, made.id)
    assert await one.schedules.list(CHAT) == []


async def test_there_is_a_bound(engine: Engine) -> None:
    one = await turn(engine)
    for number in range(timetable.MOST):
        await one.schedules.add(str(number), CHAT, "tea", Every(seconds=60))
    with pytest.raises(RequestError, match="cancel one first"):
        await one.schedules.add("more", CHAT, "tea", Every(seconds=60))


async def test_other_chats_are_for_those_who_may_post_there(engine: Engine) -> None:
    one = await turn(engine)
    with pytest.raises(Forbidden):
        await one.schedules.add("0", OTHER, "tea", Every(seconds=60))
    with pytest.raises(Forbidden):
        await one.schedules.cancel(OTHER, 1)
    program = await turn(engine, "h", ASKER)
    with pytest.raises(RequestError, match="name the channel"):
        await program.schedules.add("0", ASKER, "tea", Every(seconds=60))


@pytest.mark.parametrize("text", ["", " ", "x" * 4001])
async def test_a_text_is_needed_and_bounded(engine: Engine, text: str) -> None:
    one = await turn(engine)
    with pytest.raises(RequestError, match="text"):
        await one.schedules.add("0", CHAT, text, Every(seconds=60))


async def test_a_turn_that_lost_its_lease_adds_nothing(engine: Engine) -> None:
    one = await turn(engine)
    engine.clock.forward(9)
    await held(engine.bus, "m", BOT)
    with pytest.raises(LeaseLost):
        await one.schedules.add("0", CHAT, "tea", Every(seconds=60))
    assert await engine.all(select(schedules.c.id)) == []


async def test_schedules_move_with_their_chat(engine: Engine) -> None:
    await add(engine, Every(seconds=60))
    await engine.store.write(lambda connection: chats.move(connection, "support", "42", "-10042"))
    [row] = await engine.all(select(schedules.c.address))
    assert row.address == "support:-10042"


async def test_a_reminder_for_another_chat_is_audited_once_and_one_for_this_chat_is_not(every_engine: Engine) -> None:
    engine, when = every_engine, Once(at=every_engine.clock() + 60)
    reminders = (await turn(engine, posts_to=("support:43",))).schedules
    await reminders.add("0", CHAT, "tea", when)
    made = [await reminders.add("1", OTHER, "secret words", when) for _ in range(2)]
    assert await reminders.cancel(OTHER, made[0].id)
    assert not await reminders.cancel(OTHER, made[0].id)
    rows = [(row.what, row.target, row.by, row.after["schedule"]) for row in await audited(engine.store)]
    assert rows == [(f"schedule.{done}", str(OTHER), "agent:bot", made[0].id) for done in ("create", "cancel")]
