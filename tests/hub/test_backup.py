"""Backups: whole, of one moment, and put back whole or not at all, whatever is in the archive."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.backup import DATABASE, MANIFEST, Kept, Manifest, backup, restore
from hub.errors import BackupFailed, Conflict
from hub.files import FileStore
from hub.store import copies, open_store
from hub.store.migrate import HEAD, migrate
from tests.hub.engine import Clock

ROOT = Path(__file__).parents[2]
OLD, NEW = "as it was", "what came later"


class House:
    """A data folder with a database and files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = Kept(database=folder / "bothub.db", data_dir=folder)

    def say(self, value: str) -> None:
        with closing(sqlite3.connect(self.kept.database)) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES ('said', ?)", (value,))

    def said(self) -> str | None:
        """What was said last; fails when the database has faults."""
        copies.examine(self.kept.database)
        with closing(sqlite3.connect(self.kept.database)) as connection:
            row = connection.execute("SELECT value FROM settings WHERE name = 'said'").fetchone()
            return row and row[0]

    def store(self, name: str = "files") -> FileStore:
        return FileStore(self.folder / name)

    def files(self) -> set[str]:
        """Everything in the folder, by path, but for what SQLite keeps beside the database."""
        found = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        return found - {"bothub.db-wal", "bothub.db-shm"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which nothing is."""
    path = tmp_path_factory.mktemp("empty") / "bothub.db"

    async def build() -> None:
        store = await open_store(f"sqlite:///{path}")
        await migrate(store)
        await store.close()

    asyncio.run(build())
    return path


@pytest.fixture
async def house(tmp_path: Path, empty: Path) -> House:
    made = House(tmp_path / "data")
    made.folder.mkdir()
    shutil.copyfile(empty, made.kept.database)
    made.say(OLD)
    await made.store().keep("a.txt", "text/plain", b"what Ann sent")
    return made


@pytest.fixture
def archive(house: House, tmp_path: Path) -> Path:
    """A backup of the house, in which something was said since."""
    path = tmp_path / "backup.zip"
    backup(house.kept, path)
    house.say(NEW)
    return path


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as source:
        return {name: source.read(name) for name in source.namelist()}


def forge(archive: Path, parts: dict[str, bytes], **manifest: Any) -> None:
    """Write an archive with these parts, and a manifest that fits them unless told otherwise."""
    told = msgspec.json.decode(parts[MANIFEST], type=Manifest)
    files = [content for name, content in parts.items() if name not in (DATABASE, MANIFEST)]
    honest: dict[str, Any] = {
        "database_bytes": len(parts[DATABASE]),
        "database_sha256": hashlib.sha256(parts[DATABASE]).hexdigest(),
        "files": len(files),
        "files_bytes": sum(map(len, files)),
    }
    with zipfile.ZipFile(archive, "w") as target:
        for name, content in parts.items():
            if name != MANIFEST:
                target.writestr(name, content)
        target.writestr(MANIFEST, msgspec.json.encode(msgspec.structs.replace(told, **(honest | manifest))))


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


def damage(database: Path) -> None:
    """Write nonsense into a page of a table, behind the head."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'settings'").fetchone()[0]
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


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


def test_a_backup_of_a_newer_revision_is_refused(archive: Path, house: House) -> None:
    forge(archive, contents(archive), revision="9999", bothub="7.0")
    with pytest.raises(BackupFailed, match=f"revision 9999, .* works with {HEAD}: .* bothub 7.0 or newer"):
        restore(archive, house.kept)
    assert house.said() == NEW


def test_a_manifest_does_not_hide_what_the_database_is(archive: Path, house: House) -> None:
    forge(archive, contents(archive), revision="0001")
    with pytest.raises(BackupFailed, match="not of revision 0001"):
        restore(archive, house.kept)
    assert house.said() == NEW


def test_another_form_is_refused(archive: Path, house: House) -> None:
    forge(archive, contents(archive), format=2)
    with pytest.raises(BackupFailed, match="has the format 2; this version of bothub reads 1"):
        restore(archive, house.kept)


A = hashlib.sha256(b"a").hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        f"../{A}",
        f"files/../../{A}",
        f"/tmp/{A}",
        f"files/{A}/x",
        f"files//{A}",
        f"other/{A}",
        "files/x",
        f"files/{A.upper()}",
        f"files/{A}.",
        f"files/{A}./../x",
        f"files\\{A}",
        "api-key.json",
    ],
)
def test_names_in_an_archive_are_no_paths(archive: Path, house: House, name: str) -> None:
    before = {path for path in house.folder.parent.rglob("*") if path != archive}
    forge(archive, contents(archive) | {name: b"a"})
    with pytest.raises(BackupFailed, match="nothing of ours is called"):
        restore(archive, house.kept)
    assert {path for path in house.folder.parent.rglob("*") if path != archive} == before
    assert house.said() == NEW


