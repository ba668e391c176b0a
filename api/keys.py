"""Keys as the routes of admins and users take and show them."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.envelope import Amount, Id, Text, Word
from hub.accounts import keyring, keys, money
from hub.accounts.audit import Act
from hub.accounts.keyring import Account
from hub.accounts.keys import Role
from hub.errors import RequestError

MASK = "***"
"""Stands for what is not shown of a secret."""
Scope = Annotated[str, Meta(pattern=rf"\A{keys.SCOPE}\Z")]
Scopes = Annotated[list[Scope], Meta(max_length=50)]
Words = Annotated[list[Word], Meta(max_length=200)]
Name = Annotated[Text, Meta(min_length=1)]
Time = Annotated[int, Meta(ge=0, le=10**11)]
Grace = Annotated[int, Meta(ge=0, le=30 * 86_400)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
LISTS = ("scopes", "agents", "models")


class Named(msgspec.Struct):
    """What is called by a name of its own."""

    name: Name


class Rights(msgspec.Struct, kw_only=True):
    """What a key may: null is every agent, every model, and for ever."""

    scopes: Scopes | UnsetType = UNSET
    agents: Words | UnsetType | None = UNSET
    models: Words | UnsetType | None = UNSET
    expires_at: Time | UnsetType | None = UNSET


class KeyFields(Rights, kw_only=True):
    """What can be said of a key beside its name; null is no group, no quota that ends, no limit."""

    group_id: Annotated[int, Meta(ge=0, le=2**31 - 1)] | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    email: Text | UnsetType | None = UNSET
    month_quota: Amount | UnsetType | None = UNSET
    requests_minute: Count | UnsetType | None = UNSET
    requests_day: Count | UnsetType | None = UNSET
    tokens_minute: Count | UnsetType | None = UNSET
    tokens_day: Count | UnsetType | None = UNSET


class WhichKey(msgspec.Struct, kw_only=True):
    """A key, by its id or itself."""

    id: Id | None = None
    api_key: Text | None = None


class ApiKey(TypedDict):
    """A key; `api_key` is whole in the answer that makes it, and masked in all others.

    Amounts are in the currency's unit, `month_fee` is what this month took of the quota; times are Unix seconds.
    """

    id: int
    name: str
    email: str
    api_key: str
    role: Role
    group_id: int | None
    owner_id: int | None
    month_quota: str | None
    month_fee: str
    balance: str
    scopes: list[str]
    agents: list[str] | None
    models: list[str] | None
    requests_minute: int | None
    requests_day: int | None
    tokens_minute: int | None
    tokens_day: int | None
    active: bool
    expires_at: int | None
    created_at: int
    last_used_at: int | None
    source: str


UNTOLD = ("api_key", "month_fee", "last_used_at")
"""What the audit does not say of a key: it is secret, or nobody's change."""


def columns(said: msgspec.Struct) -> dict[str, Any]:
    """The columns of a key that a body gives; raises RequestError for an amount."""
    found = {name: value for name, value in msgspec.structs.asdict(said).items() if value is not UNSET}
    for name in LISTS:
        if found.get(name) is not None:
            found[name] = " ".join(dict.fromkeys(found[name]))
    if found.get("month_quota") is not None:
        found["month_quota"] = money.amount(found["month_quota"], "month_quota")
    if found.get("group_id") == 0:
        found["group_id"] = None
    return found


def which(said: WhichKey) -> int | str:
    """The id, or else the secret, of the key that is meant; raises RequestError where there is neither."""
    found = said.id or said.api_key
    if not found:
        raise RequestError("Say which key: id or api_key.", param="id", code="missing_parameter")
    return found


def shown(account: Account, secret: str | None = None) -> ApiKey:
    """What its admin, or whoever it is, sees of a key."""
    key = account.key
    masked = key.prefix + MASK if key.prefix else ""
    return {
        "id": key.id,
        "name": key.name,
        "email": account.email or "",
        "api_key": secret or masked,
        "role": key.role,
        "group_id": key.group_id,
        "owner_id": key.owner_id,
        "month_quota": None if account.month_quota is None else money.shown(account.month_quota),
        "month_fee": money.shown(account.spent),
        "balance": money.shown(account.balance),
        "scopes": list(key.scopes),
        "agents": None if key.agents is None else list(key.agents),
        "models": None if key.models is None else list(key.models),
        "requests_minute": key.limits.requests_minute,
        "requests_day": key.limits.requests_day,
        "tokens_minute": key.limits.tokens_minute,
        "tokens_day": key.limits.tokens_day,
        "active": key.active,
        "expires_at": None if key.expires_at is None else int(key.expires_at),
        "created_at": int(account.created_at),
        "last_used_at": None if account.last_used_at is None else int(account.last_used_at),
        "source": account.source,
    }


def make(act: Act, name: str, values: dict[str, Any], owner_id: int | None = None) -> tuple[Account, str]:
    """A unit: make a key with these columns, and return its secret too.

    Raises RequestError, and Forbidden where who acts would give more than they have.
    """
    secret = keys.new_secret(keys.PREFIXES[owner_id is not None])
    made = keys.create(act.connection, secret, name=name, now=act.now, owner_id=owner_id)
    account = keyring.change(act.connection, made.id, values, act.now)
    wanted = tuple(values["scopes"].split()) if "scopes" in values else made.scopes
    keyring.guard(act.by.key, msgspec.structs.replace(account.key, scopes=wanted))
    act.note(f"key:{made.id}", after=told(account))
    return account, secret


def found(act: Act, wanted: int | str) -> Account:
    """A unit: the key that is meant, by its id or secret; raises NotFound, Forbidden where only an admin's key may."""
    if isinstance(wanted, str):
        wanted = keyring.find_id(act.connection, wanted, act.now)
    account = keyring.account(act.connection, wanted, act.now)
    keyring.guard(act.by.key, account.key)
    return account


def update(act: Act, id: int, values: dict[str, Any]) -> Account:
    """A unit: change columns of a key; raises what `found` and `keyring.change` raise."""
    before = found(act, id)
    account = keyring.change(act.connection, id, values, act.now)
    keyring.guard(act.by.key, account.key)
    act.note(f"key:{id}", told(before), told(account))
    return account


def recharge(act: Act, wanted: int | str, amount: int, request: str) -> Account:
    """A unit: add to a key's balance, once per `request`; raises RequestError for nothing, and what `found` raises."""
    if amount == 0:
        raise RequestError("balance: more than 0", param="balance", code="invalid_value")
    before = found(act, wanted)
    account = keyring.recharge(act.connection, before.key.id, amount, act.by.name, act.now, request)
    act.note(f"key:{before.key.id}", told(before), told(account))
    return account


def rotate(act: Act, account: Account, grace: float) -> tuple[Account, str]:
    """A unit: give a key another secret, and return that too; raises Conflict."""
    key, secret = account.key, keys.new_secret(keys.prefix_of(account.key))
    rotated = keyring.rotate(act.connection, key.id, secret, act.now, grace)
    act.note(f"key:{key.id}", after={"grace": grace})
    return rotated, secret


def end(act: Act, account: Account) -> None:
    """A unit: end a key for good, and those made with it; raises Conflict."""
    keyring.delete(act.connection, account.key.id, act.now)
    act.note(f"key:{account.key.id}", before=told(account))


def told(account: Account) -> dict[str, Any]:
    """What the audit says of a key."""
    return {name: value for name, value in shown(account).items() if name not in UNTOLD}
