"""Stores: units commit whole or not at all, readers do not wait, migrations build exactly the tables."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from hub.errors import ConfigError, StoreUnavailable
from hub.store import Store, migrate, open_store
from hub.store.tables import metadata, settings

MIGRATIONS = Path(migrate.__file__).with_name("migrations")
ALL = select(settings.c.name).order_by(settings.c.name)


def write(name: str) -> Callable[[Connection], object]:
    """A unit that writes a row."""
    return lambda connection: connection.execute(insert(settings).values(name=name, value=""))


def names(connection: Connection) -> Sequence[str]:
    """A unit: the rows that `write` wrote."""
    return connection.execute(ALL).scalars().all()


# Units.


async def test_a_unit_that_raises_leaves_nothing(store: Store) -> None:
    def fail(connection: Connection) -> None:
        write("half")(connection)
        raise RuntimeError("the unit fails")

    with pytest.raises(RuntimeError):
        await store.write(fail)
    await store.write(write("whole"))
    assert await store.read(names) == ["whole"]


async def test_errors_do_not_tell_what_was_to_be_written(store: Store) -> None:
    def twice(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(insert(settings).values(name="same", value="my diary"))

    with pytest.raises(IntegrityError) as raised:
        await store.write(twice)
    assert "my diary" not in str(raised.value)


async def test_a_unit_gives_what_it_returns(store: Store) -> None:
    assert await store.write(lambda _: 42) == 42
    assert await store.read(lambda _: None) is None


async def test_units_at_once_all_happen(store: Store) -> None:
    await asyncio.gather(*(store.write(write(f"{number:02}")) for number in range(40)))
    assert await store.read(names) == [f"{number:02}" for number in range(40)]


async def test_a_unit_whose_caller_is_gone_does_not_disturb_the_next(store: Store) -> None:
    gone = asyncio.create_task(store.write(write("gone")))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await store.write(write("next"))
    assert "next" in await store.read(names)


# Readers and writers.


async def test_a_sqlite_reader_does_not_wait_for_a_writer(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)
    await store.write(metadata.create_all)
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        write("slow")(connection)
        entered.set()
        leave.wait()

    writing = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(entered.wait)
    try:
        assert await store.read(names) == []
    finally:
        leave.set()
        await writing
    assert await store.read(names) == ["slow"]
    await store.close()


async def test_a_postgres_reader_does_not_wait_for_a_writer(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    await store.write(metadata.create_all)
    gate = create_async_engine(postgres_url)
    reached = asyncio.Event()

    def slow(connection: Connection) -> None:
        write("slow")(connection)
        asyncio.get_running_loop().call_soon(reached.set)
        connection.execute(text("SELECT pg_advisory_xact_lock(1)"))

    async with gate.begin() as holder:
        await holder.execute(text("SELECT pg_advisory_xact_lock(1)"))
        writing = asyncio.create_task(store.write(slow))
        await reached.wait()
        assert await store.read(names) == []
    await writing
    assert await store.read(names) == ["slow"]
    await gate.dispose()
    await store.close()


async def test_a_second_hub_on_one_sqlite_file_waits_for_its_turn(sqlite_url: str) -> None:
    first, second = await open_store(sqlite_url), await open_store(sqlite_url)
    await first.write(metadata.create_all)
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        write("first")(connection)
        entered.set()
        leave.wait()

    writing = asyncio.create_task(first.write(slow))
    await asyncio.to_thread(entered.wait)
    waiting = asyncio.create_task(second.write(write("second")))
    leave.set()
    await asyncio.gather(writing, waiting)
    assert await first.read(names) == ["first", "second"]
    await first.close()
    await second.close()


async def test_hubs_that_open_a_fresh_sqlite_file_at_once_all_succeed(tmp_path: Path) -> None:
    for number in range(30):
        url = f"sqlite:///{tmp_path}/{number}.db"
        for store in await asyncio.gather(*(open_store(url) for _ in range(4))):
            await store.close()


# Databases that do not answer.


async def test_a_locked_sqlite_file_is_unavailable_until_it_is_free(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)
    await store.write(metadata.create_all)
    await store.write(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout = 0"))
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.write(write("refused"))
    other.execute("ROLLBACK")
    other.close()
    await store.write(write("taken"))
    assert await store.read(names) == ["taken"]
    await store.close()


async def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/data/bothub.db")
    await store.close()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_a_path_that_cannot_be_a_database_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="Cannot open"):
        await open_store(f"sqlite:///{tmp_path}")
    assert not [thread.name for thread in threading.enumerate() if "_connection_worker" in thread.name]


async def test_a_postgres_that_cut_its_connections_is_unavailable_once(postgres_url: str) -> None:
    store = await open_store(postgres_url)
    await store.write(metadata.create_all)
    others = create_async_engine(postgres_url)
    async with others.begin() as connection:
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        )
    await others.dispose()
    with pytest.raises(StoreUnavailable):
        await store.write(write("lost"))
    await store.write(write("taken"))
    assert await store.read(names) == ["taken"]
    await store.close()


async def test_a_postgres_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await open_store(f"postgresql+asyncpg://postgres@/nothing?host={tmp_path}")


async def test_another_database_is_a_mistake_in_the_config() -> None:
    with pytest.raises(ConfigError, match="mysql"):
        await open_store("mysql://localhost/bothub")


# Migrations.


def test_head_is_the_newest_revision_in_the_folder() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


async def test_migrations_build_exactly_the_tables(store_url: str) -> None:
    store = await open_store(store_url)
    await migrate.migrate(store)
    differences: list[Any] = await store.read(_differences)
    assert differences == []
    migrated = await store.read(_indexes)
    await store.write(metadata.drop_all)
    await store.write(metadata.create_all)
    assert migrated == await store.read(_indexes)
    await store.close()


async def test_a_migrated_database_is_left_alone(store_url: str) -> None:
    store = await open_store(store_url)
    assert await store.read(migrate.revision) is None
    await migrate.migrate(store)
    await store.write(write("mine"))
    await migrate.migrate(store)
    assert await store.read(migrate.revision) == migrate.HEAD
    assert await store.read(names) == ["mine"]
    await store.close()


MIGRATE = """
import asyncio, sys
from hub.store import open_store
from hub.store.migrate import migrate
import alembic.command

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = await open_store(sys.argv[1])
    await migrate(store)
    await store.close()

