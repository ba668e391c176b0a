"""A session is read from its end, as far as there is room, and summed up from its beginning."""

from __future__ import annotations

from collections.abc import Sequence

from hub import memory
from hub.memory import Entry, Heard, Said, Stepped, Summary
from hub.model import ToolCall
from hub.turns import history, view
from hub.turns.history import PAGE, Oldest
from hub.turns.view import Past
from tests.hub.engine import Engine
from tests.hub.test_memory import append, begin

EACH = view.size([Heard(text="0" * 200), Said(text="ok")])
"""Tokens of one of `talk`'s turns."""


async def talk(engine: Engine, session: int, numbers: Sequence[int]) -> None:
    """A turn for each number, in one write."""
    now = engine.clock()

    def write(connection: memory.Connection) -> None:
        for number in numbers:
            said = [Heard(text=f"{number:0200}"), Said(text="ok")]
            memory.append(connection, session, f"t{session}.{number}", 0, said, now)

    await engine.store.write(write)


async def past(engine: Engine, session: int, room: int = 10**6, without: str = "") -> Past:
    return await engine.store.read(lambda c: history.past(c, session, room, without))


async def oldest(engine: Engine, session: int, keep: int, most: int = 10**6) -> Oldest | None:
    return await engine.store.read(lambda c: history.oldest(c, session, keep, most))


async def sum_up(engine: Engine, session: int, keep: int, most: int = 10**6, text: str = "In short.") -> Oldest:
    part = await oldest(engine, session, keep, most)
    assert part is not None
    summary = Summary(text=text, upto=part.upto)
    await engine.store.write(lambda c: history.keep_summary(c, session, part.number, summary, engine.clock()))
    return part


def heard(entries: Sequence[Entry]) -> list[int]:
    return [int(entry.text) for entry in entries if isinstance(entry, Heard)]


def turns(past: Past) -> list[int]:
    return heard([entry for turn in past.turns for entry in turn])


async def test_the_newest_turns_that_have_room_are_read_oldest_first(every_engine: Engine) -> None:
    engine = every_engine
    session, elsewhere = await begin(engine), await begin(engine, "other")
    await talk(engine, session, range(PAGE))
    await talk(engine, elsewhere, range(PAGE))
    await talk(engine, session, range(PAGE, 2 * PAGE))
    assert turns(await past(engine, session)) == list(range(2 * PAGE))
    assert turns(await past(engine, session, 10 * EACH)) == list(range(2 * PAGE - 10, 2 * PAGE))
    assert turns(await past(engine, session, 10 * EACH + EACH // 2)) == list(range(2 * PAGE - 10, 2 * PAGE))
    assert await past(engine, session, 5) == Past()
    without = await past(engine, session, without=f"t{session}.{2 * PAGE - 1}")
    assert turns(without) == list(range(2 * PAGE - 1))


async def test_long_tool_results_take_no_more_room_than_short_ones(engine: Engine) -> None:
    session = await begin(engine)
    call = ToolCall(id="c", name="x", arguments="{}")
    for number in range(5):
        said: list[Entry] = [Heard(text=f"{number}"), Stepped(calls=(call,), results=("x" * 10**5,)), Said(text="ok")]
        await append(engine, session, f"t{number}", *said)
    assert turns(await past(engine, session, 5 * 200)) == [0, 1, 2, 3, 4]


async def test_what_a_summary_covers_is_not_read_and_stays(every_engine: Engine) -> None:
    engine = every_engine
    session = await begin(engine)
    await talk(engine, session, range(30))
    part = await sum_up(engine, session, keep=10 * EACH)
    assert (part.number, part.before, heard(part.entries)) == (0, None, list(range(20)))
    await talk(engine, session, range(30, 35))
    seen = await past(engine, session)
    assert (seen.summary, turns(seen)) == (Summary(text="In short.", upto=part.upto), list(range(20, 35)))
    assert next(iter(seen.entries)) == seen.summary
    _, entries = await engine.store.read(lambda c: memory.journal(c, f"t{session}.0"))
    assert heard(entries) == [0]


async def test_the_next_summary_goes_on_where_the_last_one_ended(every_engine: Engine) -> None:
    engine = every_engine
    session = await begin(engine)
    await talk(engine, session, range(30))
    first = await sum_up(engine, session, keep=10 * EACH, text="First.")
    await talk(engine, session, range(30, 40))
    second = await sum_up(engine, session, keep=15 * EACH, text="Second.")
    assert (second.number, heard(second.entries)) == (1, list(range(20, 25)))
    assert second.before == Summary(text="First.", upto=first.upto)
    seen = await past(engine, session)
    assert (seen.summary, turns(seen)) == (Summary(text="Second.", upto=second.upto), list(range(25, 40)))


async def test_a_summary_written_twice_is_one(every_engine: Engine) -> None:
    engine = every_engine
    session = await begin(engine)
    await talk(engine, session, range(10))
    part = await sum_up(engine, session, keep=5 * EACH, text="First.")
    again = Summary(text="Again.", upto=part.upto)
    await engine.store.write(lambda c: history.keep_summary(c, session, part.number, again, engine.clock()))
    number, summary = await engine.store.read(lambda c: history.latest(c, session))
    assert (number, summary and summary.text) == (0, "First.")


async def test_a_summary_far_back_is_found_without_reading_all_that_came_since(engine: Engine) -> None:
    session = await begin(engine)
    await talk(engine, session, range(10))
    await sum_up(engine, session, keep=EACH)
    await talk(engine, session, range(10, 10 + 3 * PAGE))
    seen = await past(engine, session, 5 * EACH)
    assert seen.summary is not None
    assert turns(seen) == list(range(5 + 3 * PAGE, 10 + 3 * PAGE))


async def test_the_newest_turn_is_never_summed_up(engine: Engine) -> None:
    session = await begin(engine)
    await talk(engine, session, [0])
    assert await oldest(engine, session, keep=0) is None
    await talk(engine, session, [1])
    part = await oldest(engine, session, keep=0)
    assert part is not None
    assert heard(part.entries) == [0]
    assert await oldest(engine, session, keep=2 * EACH) is None


async def test_a_summary_takes_no_more_than_a_model_does(engine: Engine) -> None:
    session = await begin(engine)
    await talk(engine, session, range(3 * PAGE))
    part = await oldest(engine, session, keep=10 * EACH, most=20 * EACH)
    assert part is not None
    assert 20 <= len(heard(part.entries)) <= 21
    assert len(part.entries) == 2 * len(heard(part.entries))


async def test_a_summary_that_came_in_the_middle_of_a_turn_parts_nothing(engine: Engine) -> None:
    session = await begin(engine)
    await talk(engine, session, range(10))
    call = ToolCall(id="c", name="x", arguments="{}")
    await append(engine, session, "open", Heard(text="10"), Stepped(calls=(call,), results=("a",)))
    await sum_up(engine, session, keep=3 * EACH)
    await append(engine, session, "open", Stepped(calls=(call,), results=("b",)), Said(text="ok"), first=2)
    await talk(engine, session, [11])
    seen = await past(engine, session)
    assert [len(turn) for turn in seen.turns[-2:]] == [4, 2]
    assert heard(seen.turns[-2]) == [10]
