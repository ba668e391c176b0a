"""One file with what a hub needs to go on elsewhere: a zip of a manifest, the database and the files it refers to.

The database is copied first, as it is at one moment; a file is stored before anything refers to it, so it is there when
the files are copied afterwards. Nothing in an archive is believed: names are compared with those that a file store
gives, never used as paths, and everything is read and checked before anything is changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from errno import EINVAL
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import IO

import msgspec

from hub.errors import BackupFailed, Conflict
from hub.files import FileStore, is_name
from hub.message import Value
from hub.store import copies
from hub.store.copies import Progress
from hub.store.migrate import HEAD, revisions

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "bothub.db"
FOLDERS = ("files", "uploads")
"""The file stores in the data folder; what a member of an archive begins with."""
DUMP = "pg_dump --format=custom --file={file} {url}"
"""How PostgreSQL's own tools make one; ours would be a poorer one."""
CHUNK = 1 << 20
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)
"""What Python raises for a zip that is cut off, changed, or no zip at all."""


def quiet(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a backup is of: a SQLite file, and the data folder with the file stores, if they are wanted."""

    database: Path
    data_dir: Path | None = None
    progress: Progress = field(default=quiet)

    @property
    def stores(self) -> dict[str, FileStore]:
        return {} if self.data_dir is None else {name: FileStore(self.data_dir / name) for name in FOLDERS}


class Manifest(Value, frozen=True, kw_only=True, omit_defaults=False):
    """What an archive says of itself; `at` is in Unix seconds, `bothub` the version that wrote it."""

    format: int
    bothub: str
    revision: str
    at: float
    database_bytes: int
    database_sha256: str
    files: int
    files_bytes: int


class Restored(Value, frozen=True, kw_only=True, omit_defaults=False):
    """What a restore did: `replaced` is where the database that was there before is now."""

    manifest: Manifest
    replaced: Path | None
    files_added: int


def backup(kept: Kept, target: Path, *, overwrite: bool = False, clock: Callable[[], float] = time.time) -> Manifest:
    """Write an archive that only its owner can read, whole or not at all; a hub may run meanwhile.

    Raises Conflict for a file that is there and is not to be overwritten, BackupFailed.
    """
    if target.is_dir() or (target.exists() and not overwrite):
        raise Conflict(f"{target} is there already.")
    at = clock()
    with _draft_beside(target) as folder:
        copy, draft = folder / DATABASE, folder / "archive"
        copies.copy(kept.database, copy, kept.progress)
        kept.progress("checking the copy", 0, 1)
        revision = copies.examine(copy)
        with open(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:  # noqa: PTH123 - its mode
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                manifest = _write(archive, copy, kept, revision, at)
            file.flush()
            os.fsync(file.fileno())
        if target.exists() and not overwrite:
            raise Conflict(f"{target} came to be there meanwhile; nothing was written.")
        draft.replace(target)
    return manifest


def _write(archive: zipfile.ZipFile, copy: Path, kept: Kept, revision: str, at: float) -> Manifest:
    paths = [(f"{name}/{path.name}", path) for name, store in kept.stores.items() for path in store.all()]
    sizes = [path.stat().st_size for _, path in paths if path.exists()]
    database = copy.stat().st_size
    meter = _Meter(kept.progress, "packing", database + sum(sizes))
    with copy.open("rb") as source, archive.open(DATABASE, "w", force_zip64=True) as member:
        digest = meter.copy(source, member)
    files = 0
    for name, path in paths:
        try:
            source = path.open("rb")
        except FileNotFoundError:
            continue  # erased meanwhile
        with source, archive.open(name, "w", force_zip64=True) as member:
            meter.copy(source, member)
            files += 1
    manifest = Manifest(
        format=FORMAT,
        bothub=version("bothub"),
        revision=revision,
        at=at,
        database_bytes=database,
        database_sha256=digest,
        files=files,
        files_bytes=meter.done - database,
    )
    archive.writestr(MANIFEST, msgspec.json.encode(manifest))
    return manifest


def restore(archive: Path, kept: Kept, *, clock: Callable[[], float] = time.time) -> Restored:
    """Put back what an archive holds, once all of it was read and checked; no hub may run meanwhile.

    The database is replaced in one transaction: cut off at any point, it is the old or the new one. What it was before
    is kept beside it. Files are only added. Raises BackupFailed; the database is then as it was.
    """
    with _opened(archive) as source:
        manifest = _check_list(source)
        with copies.alone(kept.database) as database, _draft_beside(kept.database) as folder:
            new = folder / DATABASE
            with _reading(archive):
                _check_members(source, manifest, new, kept.progress)
            kept.progress("checking the database", 0, 1)
            if copies.examine(new) != manifest.revision:
                raise BackupFailed(f"{archive} is damaged: its database is not of revision {manifest.revision}.")
            with _reading(archive):
                added = _put_files(source, kept)
            aside = _free(kept.database, clock())
            there = database.replace(new, aside, kept.progress)
    return Restored(manifest=manifest, replaced=aside if there else None, files_added=added)


@contextmanager
def _opened(archive: Path) -> Generator[zipfile.ZipFile]:
    try:
        with _reading(archive):
            source = zipfile.ZipFile(archive)
        with source:
            yield source
    except OSError as error:
        raise BackupFailed(f"Cannot read {archive}: {error.strerror or error}") from error


@contextmanager
def _reading(archive: Path) -> Generator[None]:
    try:
        yield
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno != EINVAL:  # that is a place before the beginning
            raise
        raise BackupFailed(f"{archive} is no backup of bothub, or it is damaged: {error}") from error


def _check_list(source: zipfile.ZipFile) -> Manifest:
    """The manifest, once it fits what is in the archive and this version of bothub."""
    archive = Path(source.filename or "")
    with _reading(archive):
        sizes = {info.filename: info.file_size for info in source.infolist()}
        if MANIFEST not in sizes or sizes[MANIFEST] > CHUNK:
            raise zipfile.BadZipFile(f"it has no {MANIFEST}")
        text = source.read(MANIFEST)
        if (form := msgspec.json.decode(text, type=dict[str, object]).get("format")) != FORMAT:
            raise BackupFailed(f"{archive} has the format {form}; this version of bothub reads {FORMAT}.")
        manifest = msgspec.json.decode(text, type=Manifest)
        files = {name: size for name, size in sizes.items() if name not in (MANIFEST, DATABASE)}
        strange = next((name for name in files if not _is_member(name)), None)
        if strange is not None or len(sizes) != len(source.infolist()):
            raise zipfile.BadZipFile(f"nothing of ours is called {strange!r}" if strange else "a name is in it twice")
        if (len(files), sum(files.values())) != (manifest.files, manifest.files_bytes):
            raise zipfile.BadZipFile("not all of its files are there")
        if sizes.get(DATABASE) != manifest.database_bytes:
            raise zipfile.BadZipFile("its database has another size")
    if manifest.revision not in revisions():
        raise BackupFailed(
            f"{archive} is of revision {manifest.revision}, this version of bothub works with {HEAD}: "
            f"restore it with bothub {manifest.bothub} or newer. Nothing was changed."
        )
    return manifest


def _check_members(source: zipfile.ZipFile, manifest: Manifest, new: Path, progress: Progress) -> None:
    """Read everything; put the database where it can be examined."""
    meter = _Meter(progress, "checking", manifest.database_bytes + manifest.files_bytes)
    with source.open(DATABASE) as member, new.open("xb") as target:
        if meter.copy(member, target) != manifest.database_sha256:
            raise zipfile.BadZipFile("its database is another one")
    for name in _files(source):
        with source.open(name) as member:
            ref = name.partition("/")[2]
            if meter.copy(member) != ref and "." not in ref:
                raise zipfile.BadZipFile(f"what is in {name} is something else")


def _put_files(source: zipfile.ZipFile, kept: Kept) -> int:
    added = 0
    stores, names = kept.stores, list(_files(source))
    for number, name in enumerate(names, 1):
        folder, _, ref = name.partition("/")
        if folder in stores:
            added += stores[folder].add(ref, source.read(name))
        kept.progress("adding files", number, len(names))
    return added


def _files(source: zipfile.ZipFile) -> Iterator[str]:
    return (name for name in source.namelist() if name not in (MANIFEST, DATABASE))


def _is_member(name: str) -> bool:
    folder, _, ref = name.partition("/")
    return folder in FOLDERS and is_name(ref)


@dataclass
class _Meter:
    """Bytes that were read, of how many."""

    progress: Progress
    what: str
    total: int
    done: int = 0

    def copy(self, source: IO[bytes], target: IO[bytes] | None = None) -> str:
        """Copy, or only read, to the end; the SHA-256 of it."""
        digest = hashlib.sha256()
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            if target is not None:
                target.write(chunk)
            self.done += len(chunk)
            self.progress(self.what, self.done, self.total)
        return digest.hexdigest()


def by_hand(command: str, url: str, file: Path) -> str:
    """A command of PostgreSQL's own tools, for a store's URL and a file; no password is in it."""
    from hub.store.postgres import for_tools

    return command.format(file=quote(str(file)), url=quote(for_tools(url)))


def stamp(at: float) -> str:
    """A time as it stands in names of files."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _free(database: Path, at: float) -> Path:
    """A name beside the database that nothing has."""
    name = f"{database.name}.replaced-{stamp(at)}"
    taken = (database.with_name(f"{name}-{number}" if number > 1 else name) for number in range(1, 1000))
    return next(path for path in taken if not path.exists())


@contextmanager
def _draft_beside(target: Path) -> Generator[Path]:
    """A folder for what is not whole yet, on the same disk as its place; errors of the disk are told."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise BackupFailed(f"Cannot write beside {target}: {error.strerror or error}") from error
