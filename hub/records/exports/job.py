"""An export as a job: pages are added to a file, and how long it is by then stands in the job's mark.

So a job that was cut off shortens the file to what was noted and goes on there, and one whose file is gone, because
another machine goes on, begins again. The last page is noted by the job's end.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from hub.records.exports import SOURCES, Wanted
from hub.records.exports.formats import head, write
from hub.records.jobs.runner import Outcome, Run

FOLDER = "exports"
"""Where in the data folder."""


class _Mark(msgspec.Struct, kw_only=True):
    """After which row the next page begins, and what is in the file by then."""

    file: str
    size: int
    after: Any = None
    rows: int = 0
    done: int = 0
    of: int


async def export(run: Run) -> Outcome:
    """Write what was asked for into a file of the job's folder."""
    wanted = msgspec.convert(run.job.arguments, Wanted)
    source, store = SOURCES[wanted.what], run.store
    # A holder that lost its lease and does not know it yet writes into no file of the next one.
    path = run.folder / f"{run.job.id}.{run.fence}.{wanted.what}.{wanted.format}"
    mark = None if run.job.mark is None else msgspec.convert(run.job.mark, _Mark)
    if mark is None or not await asyncio.to_thread(_take_over, run.folder / mark.file, path, mark.size):
        of = await store.read(lambda connection: source.count(connection, wanted))
        size = await asyncio.to_thread(_begin, path, head(source.columns, wanted.format))
        mark = _Mark(file=path.name, size=size, of=of)
    mark.file = path.name
    while True:
        page = await store.read(partial(source.page, wanted, mark.after))
        text = await asyncio.to_thread(write, page.rows, source.columns, wanted.format)
        mark.size = await asyncio.to_thread(_add, path, mark.size, text)
        mark.rows, mark.done, mark.after = mark.rows + len(page.rows), mark.done + page.done, page.after
        if mark.after is None:
            return Outcome(result={"rows": mark.rows, "bytes": mark.size}, file=path.name)
        await run.save(wanted.what, mark.done, max(mark.of, mark.done), mark=mark)


def _begin(path: Path, text: bytes) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # conversations are in it
    return path.write_bytes(text)


def _take_over(old: Path, path: Path, size: int) -> bool:
    """Go on with a file, without what was written after the last note; False when not even that is there."""
    try:
        old.rename(path)
        if path.stat().st_size < size:
            return False
    except FileNotFoundError:
        return False
    os.truncate(path, size)
    return True


def _add(path: Path, size: int, text: bytes) -> int:
    with path.open("r+b") as file:
        file.seek(size)
        file.write(text)
        return file.tell()
