"""`bothub export`: what was said, done or used, written into a file straight from the store."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from rich.progress import Progress
from rich.text import Text

from hub.cli.call import Call
from hub.cli.desk import Desk, work
from hub.cli.output import console, tell
from hub.errors import Conflict, RequestError
from hub.records.exports import SOURCES, Page, Wanted, What
from hub.records.exports.formats import Format, head, write
from hub.when import DURATION, UNITS


def run(
    call: Call,
    what: What,
    file: Path,
    *,
    format: Format,
    since: str | None,
    until: str | None,
    agent: str | None,
    key: int | None,
    overwrite: bool,
) -> None:
    """Write an export; raises Conflict for a file that is there, RequestError for a time that is none."""
    if file.exists() and not overwrite:
        raise Conflict(f"{file} is there already. Nothing was written: give another name, or --overwrite.")

    async def task(desk: Desk) -> int:
        begin, end = _time(since, "--since", desk.now), _time(until, "--until", desk.now)
        wanted = Wanted(what=what, format=format, agent=agent, key_id=key, since=begin, until=end)
        return await _write(call, desk, wanted, file)

    rows = work(call, task)
    shown = Text.assemble(f"{rows} row{'' if rows == 1 else 's'} of {what} written to ", (str(file), "bold"))
    tell({"file": str(file.absolute()), "what": what, "format": format, "rows": rows}, shown, json=call.json)


async def _write(call: Call, desk: Desk, wanted: Wanted, file: Path) -> int:
    """Whole or not at all: a draft beside the file takes its name at the end."""
    source, rows = SOURCES[wanted.what], 0
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    of = await desk.store.read(lambda connection: source.count(connection, wanted))
    out = console(stderr=True)
    try:
        with (
            _private(draft) as stream,
            Progress(console=out, transient=True, disable=call.json or not out.is_terminal) as bars,
        ):
            bar = bars.add_task(wanted.what, total=of)
            stream.write(head(source.columns, wanted.format))
            async for page in _pages(desk, wanted):
                stream.write(write(page.rows, source.columns, wanted.format))
                rows += len(page.rows)
                bars.advance(bar, page.done)
        draft.replace(file)
    except OSError as error:
        raise Conflict(f"Cannot write {file}: {error.strerror}.") from None
    finally:
        draft.unlink(missing_ok=True)
    return rows


async def _pages(desk: Desk, wanted: Wanted) -> AsyncGenerator[Page]:
    after: Any = None
    while True:
        page = await desk.store.read(partial(SOURCES[wanted.what].page, wanted, after))
        yield page
        if (after := page.after) is None:
            return


def _private(path: Path) -> BinaryIO:
    """A file that nobody else can read: conversations are in it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _time(text: str | None, option: str, now: float) -> float | None:
    """A time in Unix seconds: a date in UTC unless it says where, or how long ago."""
    if text is None:
        return None
    if (ago := re.fullmatch(DURATION, text)) and ago[2]:
        return now - float(ago[1]) * UNITS[ago[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        hint = "a date such as 2026-11-01 or 2026-11-01T12:00, or 30d for so long ago"
        raise RequestError(f"{option}: {hint}", param=option) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
