"""API keys: who may ask what.

`keys.scopes` holds words separated by spaces: `chat`, `read`, `admin`, `deliver`, or `deliver=PATTERN` for posts to
some addresses only, as often as needed: `chat read deliver=support:* deliver=web:lobby`. In a pattern `*` is any text.
A secret is never stored: only its SHA-256, and a prefix for lists.

A key may be made by another one, its owner. It then spends the owner's money, is counted under the owner's limits too,
belongs to the owner's group, and never may more than the owner may at the moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha256
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, and_, bindparam, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.accounts import grants
from hub.accounts.grants import Granted
from hub.accounts.limits import Limits
from hub.message import Address, Payer, Value
from hub.store.tables import keys

Scope = Literal["chat", "read", "deliver", "admin"]
Role = Literal["admin", "user"]
SCOPE = r"(chat|read|admin|deliver(=[^\s=\x00-\x1f\x7f-\x9f]{1,200})?)"
"""One word of a key's scopes, as a regular expression."""
USER_SCOPES = ("chat", "read")
LOCAL_SCOPES = ("chat", "read", "deliver")
BOOTSTRAP = "bootstrap"
"""The name and source of the admin key that exists from the first start."""
PREFIXES = ("br-", "sk-")
"""How the keys begin that bothub makes."""
SHOWN = 8
"""How many characters of a secret a list may show; never more than a quarter of it."""


_NO_LIMITS = Limits()


class Key(Value, frozen=True, kw_only=True):
    """An API key without its secret; times are Unix seconds."""

    id: int
    name: str
    role: Role
    scopes: tuple[str, ...] = ()
    prefix: str = ""
    group_id: int | None = None
    owner_id: int | None = None
    active: bool = True
    expires_at: float | None = None
    agents: tuple[str, ...] | None = None
    """The only agents it may use, of those that its payer is granted; None: all of them."""
    models: tuple[str, ...] | None = None
    granted: Granted | None = frozenset()
    """What its payer was granted or owns, as `find` knows it; None: everything there is, for admins."""
    limits: Limits = Limits()
    owner_limits: Limits = Limits()
    unlimited: bool = False
    """Whether whoever pays for it has no quota."""

    @property
    def payer(self) -> int:
        """The id of the key that pays for what it asks: its owner's, or its own."""
        return self.owner_id or self.id

    @property
    def pays(self) -> Payer:
        """Who pays for what it asks."""
        return Payer(key=self.payer, unlimited=self.unlimited, limited=tuple(self.limited))

    @property
    def limited(self) -> dict[int, Limits]:
        """By key, the limits that count what it asks: its own and then its owner's; empty where it has none."""
        each = [(self.id, self.limits), (self.payer, self.owner_limits)]
        return {id: limits for id, limits in each if limits != _NO_LIMITS}  # noqa: A001

    def may(self, scope: str) -> bool:
        """Whether it holds a right itself, and so may hand it on: a scope, or a wider one."""
        if self.role == "admin" or scope in self.scopes:
            return True
        name, limited, pattern = scope.partition("=")
        return bool(limited) and name == "deliver" and any(_covers(held, pattern) for held in self.posts_to)

    def usable(self, now: float) -> bool:
        """Whether it is active and has not expired."""
        return self.active and (self.expires_at is None or now < self.expires_at)

    def has(self, scope: Scope) -> bool:
        """Whether it may do this at all; for `deliver` perhaps only to some addresses."""
        return self.role == "admin" or any(held.partition("=")[0] == scope for held in self.scopes)

    @property
    def posts_to(self) -> tuple[str, ...]:
        """Patterns of the addresses it may post to; `*` is any text."""
        if self.role == "admin":
            return ("*",)
        held = (scope.partition("=") for scope in self.scopes)
        return tuple(pattern if limited else "*" for scope, limited, pattern in held if scope == "deliver")

    def may_deliver(self, address: Address) -> bool:
        """Whether it may post to this address."""
        return any(fnmatchcase(str(address), pattern) for pattern in self.posts_to)


