"""An answer while it is written, as somebody sees it who came late or missed a piece; and what tools were told."""

from __future__ import annotations

import pytest

from api.panel import talk
from api.panel.talk import Draft, Drafts, calls
from hub.accounts.turns import Sign
from hub.memory import Stepped
from hub.message import Address
from hub.model import ToolCall


def piece(offset: int, text: str, turn: str = "t") -> Sign:
    return Sign(kind="delta", turn=turn, address=Address("web", "lobby"), offset=offset, text=text)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([(0, "one "), (4, "two")], "one two"),
        ([(4, "two"), (7, " three")], "… two three"),  # came late
        ([(0, "one "), (8, "three")], "… three"),  # one was lost
        ([(0, "one two"), (4, "2")], "one 2"),  # said anew after a crash
        ([(4, "two"), (0, "one")], "one"),
        ([(0, "a"), (1, ""), (1, "b")], "ab"),
        ([], ""),
    ],
)
def test_a_draft(pieces: list[tuple[int, str]], shown: str) -> None:
    draft = Draft("t", "assistant")
    for offset, text in pieces:
        draft.hear(piece(offset, text))
    assert draft.shown == shown


def test_who_comes_late_is_told_the_beginning_until_the_end() -> None:
    drafts = Drafts()
    for sign in (piece(0, "one "), piece(4, "two"), piece(3, "late", "other")):
        drafts.hear(sign)
    assert drafts.said("t") == "one two"
    assert drafts.said("other") == ""  # its beginning was not heard
    drafts.hear(Sign(kind="done", turn="t", address=Address("web", "lobby")))
    assert drafts.said("t") == ""


def test_what_is_known_of_answers_has_its_bounds() -> None:
    drafts = Drafts()
    drafts.hear(piece(0, "x" * talk.LONGEST, "long"))
    assert drafts.said("long") == "x" * talk.LONGEST
    drafts.hear(piece(talk.LONGEST, "x", "long"))
    assert drafts.said("long") == ""
    for turn in range(talk.MOST):
        drafts.hear(piece(0, "one", f"{turn}"))
    drafts.hear(piece(3, " two", "0"))  # goes on, so that it is not forgotten first
    drafts.hear(piece(0, "one", "more"))
    assert [drafts.said(turn) for turn in ("0", "1", "2", "more")] == ["one two", "", "one", "one"]


def test_what_tools_were_told_is_read_and_what_cannot_be_stays_as_it_is() -> None:
    both = (ToolCall(id="1", name="a", arguments='{"x": [1]}'), ToolCall(id="2", name="b", arguments="{"))
    step = Stepped(calls=both, results=('{"error": "no"}', "done"), took=(0.4,))
    first, second = calls([step])
    assert (first.arguments, first.result, first.seconds, first.failed) == ({"x": [1]}, {"error": "no"}, 0.4, True)
    assert (second.arguments, second.result, second.seconds, second.failed) == ("{", "done", None, False)
