"""Bots that talk to bots: ignored, or let in and stopped before they go on for ever."""

from __future__ import annotations

import pytest
import structlog

from hub.access import Rules
from hub.ingress import BOT_TURNS, Ingress
from hub.message import Address, Author, Message
from tests.hub.engine import CHAT, Engine, message
from tests.hub.test_ingress import ingress, outcomes

ROBOT = Author(id="r2", name="R2", kind="bot")
ALLOWED = Rules(agent="bot", direct="open", groups="mention", bots=True)


async def chatter(door: Ingress, prefix: str, count: int, address: Address = CHAT) -> None:
    for number in range(count):
        for _ in range(2):  # platforms deliver again, which counts once
            await door.accept(said(f"{prefix}{number}", address))


def said(id: str, address: Address = CHAT) -> Message:
    return message(id, author=ROBOT, address=address, direct=False)


def answered(found: object, prefix: str, count: int) -> list[bool]:
    assert isinstance(found, dict)
    return [found[f"{prefix}{number}"] == (None, None) for number in range(count)]


async def test_other_bots_are_ignored_by_default(engine: Engine) -> None:
    await ingress(engine, Rules(agent="bot", direct="open", groups="open")).accept(said("m"))
    assert await outcomes(engine) == {}


async def test_a_loop_is_cut_with_one_line_in_the_log_and_an_outcome_for_all(every_engine: Engine) -> None:
    engine, door = every_engine, ingress(every_engine, ALLOWED)
    with structlog.testing.capture_logs() as logs:
        await chatter(door, "m", BOT_TURNS + 3)
    found = await outcomes(engine)
    assert answered(found, "m", BOT_TURNS + 3) == [True] * BOT_TURNS + [False] * 3
    assert {found[f"m{BOT_TURNS + number}"] for number in range(3)} == {("silent", "loop")}
    assert len([line for line in logs if "bots talk to each other" in line["event"]]) == 1
    assert await engine.bus.residue(0.0) == 0


@pytest.mark.parametrize("mentioned", [True, False])
async def test_a_person_who_speaks_lets_them_talk_again(every_engine: Engine, mentioned: bool) -> None:
    engine, door = every_engine, ingress(every_engine, ALLOWED)
    await chatter(door, "m", BOT_TURNS + 1)
    await door.accept(message("ann", direct=False, mentioned=mentioned))
    await chatter(door, "n", BOT_TURNS + 1)
    found = await outcomes(engine)
    assert answered(found, "n", BOT_TURNS + 1) == [True] * BOT_TURNS + [False]


async def test_each_chat_counts_for_itself(engine: Engine) -> None:
    door = ingress(engine, ALLOWED)
    await chatter(door, "m", BOT_TURNS + 1)
    await chatter(door, "n", 1, Address("support", "43"))
    assert (await outcomes(engine))["n0"] == (None, None)


async def test_what_bots_say_to_others_does_not_count(engine: Engine) -> None:
    door = ingress(engine, ALLOWED)
    for number in range(BOT_TURNS + 1):
        await door.accept(message(f"a{number}", author=ROBOT, direct=False, mentioned=False))
    await door.accept(said("m"))
    assert await outcomes(engine) == {"m": (None, None)}
