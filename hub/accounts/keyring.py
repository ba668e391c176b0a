"""What an admin, or a user with their own keys, does with keys: list, change, rotate, recharge, delete."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, or_, select, update

from hub.accounts import keys as issued
from hub.accounts.keys import BOOTSTRAP, KEYS, Key, hash_of, key_of, shown_of
from hub.accounts.money import month_of
from hub.errors import Conflict, Forbidden, NotFound, RequestError
from hub.message import Value
from hub.store import listing
from hub.store.listing import Page, Part
from hub.store.tables import groups, keys, payments

GRACE_SECONDS = 24 * 3600.0
"""How long the secret before a rotation is good unless told otherwise."""
CHANGEABLE = frozenset({"month_quota", "email"})
"""What neither config.yaml nor the first start says of a key that is theirs."""
NOT_OF_OWNED = frozenset({"month_quota", "group_id", "role"})
"""What a key that has an owner has from it."""
THEIRS = {
    "config": ("This key is declared in config.yaml; change it there.", "declared_in_config"),
    BOOTSTRAP: (
        "This is the admin key of the start, so there always is one; another BOTHUB_API_KEY takes its place.",
        "bootstrap_key",
    ),
}
"""Why a key of these sources stays as it is."""


class Account(Value, frozen=True, kw_only=True):
    """A key as lists and pages show it; amounts are integers of 1e-9, `spent` is that of the present month."""

    key: Key
    email: str | None
    month_quota: int | None
    balance: int
    spent: int
    held: int
    created_at: float
    last_used_at: float | None
    source: str


class Payment(Value, frozen=True, kw_only=True):
    """One recharge: who made it, and the balance afterwards."""

    id: int
    key_id: int
    key_name: str
    amount: int
    balance: int
    by: str
    at: float


class Wanted(Value, frozen=True, kw_only=True):
    """Which keys a list shows; `text` is looked for in names and e-mail addresses, in upper or lower case."""

    text: str | None = None
    name: str | None = None
    group_id: int | None = None
    role: str | None = None
    owner_id: int | None = None


def guard(by: Key | None, key: Key) -> None:
    """Raise Forbidden where one key would hand out, or take over, what another may and it may not itself.

    None is the command line, which may everything.
    """
    if by is None or by.role == "admin":
        return
    if key.role == "admin":
        raise Forbidden("Only an admin's key handles the keys of admins.", param="role", code="role_not_allowed")
    for scope in key.scopes:
        if not by.may(scope):
            raise Forbidden(f"This key lacks the scope '{scope}' itself.", param="scopes", code="scope_not_allowed")


def account(connection: Connection, id: int, now: float) -> Account:
    """A unit: one key; raises NotFound."""
    row = connection.execute(KEYS.where(keys.c.id == id, keys.c.deleted_at.is_(None))).first()
    if row is None:
        raise NotFound(f"There is no API key {id}.", code="key_not_found")
    return _account(row, now)


def listed(connection: Connection, wanted: Wanted, now: float, part: Part) -> Page[Account]:
    """A unit: keys in the order they were made."""
    return listing.listed(connection, KEYS.where(*_fitting(wanted)), [keys.c.id], part, lambda row: _account(row, now))


def hold(connection: Connection, id: int) -> None:
    """A unit: have other changes of a key wait until this one is done."""
    connection.execute(_LOCKED, {"key_": id})


def change(connection: Connection, id: int, values: dict[str, Any], now: float) -> Account:
    """A unit: write columns of a key; raises NotFound, Conflict, or RequestError for a group that there is not."""
    group = values.get("group_id")  # its row is held: one that is being deleted is either there to the end or gone
    if group is not None and not connection.execute(_GROUP, {"group_": group}).first():
        raise RequestError(f"group_id: there is no group {group}", param="group_id")
    before = account(connection, id, now)
    if not CHANGEABLE.issuperset(values):
        _ours(before.source)
    if before.key.owner_id is not None and (wrong := sorted(NOT_OF_OWNED.intersection(values))):
        raise RequestError(f"{wrong[0]}: this key has that from its owner, {before.key.owner_id}", param=wrong[0])
    if values:
        connection.execute(update(keys).where(keys.c.id == id).values(values))
    return account(connection, id, now)


def rotate(connection: Connection, id: int, secret: str, now: float, grace: float = GRACE_SECONDS) -> Account:
    """A unit: give a key a new secret; the one before is good for `grace` seconds more. Its id, the person, stays."""
    held = connection.execute(_LOCKED, {"key_": id}).first()
    _ours(account(connection, id, now).source)
    old = {"old_hash": held and held.hash, "old_until": now + grace} if grace > 0 else dict.fromkeys(_OLD)
    connection.execute(update(keys).where(keys.c.id == id).values(hash=hash_of(secret), prefix=shown_of(secret), **old))
    return account(connection, id, now)


def recharge(connection: Connection, id: int, amount: int, by: str, now: float, request: str | None = None) -> Account:
    """A unit: add to a key's balance, once per `request`, and write down who did; `amount` is above 0."""
    known = account(connection, id, now)
    if known.key.owner_id is not None:
        raise RequestError(f"This key spends the money of its owner, {known.key.owner_id}.", param="id")
    connection.execute(_LOCKED, {"key_": id})
    if request is not None and connection.execute(_PAID, {"request_": request}).first():
        return account(connection, id, now)
    balance = connection.execute(_RECHARGE, {"key_": id, "amount_": amount}).scalar_one()
    row = {"key_id": id, "key_name": known.key.name, "amount": amount, "balance": balance, "by": by, "at": now}
    connection.execute(insert(payments).values({**row, "request": request}))
    return account(connection, id, now)


