"""The react tool: an emoji below the message that is answered, and what became of it."""

from __future__ import annotations

import msgspec
import pytest

from agents.tools import make
from hub.errors import RequestError
from tests.agents.fake_turn import FakeTurn


async def test_it_reacts_and_tells_what_became_of_it() -> None:
    turn = FakeTurn()
    said = await make("react").call(turn, "0", {"emoji": "👍"})
    assert msgspec.json.decode(said) == {"status": "delivered", "reason": None}
    assert turn.reactions == [("0", "👍")]


async def test_wrong_arguments_are_named() -> None:
    with pytest.raises(msgspec.ValidationError, match="emoji"):
        await make("react").call(FakeTurn(), "0", {"emoji": 7})


async def test_where_there_is_nothing_to_react_to_it_says_so() -> None:
    turn = FakeTurn()
    turn.refusal = RequestError("There is no message here that could be reacted to.")
    with pytest.raises(RequestError, match="no message here"):
        await make("react").call(turn, "0", {"emoji": "👍"})
