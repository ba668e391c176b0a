"""`bothub inbox`: how much waits where."""

from __future__ import annotations

import time

from hub.bus import Bus, Publish, Release
from tests.hub.cli.command import Bothub, delivery, message, settle


def test_an_empty_store_is_quiet(bothub: Bothub) -> None:
    result = bothub("inbox")
    assert (result.exit_code, result.stdout) == (0, "All quiet: nothing waits, nothing was given up.\n")
    assert bothub.json("inbox") == {"inboxes": []}


async def _fill(bus: Bus) -> None:
    for number in range(3):
        await bus.commit(delivery(f"d{number}", "web:lobby"))
    await bus.claim("channel:web", 1, 600.0)
    await bus.commit(message("m", "web:lobby", "hi"))
    [lease] = await bus.claim("agent:assistant", 1, 600.0)
    await bus.commit(Release(lease=lease, at=bus.clock() + 600.0, error="busy"))
    await settle(bus, message("n", "web:other", "hi"), reason=None, error="no idea")
    await bus.commit(delivery("s", "support:1"))
    await bus.commit(Publish(inbox="run", lane="channel:web", id="channel:web", body=b""))


def test_each_inbox_has_its_numbers(bothub: Bothub) -> None:
    bothub.work(_fill)
    found = {one.pop("inbox"): one for one in bothub.json("inbox")["inboxes"]}
    assert list(found) == ["agent:assistant", "channel:support", "channel:web"]
    assert (found["channel:web"]["waiting"], found["channel:web"]["running"]) == (2, 1)
    assert (found["agent:assistant"]["backing_off"], found["agent:assistant"]["dead"]) == (1, 1)
    assert (found["channel:support"]["enabled"], found["channel:web"]["enabled"]) == (False, True)


def test_a_person_sees_a_table_and_where_to_look_on(bothub: Bothub) -> None:
    bothub.work(_fill, clock=lambda: time.time() - 7200.5)
    shown = bothub("inbox").stdout
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in shown.splitlines() if ":" in line}
    assert lines["channel:web"] == "3 · · · 2 h"
    assert lines["channel:support"] == "1 · · · 2 h channel not enabled"
    assert lines["agent:assistant"] == "1 · · 1 2 h"
    assert "bothub dead list" in shown


def test_what_is_settled_is_not_shown(bothub: Bothub) -> None:
    bothub.work(lambda bus: settle(bus, delivery("d", "web:lobby"), "delivered", None))
    assert "All quiet" in bothub("inbox").stdout
