"""Who is answered, and how strangers come to be known."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub import access
from hub.access import CODE_SECONDS, LETTERS, MOST_PENDING, Chat, Rules, Verdict, decide
from hub.message import Address
from tests.auditing import act, audited
from tests.hub.engine import Engine, message

ALLOWED = frozenset({"ann"})
STRANGER: dict[str, Any] = {"direct": True}
GROUP: dict[str, Any] = {"direct": False, "mentioned": False}
MENTION: dict[str, Any] = {"direct": False, "mentioned": True}


@pytest.mark.parametrize(
    ("rules", "said", "paired", "verdict"),
    [
        ({"direct": "open"}, STRANGER, False, "answer"),
        ({"direct": "off"}, STRANGER, False, "ignore"),
        ({"direct": "off", "allow": ALLOWED}, STRANGER, True, "ignore"),
        ({"direct": "allowlist"}, STRANGER, False, "refuse"),
        ({"direct": "allowlist", "allow": ALLOWED}, STRANGER, False, "answer"),
        ({"direct": "allowlist"}, STRANGER, True, "refuse"),  # pairing is another policy
        ({"direct": "pairing"}, STRANGER, False, "pair"),
        ({"direct": "pairing"}, STRANGER, True, "answer"),
        ({"direct": "pairing", "allow": ALLOWED}, STRANGER, False, "answer"),
        ({}, STRANGER, False, "pair"),  # the defaults protect
        ({}, GROUP, False, "ignore"),
        ({}, MENTION, False, "answer"),
        ({"groups": "open"}, GROUP, False, "answer"),
        ({"groups": "listen"}, GROUP, False, "listen"),
        ({"groups": "listen"}, MENTION, False, "answer"),
        ({"groups": "off"}, GROUP, False, "ignore"),
        ({"groups": "off"}, MENTION, False, "ignore"),
        ({"groups": "off", "chats": {"42": Chat(groups="open")}}, GROUP, False, "answer"),
        ({"groups": "open", "chats": {"42": Chat(groups="off")}}, MENTION, False, "ignore"),
        ({"groups": "open", "chats": {"43": Chat(groups="off")}}, GROUP, False, "answer"),
        ({"groups": "open", "chats": {"42": Chat(agent="other")}}, GROUP, False, "answer"),
    ],
)
def test_every_policy_decides(rules: dict[str, Any], said: dict[str, Any], paired: bool, verdict: Verdict) -> None:
    assert decide(Rules(agent="bot", **rules), message("m", **said), paired) == verdict


def test_a_chat_may_have_its_own_agent() -> None:
    rules = Rules(agent="bot", chats={"42": Chat(agent="other"), "43": Chat(groups="open")})
    agents = [rules.agent_for(message("m", address=Address("support", chat))) for chat in ("42", "43", "44")]
    assert agents == ["other", "bot", "bot"]


async def request(engine: Engine, sender: str, channel: str = "support") -> str | None:
    return await engine.store.write(lambda c: access.request(act(c, engine.clock()), channel, sender, sender.title()))


async def approve(engine: Engine, code: str, channel: str = "support") -> str | None:
    return await engine.store.write(lambda c: access.approve(act(c, engine.clock()), channel, code))


async def pending(engine: Engine, channel: str = "support") -> list[str]:
    found = await engine.store.read(lambda c: access.pending(c, channel, engine.clock()))
    return [one.sender for one in found]


async def is_paired(engine: Engine, sender: str, channel: str = "support") -> bool:
    return await engine.store.read(lambda c: access.is_paired(c, channel, sender))


async def test_a_code_has_eight_letters_that_nobody_mistakes(every_engine: Engine) -> None:
    code = await request(every_engine, "ann")
    assert code is not None
    assert len(code) == 8
    assert set(code) <= set(LETTERS)
    assert not set("O0I1") & set(LETTERS)


async def test_a_stranger_keeps_the_code_for_an_hour_and_then_gets_another(every_engine: Engine) -> None:
    engine = every_engine
    first = await request(engine, "ann")
    engine.clock.forward(CODE_SECONDS - 1)
    assert await request(engine, "ann") == first
    engine.clock.forward(1)
    assert first is not None
    assert await approve(engine, first) is None  # too old
    second = await request(engine, "ann")
    assert second not in (None, first)
    assert await pending(engine) == ["ann"]


async def test_an_approved_sender_is_known_in_that_channel_until_revoked(every_engine: Engine) -> None:
    engine = every_engine
    code = await request(engine, "ann")
    assert code is not None
    assert not await is_paired(engine, "ann")
    assert await approve(engine, f" {code.lower()} ") == "ann"
    assert await approve(engine, code) is None  # only once
    assert await is_paired(engine, "ann")
    assert not await is_paired(engine, "ann", "news")
    assert await pending(engine) == []
    engine.clock.forward(10 * CODE_SECONDS)
    assert await is_paired(engine, "ann")
    assert await engine.store.write(lambda c: access.revoke(act(c), "support", "ann"))
    assert not await is_paired(engine, "ann")
    assert not await engine.store.write(lambda c: access.revoke(act(c), "support", "ann"))
    assert await request(engine, "ann") not in (None, code)


async def test_a_code_is_good_in_its_own_channel_only(engine: Engine) -> None:
    code = await request(engine, "ann")
    assert code is not None
    assert await approve(engine, code, "news") is None
    assert await approve(engine, "WRONGONE") is None
    assert await pending(engine) == ["ann"]


async def test_no_more_than_three_strangers_wait_in_a_channel(every_engine: Engine) -> None:
    engine = every_engine
    codes = [await request(engine, f"s{number}") for number in range(MOST_PENDING)]
    assert None not in codes
    assert await request(engine, "late") is None
    assert await request(engine, "s0") == codes[0]  # who waits already keeps the code
    assert await request(engine, "late", "news") is not None
    assert codes[0] is not None
    await approve(engine, codes[0])
    assert await request(engine, "late") is not None
    assert await request(engine, "later") is None
    engine.clock.forward(CODE_SECONDS)
    assert await request(engine, "later") is not None
    assert await pending(engine) == ["later"]


async def test_requests_that_come_at_once_are_one_for_each_sender_and_three_for_the_channel(
    every_engine: Engine,
) -> None:
    engine = every_engine
    assert len(set(await asyncio.gather(*(request(engine, "ann") for _ in range(8))))) == 1
    codes = await asyncio.gather(*(request(engine, f"s{number}") for number in range(8)))
    assert sum(code is not None for code in codes) == MOST_PENDING - 1


async def test_pairing_is_audited_by_ids_and_without_code_and_name(every_engine: Engine) -> None:
    engine, clock = every_engine, every_engine.clock
    codes = {await request(engine, "ann") for _ in range(2)}
    [code] = [code for code in codes if code]
    assert await approve(engine, "WRONG234") is None
    await approve(engine, code)
    for _ in range(2):
        await engine.store.write(lambda c: access.revoke(act(c, clock()), "support", "ann"))
    rows = await audited(engine.store)
    assert [(row.target, row.after) for row in rows] == [
        ("support:ann", {"expires_at": int(clock() + CODE_SECONDS)}),
        ("support:ann", {"paired": True}),
        ("support:ann", {"paired": False}),
    ]
