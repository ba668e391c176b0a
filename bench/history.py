"""A store with a long past, written fast: sessions, and turns that are over, spread evenly over a time.

`fill(store, History(sessions=100_000, turns=1_000_000), now)`; no turn is counted for the statistics. What was said in
them is written by `bench/said.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
"""Which sessions are those of programs; the others are web rooms, and chats of two bots."""
KEY = "(s / 4 % {keys} + 1)"
AGENT = "'agent' || (s % {agents})"
LOBBY, GROUP, SHARED = "s = 3", "s % 10 = 1", "s % 30 = 21"
CHANNEL = f"CASE WHEN {API} THEN 'api' WHEN s % 3 = 0 THEN 'web' ELSE 'bot' || (s % 3) END"
CHAT = (
    f"CASE WHEN {API} THEN '' || {KEY} WHEN {LOBBY} THEN 'lobby' WHEN {SHARED} THEN 'room' || s"
    f" WHEN s % 3 = 0 THEN 'own.' || (s / 3 % ({{keys}} + 1) + 1) || '.' || {AGENT} || '.r' || s ELSE '' || s END"
)
"""The web rooms of the keys are their own, but for some; the last ones are those of the key after them, an admin's."""
ADDRESS = f"{CHANNEL} || ':' || {CHAT} || CASE WHEN {API} THEN ':s' || s ELSE '' END"
PERSON = f"CASE WHEN {API} THEN 'api:' || {KEY} WHEN {GROUP} THEN NULL ELSE {CHANNEL} || ':p' || (s % 20000) END"
PLACE = f"CASE WHEN {API} THEN {{sessions}} + {KEY} * {{agents}} + s % {{agents}} ELSE s + 1 END"
AT = "{now} - {seconds} * (1.0 - (i + 1) / {turns}.0)"
TURNS = (
    "SELECT i, s, " + AT + " AS at FROM ("
    "SELECT i, CASE WHEN i % 20 = 0 THEN i / 20 % {long} ELSE i % {sessions} END AS s FROM n) AS turned"
)
"""Every 20th turn is in one of a few long sessions; `i` numbers turns, `s` their sessions."""
SESSION = {
    "id": "s + 1",
    "agent": AGENT,
    "address": ADDRESS,
    "channel": CHANNEL,
    "person": PERSON,
    "place": PLACE,
    "title": "CASE WHEN s % 50 = 0 THEN 'About town' || s % 1000 END",
    "started_at": "{now} - {seconds} * (1.0 - s / {sessions}.0)",
    "updated_at": "{now} - {seconds} * (1.0 - s / {sessions}.0) * 0.1",
}
TURN = {
    "id": "'turn' || i",
    "agent": AGENT,
    "model": "'model' || (i / 7 % {models})",
    "address": ADDRESS,
    "channel": CHANNEL,
    "session": "s + 1",
    "session_id": f"CASE WHEN {API} THEN 's' || s END",
    "key_id": f"CASE WHEN {API} THEN {KEY} END",
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
BLOB = {"sqlite": "CAST({} AS BLOB)", "postgresql": "convert_to({}, 'UTF8')"}
"""A text as the bytes of a body; see `said.body`."""
Tell = Callable[[str, int, int], None]
"""Is told of a table how many rows of how many are written."""


def unheard(table: str, done: int, of: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, kw_only=True)
class History:
    """How much there is, and of how many days."""

    sessions: int = 100_000
    turns: int = 1_000_000
    days: int = 365
    agents: int = 5
    models: int = 4
    keys: int = 50
    long: int = 10
    """Sessions, the first ones, that have a twentieth of all turns among them."""


def secret(number: int) -> str:
    """That of a key of the history, from 1 on."""
    return f"br-bench-{number:032}"


async def fill(store: Store, history: History, now: float, tell: Tell = unheard) -> None:
    """Write it into a migrated, empty store."""

    def make_keys(connection: Connection) -> None:
        for number in range(1, history.keys + 1):
            keys.create(connection, secret(number), name=f"key {number}", now=now)

    await store.write(make_keys)
    await write(store, "sessions", SESSION, history.sessions, "SELECT i AS s FROM n", history, now, tell)
    await write(store, "turns", TURN, history.turns, TURNS, history, now, tell)
    await store.write(settle)


async def write(
    store: Store,
    table: str,
    row: Mapping[str, str],
    count: int,
    numbers: str,
    history: History,
    now: float,
    tell: Tell = unheard,
) -> None:
    """Write rows of a table, `count` times what `numbers` selects: each column is an expression of SQL."""
    into = f"INSERT INTO {table} ({', '.join(row)})"
    values = f"SELECT {', '.join(row.values())} FROM ({numbers}) AS numbered"
    here: dict[str, Any] = {**vars(history), "now": now, "seconds": history.days * DAY}

    def step(connection: Connection, first: int, last: int) -> None:
        dialect = connection.dialect.name
        rows = NUMBERS[dialect].format(first=first, last=last)
        opened, closed = BLOB[dialect].split("{}")
        picked = values.format(**here, bytes=opened, end=closed)
        connection.exec_driver_sql(f"{into} {rows} {picked}".replace("%", _percent(connection)))

    for first in range(0, count, STEP):
        last = min(first + STEP, count) - 1
        await store.write(lambda connection, first=first, last=last: step(connection, first, last))
        tell(table, last + 1, count)


def _percent(connection: Connection) -> str:
    return "%%" if connection.dialect.paramstyle in ("format", "pyformat") else "%"


def settle(connection: Connection) -> None:
    """A unit: have PostgreSQL number on from here, and know what there is; SQLite is not told by a hub either."""
    if connection.dialect.name != "postgresql":
        return
    for table in ("sessions", "entries", "lanes", "places", "posts"):
        connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
    connection.exec_driver_sql("ANALYZE")
