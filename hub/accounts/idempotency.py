"""What was answered to requests that carry an `Idempotency-Key`."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, null, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.errors import Conflict
from hub.message import Value
from hub.store.tables import idempotency

KEPT_SECONDS = 24 * 3600.0
"""How long an answer is remembered."""


class Claim(Value, frozen=True, kw_only=True):
    """A request under its key: the first of them (`at`), and its answer once there is one.

    `first`: it is the first of them itself. `head` is the answer's headers, as JSON.
    """

    key_id: int
    key: str
    at: float
    status: int | None = None
    body: bytes | None = None
    head: str | None = None
    first: bool = False

    @property
    def id(self) -> str:
        """32 hex digits, the same for every repetition of this request and for nothing else."""
        return hashlib.sha256(f"{self.key_id} {self.at!r} {self.key}".encode()).hexdigest()[:32]


def begin(connection: Connection, key_id: int, key: str, fingerprint: str, now: float) -> Claim:
    """A unit: claim the key for this request, or find what was claimed; raises Conflict for another request's key.

    A claim without an answer is running somewhere, or was cut off: whoever repeats it does it again under its `id`.
    """
    row = {"key_id": key_id, "key": key, "fingerprint": fingerprint, "at": now}
    begun = connection.execute(_begin(connection.dialect.name), {**row, "expired": now - KEPT_SECONDS})
    found = connection.execute(_FIND, {"key_id_": key_id, "key_": key}).one()
    if found.fingerprint != fingerprint:
        raise Conflict("This Idempotency-Key was used for another request.", code="idempotency_key_reused")
    return _claim(found, first=begun.rowcount > 0)


def finish(connection: Connection, claim: Claim, status: int, body: bytes, head: str | None = None) -> Claim:
    """A unit: remember the answer, unless another repetition was first; returns the claim with the one that counts."""
    row = {"key_id_": claim.key_id, "key_": claim.key, "at_": claim.at}
    connection.execute(_FINISH, {**row, "to": status, "with": body, "head_": head})
    found = connection.execute(_FIND, {"key_id_": claim.key_id, "key_": claim.key}).first()
    answered = found is not None and found.at == claim.at and found.status is not None
    return _claim(found) if answered else Claim(**_names(claim), status=status, body=body, head=head)


def forget(connection: Connection, claim: Claim) -> None:
    """A unit: free the key of a request that was wrong and did nothing."""
    connection.execute(_FORGET, {"key_id_": claim.key_id, "key_": claim.key, "at_": claim.at})


def sweep(connection: Connection, now: float, limit: int = 1000) -> int:
    """A unit: forget up to `limit` answers that are remembered long enough; returns how many."""
    old = select(idempotency.c.key_id, idempotency.c.key).where(idempotency.c.at < now - KEPT_SECONDS)
    old = old.order_by(idempotency.c.at).limit(limit)
    rows = connection.execute(old).all()
    for row in rows:
        connection.execute(_SWEEP, {"key_id_": row.key_id, "key_": row.key, "expired": now - KEPT_SECONDS})
    return len(rows)


_MINE = (idempotency.c.key_id == bindparam("key_id_"), idempotency.c.key == bindparam("key_"))
_OPEN = (*_MINE, idempotency.c.at == bindparam("at_"), idempotency.c.status.is_(None))
_FIND = select(idempotency).where(*_MINE)
_FINISH = (
    update(idempotency).where(*_OPEN).values(status=bindparam("to"), body=bindparam("with"), head=bindparam("head_"))
)
_FORGET = delete(idempotency).where(*_OPEN)
_SWEEP = delete(idempotency).where(*_MINE, idempotency.c.at < bindparam("expired"))


@cache
def _begin(dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = insert(idempotency).values({name: bindparam(name) for name in ("key_id", "key", "fingerprint", "at")})
    again = {"fingerprint": into.excluded.fingerprint, "at": into.excluded.at, "status": null(), "body": null()}
    again["head"] = null()
    expired = idempotency.c.at < bindparam("expired")
    return into.on_conflict_do_update(index_elements=["key_id", "key"], set_=again, where=expired)


def _claim(row: Any, *, first: bool = False) -> Claim:
    names = {"key_id": row.key_id, "key": row.key, "at": row.at}
    return Claim(**names, status=row.status, body=row.body, head=row.head, first=first)


def _names(claim: Claim) -> dict[str, Any]:
    return {"key_id": claim.key_id, "key": claim.key, "at": claim.at}
