"""Exports: everything that was asked for and nothing twice, in files that programs and spreadsheets read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub import memory
from hub.accounts import keys
from hub.accounts.turns import TurnRecord, save
from hub.memory import Heard, Said, Stepped
from hub.message import Address
from hub.model import ToolCall, Usage
from hub.records import exports
from hub.records.exports import SOURCES, Wanted
from hub.records.exports.formats import head, write
from hub.records.exports.job import export
from hub.records.jobs.runner import Kind
from hub.store import Connection
from tests.hub.engine import Engine
from tests.hub.records.doing import asked, do, do_with_kills, job_of, killed_at

DAY = 86_400.0
KINDS = {"export": Kind(do=export)}
SECRET = "sk-user-0123456789abcdefghijklmnopqrs"


def _session(connection: Connection, agent: str, address: Address, turns: int, start: float) -> None:
    person = address.chat if address.channel == "api" else None
    session = memory.new_session(connection, agent, address, start, person)
    for number in range(turns):
        call = ToolCall(id="c", name="recall", arguments='{"query": "tea"}')
        turn = f"{address}.{number}"
        said = [Heard(text=f"=tea {number}", author="Ann"), Stepped(text="", calls=(call,)), Said(text="我知道")]
        memory.append(connection, session, turn, 0, said, start + number * DAY)


def _fill(connection: Connection) -> None:
    """Two agents, three conversations, eleven turns over four days."""
    key = keys.create(connection, SECRET, name="ada", now=0.0)
    mine = Address("api", str(key.id), "work")
    _session(connection, "assistant", Address("support", "42"), 4, 10 * DAY)
    _session(connection, "assistant", mine, 2, 10 * DAY)
    _session(connection, "clerk", Address("support", "42", "7"), 3, 12 * DAY)
    for number in range(11):
        record = TurnRecord(
            id=f"t{10 - number}",
            agent="assistant" if number % 3 else None,
            model="demo",
            address="support:42",
            status="completed" if number != 5 else "failed",
            response=f"-answer {number}",
            usage=Usage(prompt=3, completion=2),
            fee=1_500_000_000,
            created_at=10 * DAY + number * DAY / 3,
            finished_at=10 * DAY + number * DAY / 3 + 1.5,
            key_id=key.id if number % 2 else None,
            session_id="work" if number % 2 else None,
        )
        save(connection, record, charged=True)


@pytest.fixture
async def filled(every_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(exports, "PAGE", 4)
    await every_engine.store.write(_fill)
    return every_engine


async def exported(engine: Engine, folder: Path, **wanted: Any) -> bytes:
    one = await asked(engine, "export", **wanted)
    await do(engine, KINDS, folder)
    job = await job_of(engine, one)
    assert (job.state, job.error) == ("done", None)
    assert job.file is not None
    return (folder / job.file).read_bytes()


async def lines(engine: Engine, folder: Path, **wanted: Any) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in (await exported(engine, folder, **wanted)).splitlines()]


async def cells(engine: Engine, folder: Path, **wanted: Any) -> list[dict[str, str]]:
    text = (await exported(engine, folder, format="csv", **wanted)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_all_that_was_said_is_exported_in_its_order(filled: Engine, tmp_path: Path) -> None:
    rows = await lines(filled, tmp_path, what="sessions")
    assert [(row["agent"], row["turn"], row["ordinal"]) for row in rows] == [
        *(("assistant", f"support:42.{turn}", ordinal) for turn in range(4) for ordinal in range(3)),
        *(("assistant", f"api:1:work.{turn}", ordinal) for turn in range(2) for ordinal in range(3)),
        *(("clerk", f"support:42:7.{turn}", ordinal) for turn in range(3) for ordinal in range(3)),
    ]
    heard, step, said = rows[:3]
    assert (heard["kind"], heard["author"], heard["text"], heard["at"]) == ("heard", "Ann", "=tea 0", 10 * DAY)
    assert step["details"]["calls"][0]["name"] == "recall"
    assert (said["kind"], said["text"], said["details"]) == ("said", "我知道", None)
    assert (rows[12]["session_id"], rows[12]["key_id"]) == ("work", 1)


async def test_turns_are_exported_in_the_order_of_time(filled: Engine, tmp_path: Path) -> None:
    rows = await lines(filled, tmp_path, what="turns")
    assert [row["id"] for row in rows] == [f"t{10 - number}" for number in range(11)]
    assert rows[1]["fee"] == "1.5000000000"
    assert (rows[1]["response"], rows[1]["key_id"], rows[1]["finished_at"]) == (
        "-answer 1",
        1,
        10 * DAY + DAY / 3 + 1.5,
    )


async def test_usage_is_added_up_by_day_agent_model_and_key(filled: Engine, tmp_path: Path) -> None:
    rows = await lines(filled, tmp_path, what="usage")
    assert sorted({row["day"] for row in rows}) == ["1970-01-11", "1970-01-12", "1970-01-13", "1970-01-14"]
    assert sum(row["turns"] for row in rows) == 11
    assert sum(row["failed"] for row in rows) == 1
    first = [row for row in rows if row["day"] == "1970-01-11" and row["key_id"] == 1]
    assert [(row["agent"], row["key_name"], row["turns"], row["fee"]) for row in first] == [
        ("assistant", "ada", 1, "1.5000000000")
    ]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"what": "sessions", "agent": "clerk"}, 9),
        ({"what": "sessions", "key_id": 1}, 6),
        ({"what": "sessions", "text": "tea 3"}, 12),
        ({"what": "sessions", "channel": "api", "agent": "clerk"}, 0),
        ({"what": "turns", "status": "failed"}, 1),
        ({"what": "sessions", "since": 12 * DAY}, 15),
        ({"what": "sessions", "until": 11 * DAY}, 6),
        ({"what": "turns", "agent": "assistant"}, 7),
        ({"what": "turns", "key_id": 1}, 5),
        ({"what": "turns", "since": 11 * DAY, "until": 12 * DAY}, 3),
        ({"what": "turns", "agent": "nobody"}, 0),
        ({"what": "usage", "since": 13 * DAY}, 2),
        ({"what": "usage", "key_id": 99}, 0),
    ],
)
async def test_filters(filled: Engine, tmp_path: Path, wanted: dict[str, Any], count: int) -> None:
    assert len(await lines(filled, tmp_path, **wanted)) == count
    assert len(await cells(filled, tmp_path, **wanted)) == count


@pytest.mark.parametrize("what", ["sessions", "turns", "usage"])
async def test_an_export_that_is_killed_at_every_write_is_the_same_file(
    filled: Engine, tmp_path: Path, what: str
) -> None:
    whole = await exported(filled, tmp_path, what=what, format="csv")
    one = await asked(filled, "export", what=what, format="csv")
    kills = await do_with_kills(filled, KINDS, tmp_path, one)
    job = await job_of(filled, one)
    assert kills > 1
    assert job.file is not None
    assert (tmp_path / job.file).read_bytes() == whole
    assert job.result == {"rows": len(whole.splitlines()) - 1, "bytes": len(whole)}


async def test_an_export_whose_file_is_gone_begins_again(filled: Engine, tmp_path: Path) -> None:
    whole = await exported(filled, tmp_path, what="turns")
    one = await asked(filled, "export", what="turns")
    while (await job_of(filled, one)).mark is None:
        await _one_kill(filled, tmp_path)
    (tmp_path / (await job_of(filled, one)).mark["file"]).unlink()
    await do(filled, KINDS, tmp_path)
    job = await job_of(filled, one)
    assert job.file is not None
    assert (tmp_path / job.file).read_bytes() == whole


async def _one_kill(engine: Engine, folder: Path) -> None:
    async with killed_at(engine, 4, stored=True):
        await do(engine, KINDS, folder)


async def test_csv_is_safe_in_a_spreadsheet(filled: Engine, tmp_path: Path) -> None:
    said = await cells(filled, tmp_path, what="sessions")
    assert said[0]["text"] == "'=tea 0"
    assert said[0]["at"] == "1970-01-11T00:00:00.000Z"
    turns = await cells(filled, tmp_path, what="turns")
    assert (turns[0]["response"], turns[0]["agent"], turns[0]["estimated"]) == ("'-answer 0", "", "false")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1"])
def test_what_might_be_a_formula_is_a_text(text: str) -> None:
    [_, row] = csv.reader(io.StringIO(written(text), newline=""))
    assert row == [f"'{text}"]


@pytest.mark.parametrize("text", ["tea", "a=1", '"quoted", with\nlines', "我知道", "'", ""])
def test_any_other_text_is_as_it_was(text: str) -> None:
    [_, row] = csv.reader(io.StringIO(written(text), newline=""))
    assert row == [text]


def written(text: str) -> str:
    return (head(["text"], "csv") + write([{"text": text}], ["text"], "csv")).decode()


async def test_no_secret_is_in_an_export(filled: Engine, tmp_path: Path) -> None:
    for what in SOURCES:
        text = await exported(filled, tmp_path, what=what)
        assert SECRET.encode() not in text
        assert keys.hash_of(SECRET).encode() not in text


async def test_of_an_empty_store_there_is_an_empty_file(every_engine: Engine, tmp_path: Path) -> None:
    for what, source in SOURCES.items():
        assert await exported(every_engine, tmp_path, what=what) == b""
        assert (await exported(every_engine, tmp_path, what=what, format="csv")).decode().strip() == ",".join(
            source.columns
        )


async def test_what_is_read_goes_by_an_index(filled: Engine) -> None:
    """A page costs the same wherever it is: no page sorts or scans what is before it."""
    plans = await filled.store.read(_plans)
    assert plans
    assert not [plan for plan in plans if "TEMP B-TREE FOR ORDER BY" in plan], plans


def _plans(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return ["PostgreSQL plans by its statistics: see tests/contracts/bus_plans.py"]
    found: list[str] = []
    for table, order, after in (("turns", "created_at, id", "(0, '')"), ("entries", "session, id", "(0, 0)")):
        query = f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE ({order}) > {after} ORDER BY {order} LIMIT 5"
        found += [str(row.detail) for row in connection.exec_driver_sql(query)]
    return found


def test_a_wanted_export_survives_the_trip_through_a_row() -> None:
    wanted = Wanted(what="turns", since=1.5, agent="a")
    assert msgspec.convert(msgspec.to_builtins(wanted), Wanted) == wanted
