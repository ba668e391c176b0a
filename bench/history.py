"""A store with a long past, written fast: sessions, and turns that are over, spread evenly over a time.

`fill(store, History(sessions=100_000, turns=1_000_000), now)`; of what was said only the replies are there, and no turn
is counted for the statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.accounts import keys
from hub.store import Connection, Store

DAY = 86_400
STEP = 50_000
"""Rows of a transaction."""
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})",
    "postgresql": "WITH n(i) AS (SELECT generate_series({first}, {last}))",
}
API = "s % 4 = 0"
"""Which sessions are those of programs; the others are chats of three channels."""
SESSION = {
    "id": "s + 1",
    "agent": "'agent' || (s % {agents})",
    "address": f"CASE WHEN {API} THEN 'api:' || (s / 4 % {{keys}} + 1) || ':s' || s"
    " ELSE 'bot' || (s % 3) || ':' || s END",
    "started_at": "{now} - {seconds} * (1.0 - s / {sessions}.0)",
}
TURN = {
    "id": "'turn' || i",
    "agent": SESSION["agent"],
    "model": "'model' || (i / 7 % {models})",
    "address": SESSION["address"],
    "session": "s + 1",
    "session_id": f"CASE WHEN {API} THEN 's' || s END",
    "key_id": f"CASE WHEN {API} THEN s / 4 % {{keys}} + 1 END",
    "status": "CASE WHEN i % 50 = 7 THEN 'failed' WHEN i % 100 = 9 THEN 'cancelled' ELSE 'completed' END",
    "response": "'This is what was answered to the question of turn ' || i || ', and a little more of it.'",
    "prompt_tokens": "200 + i % 1000 * 7919 % 1000",
    "completion_tokens": "20 + i % 1000 * 6007 % 300",
    "fee": "1000000 + i % 1000 * 7919",
    "created_at": "at - 0.3 - i % 1000 * 7919 % 1000 / 250.0",
    "accepted_at": "at - 0.2 - i % 1000 * 7919 % 1000 / 250.0",
    "started_at": "at - 0.2 - i % 1000 * 7919 % 1000 / 250.0",
    "first_token_at": "at - i % 1000 * 7919 % 1000 / 250.0",
    "finished_at": "at",
}


@dataclass(frozen=True, kw_only=True)
class History:
    """How much there is, and of how many days."""

    sessions: int = 100_000
    turns: int = 1_000_000
    days: int = 365
    agents: int = 5
    models: int = 4
    keys: int = 50


async def fill(store: Store, history: History, now: float) -> None:
    """Write it into a migrated, empty store."""

    def make_keys(connection: Connection) -> None:
        for number in range(history.keys):
            keys.create(connection, keys.new_secret(), name=f"key {number}", now=now)

    await store.write(make_keys)
    here = {**vars(history), "now": now, "seconds": history.days * DAY}
    await _write(store, "sessions", SESSION, history.sessions, "SELECT i AS s FROM n", here)
    at = "{now} - {seconds} * (1.0 - (i + 1) / {turns}.0)"
    await _write(store, "turns", TURN, history.turns, f"SELECT i, i % {{sessions}} AS s, {at} AS at FROM n", here)
    await store.write(_settle)


async def _write(
    store: Store, table: str, row: dict[str, str], count: int, numbers: str, here: dict[str, float]
) -> None:
    into = f"INSERT INTO {table} ({', '.join(row)})"
    values = f"SELECT {', '.join(row.values())} FROM ({numbers}) AS numbered"

    def write(connection: Connection, first: int) -> None:
        rows = NUMBERS[connection.dialect.name].format(first=first, last=min(first + STEP, count) - 1)
        connection.exec_driver_sql(f"{into} {rows} {values.format(**here)}".replace("%", _percent(connection)))

    for first in range(0, count, STEP):
        await store.write(lambda connection, first=first: write(connection, first))


def _percent(connection: Connection) -> str:
    return "%%" if connection.dialect.paramstyle in ("format", "pyformat") else "%"


def _settle(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('sessions', 'id'), max(id)) FROM sessions")
    connection.exec_driver_sql("ANALYZE")
