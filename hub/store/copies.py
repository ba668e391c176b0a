"""SQLite files as wholes: copied while others write to them, looked through, and replaced in one transaction."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

from hub.errors import BackupFailed

PAGES = 1024
"""Pages that are copied between two words of progress."""
PATIENCE = 30.0
"""How long a copy waits for a database that somebody locks, in seconds."""
IN_USE_AFTER = 2.0
"""A database that somebody has open for so long is in use, in seconds; a command is done by then."""
BROKEN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
BESIDE = ("-shm", "-wal", "-journal")
"""What SQLite keeps beside a database, by the end of its name."""

Progress = Callable[[str, int, int], None]
"""Is told what is being done, and how much of how much is done."""


def copy(source: Path, target: Path, progress: Progress) -> None:
    """Copy a database as it is at one moment, whoever writes to it meanwhile; nobody else can read the copy.

    Raises BackupFailed.
    """
    if not source.exists():
        raise BackupFailed(f"There is no database at {source} yet.")
    with _told(f"Cannot copy the database {source}"), closing(_open(source, PATIENCE)) as here:
        here.execute("BEGIN")
        # The moment. Without it, each write of somebody else would begin the copy anew.
        here.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _copy(here, target, progress, "copying the database")


def examine(path: Path) -> str:
    """The revision of a database without faults; raises BackupFailed for any other file."""
    with _told(f"{path.name} is damaged"), closing(_open(path, PATIENCE)) as here:
        faults = [row[0] for row in here.execute("PRAGMA quick_check(3)")]
        if faults != ["ok"]:
            raise BackupFailed(f"The database {path.name} is damaged: {'; '.join(faults)}")
        if not here.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            raise BackupFailed(f"{path.name} is not a database of bothub.")
        return str(here.execute("SELECT version_num FROM alembic_version").fetchone()[0])


class Alone:
    """A database that nobody else has open, and nobody can open until this is over; None: it cannot even be read."""

    def __init__(self, path: Path, connection: sqlite3.Connection | None) -> None:
        self.path = path
        self._connection = connection

    def replace(self, source: Path, aside: Path, progress: Progress) -> bool:
        """Let it be what another database is, and keep what it was; False when there was nothing to keep.

        It happens in one transaction: whoever opens it finds the old or the new.
        """
        if self._connection is None:
            self._swap(source, aside)
            return True
        # What is in the log goes into the file, which then is all there is of it.
        self._connection.execute("PRAGMA journal_mode=DELETE")
        there = bool(self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if there:
            _copy(self._connection, aside, progress, "keeping the old database")
        try:
            with closing(_open(source, PATIENCE)) as new:
                new.backup(self._connection, pages=PAGES, progress=_of(progress, "replacing the database"))
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        return there

    def _swap(self, source: Path, aside: Path) -> None:
        for end in BESIDE:
            if (part := Path(f"{self.path}{end}")).exists():
                part.rename(f"{aside}{end}")
        shutil.copyfile(self.path, aside)
        source.replace(self.path)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@contextmanager
def alone(path: Path) -> Generator[Alone]:
    """Lock a database, which is made if there is none; raises BackupFailed while somebody else has it open.

    A hub has it open for as long as it runs, whatever its roles; SQLite's lock ends with the process that has it.
    """
    with _told(f"Cannot replace the database {path}"):
        made = not path.exists()
        if made:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        try:
            held = Alone(path, _lock(path))
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise BackupFailed(
                    f"The database {path} is in use: stop the hub, and whatever else has it open, and try again. "
                    "Nothing was changed."
                ) from None
            if error.sqlite_errorcode not in BROKEN:
                raise
            held = Alone(path, None)
        try:
            yield held
        finally:
            held.close()
            if made and path.stat().st_size == 0:
                path.unlink()


def _lock(path: Path) -> sqlite3.Connection:
    connection = _open(path, IN_USE_AFTER)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # kept from one transaction to the next
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _copy(here: sqlite3.Connection, target: Path, progress: Progress, what: str) -> None:
    _make(target)
    try:
        with closing(_open(target, PATIENCE)) as there:
            here.backup(there, pages=PAGES, progress=_of(progress, what))
            there.execute("PRAGMA journal_mode=DELETE")  # one file, and nothing beside it
    except BaseException:
        for end in ("", *BESIDE):
            Path(f"{target}{end}").unlink(missing_ok=True)
        raise


def _make(path: Path) -> None:
    """An empty file that only its owner can read."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _open(path: Path, timeout: float) -> sqlite3.Connection:
    """Open what is there; never make a database."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=timeout)


def _of(progress: Progress, what: str) -> Callable[[int, int, int], None]:
    return lambda _status, remaining, total: progress(what, total - remaining, total)


@contextmanager
def _told(what: str) -> Generator[None]:
    """Errors of SQLite and of the disk, as a sentence."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BackupFailed(f"{what}: {why}") from error
