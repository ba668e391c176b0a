"""/admin/audit: who changed what, and when."""

from __future__ import annotations

from typing import Any, TypedDict

from quart import Blueprint, Response

from api.auth import require
from api.document import document
from api.envelope import Id, Listed, Paging, Text, Time, listing
from api.wire import query
from hub.accounts import audit
from hub.accounts.audit import Record
from hub.store import Connection
from hub.store.listing import Page, Part

routes = Blueprint("admin-audit", __name__)


class AuditQuery(Paging, kw_only=True):
    """Which changes to list: of a kind such as `key.update`, of a thing such as `key:7`, made by a key, in a time.

    Times are Unix seconds; what was done at `until` is not in it.
    """

    what: Text | None = None
    target: Text | None = None
    key_id: Id | None = None
    since: Time | None = None
    until: Time | None = None


class Change(TypedDict):
    """A change: the fields that differ `before` and `after`.

    It was made `by` a key, or `agent:NAME`, which `key_id` may have asked, a person in a chat, the command line or the
    start of the hub.
    """

    id: int
    at: int
    key_id: int | None
    by: str
    ip: str | None
    what: str
    target: str
    before: dict[str, Any]
    after: dict[str, Any]


@routes.get("/admin/audit/list")
@require("admin")
@document({200: Listed[Change]}, query=AuditQuery)
async def index() -> Response:
    """Changes, newest first; none is ever altered or removed."""
    asked = query(AuditQuery)

    def unit(connection: Connection, part: Part) -> Page[Record]:
        return audit.listed(
            connection,
            part,
            what=asked.what,
            target=asked.target,
            key_id=asked.key_id,
            since=asked.since,
            until=asked.until,
        )

    return await listing(asked, unit, shown)


def shown(record: Record) -> Change:
    """A change as admins see it."""
    return {
        "id": record.id,
        "at": int(record.at),
        "key_id": record.key_id,
        "by": record.by,
        "ip": record.ip,
        "what": record.what,
        "target": record.target,
        "before": record.before,
        "after": record.after,
    }