asyncio.run(main())
"""


async def test_processes_that_migrate_a_fresh_database_at_once_all_succeed(store_url: str) -> None:
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-c", MIGRATE, store_url]
    start = (asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(3))
    processes = await asyncio.gather(*start)
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    said = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0], b"".join(errors for _, errors in said).decode()
    store = await open_store(store_url)
    assert await store.read(migrate.revision) == migrate.HEAD
    await store.close()


def _differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True, "include_name": _is_described}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _is_described(name: str | None, kind: str, _parents: object) -> bool:
    """The index of words is made by statements of each engine; SQLite keeps it in tables of its own beside it."""
    return kind != "table" or not (name or "").startswith("entry_words")


def _indexes(connection: Connection) -> set[str]:
    """The definitions of all indexes, with what the comparison above does not see: where they are partial."""
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")
    else:
        found = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    return {" ".join(row[0].split()) for row in found if "alembic_version" not in row[0]}


async def test_a_text_with_nul_is_stored_as_the_database_can(store: Store) -> None:
    one, two = ({"name": name, "value": "a\0b"} for name in ("one", "two"))
    await store.write(lambda connection: connection.execute(insert(settings).values(**one)))
    await store.write(lambda connection: connection.execute(insert(settings), [two, {"name": "x\0", "value": "c"}]))
    values = select(settings.c.value).order_by(settings.c.name)
    found = await store.read(lambda connection: connection.execute(values).scalars().all())
    assert found in (["a\0b", "a\0b", "c"], ["a\ufffdb", "a\ufffdb", "c"])
    one_of_them = select(settings.c.value).where(settings.c.name == "x\0")
    assert await store.read(lambda connection: connection.execute(one_of_them).scalar()) == "c"
