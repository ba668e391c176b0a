"""Models, agents and channels that are saved while the hub runs, and the ids of those that config.yaml declares.

Every change moves the `version` on, so that other processes notice. A change says from which version it goes: of two
that were made at once only one is written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.accounts import grants
from hub.accounts.audit import Act, By
from hub.accounts.grants import Holder
from hub.errors import HubError
from hub.message import Value
from hub.store.tables import definitions, settings

Kind = Literal["model", "agent", "channel"]
TOPIC = "definitions"
"""The signal that something was saved, and the setting that holds the version."""
MASK = "**********"
"""What stands for a secret in lists; sent back it changes nothing."""


class Stale(HubError):
    """Something else was saved meanwhile."""


class Definition(Value, frozen=True, kw_only=True):
    """A row; `settings` as config.yaml has them but without secrets, None where config.yaml declares it."""

    id: int
    kind: Kind
    name: str
    settings: dict[str, Any] | None
    secrets: bytes | None
    key_id: int | None
    """Who owns an agent; who pays for what a channel asks."""
    created_at: float
    updated_at: float


class Draft(Value, frozen=True, kw_only=True):
    """What is to be written: without `id` a new row, without `settings` nothing any more."""

    kind: Kind
    name: str
    settings: dict[str, Any] | None
    secrets: bytes | None = None
    key_id: int | None = None
    id: int | None = None
    before: dict[str, Any] | None = None
    """Its name and settings until now, for the audit."""
    anew: tuple[str, ...] = ()
    """The names of secrets that were given."""
    group_id: int | None = None
    """The group that is granted it."""


class Shown(Value, frozen=True, kw_only=True):
    """A definition as it may be shown: secrets are masked, `error` says why it is not in use."""

    id: int
    kind: Kind
    name: str
    source: Literal["config", "admin"]
    settings: dict[str, Any]
    key_id: int | None = None
    error: str | None = None
    created_at: float
    updated_at: float


class Change(Value, frozen=True, kw_only=True):
    """What to save: with `id` these settings of what is there, where None is the default; no settings delete it."""

    kind: Kind
    id: int | None = None
    name: str | None = None
    settings: dict[str, Any] | None
    key_id: int | msgspec.UnsetType | None = msgspec.UNSET
    group_id: int | None = None
    """The group that is granted it with this, beside those that are."""
    since: float | None = None
    """Only if it was saved last then."""


def version(connection: Connection) -> int:
    """A unit: a number that is another one after each change."""
    return int(connection.execute(_VERSION).scalar() or 0)


def read(connection: Connection) -> tuple[int, list[Definition], list[str]]:
    """A unit: the version, all that are there by their ids, and the names of channels that were deleted."""
    at = version(connection)  # first: what is saved after this is read again
    rows = [
        Definition(
            id=row.id,
            kind=row.kind,
            name=row.name,
            settings=None if row.settings is None else msgspec.json.decode(row.settings),
            secrets=row.secrets,
            key_id=row.key_id,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in connection.execute(_ALL)
    ]
    return at, rows, [*connection.execute(_GONE).scalars()]


def ids(connection: Connection, kind: Kind) -> dict[str, int]:
    """A unit: the id of each of a kind, by its name."""
    there = definitions.c.kind == kind, definitions.c.deleted_at.is_(None)
    rows = connection.execute(select(definitions.c.name, definitions.c.id).where(*there))
    return {row.name: row.id for row in rows}


def write(connection: Connection, drafts: Sequence[Draft], at: int, now: float, by: By) -> list[int]:
    """A unit: write what was planned on version `at`, and who did, and return the ids.

    Raises Stale, and RequestError for a group that there is not.
    """
    _advance(connection, at)
    return [_write(connection, draft, now, by) for draft in drafts]


def _write(connection: Connection, draft: Draft, now: float, by: By) -> int:
    if draft.settings is not None:
        found = _put(connection, draft, draft.settings, now)
    else:
        found = _forget(connection, draft, now)
    what = "delete" if draft.settings is None else "create" if draft.before is None else "update"
    act = Act(connection=connection, what=f"{draft.kind}.{what}", now=now, by=by)
    given = {"secrets": list(draft.anew)} if draft.anew else {}
    after = None if draft.settings is None else {"name": draft.name, **draft.settings, **given}
    act.note(f"{draft.kind}:{found}", draft.before, after)
    if draft.group_id is not None:
        group = Holder(side="group", id=draft.group_id)
        grants.bind(connection, group, found, True, now)
        replace(act, what="grant").note(f"group:{group.id}", after={draft.kind: draft.name, "granted": True})
    return found


def _put(connection: Connection, draft: Draft, given: dict[str, Any], now: float) -> int:
    values = {
        "kind": draft.kind,
        "name": draft.name,
        "settings": msgspec.json.encode(given),
        "secrets": draft.secrets,
        "key_id": draft.key_id,
        "updated_at": now,
    }
    if draft.id is not None:
        connection.execute(update(definitions).where(definitions.c.id == draft.id).values(values))
        return draft.id
    made = insert(definitions).values(created_at=now, **values).returning(definitions.c.id)
    return connection.execute(made).scalar_one()


def _forget(connection: Connection, draft: Draft, now: float) -> int:
    """Its secrets are gone for good."""
    assert draft.id is not None, "what is deleted was there"
    connection.execute(_DELETE, {"id_": draft.id, "now": now})
    return draft.id


def number(connection: Connection, declared: Collection[tuple[Kind, str]], now: float) -> None:
    """A unit: give an id to what config.yaml declares, where it has none."""
    for kind, name in declared:
        row = {"kind": kind, "name": name, "created_at": now, "updated_at": now}
        connection.execute(_number(connection.dialect.name), row)


def _advance(connection: Connection, at: int) -> None:
    moved = connection.execute(
        _move(connection.dialect.name), {"name": TOPIC, "value": str(at + 1), "before": str(at)}
    ).first()
    if moved is None:
        raise Stale("Something else was saved meanwhile; try again.")


_VERSION = select(settings.c.value).where(settings.c.name == TOPIC)
_ALL = select(definitions).where(definitions.c.deleted_at.is_(None)).order_by(definitions.c.id)
_GONE = (
    select(definitions.c.name)
    .where(definitions.c.deleted_at.is_not(None), definitions.c.kind == "channel")
    .distinct()
    .order_by(definitions.c.name)
)
_DELETE = (
    update(definitions)
    .where(definitions.c.id == bindparam("id_"))
    .values(settings=None, secrets=None, key_id=None, deleted_at=bindparam("now"))
)


def _insert(dialect: str) -> Any:
    return postgresql.insert if dialect == "postgresql" else sqlite.insert


@cache
def _number(dialect: str) -> Any:
    there = definitions.c.deleted_at.is_(None)
    return _insert(dialect)(definitions).on_conflict_do_nothing(index_elements=["kind", "name"], index_where=there)


@cache
def _move(dialect: str) -> Any:
    """Make the version the next one, if it is still the one before; its row lock has changes wait for each other."""
    made = _insert(dialect)(settings).values(name=bindparam("name"), value=bindparam("value"))
    return made.on_conflict_do_update(
        index_elements=["name"], set_={"value": made.excluded.value}, where=settings.c.value == bindparam("before")
    ).returning(settings.c.value)
