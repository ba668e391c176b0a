"""An answer as events: numbered alike however it comes."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.openai.responses.events import Answer, replay
from hub.model import ToolCall

STATE: dict[str, Any] = {"id": "resp_t", "background": False, "status": "completed", "error": None, "output": []}
TEXTS = st.text(alphabet="ab \n\té字😀", max_size=300)


def events(written: bytes) -> list[dict[str, Any]]:
    """The data of events; their names say their types, and no number is left out."""
    found: list[dict[str, Any]] = []
    for event in written.decode().split("\n\n")[:-1]:
        name, data = event.split("\n", 1)
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def write(text: str, cuts: list[int], *, after: int = -1) -> tuple[bytes, list[dict[str, Any]]]:
    """An answer that thinks, calls, and says a text in some pieces."""
    answer = Answer("t", STATE, after=after)
    told = answer.thought("so be") + answer.call(ToolCall(id="c", name="f", arguments="{}"))
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for begin, end in itertools.pairwise(edges):
        told += answer.text(text[begin:end])
    return told + answer.close() + answer.end(STATE), answer.output


@given(TEXTS, st.lists(st.integers(min_value=0, max_value=300), max_size=20))
def test_the_events_do_not_depend_on_how_the_text_came(text: str, cuts: list[int]) -> None:
    told, output = write(text, cuts)
    numbered = events(told)
    assert [event["sequence_number"] for event in numbered] == list(range(len(numbered)))
    assert "".join(event["delta"] for event in numbered if event["type"] == "response.output_text.delta") == text
    again = Answer("t", STATE)
    assert replay(again, output) + again.end(STATE) == told
    assert again.output == output


@given(TEXTS, st.integers(min_value=-1, max_value=60))
def test_what_a_reader_has_is_left_out(text: str, after: int) -> None:
    whole, _ = write(text, [])
    assert events(write(text, [1], after=after)[0]) == events(whole)[after + 1 :]


def test_a_long_word_comes_in_pieces_and_a_short_one_when_it_has_ended() -> None:
    answer = Answer("t", STATE)
    answer.text("Hel")
    assert events(answer.text("lo"))[-1:] == []
    assert [event["delta"] for event in events(answer.text(" extraordinarily"))] == ["Hello", " extraord"]
    assert next(event.get("delta") for event in events(answer.close())) == "inarily"
