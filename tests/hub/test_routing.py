"""Which agent answers: decided by routes, choices and words, and kept to when a message comes again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import json, structs
from sqlalchemy import select

from hub import chats
from hub.access import Chat, Rules
from hub.errors import StoreUnavailable
from hub.ingress import Ingress
from hub.message import Address, Author, File, Message, Part, Text
from hub.routing import Route, Routing, route
from hub.store.tables import messages
from tests.hub.engine import Engine, message
from tests.hub.test_ingress import OPEN, outcomes, said_to

SUPPORT = Route(agent="channel", channel="support")
CHAT = Route(agent="chat", channel="support", chat_id="42")
THREAD = Route(agent="thread", channel="support", chat_id="42", thread_id="7")
ANN = Route(agent="ann", channel="support", sender="ann")
WORD = Route(agent="word", command="sell")
HERE = Route(agent="here", channel="support", chat_id="42", command="sell")
THERE = Route(agent="there", channel="news", command="sell")
OF_CHAT = Rules(agent="bot", chats={"42": Chat(agent="own")})
AGENTS = ("bot", "sales", "hidden")
ROUTING = Routing(agents=AGENTS, public=("bot", "sales"), routes=(Route(agent="sales", command="sell"),))
IMAGE = File(ref="0" * 64, name="a.png", media_type="image/png", size=4)


def test_a_conversation_that_belongs_to_an_agent_is_not_routed() -> None:
    routing = Routing(routes=(SUPPORT, WORD), agents=AGENTS, public=AGENTS)
    said = structs.replace(message("m", "/sell tea"), agent="hidden")
    assert route(routing, OF_CHAT, said, "sales") == ("hidden", said)


async def test_what_is_answered_there_can_be_stopped_without_a_word(engine: Engine) -> None:
    door, here = Ingress(engine.bus, {"support": OPEN}, ROUTING), Address("support", "42")
    assert not await door.stop(here)
    await door.accept(structs.replace(message("m", "hi"), agent="hidden"))
    assert await door.stop(here)
    [lease] = await engine.bus.claim("agent:hidden", 1, 10.0)
    assert lease.stop >= lease.head.seq
    assert await said_to(engine) == []


async def test_nobody_else_can_be_chosen_there(engine: Engine) -> None:
    door = Ingress(engine.bus, {"support": OPEN}, ROUTING)
    await door.accept(structs.replace(message("m", "/agent sales"), agent="hidden"))
    [said] = await said_to(engine)
    assert said == "This conversation is with hidden. Begin another to talk to somebody else."
    assert await engine.store.read(lambda connection: chats.chosen(connection, Address("support", "42"))) is None


@pytest.mark.parametrize(
    ("routes", "rules", "said", "chosen", "agent"),
    [
        ([], OPEN, {}, None, "bot"),
        ([], OF_CHAT, {}, None, "own"),
        ([SUPPORT], OF_CHAT, {}, None, "channel"),
        ([SUPPORT, CHAT], OPEN, {}, None, "channel"),  # the first that fits
        ([CHAT, SUPPORT], OPEN, {}, None, "chat"),
        ([CHAT], OPEN, {"address": Address("support", "43")}, None, "bot"),
        ([CHAT], OPEN, {"address": Address("news", "42")}, None, "bot"),
        ([CHAT], OPEN, {"address": Address("support", "42", "7")}, None, "chat"),  # with all its threads
        ([THREAD, CHAT], OPEN, {"address": Address("support", "42", "7")}, None, "thread"),
        ([THREAD, CHAT], OPEN, {"address": Address("support", "42", "8")}, None, "chat"),
        ([THREAD], OPEN, {}, None, "bot"),
        ([ANN], OPEN, {}, None, "ann"),
        ([ANN], OPEN, {"author": Author(id="ben", name="Ben")}, None, "bot"),
        ([ANN], OPEN, {"address": Address("news", "42")}, None, "bot"),
        ([WORD], OPEN, {}, None, "bot"),
        ([WORD], OPEN, {"text": "/sell tea"}, None, "word"),
        ([WORD], OPEN, {"text": "/SELL"}, None, "word"),
        ([WORD], OPEN, {"text": "/sell\ntea"}, None, "word"),
        ([WORD], OPEN, {"text": "/seller"}, None, "bot"),
        ([WORD], OPEN, {"text": "/sell-off"}, None, "bot"),
        ([WORD], OPEN, {"text": "please /sell"}, None, "bot"),
        ([THERE, HERE, WORD], OPEN, {"text": "/sell tea"}, None, "here"),
        ([SUPPORT, WORD], OPEN, {"text": "/sell tea"}, None, "word"),  # it was said
        ([WORD], OPEN, {"text": "/sell tea"}, "sales", "word"),
        ([SUPPORT], OF_CHAT, {}, "sales", "sales"),
        ([SUPPORT], OPEN, {}, "hidden", "channel"),
        ([], OPEN, {}, "disabled since then", "bot"),
        ([], Rules(agent="bot", commands={"agent": "off"}), {}, "sales", "bot"),
    ],
)
def test_the_first_that_fits_answers(
    routes: list[Route], rules: Rules, said: dict[str, Any], chosen: str | None, agent: str
) -> None:
    routing = Routing(routes=tuple(routes), agents=AGENTS, public=("bot", "sales"))
    assert route(routing, rules, message("m", **said), chosen)[0] == agent


@pytest.mark.parametrize(
    ("parts", "given"),
    [
        ([Text(text="/sell  two\nteas ")], [Text(text="two\nteas ")]),
        ([Text(text="/sell")], [Text(text="/sell")]),  # nothing else to give
        ([IMAGE, Text(text="/sell")], [IMAGE]),
        (
            [IMAGE, Text(text="/sell this"), Text(text="/sell that")],
            [IMAGE, Text(text="this"), Text(text="/sell that")],
        ),
    ],
)
def test_an_agent_is_given_what_stands_behind_its_word(parts: list[Part], given: list[Part]) -> None:
    said = structs.replace(message("m"), parts=tuple(parts))
    assert route(ROUTING, OPEN, said) == ("sales", structs.replace(said, parts=tuple(given)))


def ingress(engine: Engine, routing: Routing = ROUTING) -> Ingress:
    return Ingress(engine.bus, {"support": OPEN}, routing)


async def heard(engine: Engine) -> Mapping[str, list[tuple[str, str]]]:
    """What waits for each agent: ids and texts."""
    waits = (messages.c.inbox.startswith("agent:"), messages.c.outcome.is_(None))
    rows = await engine.all(select(messages).where(*waits).order_by(messages.c.at, messages.c.mid))
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        said = json.decode(row.body, type=Message)
        found.setdefault(row.inbox.removeprefix("agent:"), []).append((said.id, said.text))
    return found


async def test_a_conversation_keeps_its_agent_until_it_goes_back(every_engine: Engine) -> None:
    engine = every_engine
    thread = Address("support", "42", "7")
    for id, text, address in [  # noqa: A001
        ("m1", "/agent SALES", Address("support", "42")),
        ("m2", "to sales", Address("support", "42")),
        ("m3", "to bot", thread),
        ("m4", "/sell to sales", thread),
        ("m5", "/agent default", Address("support", "42")),
        ("m6", "to bot", Address("support", "42")),
    ]:
        await ingress(engine).accept(message(id, text, address=address))
    assert await heard(engine) == {
        "sales": [("m2", "to sales"), ("m4", "to sales")],
        "bot": [("m3", "to bot"), ("m6", "to bot")],
    }
    assert await said_to(engine) == ["sales answers here from now on.", "bot answers here again."]
    assert await engine.bus.residue(0.0) == 0


async def test_a_choice_and_its_reply_are_one_unit_and_made_once(every_engine: Engine) -> None:
    engine, door, chat = every_engine, ingress(every_engine), Address("support", "42")
    engine.store.break_commit = lambda: StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await door.accept(message("m", "/agent sales"))
    assert await engine.store.read(lambda c: chats.chosen(c, chat)) is None
    await door.accept(message("m", "/agent sales"))
    await door.accept(message("n", "/agent bot"))
    await door.accept(message("m", "/agent sales"))  # platforms deliver again
    assert await engine.store.read(lambda c: chats.chosen(c, chat)) == "bot"
    assert await said_to(engine) == ["sales answers here from now on.", "bot answers here from now on."]


async def test_a_message_that_comes_again_stays_with_the_agent_that_heard_it(every_engine: Engine) -> None:
    door = ingress(every_engine)
    await door.accept(message("m", "hello"))
    await door.accept(message("n", "/agent sales"))
    await door.accept(message("m", "hello"))
    assert await heard(every_engine) == {"bot": [("m", "hello")]}


@pytest.mark.parametrize("name", ["hidden", "nobody", "sales please", "../bot"])
async def test_only_public_agents_can_be_chosen(engine: Engine, name: str) -> None:
    await ingress(engine).accept(message("m", f"/agent {name}"))
    [answer] = await said_to(engine)
    assert answer.startswith("There is no such agent. bot answers here.")
    assert "hidden" not in answer
    assert await engine.store.read(lambda c: chats.chosen(c, Address("support", "42"))) is None


async def test_agent_alone_tells_who_may_be_chosen(engine: Engine) -> None:
    await ingress(engine).accept(message("m", "/agent"))
    assert await said_to(engine) == ["bot answers here. You may choose:\n\n/agent bot\n/agent sales\n/agent default"]


async def test_stop_stops_every_agent_of_the_conversation_and_of_no_other(every_engine: Engine) -> None:
    engine, door, elsewhere = every_engine, ingress(every_engine), Address("support", "43")
    for id, text, address in [  # noqa: A001
        ("m1", "hello", Address("support", "42")),
        ("m2", "/sell tea", Address("support", "42")),
        ("m3", "/sell tea", elsewhere),
        ("m4", "/agent sales", Address("support", "42")),
        ("m5", "/stop", Address("support", "42")),
    ]:
        await door.accept(message(id, text, address=address))
    assert (await said_to(engine))[-1] == "Stopped."
    stops = {
        (lease.inbox, lease.lane): lease.stop
        for inbox in ("agent:bot", "agent:sales")
        for lease in await engine.bus.claim(inbox, 10, 8.0)
    }
    assert stops == {("agent:bot", "support:42"): 1, ("agent:sales", "support:42"): 1, ("agent:sales", "support:43"): 0}


async def test_commands_are_about_the_agent_of_the_conversation(engine: Engine) -> None:
    door = ingress(engine)
    for id, text in [("m1", "/agent sales"), ("m2", "/status"), ("m3", "/agent bot"), ("m4", "/sell /status")]:  # noqa: A001
        await door.accept(message(id, text))
    said = await said_to(engine)
    assert [text.split(":")[0] for text in said if text.startswith("I am")] == ["I am sales", "I am sales"]
    assert (await outcomes(engine, "agent:sales"))["m2"] == ("answered", "status")


@pytest.mark.parametrize("there", [None, "bot"])
async def test_a_chat_that_moves_takes_its_choice_along(every_engine: Engine, there: str | None) -> None:
    engine, old, new = every_engine, Address("support", "42"), Address("support", "43")

    def unit(connection: Any) -> list[str | None]:
        chats.choose(connection, old, "sales")
        chats.choose(connection, new, there)
        chats.move(connection, "support", "42", "43")
        return [chats.chosen(connection, address) for address in (old, new)]

    chosen = await engine.store.write(unit)
    assert chosen[1] == (there or "sales")
