"""`bothub pairing`: an operator lets strangers in and out."""

from __future__ import annotations

import time

from hub import access
from hub.bus import Bus
from tests.auditing import act
from tests.hub.cli.command import Bothub


async def ask(bus: Bus) -> str:
    code = await bus.store.write(lambda c: access.request(act(c, bus.clock()), "support", "42", "Ada Lovelace"))
    assert code is not None
    return code


async def is_paired(bus: Bus) -> bool:
    return await bus.store.read(lambda connection: access.is_paired(connection, "support", "42"))


def test_nobody_waits_at_first(bothub: Bothub) -> None:
    assert bothub("pairing", "list").stdout == "Nobody waits for approval.\n"
    assert bothub.json("pairing", "list", "support") == {"requests": [], "approved": []}


def test_who_waits_is_shown_with_the_code(bothub: Bothub) -> None:
    code = bothub.work(ask)
    [request] = bothub.json("pairing", "list")["requests"]
    assert (request["channel"], request["code"], request["user_id"]) == ("support", code, "42")
    shown = bothub("pairing", "list", "support").stdout
    assert "Ada Lovelace" in shown
    assert code in shown


def test_another_channels_strangers_are_not_shown(bothub: Bothub) -> None:
    bothub.work(ask)
    assert bothub.json("pairing", "list", "web")["requests"] == []


def test_approval_lets_them_in_and_revoking_out(bothub: Bothub) -> None:
    code = bothub.work(ask)
    result = bothub("pairing", "approve", "support", f" {code.lower()} ")
    assert (result.exit_code, result.stdout) == (0, "approved  42 may talk to 'support' now\n")
    assert bothub.work(is_paired)
    answer = bothub.json("pairing", "list")
    assert (answer["requests"], answer["approved"][0]["user_id"]) == ([], "42")
    assert "Ada Lovelace" in bothub("pairing", "list").stdout
    revoked = bothub.json("pairing", "revoke", "support", "42")
    assert revoked == {"success": True, "channel": "support", "user_id": "42"}
    assert not bothub.work(is_paired)


def test_the_name_of_a_kind_means_its_one_channel(bothub: Bothub) -> None:
    code = bothub.work(ask)
    assert bothub.json("pairing", "approve", "telegram", code)["channel"] == "support"


def test_a_wrong_code_lets_nobody_in(bothub: Bothub) -> None:
    bothub.work(ask)
    result = bothub("pairing", "approve", "support", "AAAAAAAA")
    assert result.exit_code == 1
    assert "is no code that waits in 'support'" in result.stderr
    assert not bothub.work(is_paired)


def test_an_old_code_lets_nobody_in(bothub: Bothub) -> None:
    code = bothub.work(ask, clock=lambda: time.time() - access.CODE_SECONDS - 1)
    assert bothub("pairing", "approve", "support", code).exit_code == 1


def test_who_is_not_there_cannot_be_revoked(bothub: Bothub) -> None:
    answer = bothub.json("pairing", "revoke", "support", "42", code=1)
    assert "neither waits nor was approved" in answer["error"]


def test_an_unknown_channel_is_wrong_usage(bothub: Bothub) -> None:
    for words in (["list", "nope"], ["approve", "nope", "X"], ["revoke", "nope", "42"]):
        assert bothub("pairing", *words).exit_code == 2
