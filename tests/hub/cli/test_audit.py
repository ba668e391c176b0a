"""`bothub audit`, and what the other commands leave in it."""

from __future__ import annotations

import pytest

from hub import access
from hub.bus import Bus
from hub.message import Address
from tests.auditing import act
from tests.hub.cli.command import Bothub, delivery, settle


def done(bothub: Bothub, *options: str) -> list[tuple[str, str, str]]:
    return [(one["what"], one["target"], one["by"]) for one in bothub.json("audit", *options)["changes"]]


def test_a_post_is_audited_without_its_text(bothub: Bothub) -> None:
    sent = bothub.json("send", "web:lobby:7", "secret words")
    [change] = bothub.json("audit")["changes"]
    assert (change["what"], change["target"], change["by"]) == ("post", "web:lobby:7", "command line")
    assert change["after"] == {"delivery": sent["id"]}
    shown = bothub("audit").stdout
    assert sent["id"] in shown
    assert "secret" not in shown


def test_who_is_let_in_and_out_is_audited(bothub: Bothub) -> None:
    async def ask(bus: Bus) -> str | None:
        return await bus.store.write(lambda c: access.request(act(c, bus.clock()), "support", "42", "Ada"))

    code = bothub.work(ask)
    assert code
    bothub("pairing", "approve", "support", "WRONG234")
    bothub("pairing", "approve", "support", code)
    for _ in range(2):
        bothub("pairing", "revoke", "support", "42")
    changes = [("pairing.revoke", "support:42", "command line"), ("pairing.approve", "support:42", "command line")]
    assert done(bothub)[:-1] == changes
    assert done(bothub, "--what", "pairing.approve") == changes[1:]
    assert "Ada" not in bothub("audit").stdout
    assert code not in bothub("audit").stdout


@pytest.mark.parametrize(("verb", "again"), [("retry", {"again": "d1#2"}), ("discard", {})])
def test_what_is_done_to_dead_messages_is_audited(bothub: Bothub, verb: str, again: dict[str, str]) -> None:
    async def die(bus: Bus) -> None:
        await settle(bus, delivery("d1", "web:lobby"))

    bothub.work(die)
    for _ in range(2):
        bothub("dead", verb, "d1")
    [change] = bothub.json("audit", "--target", "web:lobby")["changes"]
    assert change["what"] == f"dead.{verb}"
    assert change["after"] == {"inbox": "channel:web", "message": "d1", **again}


def test_an_erase_is_audited_and_takes_nothing_out_of_the_audit(bothub: Bothub) -> None:
    for _ in range(2):
        bothub("people", "erase", "support:42", "--yes")
    bothub("send", "support:42", "hello")
    bothub("people", "erase", "support:42", "--yes")
    erased = ("person.erase", "support:42", "command line")
    assert done(bothub) == [erased, ("post", str(Address("support", "42")), "command line"), erased, erased]


def test_the_last_days_and_the_newest_are_chosen(bothub: Bothub) -> None:
    for number in range(3):
        bothub("send", f"web:{number}", "hello")
    assert [target for _, target, _ in done(bothub, "--days", "1", "--limit", "2")] == ["web:2", "web:1"]
    assert "the newest 2 of 3" in bothub("audit", "--limit", "2").stdout
    assert "Nothing of that kind" in bothub("audit", "--key", "7").stdout
