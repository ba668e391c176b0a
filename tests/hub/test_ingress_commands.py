"""Who may use which command, and `/pair`."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from hub import access
from hub.access import Direct, Rules, Who
from hub.channel import COMMANDS
from hub.message import Address, Author
from hub.store.tables import messages
from tests.auditing import act
from tests.hub.engine import Engine, message
from tests.hub.test_ingress import by, ingress, outcomes, said_to

PAIRING = Rules(agent="bot", direct="pairing")


async def test_a_stranger_sees_the_same_code_whenever_they_ask(every_engine: Engine) -> None:
    engine, door = every_engine, ingress(every_engine, PAIRING)
    for number, text in enumerate(["hello", "/pair", "hello?", "/PAIR"]):
        for _ in range(2):  # platforms deliver again
            await door.accept(by(f"m{number}", text))
    [request] = await engine.store.read(lambda c: access.pending(c, "support", engine.clock()))
    notices = await said_to(engine)
    assert len(notices) == 3
    assert all(f"bothub pairing approve support {request.code}" in notice for notice in notices)
    assert (await outcomes(engine))["m1"] == ("answered", "pair")
    assert await engine.bus.residue(0.0) == 0


async def test_a_stranger_who_asks_while_too_many_wait_is_told_each_time(engine: Engine) -> None:
    door = ingress(engine, PAIRING)
    for number in range(3):
        person = Author(id=f"p{number}", name="P")
        await door.accept(message(f"m{number}", "/pair", author=person, address=Address("support", str(number))))
    for number in range(2):
        await door.accept(by(f"n{number}", "/pair"))
    assert await said_to(engine) == ["Too many people wait for approval here; try again later."] * 2


async def test_the_help_of_a_stranger_names_what_works_for_them(engine: Engine) -> None:
    await ingress(engine, PAIRING).accept(by("m", "/help"))
    [text] = await said_to(engine)
    assert "I do not know you yet." in text
    assert [line.split(":")[0] for line in text.splitlines() if line.startswith("/")] == ["/help", "/pair"]


@pytest.mark.parametrize("text", ["/new", "/stop", "/status", "/start"])
async def test_a_stranger_has_no_other_commands(engine: Engine, text: str) -> None:
    await ingress(engine, PAIRING).accept(by("m", text))
    assert await outcomes(engine) == {"m": ("refused", "access")}
    assert "Give this code" in (await said_to(engine))[0]


async def test_who_was_approved_is_told_that_they_are_known(engine: Engine) -> None:
    door = ingress(engine, PAIRING)
    await door.accept(by("m1", "/pair"))
    [request] = await engine.store.read(lambda c: access.pending(c, "support", engine.clock()))
    await engine.store.write(lambda c: access.approve(act(c, engine.clock()), "support", request.code))
    await door.accept(by("m2", "/pair"))
    assert (await said_to(engine))[1] == "I know you already: just write to me."
    named = ingress(engine, Rules(agent="bot", direct="pairing", allow=frozenset({"ann"})))
    await named.accept(message("m3", "/pair", address=Address("support", "43")))
    assert await said_to(engine, "43") == ["I know you already: just write to me."]


@pytest.mark.parametrize(
    ("direct", "more", "words"),
    [
        ("open", {}, "everyone may talk to me"),
        ("allowlist", {}, "only people my operator has named"),
        ("off", {"direct": False}, "I do not answer in private"),
        ("pairing", {"direct": False}, "Write /pair to me in private"),
    ],
)
async def test_where_there_is_no_pairing_pair_says_so_each_time(
    engine: Engine, direct: Direct, more: dict[str, Any], words: str
) -> None:
    door = ingress(engine, Rules(agent="bot", direct=direct))
    for number in range(2):
        await door.accept(by(f"m{number}", "/pair", **more))
    notices = await said_to(engine)
    assert [words in notice for notice in notices] == [True, True]


async def test_a_command_may_be_for_some_people_only(engine: Engine) -> None:
    who: dict[str, Who] = {"new": frozenset({"ann"}), "stop": "allowlist", "status": "everyone"}
    door = ingress(engine, Rules(agent="bot", direct="open", allow=frozenset({"ann"}), commands=who))
    for name in COMMANDS:
        await door.accept(message(f"ann.{name}", f"/{name}"))
        await door.accept(by(f"eve.{name}", f"/{name}", address=Address("support", "43")))
    found = await outcomes(engine)
    assert [found[f"ann.{name}"] for name in COMMANDS] == [("answered", name) for name in COMMANDS]
    assert [name for name in COMMANDS if found[f"eve.{name}"] == ("refused", "access")] == ["new", "stop"]
    texts = await said_to(engine, "43")
    assert [text for text in texts if "may not" in text] == [
        "You may not use /new here.",
        "You may not use /stop here.",
    ]
    [help_] = [text for text in texts if text.startswith("/")]
    assert [line.split(":")[0] for line in help_.splitlines()] == ["/status", "/agent", "/memory", "/help", "/pair"]


async def test_a_command_that_is_off_is_a_word_for_the_agent(engine: Engine) -> None:
    door = ingress(engine, Rules(agent="bot", direct="open", commands={"stop": "off"}))
    await door.accept(message("m", "/stop"))
    await door.accept(message("n", "/status"))
    assert await outcomes(engine) == {"m": (None, None), "n": ("answered", "status")}


async def test_what_a_platform_waits_for_is_always_answered(every_engine: Engine) -> None:
    """A slash command in Discord shows "thinking" until something answers it."""
    engine = every_engine
    asked: dict[str, Any] = {"waited_for": True}
    said = [
        (ingress(engine, Rules(agent="bot", direct="allowlist")), "refused"),
        (ingress(engine, PAIRING), "pair"),
        (ingress(engine, Rules(agent="bot", direct="off")), "off"),
        (ingress(engine, Rules(agent="bot", direct="open", per_day=1)), "rate"),
    ]
    for door, name in said:
        for number in range(2):
            id = f"{name}{number}"  # noqa: A001
            await door.accept(by(id, address=Address("support", id), reply_to=f"interaction:{id}", **asked))
    rows = {row.mid for row in await engine.all(deliveries())}
    assert rows == {f"{name}{number}.reply" for _, name in said for number in range(2)} - {"rate0.reply"}
    assert await engine.bus.residue(0.0) == 0


def deliveries() -> Any:
    return select(messages).where(messages.c.inbox == "channel:support")