def _covers(pattern: str, narrower: str) -> bool:
    """Whether all that fits one pattern surely fits the other: `support:*` covers `support:1*`."""
    return pattern == narrower or (not set("?[") & set(pattern) and fnmatchcase(narrower, pattern))


def new_secret(prefix: str = "br-") -> str:
    """A secret for a new key: 32 random bytes."""
    return prefix + secrets.token_urlsafe(32)


def prefix_of(key: Key) -> str:
    """How a key's secrets begin: `br-` for those of admins' making, `sk-` for a user's own."""
    return PREFIXES[0] if key.owner_id is None else PREFIXES[1]


def hash_of(secret: str) -> str:
    """What is stored of a secret."""
    return sha256(secret.encode()).hexdigest()


def shown_of(secret: str) -> str:
    """What a list may show of a secret."""
    return secret[: min(SHOWN, len(secret) // 4)]


def identify(connection: Connection, secret: str, local: str | None, now: float) -> Key | None:
    """A unit: the key a request acts as; with `local`, the name of a key, every secret not made here acts as that."""
    key = find(connection, secret, now) if secret else None
    if key is None and local is not None and not secret.startswith(PREFIXES):
        return find_local(connection, local)
    return key


def find(connection: Connection, secret: str, now: float) -> Key | None:
    """A unit: the key with this secret, or for a while yet with the one before; inactive where its owner is."""
    return of_hash(connection, hash_of(secret), now)


def of_hash(connection: Connection, hash: str, now: float) -> Key | None:
    """A unit: the same by what is stored of the secret."""
    return _granted(connection, connection.execute(_FIND, {"hash_": hash, "now": now}).first())


def find_local(connection: Connection, name: str) -> Key | None:
    """A unit: the key without a secret that local clients act as, or None."""
    return _granted(connection, connection.execute(_LOCAL, {"name_": name}).first())


def _granted(connection: Connection, row: Any) -> Key | None:
    """The key in a row, and what it is granted; read with each request, so that what is taken back is so at once."""
    key = None if row is None else key_of(row)
    if key is None or key.granted is None:
        return key
    return msgspec.structs.replace(key, granted=grants.held(connection, key.payer, key.group_id))


def create(
    connection: Connection,
    secret: str | None,
    *,
    name: str,
    now: float,
    role: Role = "user",
    scopes: Sequence[str] = USER_SCOPES,
    month_quota: int | None = None,
    balance: int = 0,
    group_id: int | None = None,
    owner_id: int | None = None,
    email: str | None = None,
    expires_at: float | None = None,
    source: Literal["config", "bootstrap", "admin"] = "admin",
) -> Key:
    """A unit: store a new key under its secret (`new_secret`), or without one; an admin needs no scopes."""
    row = _row(secret, name, role, source, now) | {
        "scopes": " ".join(scopes),
        "month_quota": month_quota,
        "balance": balance,
        "group_id": group_id,
        "owner_id": owner_id,
        "email": email,
        "expires_at": expires_at,
    }
    made = connection.execute(insert(keys).values(row).returning(keys.c.id)).scalar_one()
    return key_of(connection.execute(_BY_ID, {"id_": made}).one())


def ensure_bootstrap(connection: Connection, secret: str, now: float, *, only: bool) -> Key:
    """A unit: make this secret an admin's, whatever the database lost; with `only` no other bootstrap key stays valid.

    Say `only` when the operator gave the secret, so that changing it revokes the one before.
    """
    row = _row(secret, BOOTSTRAP, "admin", BOOTSTRAP, now)
    connection.execute(_ensure(connection.dialect.name), row)
    if only:
        connection.execute(_RETIRE, {"hash_": row["hash"]})
    return key_of(connection.execute(_FIND, {"hash_": row["hash"], "now": now}).one())


def declared(connection: Connection, secret: str) -> dict[int, dict[str, Any]]:
    """A unit: what `ensure_bootstrap` and `ensure_local` may change, by the keys' ids."""
    columns = (keys.c.id, keys.c.name, keys.c.role, keys.c.active, keys.c.source)
    mine = keys.c.source.in_([BOOTSTRAP, "config"]) | (keys.c.hash == hash_of(secret))
    query = select(*columns).where(mine).order_by(keys.c.id)
    return {row["id"]: dict(row) for row in connection.execute(query).mappings()}


def ensure_local(connection: Connection, name: str, now: float) -> Key:
    """A unit: the user key without a secret that keyless local clients act as, made if it is not there."""
    found = find_local(connection, name)
    return found or create(connection, None, name=name, now=now, scopes=LOCAL_SCOPES, source="config")


def _row(secret: str | None, name: str, role: Role, source: str, now: float) -> dict[str, Any]:
    return {
        "name": name,
        "hash": None if secret is None else hash_of(secret),
        "prefix": "" if secret is None else shown_of(secret),
        "role": role,
        "scopes": "",
        "balance": 0,
        "spent": 0,
        "active": True,
        "created_at": now,
        "source": source,
    }


_OWNER = keys.alias("owner")
_COLUMNS = (
    *("id", "name", "role", "scopes", "prefix", "group_id", "owner_id", "active", "expires_at", "agents", "models"),
    *("month_quota", *Limits.__struct_fields__),
)
KEYS = select(keys, *(_OWNER.c[name].label(f"owner__{name}") for name in _COLUMNS)).join_from(
    keys, _OWNER, _OWNER.c.id == keys.c.owner_id, isouter=True
)
"""What `key_of` reads."""
_BY_ID = KEYS.where(keys.c.id == bindparam("id_"))
_FIND = KEYS.where(
    or_(
        keys.c.hash == bindparam("hash_"),
        and_(keys.c.old_hash == bindparam("hash_"), keys.c.old_until > bindparam("now")),
    )
)
_LOCAL = KEYS.where(keys.c.hash.is_(None), keys.c.deleted_at.is_(None), keys.c.name == bindparam("name_")).order_by(
    keys.c.id
)
_RETIRE = update(keys).where(keys.c.source == BOOTSTRAP, keys.c.hash != bindparam("hash_")).values(active=False)


@cache
def _ensure(dialect: str) -> Any:
    into: Any = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(keys)
    return into.on_conflict_do_update(
        index_elements=["hash"], set_={"role": "admin", "active": True, "expires_at": None}
    )


def key_of(row: Any) -> Key:
    """The key in a row of KEYS, with no more rights than its owner has."""
    key = _read(row, "")
    return key if key.owner_id is None else _within(key, _read(row, "owner__"))


def _read(row: Any, prefix: str) -> Key:
    values: dict[str, Any] = {name: getattr(row, prefix + name) for name in _COLUMNS}
    limits = Limits(**{name: values.pop(name) for name in Limits.__struct_fields__})
    unlimited = values.pop("month_quota") is None
    for name in ("agents", "models"):
        values[name] = None if values[name] is None else tuple(values[name].split())
    values["scopes"] = tuple(values["scopes"].split())
    values["granted"] = None if values["role"] == "admin" else frozenset()
    return Key(**values, limits=limits, unlimited=unlimited)


def _within(key: Key, owner: Key) -> Key:
    """The key as far as its owner goes."""
    return msgspec.structs.replace(
        key,
        scopes=tuple(scope for scope in key.scopes if owner.may(scope)),
        group_id=owner.group_id,
        active=key.active and owner.active,
        expires_at=_first(key.expires_at, owner.expires_at),
        agents=_both(key.agents, owner.agents),
        models=_both(key.models, owner.models),
        granted=owner.granted,
        owner_limits=owner.limits,
        unlimited=owner.unlimited,
    )


def _first(one: float | None, other: float | None) -> float | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _both(some: tuple[str, ...] | None, others: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The names in both lists; None is all there are."""
    if some is None or others is None:
        return others if some is None else some
    return tuple(name for name in some if name in others)
