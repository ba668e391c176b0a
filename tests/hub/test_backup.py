"""Backups: whole, of one moment, and put back with all that was there kept."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hub.backup import DATABASE, MANIFEST, Kept, backup, restore
from hub.errors import BackupFailed, Conflict
from hub.store import copies, open_store
from hub.store.migrate import HEAD
from tests.clock import Clock
from tests.hub.house import NEW, OLD, House, contents, damage

# What a backup holds.


async def test_a_backup_brings_database_and_files_to_another_place(house: House, tmp_path: Path) -> None:
    file = await house.store().keep("b.txt", "text/plain", b"another")
    await house.store().derive(file, "markdown", "made of it")
    uploaded = await house.store("uploads").keep("c.txt", "text/plain", b"for later")
    manifest = backup(house.kept, tmp_path / "backup.zip", clock=Clock())
    assert (manifest.revision, manifest.at, manifest.files) == (HEAD, Clock()(), 4)
    there = House(tmp_path / "elsewhere" / "data")
    restored = restore(tmp_path / "backup.zip", there.kept)
    assert restored.manifest == manifest
    assert (restored.replaced, restored.files_added) == (None, 4)
    assert there.said() == OLD
    assert await there.store().read(file) == b"another"
    assert await there.store().derived(file, "markdown") == "made of it"
    assert await there.store("uploads").read(uploaded) == b"for later"
    assert there.files() == house.files()
    assert there.folder.stat().st_mode & 0o777 == 0o700
    assert there.kept.database.stat().st_mode & 0o777 == 0o600


def test_keys_and_settings_are_not_in_it(house: House, tmp_path: Path) -> None:
    for name in ("api-key.json", "secret-key", "files/draft", "files/ab/.draft", "backups/old.zip"):
        path = house.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
    backup(house.kept, tmp_path / "backup.zip")
    assert {name.partition("/")[0] for name in contents(tmp_path / "backup.zip")} == {DATABASE, MANIFEST, "files"}
    assert len(contents(tmp_path / "backup.zip")) == 3


def test_only_its_owner_can_read_it_and_nothing_is_left_beside_it(archive: Path, house: House) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in archive.parent.iterdir()} == {archive.name, house.folder.name}


def test_a_file_that_is_there_is_overwritten_only_when_that_is_said(archive: Path, house: House) -> None:
    before = archive.read_bytes()
    with pytest.raises(Conflict, match=r"backup\.zip is there already"):
        backup(house.kept, archive)
    assert archive.read_bytes() == before
    backup(house.kept, archive, overwrite=True)
    house.say("something else")
    restore(archive, house.kept)
    assert house.said() == NEW


def test_a_file_that_comes_to_be_there_meanwhile_stays(house: House, tmp_path: Path) -> None:
    target = tmp_path / "backup.zip"

    def write(what: str, _done: int, _total: int) -> None:
        if what == "packing":
            target.write_text("mine")

    with pytest.raises(Conflict, match="meanwhile"):
        backup(Kept(database=house.kept.database, data_dir=house.folder, progress=write), target)
    assert target.read_text() == "mine"


async def test_a_file_that_is_erased_meanwhile_is_left_out(house: House, tmp_path: Path) -> None:
    gone = await house.store().keep("b.txt", "text/plain", b"to be erased")

    def erase(what: str, _done: int, _total: int) -> None:
        if what == "packing":
            (house.folder / "files" / gone.ref[:2] / gone.ref).unlink(missing_ok=True)

    manifest = backup(
        Kept(database=house.kept.database, data_dir=house.folder, progress=erase), tmp_path / "backup.zip"
    )
    assert manifest.files == 1
    assert restore(tmp_path / "backup.zip", House(tmp_path / "there").kept).files_added == 1


def test_a_backup_is_of_one_moment_however_much_is_written_meanwhile(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "PAGES", 1)
    steps = 0

    def write(what: str, _done: int, _total: int) -> None:
        nonlocal steps
        if what == "copying the database":
            steps += 1
            with closing(sqlite3.connect(house.kept.database)) as connection, connection:
                connection.execute("INSERT INTO settings VALUES (?, '')", (f"n{steps}",))

    pages = house.kept.database.stat().st_size // 4096
    backup(Kept(database=house.kept.database, progress=write), tmp_path / "backup.zip")
    assert steps <= pages + 1, "the copy began anew"
    there = House(tmp_path / "there")
    restore(tmp_path / "backup.zip", there.kept)
    with closing(sqlite3.connect(there.kept.database)) as connection:
        assert connection.execute("SELECT count(*) FROM settings WHERE name LIKE 'n%'").fetchone() == (0,)


def test_what_is_no_database_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="There is no database at"):
        backup(Kept(database=tmp_path / "bothub.db"), tmp_path / "backup.zip")
    assert list(tmp_path.iterdir()) == []
    with closing(sqlite3.connect(tmp_path / "bothub.db")) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(BackupFailed, match="is not a database of bothub"):
        backup(Kept(database=tmp_path / "bothub.db"), tmp_path / "backup.zip")
    (tmp_path / "bothub.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(BackupFailed, match="file is not a database"):
        backup(Kept(database=tmp_path / "bothub.db"), tmp_path / "backup.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["bothub.db"]


def test_a_damaged_database_is_noticed_while_older_backups_are_still_there(house: House, tmp_path: Path) -> None:
    damage(house.kept.database)
    with pytest.raises(BackupFailed, match="damaged"):
        backup(house.kept, tmp_path / "backup.zip")
    assert not (tmp_path / "backup.zip").exists()


# What a restore does.


def test_a_restore_keeps_what_it_replaces(archive: Path, house: House) -> None:
    restored = restore(archive, house.kept, clock=Clock())
    assert house.said() == OLD
    assert restored.replaced is not None
    assert restored.replaced.parent == house.folder
    assert restored.replaced.name == "bothub.db.replaced-20270115T080000Z"
    assert restored.replaced.stat().st_mode & 0o777 == 0o600
    again = restore(archive, house.kept, clock=Clock()).replaced
    assert again is not None
    assert again.name == "bothub.db.replaced-20270115T080000Z-2"
    restored.replaced.replace(house.kept.database)
    assert house.said() == NEW


async def test_a_restore_only_adds_files(archive: Path, house: House) -> None:
    later = await house.store().keep("b.txt", "text/plain", b"sent later")
    restored = restore(archive, house.kept)
    assert restored.files_added == 0
    assert await house.store().read(later) == b"sent later"


def test_a_database_that_cannot_be_read_is_replaced_and_kept(archive: Path, house: House) -> None:
    house.kept.database.write_bytes(b"nonsense" * 1000)
    restored = restore(archive, house.kept)
    assert house.said() == OLD
    assert restored.replaced is not None
    assert restored.replaced.read_bytes() == b"nonsense" * 1000


def test_a_damaged_database_is_replaced_and_kept(archive: Path, house: House) -> None:
    damage(house.kept.database)
    restored = restore(archive, house.kept)
    assert house.said() == OLD
    assert restored.replaced is not None
    with pytest.raises(BackupFailed):
        copies.examine(restored.replaced)


def test_what_a_killed_hub_left_in_its_log_is_kept_too(archive: Path, house: House, tmp_path: Path) -> None:
    code = "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute(sys.argv[2])\nc.commit()\nos._exit(9)"
    late = "UPDATE settings SET value = 'only in the log' WHERE name = 'said'"
    subprocess.run([sys.executable, "-c", code, str(house.kept.database), late], check=False)
    assert (house.folder / "bothub.db-wal").stat().st_size > 0
    replaced = restore(archive, house.kept).replaced
    assert replaced is not None
    assert house.said() == OLD
    replaced.replace(house.kept.database)
    assert house.said() == "only in the log"


async def test_a_store_that_is_open_is_not_restored(
    archive: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "IN_USE_AFTER", 0.05)
    before = house.files()
    store = await open_store(f"sqlite:///{house.kept.database}")
    try:
        with pytest.raises(BackupFailed, match="in use: stop the hub"):
            await asyncio.to_thread(restore, archive, house.kept)
        assert house.said() == NEW
    finally:
        await store.close()
    assert house.files() == before
    restore(archive, house.kept)
    assert house.said() == OLD


async def test_a_hub_that_starts_meanwhile_waits_and_finds_the_new_database(archive: Path, house: House) -> None:
    waiting: list[asyncio.Task[Any]] = []
    loop = asyncio.get_running_loop()
    begun = threading.Event()

    async def start() -> str | None:
        begun.set()
        store = await open_store(f"sqlite:///{house.kept.database}")
        await store.close()
        return house.said()

    def progress(what: str, _done: int, _total: int) -> None:
        if what == "checking" and not waiting:
            loop.call_soon_threadsafe(lambda: waiting.append(asyncio.create_task(start())))
            begun.wait()

    kept = Kept(database=house.kept.database, data_dir=house.folder, progress=progress)
    await asyncio.to_thread(restore, archive, kept)
    assert await waiting[0] == OLD
