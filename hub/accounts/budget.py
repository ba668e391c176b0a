"""Keys' money: a call reserves the most it may cost, and settles what it did cost.

A key has a quota that begins anew each UTC month, and a balance that is spent once the quota is; quota None is
unlimited. What is reserved can be spent by nobody else, so the fees never exceed quota and balance, whatever runs at
once and in however many processes. A reservation is kept alive by its holder; what a crash leaves behind expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, insert, literal, or_, select, update

from hub.accounts.money import month_of
from hub.message import Value
from hub.store.tables import keys, reservations

HELD_SECONDS = 60.0
"""How long a reservation lives unless its holder says that it still runs."""


class Charge(Value, frozen=True, kw_only=True):
    """What a call was charged, and what it cost beyond that."""

    fee: int = 0
    uncollected: int = 0
    reserved: int = 0


def reserve(connection: Connection, id: str, key_id: int, amount: int, holder: str, now: float) -> bool:
    """A unit: set money aside for a call, anew if its id has some already; False when there is not enough."""
    release(connection, id)
    values = {"key_": key_id, "amount_": amount, "month_": month_of(now)}
    if connection.execute(_RESERVE, values).rowcount == 0:
        return False
    row = {"id": id, "key_id": key_id, "amount": amount, "holder": holder, "expires_at": now + HELD_SECONDS}
    connection.execute(insert(reservations).values(row))
    return True


def release(connection: Connection, id: str, holder: str | None = None) -> None:
    """A unit: give back what was set aside for a call that is not made; nothing if it has none, or not of `holder`."""
    held = connection.execute(_TAKE, {"id_": id, "holder_": holder}).first()
    if held is not None:
        connection.execute(_GIVE_BACK, {"key_": held.key_id, "amount_": held.amount})


def settle(connection: Connection, id: str, key_id: int, cost: int, now: float) -> Charge:
    """A unit: charge what a call cost, and give back the rest; belongs into the one that writes its turn.

    No more is charged than was reserved; without a reservation (it expired, or none was needed) what is there.
    """
    held = connection.execute(_TAKE, {"id_": id, "holder_": None}).first()
    reserved = 0 if held is None else held.amount
    row = connection.execute(_LOCK, {"key_": key_id}).first()
    if row is None:
        return Charge(uncollected=cost)
    month = month_of(now)
    spent = row.spent if row.month == month else 0
    left = cost if row.month_quota is None else max(row.month_quota - spent, 0)
    free = left + row.balance - (0 if row.month_quota is None else row.held - reserved)
    fee = max(0, min(cost, free, cost if held is None or row.month_quota is None else reserved))
    quota = min(fee, left)
    values = {"month_": month, "spent_": spent + quota, "balance_": row.balance - (fee - quota)}
    connection.execute(_SETTLE, {"key_": key_id, "amount_": reserved, **values})
    return Charge(fee=fee, uncollected=cost - fee, reserved=reserved)


def keep(connection: Connection, holder: str, ids: Sequence[str], now: float) -> None:
    """A unit: say that these calls of a holder still run; what it lost sight of is swept."""
    connection.execute(_KEEP, {"holder_": holder, "ids": ids, "until": now + HELD_SECONDS})


def sweep(connection: Connection, now: float) -> bool:
    """A unit: give back what one call reserved that was cut off; False when there is none.

    One at a time: a unit that holds a key's row waits for nothing else.
    """
    expired = connection.execute(_EXPIRED, {"now": now}).scalar()
    if expired is None:
        return False
    release(connection, expired)
    return True


def is_any_expired(connection: Connection, now: float) -> bool:
    """A unit: whether there is anything to sweep."""
    return connection.execute(_EXPIRED, {"now": now}).first() is not None


def available(connection: Connection, key_id: int, now: float) -> int | None:
    """A unit: what a key may still spend; None is unlimited."""
    row = connection.execute(select(keys).where(keys.c.id == key_id)).first()
    if row is None or not row.active:
        return 0
    if row.month_quota is None:
        return None
    spent = row.spent if row.month == month_of(now) else 0
    return max(row.month_quota - spent, 0) + row.balance - row.held


def _left() -> ColumnElement[Any]:
    """What is left of the month's quota."""
    left = keys.c.month_quota - case((keys.c.month == bindparam("month_"), keys.c.spent), else_=0)
    return case((left > 0, left), else_=literal(0))


def _of_holder() -> ColumnElement[bool]:
    holder = bindparam("holder_", type_=reservations.c.holder.type)
    return or_(holder.is_(None), reservations.c.holder == holder)


_RESERVE = (
    update(keys)
    .where(
        keys.c.id == bindparam("key_"),
        keys.c.active,
        or_(keys.c.month_quota.is_(None), _left() + keys.c.balance - keys.c.held >= bindparam("amount_")),
    )
    .values(held=keys.c.held + bindparam("amount_"))
)
_TAKE = (
    delete(reservations)
    .where(reservations.c.id == bindparam("id_"), _of_holder())
    .returning(reservations.c.key_id, reservations.c.amount)
)
_GIVE_BACK = update(keys).where(keys.c.id == bindparam("key_")).values(held=keys.c.held - bindparam("amount_"))
_LOCK = select(keys).where(keys.c.id == bindparam("key_")).with_for_update(of=keys)
_SETTLE = (
    update(keys)
    .where(keys.c.id == bindparam("key_"))
    .values(
        held=keys.c.held - bindparam("amount_"),
        month=bindparam("month_"),
        spent=bindparam("spent_"),
        balance=bindparam("balance_"),
    )
)
_EXPIRED = select(reservations.c.id).where(reservations.c.expires_at <= bindparam("now")).limit(1)
_KEEP = (
    update(reservations)
    .where(reservations.c.holder == bindparam("holder_"), reservations.c.id.in_(bindparam("ids", expanding=True)))
    .values(expires_at=bindparam("until"))
)
