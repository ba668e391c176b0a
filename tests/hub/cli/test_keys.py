"""`bothub keys`: keys are made, listed, given new secrets and ended, whether a hub runs or not."""

from __future__ import annotations

from typing import Any

from hub.accounts import audit, keys
from hub.accounts.keys import Key
from hub.bus import Bus
from hub.store.listing import Part
from tests.hub.cli.command import Bothub


def find(bothub: Bothub, secret: str) -> Key | None:
    async def look(bus: Bus) -> Key | None:
        return await bus.store.read(lambda c: keys.find(c, secret, bus.clock()))

    return bothub.work(look)


def made(bothub: Bothub, *words: str) -> Any:
    return bothub.json("keys", "create", *words)


def test_a_key_is_made_and_shown_this_once(bothub: Bothub) -> None:
    printed = bothub("keys", "create", "ann")
    assert printed.exit_code == 0
    [about, secret, _] = printed.stdout.splitlines()
    assert about == "ann (id 1) made"
    key = find(bothub, secret)
    assert key
    assert (key.name, key.role, key.scopes, key.unlimited) == ("ann", "user", ("chat", "read"), True)
    listed = bothub("keys", "list")
    assert secret[:8] in listed.stdout
    assert secret not in listed.stdout
    assert secret not in str(bothub.json("keys", "list"))


def test_everything_can_be_said_of_it(bothub: Bothub) -> None:
    said = ["--quota", "5", "--scope", "chat", "--scope", "deliver=support:*", "--expires", "30d", "--group", "1"]
    key = made(bothub, "ann", *said, "--agent", "assistant", "--model", "gpt", "--email", "ann@example.org")
    assert (key["month_quota"], key["scopes"], key["group_id"]) == ("5.0000000000", ["chat", "deliver=support:*"], 1)
    assert (key["agents"], key["models"], key["email"]) == (["assistant"], ["gpt"], "ann@example.org")
    assert key["expires_at"] - key["created_at"] == 30 * 86_400
    assert made(bothub, "root", "--role", "admin")["role"] == "admin"
    listed = bothub("keys", "list").stdout
    assert "0.00 of 5.00" in listed
    assert "everything" in listed


def test_what_is_wrong_is_said_and_nothing_is_made(bothub: Bothub) -> None:
    for words, sentence in (
        (["--scope", "root"], "not 'root'"),
        (["--quota", "NaN"], "--quota"),
        (["--quota", "-1"], "--quota"),
        (["--group", "9"], "no group 9"),
        (["--expires", "soon"], "not 'soon'"),
    ):
        result = bothub("keys", "create", "ann", *words)
        assert result.exit_code == 2, words
        assert sentence in result.stderr
    assert bothub.json("keys", "list") == []
    assert "no keys yet" in bothub("keys", "list").stdout


def test_a_key_gets_another_secret_by_its_id_or_name(bothub: Bothub) -> None:
    first = made(bothub, "ann")
    second = bothub.json("keys", "rotate", "ann")
    assert (second["id"], bool(find(bothub, first["api_key"]))) == (first["id"], True)
    third = bothub.json("keys", "rotate", str(first["id"]), "--grace", "0s")
    secrets = (first["api_key"], second["api_key"], third["api_key"])
    assert [bool(find(bothub, secret)) for secret in secrets] == [False, False, True]


def test_a_key_is_ended(bothub: Bothub) -> None:
    key = made(bothub, "ann")
    assert bothub.json("keys", "revoke", "ann") == {"success": True, "id": key["id"], "name": "ann"}
    assert find(bothub, key["api_key"]) is None
    assert "no API key" in bothub.json("keys", "revoke", str(key["id"]), code=1)["error"]
    assert "no API key 'ann'" in bothub.json("keys", "rotate", "ann", code=1)["error"]


def test_a_name_of_several_names_none(bothub: Bothub) -> None:
    one, other = made(bothub, "ann"), made(bothub, "ann")
    assert f"one of {one['id']}, {other['id']}" in bothub.json("keys", "revoke", "ann", code=2)["error"]


def test_the_admin_key_of_the_start_stays(bothub: Bothub) -> None:
    async def begin(bus: Bus) -> Key:
        return await bus.store.write(lambda c: keys.ensure_bootstrap(c, "operators-own-key-7391", 0.0, only=True))

    first = bothub.work(begin)
    for verb in ("revoke", "rotate"):
        assert "BOTHUB_API_KEY" in bothub.json("keys", verb, str(first.id), code=1)["error"]


def test_it_is_written_down_who_did_it(bothub: Bothub) -> None:
    made(bothub, "ann")
    bothub("keys", "rotate", "ann")
    bothub("keys", "revoke", "ann")

    async def look(bus: Bus) -> list[tuple[str, str]]:
        found = (await bus.store.read(lambda c: audit.listed(c, Part(limit=10)))).items
        return [(one.what, one.by) for one in found]

    done = [(what, "command line") for what in ("key.delete", "key.rotate", "key.create")]
    assert bothub.work(look) == done


def test_a_name_that_is_too_long_for_a_list_is_refused(bothub: Bothub) -> None:
    for words in (["keys", "create"], ["groups", "save"]):
        result = bothub(*words, "W" * 201)
        assert result.exit_code == 2, words
        assert "maximum length 200" in result.stderr, words
        assert bothub(*words, "W" * 200).exit_code == 0, words
