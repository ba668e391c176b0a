"""/admin/payment: who was given money, when, and by whom."""

from __future__ import annotations

from typing import TypedDict

from quart import Blueprint, Response

from api.auth import require
from api.document import document
from api.envelope import Id, Listed, Paging, listing
from api.wire import query
from hub.accounts import keyring, money
from hub.accounts.keyring import Payment

routes = Blueprint("admin-payments", __name__)


class PaymentQuery(Paging, kw_only=True):
    """Whose recharges to list."""

    key_id: Id | None = None


class PaymentShown(TypedDict):
    """A recharge; `balance` is what the key had afterwards."""

    id: int
    key_id: int
    key_name: str
    fee: str
    balance: str
    by: str
    created_at: int


@routes.get("/admin/payment/list")
@require("admin")
@document({200: Listed[PaymentShown]}, query=PaymentQuery)
async def index() -> Response:
    """Recharges, newest first; those of keys that are gone stay."""
    asked = query(PaymentQuery)
    return await listing(asked, lambda connection, part: keyring.paid(connection, asked.key_id, part), shown)


def shown(payment: Payment) -> PaymentShown:
    """A recharge as admins see it."""
    return {
        "id": payment.id,
        "key_id": payment.key_id,
        "key_name": payment.key_name,
        "fee": money.shown(payment.amount),
        "balance": money.shown(payment.balance),
        "by": payment.by,
        "created_at": int(payment.at),
    }
