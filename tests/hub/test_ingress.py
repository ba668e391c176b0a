"""What people say is stored where it belongs, once, and answered for by exactly one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from hub import access, memory
from hub.access import Rules
from hub.agent import Reply, Turn
from hub.bus import Bus, Settle
from hub.channel import COMMANDS
from hub.delivery.posts import Posts
from hub.errors import InboxFull, NotFound, StoreUnavailable
from hub.ingress import Ingress
from hub.message import Address, Author, Delivery, Message
from hub.store.tables import messages, sessions
from hub.turns.handler import TurnHandler
from hub.turns.persona import Persona
from hub.worker import Worker
from tests.auditing import act
from tests.hub.engine import BOT, CHAT, FAST, Engine, Script, channels, message, running, soon

OPEN = Rules(agent="bot", direct="open", groups="open")


def ingress(engine: Engine, rules: Rules = OPEN, bus: Bus | None = None) -> Ingress:
    return Ingress(bus or engine.bus, {"support": rules})


def by(id: str, text: str = "hello", **more: Any) -> Message:
    return message(id, text, author=Author(id="eve", name="Eve"), **more)


async def said_to(engine: Engine, chat_id: str = "42") -> list[str]:
    """What was sent to a chat, oldest first."""
    query = select(messages.c.body).where(messages.c.inbox == "channel:support").order_by(messages.c.at, messages.c.seq)
    found = [msgspec.json.decode(row.body, type=Delivery) for row in await engine.all(query)]
    return [one.text for one in found if one.address.chat_id == chat_id]


async def outcomes(engine: Engine, inbox: str = BOT) -> Mapping[str, tuple[str | None, str | None]]:
    rows = await engine.all(select(messages).where(messages.c.inbox == inbox))
    return {row.mid: (row.outcome, row.reason) for row in rows}


async def test_a_message_goes_into_its_agents_inbox_in_the_lane_of_its_chat(every_engine: Engine) -> None:
    engine = every_engine
    said = message("m", "hi", address=Address("support", "42", "7"))
    for _ in range(3):  # platforms deliver again
        await ingress(engine).accept(said)
    [lease] = await engine.bus.claim(BOT, 10, 8.0)
    assert (lease.lane, lease.head.id) == ("support:42:7", "m")
    assert msgspec.json.decode(lease.head.body, type=Message) == said
    assert await engine.bus.waiting(BOT, "support:42:7") == 1
    assert await engine.bus.residue(0.0) == 0


async def test_a_message_that_was_answered_is_not_heard_again(engine: Engine) -> None:
    await ingress(engine).accept(message("m"))
    [lease] = await engine.bus.claim(BOT, 10, 8.0)
    await engine.bus.commit(Settle(lease=lease, outcome="answered"))
    await ingress(engine).accept(message("m"))
    assert await engine.bus.claim(BOT, 10, 8.0) == []


async def test_a_chat_may_have_its_own_agent(engine: Engine) -> None:
    rules = Rules(agent="bot", direct="open", chats={"42": access.Chat(agent="other")})
    await ingress(engine, rules).accept(message("m"))
    await ingress(engine, rules).accept(message("n", address=Address("support", "43")))
    assert [list(await outcomes(engine, inbox)) for inbox in ("agent:other", BOT)] == [["m"], ["n"]]


async def test_what_the_store_did_not_take_is_the_channels_to_bring_again(engine: Engine) -> None:
    engine.store.break_commit = lambda: StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await ingress(engine).accept(message("m"))
    await ingress(engine).accept(message("m"))
    assert list(await outcomes(engine)) == ["m"]


@pytest.mark.parametrize(
    ("rules", "more", "outcome"),
    [
        (Rules(agent="bot", direct="open"), {}, (None, None)),
        (Rules(agent="bot", direct="off"), {}, None),
        (Rules(agent="bot", direct="allowlist"), {}, ("refused", "access")),
        (Rules(agent="bot", direct="allowlist", allow=frozenset({"eve"})), {}, (None, None)),
        (Rules(agent="bot", direct="pairing"), {}, ("refused", "access")),
        (Rules(agent="bot", groups="mention"), {"direct": False}, (None, None)),
        (Rules(agent="bot", groups="mention"), {"direct": False, "mentioned": False}, None),
        (Rules(agent="bot", groups="listen"), {"direct": False, "mentioned": False}, ("silent", "listen")),
        (Rules(agent="bot", groups="listen"), {"direct": False}, (None, None)),
        (Rules(agent="bot", groups="open"), {"direct": False, "mentioned": False}, (None, None)),
        (Rules(agent="bot", groups="off"), {"direct": False}, None),
    ],
)
async def test_every_policy_has_its_outcome(
    engine: Engine, rules: Rules, more: dict[str, Any], outcome: tuple[str | None, str | None] | None
) -> None:
    for _ in range(2):
        admitted = await ingress(engine, rules).admits(by("m", **more))
        assert admitted == (outcome in ((None, None), ("silent", "listen")))
        await ingress(engine, rules).accept(by("m", **more))
    assert await outcomes(engine) == ({} if outcome is None else {"m": outcome})
    assert len(await said_to(engine)) == (outcome == ("refused", "access"))
    assert await engine.bus.residue(0.0) == 0


async def test_a_stranger_is_told_once_a_day_that_the_bot_is_not_for_all(engine: Engine) -> None:
    door = ingress(engine, Rules(agent="bot", direct="allowlist"))
    for number in range(5):
        await door.accept(by(f"m{number}"))
    assert len(await said_to(engine)) == 1
    await door.accept(message("other", author=Author(id="mallory", name="Mallory"), address=Address("support", "43")))
    assert len(await said_to(engine, "43")) == 1
    engine.clock.forward(86400.0)
    await door.accept(by("next day"))
    assert len(await said_to(engine)) == 2


async def test_a_stranger_is_paired(every_engine: Engine) -> None:
    """L13."""
    engine = every_engine
    door = ingress(engine, Rules(agent="bot", direct="pairing"))
    for number in range(3):
        await door.accept(by(f"m{number}"))
    [notice] = await said_to(engine)
    [request] = await engine.store.read(lambda c: access.pending(c, "support", engine.clock()))
    assert (request.sender, request.name) == ("eve", "Eve")
    assert request.code in notice
    assert f"bothub pairing approve support {request.code}" in notice
    await engine.store.write(lambda c: access.approve(act(c, engine.clock()), "support", request.code))
    assert await door.admits(by("now"))
    await door.accept(by("now"))
    await door.accept(by("m0"))  # what was refused stays refused
    found = await outcomes(engine)
    assert (found["now"], found["m0"]) == ((None, None), ("refused", "access"))
    assert len(await said_to(engine)) == 1


async def test_a_code_that_ran_out_is_followed_by_another(engine: Engine) -> None:
    door = ingress(engine, Rules(agent="bot", direct="pairing"))
    await door.accept(by("m1"))
    engine.clock.forward(3600.0)
    await door.accept(by("m2"))
    first, second = await said_to(engine)
    assert first != second


async def test_a_fourth_stranger_is_told_to_come_back(engine: Engine) -> None:
    door = ingress(engine, Rules(agent="bot", direct="pairing"))
    for number in range(4):
        person = Author(id=f"p{number}", name="P")
        for again in range(2):
            await door.accept(message(f"m{number}.{again}", author=person, address=Address("support", str(number))))
    notices = [await said_to(engine, str(number)) for number in range(4)]
    assert [len(notice) for notice in notices] == [1, 1, 1, 1]
    assert "try again later" in notices[3][0]


async def test_help_is_told(engine: Engine) -> None:
    door = ingress(engine)
    for number, text in enumerate(["/help", "/start", "/HELP "]):
        await door.accept(message(f"m{number}", text))
    [text] = set(await said_to(engine))
    assert text.splitlines() == [f"/{name}: {words}" for name, words in COMMANDS.items()]
    assert set((await outcomes(engine)).values()) == {("answered", "help")}


@pytest.mark.parametrize("text", ["/", "/unknown", "/new session please", "say /new", "//new", "/new@another_bot"])
async def test_what_is_no_command_is_for_the_agent(engine: Engine, text: str) -> None:
    await ingress(engine).accept(message("m", text))
    assert await outcomes(engine) == {"m": (None, None)}


async def test_a_channel_may_have_no_commands(engine: Engine) -> None:
    await ingress(engine, Rules(agent="bot", direct="open", commands=dict.fromkeys(COMMANDS, "off"))).accept(
        message("m", "/new")
    )
    assert await outcomes(engine) == {"m": (None, None)}


async def test_strangers_have_no_commands(engine: Engine) -> None:
    await ingress(engine, Rules(agent="bot", direct="allowlist")).accept(by("m", "/status"))
    assert await outcomes(engine) == {"m": ("refused", "access")}


async def test_new_begins_a_session_with_its_reply_in_one_unit_and_once(every_engine: Engine) -> None:
    engine, door = every_engine, ingress(every_engine)

    async def begun() -> int:
        return len(await engine.all(select(sessions.c.id)))

    engine.store.break_commit = lambda: StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await door.accept(message("m", "/new"))
    assert (await begun(), await said_to(engine), await outcomes(engine)) == (0, [], {})
    for _ in range(3):
        await door.accept(message("m", "/new"))
    assert (await begun(), len(await said_to(engine)), await outcomes(engine)) == (1, 1, {"m": ("answered", "new")})
    current = await engine.store.read(lambda c: memory.current_session(c, "bot", CHAT))
    await door.accept(message("n", "/new"))
    assert await engine.store.read(lambda c: memory.current_session(c, "bot", CHAT)) != current
    assert await engine.bus.residue(0.0) == 0


async def test_the_status_tells_session_and_queue(engine: Engine) -> None:
    door = ingress(engine)
    await door.accept(message("s1", "/status"))
    session = await engine.store.write(lambda c: memory.new_session(c, "bot", CHAT, 0.0))
    turn = [memory.Heard(text="hi"), memory.Said(text="hello")]
    await engine.store.write(lambda c: memory.append(c, session, "t", 0, turn, 0.0))
    await door.accept(message("m"))
    await door.accept(message("s2", "/status"))
    first, second = await said_to(engine)
    assert "no session yet, nothing to answer" in first
    assert "1 turn in this session, 1 to answer" in second


@pytest.mark.parametrize("begun", [False, True])
async def test_the_status_in_a_first_turn_says_so(engine: Engine, begun: bool) -> None:
    door = ingress(engine)
    if begun:
        await door.accept(message("n", "/new"))
    await door.accept(message("m"))
    await door.accept(message("s", "/status"))
    assert "I am bot: the first turn of this session is under way, 1 to answer." in await said_to(engine)


async def test_stop_ends_the_running_turn_and_the_queued_and_not_what_comes_later(every_engine: Engine) -> None:
    engine, door, begun = every_engine, ingress(every_engine), asyncio.Event()

    async def play(turn: Turn) -> Reply:
        if turn.id == "running":
            begun.set()
            await asyncio.Event().wait()
        return Reply(text=f"re {turn.id}")

    persona = Persona(name="bot", bus=engine.bus, posts=Posts(engine.bus, channels(support=True)))
    handler = TurnHandler(persona, Script(play))
    async with running(Worker(engine.bus, BOT, handler, timing=FAST), engine):
        await door.accept(message("running"))
        await door.accept(message("elsewhere", address=Address("support", "43")))
        await soon(begun.wait())
        await door.accept(message("queued"))
        await door.accept(message("stop", "/stop"))
        await door.accept(message("later"))
        await door.accept(message("stop", "/stop"))  # delivered again: it does not stop what came later
        assert await engine.outcome(BOT, "running") == ("silent", "stopped")
        assert await engine.outcome(BOT, "queued") == ("silent", "stopped")
        assert await engine.outcome(BOT, "later") == ("answered", None)
        assert await engine.outcome(BOT, "elsewhere") == ("answered", None)
    assert sorted(await said_to(engine)) == ["Stopped.", "re later"]
    assert (await outcomes(engine))["stop"] == ("answered", "stop")
    assert await engine.bus.residue(0.0) == 0


async def test_stop_tells_when_there_is_nothing_to_stop(engine: Engine) -> None:
    await ingress(engine).accept(message("stop", "/stop"))
    assert await said_to(engine) == ["Nothing is running."]
    await ingress(engine).accept(message("m"))
    [lease] = await engine.bus.claim(BOT, 1, 8.0)
    assert not lease.stopped


async def test_a_chat_that_is_too_fast_is_told_once(engine: Engine) -> None:
    bus = Bus(engine.store, engine.signals, engine.clock, lane_limit=3)
    door = ingress(engine, bus=bus)
    for number in range(6):
        for _ in range(2):
            await door.accept(message(f"m{number}"))
    found = await outcomes(engine)
    assert [found[f"m{number}"] for number in range(6)] == [(None, None)] * 3 + [("refused", "full")] * 3
    [notice] = await said_to(engine)
    assert "hello" in notice
    engine.clock.forward(600.0)
    await door.accept(message("m6"))
    assert len(await said_to(engine)) == 2
    await door.accept(message("o", address=Address("support", "43")))
    assert (await outcomes(engine))["o"] == (None, None)
    assert await engine.bus.residue(0.0) == 0


async def test_a_chat_that_is_too_fast_may_still_stop(engine: Engine) -> None:
    bus = Bus(engine.store, engine.signals, engine.clock, lane_limit=1)
    door = ingress(engine, bus=bus)
    await door.accept(message("m"))
    await door.accept(message("stop", "/stop"))
    assert (await outcomes(engine))["stop"] == ("answered", "stop")


async def test_a_program_that_is_too_fast_is_told_itself(engine: Engine) -> None:
    bus = Bus(engine.store, engine.signals, engine.clock, lane_limit=1)
    door = ingress(engine, bus=bus)
    await door.accept(message("m"), tell_full=True)
    with pytest.raises(InboxFull):
        await door.accept(message("n"), tell_full=True)
    assert (list(await outcomes(engine)), await said_to(engine)) == (["m"], [])


async def test_a_channel_that_is_not_enabled_takes_nothing(engine: Engine) -> None:
    with pytest.raises(NotFound, match="'nowhere' is not enabled"):
        await ingress(engine).accept(message("m", address=Address("nowhere", "1")))


async def test_what_cannot_be_read_is_a_dead_letter_with_its_raw_payload(every_engine: Engine) -> None:
    engine = every_engine
    for _ in range(2):
        await ingress(engine).reject("support", "u1", b"\x00raw", "no chat in it")
    row = await engine.row(BOT, "u1")
    assert (row.outcome, row.reason, row.error, row.body) == ("dead", "unreadable", "no chat in it", b"\x00raw")
    assert await engine.bus.residue(0.0) == 0


async def test_in_a_group_notices_and_command_replies_quote(engine: Engine) -> None:
    await ingress(engine).accept(message("m", "/help", direct=False, reply_to="77"))
    row = await engine.row("channel:support", "m.reply")
    assert msgspec.json.decode(row.body, type=Delivery).reply_to == "77"


async def test_messages_that_come_at_once_are_each_heard_once(every_engine: Engine) -> None:
    engine, door = every_engine, ingress(every_engine)
    said = [message(f"m{number % 10}", "/help" if number % 10 == 0 else "hi") for number in range(40)]
    await asyncio.gather(*(door.accept(one) for one in said))
    assert len(await outcomes(engine)) == 10
    assert len(await said_to(engine)) == 1
    assert await engine.bus.waiting(BOT, str(CHAT)) == 9
    assert await engine.bus.residue(0.0) == 0


async def test_who_says_too_much_is_told_once_and_answered_again_when_the_minute_is_over(engine: Engine) -> None:
    door = Ingress(engine.bus, {"support": Rules(agent="bot", direct="open", per_minute=2)})
    for number in range(5):
        await door.accept(message(f"m{number}"))
    await door.accept(message("stop", "/stop"))
    assert [(await outcomes(engine))[f"m{number}"] for number in (1, 2, 4)] == [
        (None, None),
        ("refused", "access"),
        ("refused", "access"),
    ]
    assert len([text for text in await said_to(engine) if "one minute" in text]) == 1
    engine.clock.forward(60.0)
    await door.accept(message("later"))
    assert (await outcomes(engine))["later"] == (None, None)


async def test_the_day_is_counted_too_and_each_sender_alone(engine: Engine) -> None:
    door = Ingress(engine.bus, {"support": Rules(agent="bot", direct="open", per_day=1)})
    other = Author(id="bob", name="Bob")
    for said in (message("m1"), message("m2"), message("m3", author=other)):
        await door.accept(said)
    found = await outcomes(engine)
    assert [found[mid] for mid in ("m1", "m2", "m3")] == [(None, None), ("refused", "access"), (None, None)]
    assert any("one day" in text for text in await said_to(engine))


async def test_the_chats_that_spoke_are_known_the_newest_first(engine: Engine) -> None:
    door = ingress(engine)
    for chat_id in ("1", "2"):
        await door.accept(message(f"m{chat_id}", "/new", address=Address("support", chat_id)))
    await door.accept(message("m3", "/new", address=Address("support", "1", "7")))
    assert await door.chats("support") == ["1", "2"]
