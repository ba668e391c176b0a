"""The tools `remember`, `recall` and `forget`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.tools import each, make
from hub.agent import Found
from hub.errors import Forbidden
from tests.agents.fake_turn import FakeTurn

TEA = {"fact": "Ann likes tea", "scope": "person", "since": "1970-01-01 00:00 UTC"}


async def use(turn: FakeTurn, name: str, **arguments: Any) -> dict[str, Any]:
    assert name in each(["memory"])
    return msgspec.json.decode(await make(name).call(turn, "0", arguments))


async def test_what_is_remembered_is_recalled_and_forgotten() -> None:
    turn = FakeTurn()
    assert await use(turn, "remember", fact="Ann likes tea") == {"remembered": TEA}
    turn.memory.said.append(Found(at=86_400.0, by="Ann", text="tea, please"))
    said = [{"at": "1970-01-02 00:00 UTC", "by": "Ann", "text": "tea, please"}]
    assert await use(turn, "recall", query="tea") == {"facts": [TEA], "said": said}
    assert await use(turn, "forget", fact="Ann likes tea") == {"forgotten": TEA}
    assert (await use(turn, "recall", query="tea"))["facts"] == []


async def test_a_fact_may_be_for_a_chat() -> None:
    turn = FakeTurn()
    kept = await use(turn, "remember", fact="we meet on Monday", scope="chat")
    assert kept["remembered"]["scope"] == "chat"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("remember", {}),
        ("remember", {"fact": "x", "scope": "world"}),
        ("remember", {"fact": ["x"]}),
        ("recall", {"query": 1}),
        ("recall", {"query": "x", "chat": "support:42"}),
        ("forget", {}),
    ],
)
async def test_arguments_that_are_not_described_are_refused(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        await use(FakeTurn(), name, **arguments)


async def test_a_refusal_is_the_models_to_read() -> None:
    turn = FakeTurn()
    turn.memory.refusal = Forbidden("Others read along here.")
    with pytest.raises(Forbidden):
        await use(turn, "remember", fact="x")
