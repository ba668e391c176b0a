"""Files by what is in them: stored once, named by their SHA-256, wherever they came from."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from pathlib import Path

from hub.errors import NotFound
from hub.message import File


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

    def _write(self, content: bytes) -> str:
        ref = hashlib.sha256(content).hexdigest()
        path = self._path(ref)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{ref}.{secrets.token_hex(4)}")
            draft.write_bytes(content)
            draft.replace(path)
        return ref

    def _path(self, ref: str) -> Path:
        return self._root / ref[:2] / ref
