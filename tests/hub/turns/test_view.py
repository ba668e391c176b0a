"""What a model sees of a session is in OpenAI's shape, within its room, and never half of something."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import tokens
from hub.agent import Room
from hub.memory import Entry, Heard, Said, Stepped, Summary
from hub.message import File
from hub.model import ToolCall
from hub.turns.view import LARGEST, SHORT, Past, as_chat, brief, fit, least, newest_images, shortened, size, within

CALLS = (ToolCall(id="c1", name="message", arguments='{"content":"hi"}'), ToolCall(id="c2", name="x", arguments="{}"))
CAT = File(ref="cat", name="cat.jpg", media_type="image/jpeg", size=1000)
DOG = File(ref="dog", name="dog.png", media_type="image/png", size=1000)
PLAN = File(ref="plan", name="plan.pdf", media_type="application/pdf", size=2000)


def turn(text: str, *results: str) -> tuple[Entry, ...]:
    """A turn that calls a tool for each result."""
    calls = tuple(ToolCall(id=f"{text}{at}", name="x", arguments="{}") for at in range(len(results)))
    steps = (Stepped(calls=calls, results=results),) if results else ()
    return (Heard(text=text), *steps, Said(text=f"{text}!"))


def shown(past: Past, own: tuple[Entry, ...], budget: int) -> list[str]:
    return [message["content"] for message in fit(past, own, Room(tokens=budget)) if message["content"]]


def test_a_history_is_in_openais_shape() -> None:
    history: list[Entry] = [
        Summary(text="They greeted.", upto=3),
        Heard(text="hello"),
        Heard(text="hello", author="Ann"),
        Stepped(text="", calls=CALLS, results=("sent", "done")),
        Stepped(text="Half way."),
        Said(text="Done."),
        Said(text="Half a", mark="stopped"),
        Said(text="", mark="failed"),
        Said(text=""),
    ]
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "message", "arguments": '{"content":"hi"}'}},
        {"id": "c2", "type": "function", "function": {"name": "x", "arguments": "{}"}},
    ]
    summary, *rest = as_chat(history)
    assert (summary["role"], summary["content"].endswith("\n\nThey greeted.")) == ("system", True)
    assert rest == [
        {"role": "user", "content": "hello"},
        {"role": "user", "content": "Ann: hello"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "sent"},
        {"role": "tool", "tool_call_id": "c2", "content": "done"},
        {"role": "assistant", "content": "Half way."},
        {"role": "assistant", "content": "Done."},
        {"role": "assistant", "content": "Half a\n\n(stopped)"},
        {"role": "assistant", "content": "(failed)"},
    ]


def test_what_fits_is_all_there() -> None:
    past = Past(summary=Summary(text="Before.", upto=1), turns=(turn("one", "x" * 3000), turn("two")))
    own = (Heard(text="three"),)
    whole = size([*past.entries, *own])
    assert fit(past, own, Room(tokens=whole)) == as_chat([*past.entries, *own])
    assert fit(past, own, Room(tokens=whole - 100)) != as_chat([*past.entries, *own])


def test_the_oldest_tool_results_are_shortened_first() -> None:
    past = Past(turns=(turn("one", "a" * 4000), turn("two", "b" * 4000)))
    own = (Heard(text="three"), Stepped(calls=CALLS[:1], results=("c" * 4000,)))
    whole = size([*past.entries, *own])
    one, two, three = [text for text in shown(past, own, whole - 100) if text[0] * 3 == text[:3]]
    assert SHORT < len(one) < 4000
    assert [len(two), len(three)] == [4000, 4000]
    one, two, three = [text for text in shown(past, own, whole - 1000) if text[0] * 3 == text[:3]]
    assert [len(one), len(two), len(three)] == [len(shortened("a" * 4000)), len(two), 4000]
    assert SHORT < len(two) < 4000


def test_whole_turns_are_left_out_when_shorter_results_are_not_enough() -> None:
    past = Past(turns=(turn("one" * 40), turn("two", "b" * 4000), turn("three")))
    own = (Heard(text="four"),)
    room = sum(map(least, [*past.entries, *own])) - 1
    [two, result, said, *_] = shown(past, own, room)
    assert (two, said) == ("two", "two!")
    assert len(shortened("b" * 4000)) < len(result) < 4000  # what the first turn took is free


def test_the_turn_itself_is_there_even_without_room() -> None:
    own = (Heard(text="a long question " * 100), Stepped(calls=CALLS[:1], results=("c" * 4000,)))
    view = fit(Past(turns=(turn("one"),)), own, Room(tokens=0))
    assert [message["role"] for message in view] == ["user", "assistant", "tool"]
    assert view[0]["content"] == "a long question " * 100
    assert view[2]["content"] == shortened("c" * 4000)


def test_what_is_true_of_this_turn_alone_stands_right_before_it() -> None:
    past = Past(turns=(turn("one"),))
    view = fit(past, (Heard(text="two"), Stepped(text="hm")), Room(tokens=1000, note="It is noon."))
    assert [message["content"] for message in view] == ["one", "one!", "It is noon.", "two", "hm"]


TEXTS = st.text(alphabet="ab 好\n", max_size=3 * SHORT)
RESULTS = st.lists(TEXTS, max_size=3)
TURNS = st.lists(st.tuples(TEXTS, RESULTS).map(lambda made: turn(made[0], *made[1])), max_size=6)


@given(TURNS, TURNS.map(lambda turns: turns[0][:-1] if turns else (Heard(text="hi"),)), st.integers(0, 5000))
def test_a_view_keeps_to_its_room_and_calls_have_their_results(
    turns: list[tuple[Entry, ...]], own: tuple[Entry, ...], room: int
) -> None:
    view = fit(Past(turns=tuple(turns)), own, Room(tokens=room))
    least_of_own = sum(map(least, own))
    assert tokens.of_messages(view) <= max(room, least_of_own) * 1.1 + 10 * (len(view) + 1)
    calls = [call["id"] for message in view for call in message.get("tool_calls", ())]
    assert calls == [message["tool_call_id"] for message in view if message["role"] == "tool"]
    assert view[0]["role"] == "user"
    assert view[-len(as_chat(own))]["content"] == as_chat(own)[0]["content"]


def test_files_are_notes_and_images_are_shown_where_they_are_wanted() -> None:
    heard = Heard(text="look", author="Ann", files=(CAT, PLAN))
    text = "Ann: look\n\n[image cat.jpg]\n\n[plan.pdf, application/pdf, 2000 bytes]"
    assert as_chat([heard]) == [{"role": "user", "content": text}]
    [message] = as_chat([heard], {"cat": "data:image/jpeg;base64,eA=="})
    assert message["content"] == [
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,eA=="}},
    ]
    assert size([heard]) > tokens.IMAGE


def test_the_newest_images_are_shown_and_the_turns_own_always() -> None:
    past = Past(turns=((Heard(text="a", files=(CAT,)),), (Heard(text="b", files=(PLAN, DOG)),)))
    own = [Heard(text="c", files=(CAT, DOG))]
    assert newest_images(past, own, 0) == []
    assert newest_images(past, own, 1) == [CAT, DOG]
    assert newest_images(past, own, 3) == [DOG, CAT, DOG]
    assert newest_images(past, [Heard(text="c")], 9) == [CAT, DOG]
    huge = File(ref="x", name="x.png", media_type="image/png", size=LARGEST + 1)
    assert newest_images(past, [Heard(text="", files=(huge,))], 1) == [DOG]
    assert as_chat([Heard(text="", files=(huge,))])[0]["content"] == "[image x.png, too large to be shown]"


def test_a_text_is_shortened_in_its_middle() -> None:
    text = "".join(map(str, range(1000)))
    short = shortened(text)
    assert short.startswith(text[:300])
    assert short.endswith(text[-100:])
    assert f"({len(text) - SHORT} characters left out)" in short
    assert shortened(text[:SHORT]) == text[:SHORT]
    assert tokens.of_text(within(text, 300)) == pytest.approx(300, rel=0.1)
    assert within(text, 10**6) == text


def test_what_is_summed_up_is_brief() -> None:
    entries = [Heard(text="a" * 100_000), *turn("b", "c" * 100_000)]
    long, _, step, _ = brief(entries)
    assert len(long.text) < 5000
    assert isinstance(step, Stepped)
    assert step.results == (shortened("c" * 100_000),)


@pytest.mark.parametrize(
    ("text", "least_", "most"),
    [
        ("The quick brown fox jumps over the lazy dog.", 9, 13),
        ("敏捷的棕色狐狸跳过了懒狗", 12, 14),
        ("Съешь ещё этих", 6, 10),
    ],
)
def test_tokens_are_guessed_high_rather_than_low(text: str, least_: int, most: int) -> None:
    assert least_ <= tokens.of_text(text) <= most


def test_a_guess_counts_text_calls_and_images() -> None:
    call: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "x", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "abcd"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    assert tokens.of_messages(messages) == 1 + tokens.IMAGE + tokens.of_json([call])
    assert tokens.of_json([]) == 0
