"""Files by what is in them: stored once, named by their SHA-256, wherever they came from."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hub.errors import NotFound
from hub.message import File

_REF = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"([0-9a-f]{64})((?:\.[a-z0-9_-]+)*)")


class FileStore:
    """A folder of files; a file is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def keep(self, name: str, media_type: str, content: bytes) -> File:
        """Store a file; the same content again takes no more room."""
        ref = await asyncio.to_thread(self._write, content)
        return File(ref=ref, name=name, media_type=media_type, size=len(content))

    async def read(self, file: File) -> bytes:
        """What is in a file; raises NotFound when it was removed."""
        try:
            return await asyncio.to_thread(self._path(file.ref).read_bytes)
        except FileNotFoundError:
            raise NotFound(f"The file '{file.name}' is not stored any more.") from None

    async def derived(self, file: File, kind: str) -> str | None:
        """The text that was made of a file's content before, in the way that `kind` names; None: not yet."""
        try:
            return await asyncio.to_thread(self._beside(file, kind).read_text, "utf-8")
        except FileNotFoundError:
            return None

    async def derive(self, file: File, kind: str, text: str) -> None:
        """Keep a text that was made of a file's content."""
        await asyncio.to_thread(_put, self._beside(file, kind), text.encode())

    async def kept(self) -> dict[str, float]:
        """When each file was last stored (Unix seconds), by its ref."""
        return await asyncio.to_thread(self._kept)

    async def remove(self, ref: str, before: float) -> bool:
        """Remove a file with all that was derived from it; False when it is not there, or was stored after a time."""
        return await asyncio.to_thread(self._remove, ref, before)

    def all(self) -> Iterator[Path]:
        """Where each file is, and what was derived from it; blocking."""
        for path in sorted(self._root.glob("??/*")):
            if is_name(path.name):
                yield path

    def add(self, name: str, content: bytes) -> bool:
        """Store what lay under this name in another store, whole; False when it is here. Blocking."""
        if not is_name(name, content):
            raise ValueError(f"'{name}' is no name of this content")
        path = self._path(name)
        if path.exists():
            return False
        _put(path, content)
        return True

    def _kept(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for path in self._root.glob("??/*"):
            with suppress(FileNotFoundError):  # somebody else may be removing files
                if _REF.fullmatch(path.name):
                    found[path.name] = path.stat().st_mtime
        return found

    def _remove(self, ref: str, before: float) -> bool:
        path = self._path(ref)
        try:
            if path.stat().st_mtime > before:
                return False
            aside = path.rename(_beside(path))
        except FileNotFoundError:
            return False
        if aside.stat().st_mtime > before:  # it was stored again just now
            aside.replace(path)
            return False
        for derived in path.parent.glob(f"{ref}.*"):
            derived.unlink(missing_ok=True)
        aside.unlink(missing_ok=True)
        return True

    def _write(self, content: bytes) -> str:
        ref = _ref(content)
        path = self._path(ref)
        try:
            _touch(path)  # whoever removes what nobody refers to sees that it is wanted again
        except FileNotFoundError:
            _put(path, content)
        return ref

    def _beside(self, file: File, kind: str) -> Path:
        return self._path(f"{file.ref}.{kind}")

    def _path(self, ref: str) -> Path:
        return self._root / ref[:2] / ref


def is_name(name: str, content: bytes | None = None) -> bool:
    """Whether a store gives such names, and this one to this content; what was derived is not named by its content."""
    match = _NAME.fullmatch(name)
    return match is not None and (content is None or bool(match[2]) or _ref(content) == match[1])


async def ref_of(content: bytes) -> str:
    """What a store calls a file with this in it."""
    return await asyncio.to_thread(_ref, content)


def _ref(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _beside(path)
    draft.write_bytes(content)
    _touch(draft)
    draft.replace(path)


def _touch(path: Path) -> None:
    """Note that it is wanted now: by the clock, for the file system's own may be a few milliseconds behind."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def _beside(path: Path) -> Path:
    """A name that nobody looks for."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
