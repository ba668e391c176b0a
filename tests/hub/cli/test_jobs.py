"""`bothub export` and `bothub jobs`: straight from the store, whether a hub runs or not."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import msgspec
import pytest

from hub.accounts.turns import TurnRecord, save
from hub.bus import Bus
from hub.records import jobs
from hub.records.jobs import Job
from tests.hub.cli.command import Bothub

DAY = 86_400.0


async def turns(bus: Bus) -> None:
    """Three turns: of an hour ago, of two days ago, of the first of November 2026 at noon."""
    now = bus.clock()
    for name, at in (("t1", now - 3600), ("t2", now - 2 * DAY), ("t3", 1_793_534_400.0)):
        made = TurnRecord(id=name, agent="assistant", address="web:x", status="completed", created_at=at)
        await bus.store.write(lambda c, made=made: save(c, made))


async def ask(bus: Bus) -> Job:
    return await bus.store.write(lambda c: jobs.create(c, "export", {"what": "turns"}, None, bus.clock())[0])


def ids(path: Path) -> set[str]:
    return {msgspec.json.decode(line)["id"] for line in path.read_bytes().splitlines()}


def test_an_export_is_written_into_a_file_of_its_owner(bothub: Bothub, tmp_path: Path) -> None:
    bothub.work(turns)
    path = tmp_path / "out.jsonl"
    result = bothub("export", "turns", str(path))
    assert (result.exit_code, result.stdout) == (0, f"3 rows of turns written to {path}\n")
    assert ids(path) == {"t1", "t2", "t3"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["out.jsonl"]


def test_an_export_as_csv(bothub: Bothub, tmp_path: Path) -> None:
    bothub.work(turns)
    path = tmp_path / "out.csv"
    told = bothub.json("export", "usage", str(path), "--format", "csv")
    assert told == {"file": str(path), "what": "usage", "format": "csv", "rows": 3}
    with path.open(newline="") as file:
        assert {row["agent"] for row in csv.DictReader(file)} == {"assistant"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--since", "1d"], {"t1"}),
        (["--since", "3d", "--until", "1d"], {"t2"}),
        (["--since", "2026-11-01", "--until", "2026-11-02"], {"t3"}),
        (["--since", "2026-11-01T13:59+02:00", "--until", "2026-11-01T12:01Z"], {"t3"}),
        (["--agent", "nobody"], set[str]()),
        (["--key", "7"], set[str]()),
    ],
)
def test_an_export_of_a_time(bothub: Bothub, tmp_path: Path, options: list[str], found: set[str]) -> None:
    bothub.work(turns)
    path = tmp_path / "out"
    assert bothub("export", "turns", str(path), *options).exit_code == 0
    assert ids(path) == found


def test_a_file_that_is_there_stays_and_a_time_that_is_none_is_refused(bothub: Bothub, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("mine")
    assert bothub("export", "turns", str(path)).exit_code == 2
    assert path.read_text() == "mine"
    assert bothub("export", "turns", str(path), "--overwrite").exit_code == 0
    assert path.read_text() == ""
    wrong = bothub.json("export", "turns", str(tmp_path / "new"), "--since", "yesterday", code=2)
    assert wrong["error"].startswith("--since: a date such as")
    assert bothub("export", "turns", str(tmp_path / "no" / "such")).exit_code != 0
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["out"]


def test_jobs_are_listed_shown_and_cancelled(bothub: Bothub) -> None:
    assert bothub("jobs", "list").stdout == "Nothing was done in the background yet.\n"
    job = bothub.work(ask)
    shown = bothub("jobs", "list").stdout
    assert "export" in shown
    assert "waiting" in shown
    assert bothub.json("jobs", "show", str(job.id))["arguments"] == {"what": "turns"}
    assert '{"what":"turns"}' in bothub("jobs", "show", str(job.id)).stdout
    assert bothub.json("jobs", "cancel", str(job.id))["state"] == "cancelled"
    assert bothub("jobs", "show", "99").exit_code == 1
    assert bothub("jobs", "cancel", "99").exit_code == 1
