"""A data folder to back up, and archives that are not what they seem."""

from __future__ import annotations

import hashlib
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from hub.backup import DATABASE, MANIFEST, Kept, Manifest
from hub.files import FileStore
from hub.store import copies

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


def damage(database: Path) -> None:
    """Write nonsense into a page of a table, behind the head."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'settings'").fetchone()[0]
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
