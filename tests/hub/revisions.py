"""Databases as earlier versions left them, with something in each table.

`samples/<revision>.yaml` has rows for the tables that a revision adds, and rows with the columns that it adds, as the
code of that revision wrote them: a mapping is stored as JSON, times are seconds from now, so most are negative. What is
left out of a row has its default.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from alembic import command
from sqlalchemy import Column, Connection, Float, LargeBinary, MetaData, Table, insert, inspect, select, text

from hub.store import Store, migrate, open_store

SAMPLES = Path(__file__).with_name("samples")
REVISIONS = migrate.revisions()
BEFORE = REVISIONS[-2]
"""The revision before the newest."""
WORDS = "entry_words"
"""The index of words is another table on each engine; its rows have an entry, and its words."""


async def bring(store: Store, revision: str) -> None:
    """Bring a store to a revision."""

    def unit(connection: Connection) -> None:
        command.upgrade(migrate.alembic_config(connection), revision)

    await store.write(unit)


async def live_on(url: str, revision: str) -> None:
    """Bring a database to a revision, and use its version for a while."""
    store = await open_store(url)
    await bring(store, revision)
    await store.write(lambda connection: fill(connection, revision))
    await store.close()


def sample(revision: str) -> dict[str, list[dict[str, Any]]]:
    path = SAMPLES / f"{revision}.yaml"
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def fill(connection: Connection, revision: str) -> None:
    """A unit: store the sample of the revision that the database has."""
    now = time.time()
    for name, rows in sample(revision).items():
        if name == WORDS:
            _index(connection, rows)
            continue
        table = reflected(connection, name)
        for row in rows:
            values = {column: _value(table.c[column], value, now) for column, value in row.items()}
            connection.execute(insert(table).values(values))
        if connection.dialect.name == "postgresql" and "id" in table.c:
            count_on = "SELECT setval(pg_get_serial_sequence(:name, 'id'), (SELECT max(id) FROM " + f'"{name}"))'
            if connection.execute(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": name}).scalar():
                connection.execute(text(count_on), {"name": name})


def _value(column: Column[Any], value: Any, now: float) -> Any:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(column.type, LargeBinary):
        return msgspec.json.encode(value)
    return now + value if isinstance(column.type, Float) else value


def _index(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    postgres = connection.dialect.name == "postgresql"
    key, words, quote = ("entry", "CAST(:words AS tsvector)", "'") if postgres else ("rowid", ":words", "")
    into = text(f"INSERT INTO {WORDS} ({key}, words) VALUES (:entry, {words})")
    for row in rows:
        connection.execute(
            into, {"entry": row["entry"], "words": " ".join(f"{quote}{word}{quote}" for word in row["words"])}
        )


def reflected(connection: Connection, name: str) -> Table:
    """A table as it is in the database."""
    return Table(name, MetaData(), autoload_with=connection, resolve_fks=False)


def tables(connection: Connection) -> list[str]:
    """Those of the hub, without what the engine keeps for the index of words."""
    names = inspect(connection).get_table_names()
    return sorted(name for name in names if name != "alembic_version" and not name.startswith(WORDS))


def stored(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """A unit: everything in all tables."""
    return {
        name: [dict(row) for row in connection.execute(select(reflected(connection, name))).mappings()]
        for name in tables(connection)
    }


def say(connection: Connection) -> None:
    """A unit: put something into a database of any revision."""
    connection.execute(text("INSERT INTO settings VALUES ('said', 'before')"))


def said(connection: Connection) -> str | None:
    """A unit: what was put there."""
    return connection.execute(text("SELECT value FROM settings WHERE name = 'said'")).scalar()
