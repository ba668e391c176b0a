"""Files that programs upload to use them later: each belongs to the key that brought it, until it is deleted or old.

What is in them lies in a file store of their own, the same content once. So what goes is gone from the disk too, and
nothing else refers to it: a message that uses a file takes a copy along. A row comes before its content and goes after
it, and the store does not remove what was stored again meanwhile: whatever is cut off, no content is without a row.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Select, delete, func, insert, or_, select, update

from hub.errors import NotFound, RequestError
from hub.files import FileStore, ref_of
from hub.inline import MB
from hub.message import File, Value
from hub.store import Store
from hub.store.tables import keys, uploads

MOST = 1000
"""Files of one key."""
MOST_BYTES = 1024 * MB
"""Bytes of all files of one key."""
GONE = 0.0
"""When a file expired that was deleted."""
_PAGE = 100
Order = Literal["asc", "desc"]


class Uploaded(Value, frozen=True, kw_only=True):
    """A file of a key; times are Unix seconds."""

    id: str
    key_id: int
    file: File
    purpose: str
    created_at: float
    expires_at: float | None = None


class Uploads:
    """Keeps files of keys, in a folder of its own."""

    def __init__(self, store: Store, clock: Callable[[], float], folder: Path) -> None:
        self._store = store
        self._clock = clock
        self._files = FileStore(folder)

    async def add(
        self, key_id: int, request: str, name: str, media_type: str, content: bytes, purpose: str, seconds: int | None
    ) -> Uploaded:
        """Keep a file, for some seconds or until it is deleted; the same `request` again finds what it made.

        Raises RequestError when the key has as much as it may have.
        """
        now = self._clock()
        file = File(ref=await ref_of(content), name=name, media_type=media_type, size=len(content))
        expires_at = None if seconds is None else now + seconds
        new = Uploaded(id=_id(now), key_id=key_id, file=file, purpose=purpose, created_at=now, expires_at=expires_at)
        added = await self._store.write(lambda connection: _add(connection, new, request))
        try:
            await self._files.keep(name, media_type, content)
        except BaseException:
            if added is new:
                await self.remove(key_id, new.id)
            raise
        return added

    async def find(self, key_id: int, id: str) -> Uploaded:
        """A file of this key; raises NotFound."""
        now = self._clock()
        row = await self._store.read(lambda connection: connection.execute(_one(key_id, id, now)).first())
        if row is None:
            raise _unknown(id)
        return _uploaded(row)

    async def read(self, uploaded: Uploaded) -> bytes:
        """What is in a file; raises NotFound when it was deleted meanwhile."""
        return await self._files.read(uploaded.file)

    async def page(
        self, key_id: int, *, after: str | None, limit: int, order: Order = "desc", purpose: str | None = None
    ) -> list[Uploaded]:
        """Files of this key in the order in which they came, the newest first unless told otherwise.

        They begin behind the one with the id `after`, also when that is gone.
        """
        here = _mine(key_id, self._clock())
        if purpose is not None:
            here = here.where(uploads.c.purpose == purpose)
        if after is not None:
            here = here.where(uploads.c.id > after if order == "asc" else uploads.c.id < after)
        here = here.order_by(uploads.c.id.asc() if order == "asc" else uploads.c.id.desc()).limit(limit)
        rows = await self._store.read(lambda connection: connection.execute(here).all())
        return [_uploaded(row) for row in rows]

    async def remove(self, key_id: int, id: str) -> None:
        """Delete a file of this key, from the disk too; raises NotFound."""
        now = self._clock()
        if await self._store.write(lambda connection: _expire(connection, key_id, id, now)) == 0:
            raise _unknown(id)
        await self.sweep()

    async def forget(self, key_id: int) -> int:
        """Delete all files of a key; says how many there were."""
        now = self._clock()
        count = await self._store.write(lambda connection: _expire(connection, key_id, None, now))
        while await self.sweep():
            pass
        return count

    async def sweep(self) -> int:
        """Forget some of what has expired, with what is in it; says how many that were."""
        now = self._clock()
        gone = await self._store.read(lambda connection: _expired(connection, now))
        for ref in {ref for _, ref, wanted in gone if not wanted}:
            await self._files.remove(ref, now)
        if gone:
            rows = delete(uploads).where(uploads.c.id.in_([each for each, _, _ in gone]))
            await self._store.write(lambda connection: connection.execute(rows).rowcount)
        return len(gone)


def _add(connection: Connection, new: Uploaded, request: str) -> Uploaded:
    # One request of a key at a time, or two would both find room for the last file.
    connection.execute(select(keys.c.id).where(keys.c.id == new.key_id).with_for_update())
    mine = _mine(new.key_id, new.created_at)
    if (known := connection.execute(mine.where(uploads.c.request == request)).first()) is not None:
        return _uploaded(known)
    held = mine.with_only_columns(func.count(), func.coalesce(func.sum(uploads.c.size), 0))
    count, size = connection.execute(held).one()
    if count >= MOST:
        raise _full(f"This key has {count} files, and may have {MOST}; delete some.")
    if size + new.file.size > MOST_BYTES:
        raise _full(f"The files of this key have {size / MB:.0f} MB, and may have {MOST_BYTES / MB:g} MB; delete some.")
    connection.execute(insert(uploads).values(_row(new) | {"request": request}))
    return new


def _expire(connection: Connection, key_id: int, id: str | None, now: float) -> int:
    mine = update(uploads).where(uploads.c.key_id == key_id, _is_there(now))
    if id is not None:
        mine = mine.where(uploads.c.id == id)
    return connection.execute(mine.values(expires_at=GONE)).rowcount


def _expired(connection: Connection, now: float) -> list[tuple[str, str, bool]]:
    """What has expired, the longest ago first: id, content, and whether others still have the same content."""
    gone = select(uploads.c.id, uploads.c.ref).where(uploads.c.expires_at <= now).order_by(uploads.c.expires_at)
    rows = connection.execute(gone.limit(_PAGE)).all()
    there = select(uploads.c.ref).where(uploads.c.ref.in_([row.ref for row in rows]), _is_there(now))
    wanted = set(connection.execute(there).scalars())
    return [(row.id, row.ref, row.ref in wanted) for row in rows]


def _is_there(now: float) -> Any:
    return or_(uploads.c.expires_at.is_(None), uploads.c.expires_at > now)


def _mine(key_id: int, now: float) -> Select[Any]:
    return select(uploads).where(uploads.c.key_id == key_id, _is_there(now))


def _one(key_id: int, id: str, now: float) -> Select[Any]:
    return _mine(key_id, now).where(uploads.c.id == id)


def _id(now: float) -> str:
    """Ids are in the order of time, so that a list can go on after one that is gone."""
    return f"file-{int(now * 1e6):013x}{secrets.token_hex(6)[:11]}"


def _unknown(id: str) -> NotFound:
    return NotFound(f"There is no file '{id}'.", code="file_not_found")


def _full(why: str) -> RequestError:
    return RequestError(why, param="file", code="files_full")


def _row(new: Uploaded) -> dict[str, Any]:
    file = new.file
    return {
        "id": new.id,
        "key_id": new.key_id,
        "ref": file.ref,
        "name": file.name,
        "media_type": file.media_type,
        "size": file.size,
        "purpose": new.purpose,
        "created_at": new.created_at,
        "expires_at": new.expires_at,
    }


def _uploaded(row: Any) -> Uploaded:
    return Uploaded(
        id=row.id,
        key_id=row.key_id,
        file=File(ref=row.ref, name=row.name, media_type=row.media_type, size=row.size),
        purpose=row.purpose,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
