"""Who changed what, and when: rows that are only ever added, and hold no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


class Record(Value, frozen=True, kw_only=True):
    """One change: `before` and `after` are the fields that differ; times are Unix seconds.

    `by` is the name of a key, or COMMAND_LINE without one.
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
    """Who makes a change: a request's key, or without one the command line."""

    key: Key | None = None
    ip: str | None = None

    @property
    def name(self) -> str:
        """What the audit calls them."""
        return COMMAND_LINE if self.key is None else self.key.name


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
        row = {"at": self.now, "key_id": by.key and by.key.id, "by": by.name, "ip": by.ip, "what": self.what}
        told = {"before": _json(old, differ), "after": _json(new, differ)}
        self.connection.execute(insert(audit).values(**row, target=target, **told))


def listed(
    connection: Connection,
    part: Part,
    *,
    what: str | None = None,
    target: str | None = None,
    key_id: int | None = None,
) -> Page[Record]:
    """A unit: changes, newest first."""
    exact = {"what": what, "target": target, "key_id": key_id}
    fitting = [audit.c[name] == value for name, value in exact.items() if value is not None]
    return listing.listed(connection, select(audit).where(*fitting), [audit.c.id], part, _record, newest=True)


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
