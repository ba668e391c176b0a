"""What an agent remembers is appended, ordered and shown as a model wants it."""

from __future__ import annotations

from hub import memory
from hub.memory import Entry, Heard, Said, Stepped, Summary
from hub.message import Address
from hub.model import ToolCall, Usage
from tests.hub.engine import CHAT, Engine

CALLS = (ToolCall(id="c1", name="message", arguments='{"content":"hi"}'), ToolCall(id="c2", name="x", arguments="{}"))


async def begin(engine: Engine, agent: str = "bot", address: Address = CHAT) -> int:
    return await engine.store.write(lambda c: memory.new_session(c, agent, address, engine.clock()))


async def append(engine: Engine, session: int, turn: str, *new: Entry, first: int = 0) -> None:
    await engine.store.write(lambda c: memory.append(c, session, turn, first, new, engine.clock()))


async def test_each_agent_has_its_own_current_session_at_an_address(every_engine: Engine) -> None:
    engine = every_engine

    async def current(agent: str, address: Address = CHAT) -> int | None:
        return await engine.store.read(lambda c: memory.current_session(c, agent, address))

    assert await current("bot") is None
    first = await begin(engine)
    other = await begin(engine, "other")
    thread = await begin(engine, address=Address("support", "42", "7"))
    assert [await current("bot"), await current("other")] == [first, other]
    second = await begin(engine)
    assert await current("bot") == second
    assert await current("bot", Address("support", "42", "7")) == thread
    assert len({first, other, thread, second}) == 4


async def test_a_turn_without_a_session_begins_the_first_one(every_engine: Engine) -> None:
    engine = every_engine

    async def first(turn: str) -> int:
        return await engine.store.write(lambda c: memory.first_session(c, "bot", CHAT, turn, engine.clock()))

    session = await first("t")
    await append(engine, session, "t", Heard(text="hi"))
    assert await first("t") == session  # its own, stored by a write that was cut off
    new = await begin(engine)
    assert await first("t") == session
    assert await first("u") not in (session, new)  # `/new` came in between: not into the new one
    assert await engine.store.read(lambda c: memory.current_session(c, "bot", CHAT)) == new


async def test_entries_come_back_as_they_were_and_twice_is_once(every_engine: Engine) -> None:
    engine = every_engine
    session = await begin(engine)
    step = Stepped(text="Let me.", calls=CALLS, results=("sent", "done"), usage=Usage(prompt=3), model="m")
    entries: list[Entry] = [Heard(text="hi", author="Ann"), step, Said(text="done", mark="stopped")]
    await append(engine, session, "t", *entries)
    await append(engine, session, "t", Heard(text="something else"), first=0)
    await append(engine, session, "t", *entries[1:], first=1)
    assert await engine.store.read(lambda c: memory.journal(c, "t")) == (session, entries)
    assert await engine.store.read(lambda c: memory.journal(c, "u")) == (None, [])


async def test_a_session_tells_when_it_began_and_how_many_turns_it_has(engine: Engine) -> None:
    session = await begin(engine)
    for turn in ("a", "b"):
        await append(engine, session, turn, Heard(text="hi"), Said(text="ho"))
    await append(engine, session, memory.summaries(session), Summary(text="They greeted.", upto=2))
    assert await engine.store.read(lambda c: memory.summary(c, session)) == (engine.clock.now, 2)
