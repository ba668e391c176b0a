"""What a hub does with a database of an older version when it starts: a backup first, then all of it or nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.backup import Kept, restore
from hub.errors import BackupFailed, MigrationFailed
from hub.store import Store, open_store
from hub.store.migrate import HEAD, migrate, revision, revisions
from hub.upgrade import MOST, upgrade
from tests.hub.revisions import BEFORE, bring, said, say

ARCHIVE = f"before-migration-from-{BEFORE}.zip"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """A database of the revision before the newest, with something in it."""
    store = await open_store(store_url)
    await bring(store, BEFORE)
    await store.write(say)
    yield store
    await store.close()


@pytest.fixture
async def old(sqlite_url: str) -> AsyncIterator[Store]:
    """The same, on SQLite."""
    store = await open_store(sqlite_url)
    await bring(store, BEFORE)
    await store.write(say)
    yield store
    await store.close()


async def test_the_database_as_it_was_is_in_a_backup_that_can_be_restored(
    old: Store, sqlite_url: str, tmp_path: Path
) -> None:
    await upgrade(old, sqlite_url, tmp_path / "data")
    assert await old.read(revision) == HEAD
    [made] = (tmp_path / "data" / "backups").iterdir()
    assert made.name == ARCHIVE
    assert made.stat().st_mode & 0o777 == 0o600
    there = tmp_path / "there.db"
    assert restore(made, Kept(database=there, data_dir=tmp_path)).manifest.revision == BEFORE
    other = await open_store(f"sqlite:///{there}")
    assert (await other.read(revision), await other.read(said)) == (BEFORE, "before")
    await other.close()


async def test_there_is_no_backup_where_there_is_nothing_to_migrate(sqlite_url: str, tmp_path: Path) -> None:
    store = await open_store(sqlite_url)
    for _ in range(2):  # without tables, then up to date
        await upgrade(store, sqlite_url, tmp_path / "data")
    assert await store.read(revision) == HEAD
    await store.close()
    assert not (tmp_path / "data").exists()


async def test_postgres_is_migrated_without_a_backup(postgres_url: str, tmp_path: Path) -> None:
    store = await open_store(postgres_url)
    await bring(store, BEFORE)
    await upgrade(store, postgres_url, tmp_path / "data")
    assert await store.read(revision) == HEAD
    await store.close()
    assert not (tmp_path / "data").exists()


async def test_the_newest_backups_are_kept_one_a_revision(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "backups"
    for at in revisions()[:-1]:
        store = await open_store(f"sqlite:///{tmp_path}/{at}.db")
        await bring(store, at)
        await upgrade(store, f"sqlite:///{tmp_path}/{at}.db", tmp_path / "data")
        await store.close()
        (folder / "mine.zip").touch()
    names = {f"before-migration-from-{at}.zip" for at in revisions()[:-1][-MOST:]}
    assert {path.name for path in folder.iterdir()} == names | {"mine.zip"}


async def test_a_migration_that_fails_names_the_backup_and_changes_nothing(
    old: Store, sqlite_url: str, tmp_path: Path
) -> None:
    await old.write(lambda connection: connection.execute(text("DROP TABLE alembic_version")))
    await old.write(lambda connection: connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)")))
    await old.write(lambda connection: connection.execute(text("INSERT INTO alembic_version VALUES ('0001')")))
    with pytest.raises(MigrationFailed) as failed:
        await upgrade(old, sqlite_url, tmp_path / "data")
    archive = tmp_path / "data" / "backups" / "before-migration-from-0001.zip"
    assert str(failed.value).startswith(f"The migration from revision 0001 to {HEAD} failed: ")
    assert str(failed.value).endswith(f"The database is as it was before. A backup of it is {archive}.")
    assert archive.exists()
    assert (await old.read(revision), await old.read(said)) == ("0001", "before")


async def test_a_migration_that_fails_changes_nothing(store: Store) -> None:
    await store.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '0001'")))
    with pytest.raises(MigrationFailed, match=r"failed: .*finish"):
        await migrate(store)
    assert (await store.read(revision), await store.read(said)) == ("0001", "before")


async def test_a_database_of_a_newer_version_is_left_alone(store: Store, store_url: str, tmp_path: Path) -> None:
    await store.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(MigrationFailed, match=rf"at revision 9999, .* does not know: it works with {HEAD}"):
        await upgrade(store, store_url, tmp_path / "data")
    assert (await store.read(revision), await store.read(said)) == ("9999", "before")
    assert not (tmp_path / "data").exists()


async def test_what_cannot_be_backed_up_is_not_migrated(old: Store, sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(BackupFailed, match="not migrated, because it cannot be backed up first"):
        await upgrade(old, sqlite_url, tmp_path / "data")
    assert (await old.read(revision), await old.read(said)) == (BEFORE, "before")


FULL = """
import asyncio, resource, sys
from pathlib import Path
from hub.errors import BackupFailed
from hub.store import open_store
from hub.upgrade import upgrade

async def main():
    store = await open_store(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        await upgrade(store, sys.argv[1], Path(sys.argv[2]))
    except BackupFailed as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.close()

asyncio.run(main())
"""


async def test_without_room_for_the_backup_nothing_is_migrated(old: Store, sqlite_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, sqlite_url, str(tmp_path / "data")]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].startswith(
        "The database was not migrated, because it cannot be backed up first. Cannot "
    )
    assert (await old.read(revision), await old.read(said)) == (BEFORE, "before")
    assert list((tmp_path / "data" / "backups").iterdir()) == []


TOGETHER = """
import asyncio, sys
from hub.store import open_store
from hub.store.migrate import migrate
import alembic.command

async def main():
    store = await open_store(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    await migrate(store, lambda at: print("migrating", at))
    await store.close()

asyncio.run(main())
"""


async def test_of_processes_that_start_at_once_one_migrates(store: Store, store_url: str) -> None:
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-c", TOGETHER, store_url]
    start = (asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(3))
    processes = await asyncio.gather(*start)
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    told = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0], b"".join(errors for _, errors in told).decode()
    assert b"".join(words for words, _ in told).decode() == f"migrating {BEFORE}\n"
    assert (await store.read(revision), await store.read(said)) == (HEAD, "before")
