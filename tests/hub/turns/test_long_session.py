"""A session of 2,000 turns costs its last turn what it cost its hundredth, and what was said in the third is known."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, event

from hub import memory, tokens
from hub.agent import Afford, Reply, Room, Turn
from hub.memory import Heard, Said
from hub.message import COMPACTION as INBOX
from hub.turns import history
from tests.hub.engine import BOT, CHAT, Engine, message, running
from tests.hub.turns.test_compaction import summaries_of, turns_of, wanted
from tests.hub.turns.test_turns import say

TURNS = 2000
EVERY = 20
"""One turn in so many is a real one; the others are stored as if they had been."""
ROOM = Room(tokens=8000)
SECRET = "The code word is heliotrope."


class Keeper:
    """An agent whose summaries keep what matters."""

    def __init__(self) -> None:
        self.views: list[list[dict[str, Any]]] = []

    async def answer(self, turn: Turn) -> Reply:
        self.views.append(await turn.view(ROOM))
        return Reply(text="ok")

    async def summarize(self, conversation: list[dict[str, Any]], afford: Afford) -> Reply:
        known = any(SECRET in said["content"] for said in conversation)
        return Reply(text=SECRET if known else "Small talk.")


def small_talk(number: int) -> str:
    return SECRET if number == 3 else f"{number} " + "and so on " * 40


async def chat(engine: Engine, first: int) -> None:
    """Turns that are stored at once, and a real one."""

    def write(connection: Connection) -> None:
        session = memory.current_session(connection, "bot", CHAT)
        assert session is not None
        for number in range(first, first + EVERY - 1):
            said = [Heard(text=small_talk(number)), Said(text="ok")]
            memory.append(connection, session, f"t{number}", 0, said, engine.clock())

    await engine.store.write(write)
    last = first + EVERY - 1
    await say(engine, message(f"t{last}", small_talk(last)))
    assert await engine.outcome(BOT, f"t{last}") == ("answered", None)


async def cost(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """How many statements and rows the next turn's history takes."""
    counts = {"statements": 0, "rows": 0}
    decode = memory.decode

    def counted(body: bytes) -> memory.Entry:
        counts["rows"] += 1
        return decode(body)

    def unit(connection: Connection) -> None:
        def count(*_: object) -> None:
            counts["statements"] += 1

        event.listen(connection, "before_cursor_execute", count)
        history.past(connection, 1, 2 * ROOM.tokens, without="")
        event.remove(connection, "before_cursor_execute", count)

    with monkeypatch.context() as patch:
        patch.setattr(memory, "decode", counted)
        await engine.store.read(unit)
    return counts["statements"], counts["rows"]


@pytest.mark.slow
async def test_two_thousand_turns_stay_flat(every_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, agent = every_engine, Keeper()
    costs: list[tuple[int, int]] = []
    async with running(turns_of(engine, agent), engine), running(summaries_of(engine, agent), engine):
        await say(engine, message("t0", "0 hello"))
        await engine.outcome(BOT, "t0")
        for first in range(1, TURNS, EVERY):
            await chat(engine, first)
            for id in (await wanted(engine))[-1:]:  # noqa: A001 - of the newest summary
                assert await engine.outcome(INBOX, id) == ("answered", None)
            costs.append(await cost(engine, monkeypatch))
    sizes = [tokens.of_messages(view) for view in agent.views]
    early, late = slice(5, 25), slice(25, None)
    assert max(sizes[late]) <= min(max(sizes[early]) * 1.1, ROOM.tokens)
    for kind in (0, 1):
        assert max(each[kind] for each in costs[late]) <= max(each[kind] for each in costs[early]) * 1.1
    assert len(await wanted(engine)) > TURNS * 100 / ROOM.tokens / 2
    assert SECRET in agent.views[-1][0]["content"]
    found = await engine.store.read(lambda c: memory.recall(c, "bot", CHAT, "code word", without=""))
    assert found[0].text == SECRET
