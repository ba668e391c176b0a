"""Functions of the asker's in what a model sees: never a call without its result, nor a result without its call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import memory, tokens
from hub.agent import Room
from hub.memory import UNKNOWN, Entry, Heard, Said, Stepped, Summary
from hub.message import Address, Author, File, Message, Text
from hub.model import ToolCall
from hub.turns import history
from hub.turns.view import SHORT, Past, as_chat, brief, fit, heard, is_told_by, least, shortened, size
from tests.hub.engine import Engine
from tests.hub.test_memory import append, begin

BERN, BONN = ToolCall(id="c1", name="weather", arguments='{"city":"Bern"}'), ToolCall(id="c2", name="x", arguments="{")
ASKED = Said(text="I look.", calls=(BERN, BONN))
ALL = {"c1": "sunny", "c2": "rainy"}


def message(results: dict[str, str], *parts: Text | File) -> Message:
    author = Author(id="1", name="1", kind="api")
    return Message(id="m", address=Address("api", "1", "s"), author=author, parts=parts, at=0.0, results=results)


def shape(chat: Sequence[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(one["role"], one["content"]) for one in chat]


def check(chat: Sequence[dict[str, Any]]) -> None:
    """Every call is followed at once by its result, and no call is there twice."""
    calls = [call["id"] for one in chat for call in one.get("tool_calls", ())]
    assert calls == [one["tool_call_id"] for one in chat if one["role"] == "tool"]
    assert len(calls) == len(set(calls))
    waiting = list[str]()
    for one in chat:
        if one["role"] == "tool":
            assert one["tool_call_id"] == waiting.pop(0)
        else:
            assert waiting == []
            waiting = [call["id"] for call in one.get("tool_calls", ())]
    assert waiting == []


def test_a_call_is_remembered_with_what_it_returned() -> None:
    told = heard(message(ALL, Text(text="and now?")), ASKED)
    assert told.returned is not None
    assert told.returned.results == ("sunny", "rainy")
    assert [call.arguments for call in told.returned.calls] == ['{"city":"Bern"}', "{}"]
    chat = as_chat([told])
    assert shape(chat) == [("assistant", "I look."), ("tool", "sunny"), ("tool", "rainy"), ("user", "and now?")]
    check(chat)
    assert shape(as_chat([heard(message(ALL), ASKED)])) == shape(chat)[:-1]


def test_a_call_whose_result_nobody_told_has_a_placeholder() -> None:
    chat = as_chat([Heard(text="weather?"), ASKED, Heard(text="never mind")])
    assert shape(chat)[1:] == [("assistant", "I look."), ("tool", UNKNOWN), ("tool", UNKNOWN), ("user", "never mind")]
    assert [call["function"]["arguments"] for call in chat[1]["tool_calls"]] == ['{"city":"Bern"}', "{}"]
    check(chat)


@pytest.mark.parametrize("asked", [None, Said(text="", calls=(ToolCall(id="c3", name="x", arguments="{}"),))])
def test_what_comes_too_late_is_a_text(asked: Said | None) -> None:
    told = heard(message(ALL, Text(text="here")), asked)
    assert told == Heard(text="(The call c1 returned: sunny)\n\n(The call c2 returned: rainy)\n\nhere")


def test_one_that_is_left_out_has_a_placeholder() -> None:
    told = heard(message({"c2": "rainy"}), ASKED)
    assert told.returned is not None
    assert told.returned.results == (UNKNOWN, "rainy")


def test_what_was_read_stays_beside_what_was_returned() -> None:
    plan = File(ref="plan", name="plan.pdf", media_type="application/pdf", size=9)
    told = heard(message(ALL, plan), ASKED)
    chat = as_chat([told])
    assert shape(chat)[-1] == ("user", "[plan.pdf, application/pdf, 9 bytes]")
    check(chat)


def test_the_note_stands_before_the_calls_not_between_them_and_their_results() -> None:
    past = Past(turns=((Heard(text="weather?"),),))
    view = fit(past, (heard(message(ALL), ASKED),), Room(tokens=1000, note="It is noon."))
    assert [role for role, _ in shape(view)] == ["user", "system", "assistant", "tool", "tool"]


def test_long_results_are_shortened_and_counted() -> None:
    told = heard(message({"c1": "x" * 9000, "c2": "y" * 9000}), ASKED)
    assert least(told) < size([told]) / 4
    view = fit(Past(), (told,), Room(tokens=0))
    assert [text for role, text in shape(view) if role == "tool"] == [shortened("x" * 9000), shortened("y" * 9000)]
    [short] = brief([told])
    assert isinstance(short, Heard)
    assert short.returned is not None
    assert short.returned.results == (shortened("x" * 9000), shortened("y" * 9000))


def test_the_question_is_there_though_its_turn_is_left_out() -> None:
    rounds = [(heard(message({"c1": f"{at}" * 300}), Said(text="", calls=(BERN,))),) for at in range(5)]
    past = Past(turns=((Heard(text="before"), Said(text="ok")), (Heard(text="weather?"),), *rounds[:-1]))
    room = size([*rounds[3], *rounds[4]]) + 10
    view = fit(past, rounds[-1], Room(tokens=room))
    assert [role for role, _ in shape(view)] == ["user", "assistant", "tool", "assistant", "tool"]
    assert view[0]["content"] == "weather?"


TEXTS = st.text(alphabet="ab 好\n", max_size=3 * SHORT)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Entry]]:
    """Turns as a journal has them: questions, tools of the hub's, functions of the asker's, told or not."""
    turns: list[list[Entry]] = []
    asked: Said | None = None
    for number in range(draw(st.integers(1, 8))):
        results: dict[str, str] = {}
        if asked is not None and draw(st.booleans()):
            results = {call.id: draw(TEXTS) for call in asked.calls}
        elif draw(st.integers(0, 9)) == 0:
            results = {"late": draw(TEXTS)}
        text = [] if results and draw(st.booleans()) else [Text(text=draw(TEXTS) + "?")]
        turn: list[Entry] = [heard(message(results, *text), asked)]
        if draw(st.booleans()):
            turn.append(Stepped(calls=(ToolCall(id=f"s{number}", name="x", arguments="{}"),), results=(draw(TEXTS),)))
        calls = tuple(
            ToolCall(id=f"c{number}.{at}", name="x", arguments=draw(st.sampled_from(["{}", "{", '{"a":1}'])))
            for at in range(draw(st.integers(0, 2)))
        )
        asked = Said(text=draw(TEXTS), calls=calls) if calls else None
        turns.append([*turn, asked or Said(text=draw(TEXTS))])
    return turns


def told_again(turns: list[list[Entry]]) -> Past:
    """What `history.past` makes of the turns before the last."""
    entries = [(at, entry) for at, turn in enumerate(turns) for entry in turn]
    newer = [entry for _, entry in entries[1:]]
    rest = [one for one, after in zip_longest(entries, newer) if one and not is_told_by(one[1], after)]
    return Past(turns=tuple(tuple(entry for at, entry in rest if at == turn) for turn in range(len(turns) - 1)))


@given(histories(), st.integers(0, 5000))
def test_a_view_has_every_call_with_its_result_whatever_there_is_room_for(turns: list[list[Entry]], room: int) -> None:
    own = turns[-1][:-1]  # its end is not written yet
    past = told_again(turns)
    view = fit(past, own, Room(tokens=room, note="It is noon."))
    check([one for one in view if one["role"] != "system"])
    spoken = [at for at, one in enumerate(view) if one["role"] == "system"]
    check(view[: spoken[0]])
    check(view[spoken[0] :])
    question = 3 * 8 * SHORT
    assert tokens.of_messages(view) <= max(room, sum(map(least, own))) * 1.1 + 10 * (len(view) + 1) + question


@given(histories())
def test_a_history_that_is_cut_anywhere_has_every_call_with_its_result(turns: list[list[Entry]]) -> None:
    for first in range(len(turns)):
        for last in range(first, len(turns)):
            chat = as_chat([entry for turn in told_again([*turns[: last + 1], []]).turns[first:] for entry in turn])
            check(chat)


async def test_the_end_of_a_turn_is_read_once_with_what_was_returned(every_engine: Engine) -> None:
    engine = every_engine
    session = await begin(engine)
    told = heard(message(ALL), ASKED)
    await append(engine, session, "t1", Heard(text="weather?"), ASKED)
    assert await engine.store.read(lambda c: memory.calling(c, session)) == ASKED
    past = await engine.store.read(lambda c: history.past(c, session, 10**6, "t2", told))
    assert past.turns == ((Heard(text="weather?"),),)
    past = await engine.store.read(lambda c: history.past(c, session, 10**6, "t2", Heard(text="never mind")))
    assert past.turns == ((Heard(text="weather?"), ASKED),)
    await append(engine, session, "t2", told, Said(text="Mixed."))
    assert await engine.store.read(lambda c: memory.calling(c, session)) is None
    assert await engine.store.read(lambda c: memory.calling(c, session, "t2")) == ASKED
    past = await engine.store.read(lambda c: history.past(c, session, 10**6, ""))
    assert past.turns == ((Heard(text="weather?"),), (told, Said(text="Mixed.")))


async def test_a_summary_leaves_a_call_to_what_comes_after_it(every_engine: Engine) -> None:
    engine = every_engine
    session = await begin(engine)
    told = heard(message(ALL), ASKED)
    await append(engine, session, "t1", Heard(text="weather?"), ASKED)
    await append(engine, session, "t2", told, Said(text="Mixed."))
    part = await engine.store.read(lambda c: history.oldest(c, session, 0, 10**6))
    assert part is not None
    assert part.entries == (Heard(text="weather?"),)
    number, summary = part.number, Summary(text="They asked.", upto=part.upto)
    await engine.store.write(lambda c: history.keep_summary(c, session, number, summary, engine.clock()))
    past = await engine.store.read(lambda c: history.past(c, session, 10**6, ""))
    assert (past.summary, past.turns) == (summary, ((told, Said(text="Mixed.")),))
    check(fit(past, (Heard(text="thanks"),), Room(tokens=10**6)))
    await append(engine, session, "t3", Heard(text="more"), ASKED)
    await append(engine, session, "t4", Heard(text="never mind"), Said(text="ok"))
    part = await engine.store.read(lambda c: history.oldest(c, session, 0, 10**6))
    assert part is not None
    assert part.entries == (told, Said(text="Mixed."), Heard(text="more"), ASKED)


async def test_turns_that_came_to_nothing_leave_their_calls_open(every_engine: Engine) -> None:
    engine = every_engine
    session = await begin(engine)

    async def wanted() -> list[str]:
        return [call.id for call in await engine.store.read(lambda c: memory.wanted(c, session))]

    assert await wanted() == []
    await append(engine, session, "t1", Heard(text="weather?"), ASKED)
    assert await wanted() == ["c1", "c2"]
    await append(engine, session, "t2", Heard(text="hm"), Said(text="", mark="failed"))
    assert await wanted() == ["c1", "c2"]
    await append(engine, session, "t3", heard(message(ALL), ASKED), Said(text="Half a", mark="stopped"))
    assert await wanted() == ["c1", "c2"]
    await append(engine, session, "t4", heard(message(ALL)))
    assert await wanted() == []
    await append(engine, session, "t4", Said(text="Mixed."), first=1)
    assert await wanted() == []
