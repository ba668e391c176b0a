"""Who is logged in to the panel: rows that a browser's cookie finds, and that end with their key.

A row names its key by what is stored of the key's secret. So whatever makes the secret worthless, that the key is
revoked, deleted or given another one, ends its logins in the same transaction.
"""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from hub.accounts import keys
from hub.accounts.keys import Key, hash_of
from hub.store.tables import logins

LASTS = 12 * 3600.0
"""How long a login is good for after it was used last, in seconds."""
NOTED = 300.0
"""How much of that may pass before its use is written down."""


def begin(connection: Connection, secret: str, now: float) -> tuple[str, Key] | None:
    """A unit: log in with a key's secret; the token for the cookie, and the key, or None for a wrong one."""
    key = keys.find(connection, secret, now)
    if key is None or not key.usable(now):
        return None
    token = token_urlsafe(32)
    row = {"token": _stored(token), "secret": hash_of(secret), "key_id": key.id}
    connection.execute(insert(logins).values(**row, begun_at=now, expires_at=now + LASTS))
    return token, key


def find(connection: Connection, token: str, now: float) -> tuple[Key, float] | None:
    """A unit: the key that is logged in with a token, as it is now, and until when; None when that is over."""
    row = connection.execute(_FIND, {"token_": _stored(token), "now": now}).first()
    key = None if row is None else keys.of_hash(connection, row.secret, now)
    return (key, row.expires_at) if row is not None and key is not None and key.usable(now) else None


def extend(connection: Connection, token: str, now: float) -> None:
    """A unit: it is being used."""
    connection.execute(_EXTEND, {"token_": _stored(token), "until": now + LASTS})


def end(connection: Connection, token: str) -> None:
    """A unit: log out."""
    connection.execute(_END, {"token_": _stored(token)})


def sweep(connection: Connection, now: float) -> None:
    """A unit: forget those that are over."""
    connection.execute(_SWEEP, {"now": now})


def _stored(token: str) -> str:
    return sha256(token.encode()).hexdigest()


_THIS = logins.c.token == bindparam("token_")
_FIND = select(logins).where(_THIS, logins.c.expires_at > bindparam("now"))
_EXTEND = update(logins).where(_THIS).values(expires_at=bindparam("until"))
_END = delete(logins).where(_THIS)
_SWEEP = delete(logins).where(logins.c.expires_at <= bindparam("now"))
