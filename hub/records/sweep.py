"""Removes stored files that nothing refers to any more: a job that the hub asks itself for every day.

It looks at everything that any row holds, and removes what it found nowhere. A file is stored before the row that
refers to it, so only files that were stored a day before can go. A reference may also move on while the rows are read,
from a message of the bus to what is made of it: messages are read last, and are kept for longer than that takes. A walk
that was cut off begins anew, and removes what it then finds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Table, or_

from hub.files import FileStore
from hub.records import traces
from hub.records.jobs.runner import Outcome, Run
from hub.store.tables import messages, metadata

EVERY = 24 * 3600.0
"""Seconds between two walks."""
ORPHANED_AFTER = 24 * 3600.0
"""A file that nothing refers to for so long belongs to nobody any more, in seconds."""
BATCH = 100
"""Files that are removed between two looks at whether somebody else took over."""
_REF = re.compile(rb"[0-9a-f]{64}")


class Sweep:
    """Does the job."""

    def __init__(self, files: FileStore) -> None:
        self._files = files

    async def __call__(self, run: Run) -> Outcome:
        """Remove what nothing refers to; tells how many files that were."""
        before = (run.job.started_at or 0.0) - ORPHANED_AFTER
        loose = {ref for ref, at in (await self._files.kept()).items() if at < before}
        loose = await _unseen(run, loose)
        removed, gone = 0, sorted(loose)
        for at in range(0, len(gone), BATCH):
            await run.save("files", at, len(gone))
            removed += sum([await self._files.remove(ref, before) for ref in gone[at : at + BATCH]])
        return Outcome(result={"files": removed})


async def _unseen(run: Run, refs: set[str]) -> set[str]:
    """Those of some files that no row refers to."""
    looked = 0
    for table in holding():
        after: Any = None
        while refs and (
            rows := await run.store.read(partial(traces.page, table=table, after=after, where=_filled(table)))
        ):
            after = rows[-1]
            refs = refs.difference(*map(refs_in, rows))
            looked += len(rows)
            await run.save("rows", looked)
    return refs


def holding() -> Sequence[Table]:
    """The tables that may refer to files: all with bodies, those of the bus at the end."""
    having = [table for table in metadata.sorted_tables if _bodies(table)]
    return sorted(having, key=lambda table: table is messages)


def refs_in(row: Any) -> set[str]:
    """The files that a row may refer to."""
    return {ref.decode() for body in row if isinstance(body, bytes) for ref in _REF.findall(body)}


def _filled(table: Table) -> ColumnElement[bool]:
    return or_(*(body.is_not(None) for body in _bodies(table)))


def _bodies(table: Table) -> Sequence[Any]:
    return [column for column in table.columns if isinstance(column.type, LargeBinary)]
