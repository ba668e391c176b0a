"""`bothub people`: what is stored about one person is printed, or erased after a question."""

from __future__ import annotations

import msgspec
import pytest
from click.testing import CliRunner

from hub import facts, memory
from hub.accounts import responses
from hub.accounts.responses import Kept
from hub.bus import Bus
from hub.cli import main
from hub.cli.people import WORDS
from hub.facts import Place
from hub.message import Address
from hub.records.people import Erased
from tests.hub.cli.command import Bothub, message

HERE = Place(agent="assistant", chat="support:42", person="support:42", private=True)


async def talk(bus: Bus) -> None:
    """Somebody said something, and had it remembered."""
    address = Address("support", "42")
    session = await bus.store.write(lambda c: memory.new_session(c, "assistant", address, 0.0, HERE.person))
    said = [memory.Heard(text="I like tea")]
    await bus.store.write(lambda c: memory.append(c, session, "t1", 0, said, 0.0))
    await bus.store.write(lambda c: facts.remember(c, HERE, "person", "likes tea", 0.0))


def test_everything_about_a_person_is_printed_as_json(bothub: Bothub) -> None:
    bothub.work(talk)
    printed = bothub("people", "export", "support:42")
    assert printed.exit_code == 0
    export = msgspec.json.decode(printed.stdout)
    assert [fact["text"] for fact in export["facts"]] == ["likes tea"]
    assert export["sessions"][0]["entries"][0]["body"]["text"] == "I like tea"
    assert bothub.json("people", "export", "support:42")["facts"] == export["facts"]


def test_an_erase_tells_how_much_it_was_and_can_be_done_again(bothub: Bothub) -> None:
    bothub.work(talk)
    result = bothub("people", "erase", "support:42", "--yes")
    assert result.exit_code == 0
    lines = [line.strip().split(maxsplit=1) for line in result.stdout.splitlines()]
    assert ["1", "facts"] in lines
    assert ["1", "messages of private chats, both sides"] in lines
    assert bothub("people", "erase", "support:42", "--yes").stdout == "Nothing is stored about support:42.\n"
    assert bothub.json("people", "erase", "support:42", "--yes")["facts"] == 0
    assert bothub.json("people", "export", "support:42")["facts"] == []


def test_whatever_is_erased_has_words(bothub: Bothub) -> None:
    kept = Kept(id="r1", key_id=7, asked={}, input=[], answer={}, created_at=0.0)

    async def ask(bus: Bus) -> None:
        await bus.store.write(lambda c: responses.save(c, kept))

    bothub.work(ask)
    result = bothub("people", "erase", "api:7", "--yes")
    assert result.exit_code == 0
    assert "responses, what was asked and answered" in result.stdout
    assert WORDS.keys() == {*Erased.__struct_fields__} - {"person"}


def test_nothing_is_erased_without_a_yes(bothub: Bothub) -> None:
    bothub.work(talk)
    words = ["--config", str(bothub.config), "people", "erase", "support:42"]
    asked = CliRunner().invoke(main, words, input="n\n")
    assert asked.exit_code == 1
    assert "Erase everything that is stored about support:42?" in asked.stderr
    assert "--yes" in bothub.json("people", "erase", "support:42", code=2)["error"]
    assert len(bothub.json("people", "export", "support:42")["facts"]) == 1
    assert CliRunner().invoke(main, words, input="y\n").exit_code == 0
    assert bothub.json("people", "export", "support:42")["facts"] == []


def test_who_is_nobody_is_wrong_usage(bothub: Bothub) -> None:
    for words in (["export", "ann"], ["erase", "ann"], ["erase", "api:bob", "--yes"]):
        result = bothub("people", *words)
        assert result.exit_code == 2
        assert "is nobody" in result.stderr


def test_a_turn_that_does_not_stop_fails_the_erase(bothub: Bothub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.records.people.STOP_WAIT", 0.0)

    async def run(bus: Bus) -> None:
        await bus.commit(message("m1", "support:42", "hello"))
        [lease] = await bus.claim("agent:assistant", 1, 60.0)
        assert lease.head.id == "m1"

    bothub.work(run)
    assert "m1" in bothub.json("people", "erase", "support:u", "--yes", code=1)["error"]
