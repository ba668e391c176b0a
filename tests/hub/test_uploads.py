"""Files that programs upload: each its key's own, bounded, and gone from the disk when nobody has them any more."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from hub import files as stored
from hub import uploads
from hub.accounts import keys
from hub.errors import NotFound, RequestError
from hub.uploads import Uploaded, Uploads
from tests.hub.engine import Engine

ANN, BEN = 1, 2
Add = Callable[..., Awaitable[Uploaded]]


@pytest.fixture
async def kept(every_engine: Engine, tmp_path: Path) -> Uploads:
    for name in ("ann", "ben"):
        await every_engine.store.write(lambda c, name=name: keys.create(c, f"sk-{name}", name=name, now=0.0))
    return Uploads(every_engine.store, every_engine.clock, tmp_path / "uploads")


@pytest.fixture
def add(kept: Uploads, every_engine: Engine) -> Add:
    """Adds a file, a moment after the one before."""

    async def add(content: bytes = b"hi", key: int = ANN, request: str = "", seconds: int | None = None) -> Uploaded:
        every_engine.clock.forward(0.001)
        request = request or f"r{every_engine.clock()}"
        return await kept.add(key, request, "a.txt", "text/plain", content, "user_data", seconds)

    return add


def on_disk(tmp_path: Path) -> int:
    return sum(path.is_file() for path in (tmp_path / "uploads").rglob("*"))


async def test_a_file_is_there_until_it_is_deleted_and_then_nowhere(kept: Uploads, add: Add, tmp_path: Path) -> None:
    one = await add(b"one")
    assert await kept.find(ANN, one.id) == one
    assert await kept.read(one) == b"one"
    await kept.remove(ANN, one.id)
    with pytest.raises(NotFound, match=one.id):
        await kept.find(ANN, one.id)
    with pytest.raises(NotFound):
        await kept.remove(ANN, one.id)
    assert on_disk(tmp_path) == 0


async def test_another_keys_file_is_not_there(kept: Uploads, add: Add) -> None:
    one = await add()
    for call in (kept.find, kept.remove):
        with pytest.raises(NotFound):
            await call(BEN, one.id)
    assert await kept.page(BEN, after=None, limit=10) == []
    assert await kept.read(one) == b"hi"


async def test_the_same_content_lies_there_once_for_as_long_as_somebody_has_it(
    kept: Uploads, add: Add, tmp_path: Path
) -> None:
    mine, theirs = await add(), await add(key=BEN)
    assert on_disk(tmp_path) == 1
    await kept.remove(ANN, mine.id)
    assert await kept.read(theirs) == b"hi"
    await kept.remove(BEN, theirs.id)
    assert on_disk(tmp_path) == 0


async def test_what_was_stored_again_while_it_is_deleted_stays(
    kept: Uploads, add: Add, tmp_path: Path, every_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for others who have it and the file's end, somebody else brings it."""
    every_engine.clock.now = time.time() - 10
    mine, brought = await add(), list[Uploaded]()
    [path] = (tmp_path / "uploads").glob("*/*")
    os.utime(path, (0, 0))
    remove = stored.FileStore.remove

    async def late(files: stored.FileStore, ref: str, before: float) -> bool:
        if not brought:
            brought.append(await add(key=BEN))
        return await remove(files, ref, before)

    monkeypatch.setattr(stored.FileStore, "remove", late)
    await kept.remove(ANN, mine.id)
    assert await kept.read(brought[0]) == b"hi"


async def test_a_page_goes_on_after_a_file_that_is_gone(kept: Uploads, add: Add) -> None:
    ids = [(await add()).id for _ in range(5)]
    listed = partial(kept.page, ANN, limit=2)
    assert [each.id for each in await listed(after=None, order="asc")] == ids[:2]
    await kept.remove(ANN, ids[1])
    assert [each.id for each in await listed(after=ids[1], order="asc")] == ids[2:4]
    assert [each.id for each in await listed(after=None)] == [ids[4], ids[3]]
    assert [each.id for each in await listed(after=ids[3])] == [ids[2], ids[0]]
    assert await listed(after=None, purpose="vision") == []


async def test_an_old_file_is_not_there_and_is_swept(
    kept: Uploads, add: Add, tmp_path: Path, every_engine: Engine
) -> None:
    brief, lasting = await add(b"brief", seconds=3600), await add(b"lasting")
    every_engine.clock.forward(3600)
    with pytest.raises(NotFound):
        await kept.find(ANN, brief.id)
    assert await kept.page(ANN, after=None, limit=10) == [lasting]
    assert await kept.sweep() == 1
    assert on_disk(tmp_path) == 1
    assert await kept.sweep() == 0


async def test_a_request_that_comes_again_finds_what_it_made(kept: Uploads, add: Add) -> None:
    one = await add(request="r")
    assert (await add(request="r")).id == one.id
    assert (await add(key=BEN, request="r")).id != one.id
    assert len(await kept.page(ANN, after=None, limit=10)) == 1


async def test_a_key_has_so_many_files_and_no_more(kept: Uploads, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST", 3)
    made = await asyncio.gather(
        *(add(bytes([number]), request=str(number)) for number in range(5)), return_exceptions=True
    )
    refused = [each for each in made if isinstance(each, RequestError)]
    assert (len(made) - len(refused), {each.code for each in refused}) == (3, {"files_full"})
    assert str(refused[0]) == "This key has 3 files, and may have 3; delete some."
    await kept.remove(ANN, next(each.id for each in made if isinstance(each, Uploaded)))
    await add(b"room again")


async def test_all_files_of_a_key_have_a_bound_too(kept: Uploads, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 2 * 2**20)
    await add(b"a" * 2**20)
    with pytest.raises(RequestError, match="have 1 MB, and may have 2 MB"):
        await add(b"b" * (2**20 + 1))
    await add(b"b" * (2**20 + 1), key=BEN)


async def test_what_could_not_be_stored_leaves_no_row(kept: Uploads, add: Add, tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        await add()
    assert await kept.page(ANN, after=None, limit=10) == []


async def test_all_files_of_a_key_are_forgotten_at_once(kept: Uploads, add: Add, tmp_path: Path) -> None:
    for number in range(3):
        await add(bytes([number]))
    other = await add(b"\0", key=BEN)
    assert await kept.forget(ANN) == 3
    assert await kept.forget(ANN) == 0
    assert await kept.read(other) == b"\0"
    assert on_disk(tmp_path) == 1
