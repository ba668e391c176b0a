"""Who changed what, and when: rows that are only ever added, and hold no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from hub.accounts.keys import Key
from hub.message import Value
from hub.store import listing
from hub.store.listing import Page, Part
from hub.store.tables import audit

Fields = Mapping[str, Any]


COMMAND_LINE = "command line"
START = "start of the hub"


class Record(Value, frozen=True, kw_only=True):
    """One change: `before` and `after` are the fields that differ; times are Unix seconds.

    `by` is who made it: the name of a key, `agent:NAME`, a person (`channel:sender`), COMMAND_LINE or START. The key
    with `key_id` is that key, or the one that had asked the agent.
    """

    id: int
    at: float
    key_id: int | None
    by: str
    ip: str | None
    what: str
    target: str
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class By:
    """Who makes a change: a request's key, or without one who is `called` so."""

    key: Key | None = None
    ip: str | None = None
    called: str = COMMAND_LINE
    asked: int | None = None
    """The key that had asked them to."""

    @property
    def name(self) -> str:
        """What the audit calls them."""
        return self.called if self.key is None else self.key.name

    @property
    def key_id(self) -> int | None:
        """The key that it is on behalf of."""
        return self.asked if self.key is None else self.key.id


@dataclass(frozen=True, kw_only=True)
class Act:
    """A change under way, in the transaction of its `connection`."""

    connection: Connection
    what: str
    now: float
    by: By = By()

    def note(self, target: str, before: Fields | None = None, after: Fields | None = None) -> None:
        """A unit: write it down, such as `key:7`; of the fields those that differ, and never a secret."""
        old, new = before or {}, after or {}
        differ = {name for name in {*old, *new} if name not in old or name not in new or old[name] != new[name]}
        by = self.by
        row = {"at": self.now, "key_id": by.key_id, "by": by.name, "ip": by.ip, "what": self.what}
        told = {"before": _json(old, differ), "after": _json(new, differ)}
        self.connection.execute(insert(audit).values(**row, target=target, **told))


def listed(
    connection: Connection,
    part: Part,
    *,
    what: str | None = None,
    target: str | None = None,
    key_id: int | None = None,
    since: float | None = None,
    until: float | None = None,
) -> Page[Record]:
    """A unit: changes from `since` to before `until`, newest first; the key of a part is the id of a change."""
    exact = {"what": what, "target": target, "key_id": key_id}
    fitting = [audit.c[name] == value for name, value in exact.items() if value is not None]
    fitting += [] if since is None else [audit.c.at >= since]
    fitting += [] if until is None else [audit.c.at < until]
    if part.after:
        at = connection.execute(select(audit.c.at).where(audit.c.id == part.after[0])).scalar()
        part = replace(part, after=(0.0 if at is None else at, *part.after))
    # By time: processes whose clocks differ write in another order.
    key = [audit.c.at, audit.c.id]
    page = listing.listed(connection, select(audit).where(*fitting), key, part, _record, newest=True)
    return replace(page, next=page.next and page.next[1:])


def _record(row: Any) -> Record:
    return Record(
        id=row.id,
        at=row.at,
        key_id=row.key_id,
        by=row.by,
        ip=row.ip,
        what=row.what,
        target=row.target,
        before=msgspec.json.decode(row.before),
        after=msgspec.json.decode(row.after),
    )


def _json(fields: Fields, names: set[str]) -> bytes:
    return msgspec.json.encode({name: value for name, value in fields.items() if name in names}, order="sorted")