def paid(connection: Connection, key_id: int | None, part: Part) -> Page[Payment]:
    """A unit: recharges, newest first."""
    fitting = [] if key_id is None else [payments.c.key_id == key_id]
    rows = select(payments).where(*fitting)
    return listing.listed(connection, rows, [payments.c.id], part, _payment, newest=True)


def delete(connection: Connection, id: int, now: float) -> None:
    """A unit: end a key and those made with it, for good; what they asked stays in the records."""
    _ours(account(connection, id, now).source)
    ended = {"hash": None, "old_hash": None, "old_until": None, "active": False, "deleted_at": now}
    connection.execute(update(keys).where(or_(keys.c.id == id, keys.c.owner_id == id)).values(ended))


def find_id(connection: Connection, secret: str, now: float) -> int:
    """A unit: the id of the key with this secret; raises NotFound."""
    found = issued.find(connection, secret, now)
    if found is None:
        raise NotFound("There is no such API key.", code="key_not_found")
    return found.id


def used(connection: Connection, at: dict[int, float]) -> None:
    """A unit: note when keys were used last, by their ids."""
    for id in sorted(at):  # noqa: A001 - in this order two processes do not wait for each other in a circle
        connection.execute(_USED, {"key_": id, "at_": at[id]})


def _ours(source: str) -> None:
    """Raise Conflict for a key that would come back at the next start."""
    if source in THEIRS:
        message, code = THEIRS[source]
        raise Conflict(message, code=code)


def _fitting(wanted: Wanted) -> list[ColumnElement[bool]]:
    fitting: list[ColumnElement[bool]] = [keys.c.deleted_at.is_(None)]
    if wanted.text:
        text = wanted.text.lower()
        fitting.append(
            or_(
                func.lower(keys.c.name).contains(text, autoescape=True),
                func.lower(keys.c.email).contains(text, autoescape=True),
            )
        )
    exact = {name: getattr(wanted, name) for name in ("name", "group_id", "role", "owner_id")}
    return fitting + [keys.c[name] == value for name, value in exact.items() if value is not None]


def _account(row: Any, now: float) -> Account:
    return Account(
        key=key_of(row),
        email=row.email,
        month_quota=row.month_quota,
        balance=row.balance,
        spent=row.spent if row.month == month_of(now) else 0,
        held=row.held,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        source=row.source,
    )


def _payment(row: Any) -> Payment:
    return Payment(**{name: getattr(row, name) for name in Payment.__struct_fields__})


_GROUP = select(groups.c.id).where(groups.c.id == bindparam("group_")).with_for_update(read=True)
_OLD = ("old_hash", "old_until")
_LOCKED = select(keys.c.hash).where(keys.c.id == bindparam("key_")).with_for_update()
_PAID = select(payments.c.id).where(payments.c.request == bindparam("request_"))
_RECHARGE = (
    update(keys)
    .where(keys.c.id == bindparam("key_"))
    .values(balance=keys.c.balance + bindparam("amount_"))
    .returning(keys.c.balance)
)
_USED = (
    update(keys)
    .where(keys.c.id == bindparam("key_"), func.coalesce(keys.c.last_used_at, 0) < bindparam("at_"))
    .values(last_used_at=bindparam("at_"))
)