def test_a_file_is_what_its_name_says(archive: Path, house: House) -> None:
    forge(archive, contents(archive) | {f"uploads/{A}": b"b"})
    with pytest.raises(BackupFailed, match="is something else"):
        restore(archive, house.kept)
    assert house.said() == NEW
    assert not (house.folder / "uploads").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_lacks_or_repeats_something_is_refused(archive: Path, house: House) -> None:
    parts = contents(archive)
    forge(archive, parts, files=2)
    with pytest.raises(BackupFailed, match="not all of its files"):
        restore(archive, house.kept)
    forge(archive, parts, database_sha256="0" * 64)
    with pytest.raises(BackupFailed, match="its database is another one"):
        restore(archive, house.kept)
    forge(archive, parts)
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr(DATABASE, parts[DATABASE])
    with pytest.raises(BackupFailed, match="twice"):
        restore(archive, house.kept)
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr(DATABASE, parts[DATABASE])
    with pytest.raises(BackupFailed, match=r"no manifest\.json"):
        restore(archive, house.kept)
    damaged = archive.with_name("damaged.db")
    damaged.write_bytes(parts[DATABASE])
    damage(damaged)
    forge(archive, parts | {DATABASE: damaged.read_bytes()})
    with pytest.raises(BackupFailed, match="damaged"):
        restore(archive, house.kept)
    assert house.said() == NEW


def test_an_archive_that_was_cut_off_is_refused(archive: Path, house: House) -> None:
    whole, before = archive.read_bytes(), house.files()
    for length in {0, 1, len(whole) // 2, len(whole) - 1, *range(10, len(whole), len(whole) // 20)}:
        archive.write_bytes(whole[:length])
        with pytest.raises(BackupFailed, match="is no backup of bothub, or it is damaged"):
            restore(archive, house.kept)
    assert (house.said(), house.files()) == (NEW, before)
    with pytest.raises(BackupFailed, match="No such file"):
        restore(archive.with_name("nothing.zip"), house.kept)
    with pytest.raises(BackupFailed, match="directory"):
        restore(house.folder, house.kept)


def test_an_archive_that_was_changed_is_refused_or_restored_as_it_was(archive: Path, house: House) -> None:
    whole, chance = archive.read_bytes(), random.Random(7)
    refused = 0
    for _ in range(80):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        archive.write_bytes(changed)
        try:
            restore(archive, house.kept)
        except BackupFailed:
            refused += 1
            assert house.said() == NEW
        else:
            assert house.said() == OLD
            house.say(NEW)
    assert refused > 60


# Cut off.


KILLED = """
import os, signal, sys
from hub.backup import Kept, restore
from hub.store import copies
from tests.hub.test_backup import NEW, OLD, House, Path

copies.PAGES = 200
house, left = House(Path(sys.argv[2])), 0

def progress(what, done, total):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

for kills in range(1000):
    left = kills
    if os.fork() == 0:
        restore(Path(sys.argv[1]), Kept(database=house.kept.database, data_dir=house.folder, progress=progress))
        os._exit(0)
    code = os.wait()[1]
    print(code, house.said() == NEW, house.said() == OLD, flush=True)
    if code == 0:
        break
"""


@pytest.mark.slow
def test_a_restore_that_is_killed_leaves_the_old_or_the_new(house: House, tmp_path: Path) -> None:
    big(house)
    backup(house.kept, tmp_path / "backup.zip")
    house.say(NEW)
    big(house)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "backup.zip"), str(house.folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    old, new = f"{int(signal.SIGKILL)} True False", f"{int(signal.SIGKILL)} False True"
    states = done.stdout.splitlines()
    kills = states.index(new) if new in states else len(states) - 1  # the last word comes once it is committed
    assert kills > 15
    assert states == [old] * kills + [new] * (len(states) - kills - 1) + ["0 False True"]


def big(house: House) -> None:
    """More than SQLite holds in memory, so that a part of it is written before it is committed."""
    with closing(sqlite3.connect(house.kept.database)) as connection, connection:
        blobs = [(f"{number}", random.randbytes(100_000).hex()) for number in range(20)]
        connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", blobs)


# No room.


FULL = """
import resource, sys
from pathlib import Path
from hub.backup import Kept, backup, restore
from hub.errors import BackupFailed

folder = Path(sys.argv[3])
kept = Kept(database=folder / "bothub.db", data_dir=folder)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
try:
    {"backup": backup, "restore": lambda kept, path: restore(path, kept)}[sys.argv[1]](kept, Path(sys.argv[2]))
except BackupFailed as error:
    print(error)
"""


def full(what: str, archive: Path, house: House, most: int) -> str:
    """Do something where files cannot become larger than so many bytes; what it says."""
    command = [sys.executable, "-c", FULL, what, str(archive), str(house.folder), str(most)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("most", [1000, 100_000, 400_000])
def test_without_room_there_is_no_backup(house: House, tmp_path: Path, most: int) -> None:
    big(house)
    before = house.files()
    assert full("backup", tmp_path / "backup.zip", house, most).startswith("Cannot ")
    assert house.files() == before
    assert [path.name for path in tmp_path.iterdir()] == [house.folder.name]


@pytest.mark.parametrize("most", [1000, 1_000_000])
def test_without_room_nothing_is_restored(archive: Path, house: House, most: int) -> None:
    big(house)
    with closing(sqlite3.connect(house.kept.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = house.files()
    assert full("restore", archive, house, most).startswith("Cannot ")
    assert (house.said(), house.files()) == (NEW, before)
