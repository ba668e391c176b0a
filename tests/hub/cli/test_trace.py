"""`bothub trace`: a timeline for people, and as JSON."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.console import Console

from hub.accounts.turns import Stage, TurnRecord, save
from hub.bus import Bus, Release
from hub.cli import output
from hub.cli.trace import seconds
from hub.delivery.deliveries import PartReceipt, add_receipt
from hub.model import Pace, Usage
from tests.hub.cli.command import Bothub, delivery, message, settle

BEGAN = 1_800_000_000.0
USAGE = Usage(prompt=412, completion=80)
STAGE = Stage(
    calls=("message",), usage=USAGE, model="demo", pace=Pace(at=BEGAN + 0.5, first=0.25, seconds=1.0), took=(2.0,)
)
TURN = TurnRecord(
    id="t1",
    address="api:1",
    status="completed",
    agent="typist",
    model="demo",
    key_id=1,
    usage=USAGE + Usage(prompt=500, completion=20),
    created_at=BEGAN,
    started_at=BEGAN + 0.5,
    finished_at=BEGAN + 4.0,
    request_id="build-41",
    stages=(STAGE,),
)


async def _fill(bus: Bus) -> None:
    await bus.store.write(lambda connection: save(connection, TURN))
    await settle(bus, delivery("t1.0.0", "web:lobby"), "delivered", None)
    receipt = PartReceipt(part=0, platform_id="4711", at=BEGAN + 3.0, began_at=BEGAN + 2.0, edits=12)
    await bus.store.write(lambda connection: add_receipt(connection, "t1.0.0", receipt))


def lines(shown: str) -> dict[str, str]:
    """What a table says of each thing that happened."""
    words = [line.split() for line in shown.splitlines() if line.strip().startswith("+")]
    return {" ".join(line[1:3]) if line[2].isdigit() else line[1]: " ".join(line) for line in words}


def test_a_turn_is_shown_as_a_timeline(bothub: Bothub) -> None:
    bothub.work(_fill, clock=lambda: BEGAN + 1.75)
    shown = bothub("trace", "t1").stdout
    assert shown.startswith("t1  completed\n")
    facts = {line.split()[0]: " ".join(line.split()[1:]) for line in shown.splitlines()[1:8]}
    assert facts["tokens"] == "912 + 100 tokens"
    assert facts["began"] == "2027-01-15 08:00:00 UTC"
    assert facts["request"] == "build-41"
    told = lines(shown)
    assert told["accepted"] == "+0.000 accepted for agent:typist"
    assert told["model 1"] == "+0.500 model 1 demo · 412 + 80 tokens · first word after 250 ms 1.00 s"
    assert told["tool 1"] == "+1.500 tool 1 message 2.00 s"
    assert told["posted"] == "+1.750 posted to web:lobby"
    assert told["part 1"] == "+2.000 part 1 4711 · 12 edits 1.00 s"
    assert told["model 2"] == "+3.500 model 2 demo · 500 + 20 tokens 500 ms"
    assert told["ended"] == "+4.000 ended completed 4.00 s"


def test_json_has_the_same_as_data(bothub: Bothub) -> None:
    bothub.work(_fill, clock=lambda: BEGAN + 1.75)
    found = bothub.json("trace", "4711")
    assert (found["id"], found["kind"], found["status"]) == ("t1", "turn", "completed")
    [part] = [event for event in found["events"] if event["what"] == "part"]
    assert part == {
        "at": BEGAN + 2.0,
        "what": "part",
        "seconds": 1.0,
        "delivery": "t1.0.0",
        "part": 1,
        "platform_id": "4711",
        "edits": 12,
    }
    assert found["deliveries"][0]["outcome"] == "delivered"


@pytest.mark.parametrize(("width", "has_bars"), [(80, False), (120, True)])
def test_a_terminal_without_colours_shows_it_all_whatever_its_width(
    bothub: Bothub, monkeypatch: pytest.MonkeyPatch, width: int, has_bars: bool
) -> None:
    def terminal(**_: Any) -> Console:
        return Console(force_terminal=True, no_color=True, width=width, highlight=False)

    bothub.work(_fill, clock=lambda: BEGAN + 1.75)
    monkeypatch.setattr(output, "console", terminal)
    monkeypatch.setattr("hub.cli.trace.console", terminal)
    shown = bothub("trace", "t1").stdout
    assert ("━" in shown) == has_bars
    assert "4711 · 12 edits" in shown
    assert "412 + 80 tokens · first word after" in shown
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines())) <= width


def test_tries_and_waits_are_told(bothub: Bothub) -> None:
    async def retried(bus: Bus) -> None:
        entry = message("m", "web:lobby", "hi")
        await bus.commit(entry)
        [lease] = await bus.claim(entry.inbox, 1, 8.0)
        await bus.commit(Release(lease=lease, at=bus.clock(), error="busy"))
        await settle(bus, entry, "dead", "failed", "no idea")

    bothub.work(retried)
    shown = bothub("trace", "m").stdout
    assert "try 2" in lines(shown)["claimed"]
    assert "dead · failed" in lines(shown)["ended"]
    assert ["error", "no", "idea"] in [line.split() for line in shown.splitlines()]


def test_an_id_that_nobody_knows_and_one_of_several_are_clear_errors(bothub: Bothub) -> None:
    async def twice(bus: Bus) -> None:
        for number in range(12):
            receipt = PartReceipt(part=0, platform_id="3", at=BEGAN + number)
            await bus.store.write(lambda connection, to=f"d{number}", one=receipt: add_receipt(connection, to, one))

    bothub.work(twice)
    unknown = bothub("trace", "nonsense")
    assert (unknown.exit_code, "Nothing is known of 'nonsense'" in unknown.stderr) == (1, True)
    several = bothub("trace", "3")
    assert several.exit_code == 2
    assert "'3' may be each of these: d11, d10, d9" in several.stderr
    assert ", ..." in several.stderr
    assert "may be each of these" in bothub.json("trace", "3", code=2)["error"]


@pytest.mark.parametrize(("value", "words"), [(0.0124, "12 ms"), (3.25, "3.25 s"), (125.0, "2 min 5 s")])
def test_durations_are_for_people(value: float, words: str) -> None:
    assert seconds(value) == words
