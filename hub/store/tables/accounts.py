"""Keys, their money, and what is theirs."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from hub.store.tables.metadata import Big, Time, metadata, only

groups = Table(
    "groups",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Time, nullable=False),
    Column("key", Text),  # what other systems call it
)

keys = Table(
    "keys",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("hash", Text, unique=True),  # SHA-256 of the secret; NULL: the local key, which has none
    Column("prefix", Text, nullable=False),  # what a list may show
    Column("role", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("group_id", Integer, ForeignKey("groups.id")),
    Column("owner_id", Integer, ForeignKey("keys.id")),
    Column("month_quota", Big),  # NULL = unlimited
    Column("balance", Big, nullable=False),
    Column("month", Text),  # the UTC month that `spent` counts
    Column("spent", Big, nullable=False),
    Column("held", Big, nullable=False, server_default="0"),  # the sum of its reservations
    Column("active", Boolean, nullable=False),
    Column("expires_at", Time),
    Column("created_at", Time, nullable=False),
    Column("last_used_at", Time),
    Column("source", Text, nullable=False),  # config | bootstrap | admin
    Column("old_hash", Text),  # of the secret before, after a rotation
    Column("old_until", Time),
    Column("deleted_at", Time),  # the row stays: its id is a person, whom no other key may become
    Column("agents", Text),  # names separated by spaces; NULL: every one that it is granted
    Column("models", Text),
    Column("requests_minute", Big),  # NULL: no limit
    Column("requests_day", Big),
    Column("tokens_minute", Big),
    Column("tokens_day", Big),
)
Index(None, keys.c.old_hash, unique=True)
Index(None, keys.c.owner_id)

logins = Table(
    "logins",
    metadata,
    Column("token", Text, primary_key=True),  # SHA-256 of what the browser's cookie holds
    Column("secret", Text, nullable=False),  # the `hash` that its key had then: the login ends when that is no key's
    Column("key_id", Integer, nullable=False),
    Column("begun_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
)
Index(None, logins.c.expires_at)

payments = Table(
    "payments",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("key_id", Integer, nullable=False),
    Column("key_name", Text, nullable=False),
    Column("amount", Big, nullable=False),
    Column("balance", Big, nullable=False),  # afterwards
    Column("by", Text, nullable=False),
    Column("at", Time, nullable=False),
    Column("request", Text),  # what is sent again adds nothing
    sqlite_autoincrement=True,
)
Index(None, payments.c.key_id, payments.c.id)
Index(None, payments.c.request, unique=True)

reservations = Table(
    "reservations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_id", Integer, nullable=False),
    Column("amount", Big, nullable=False),
    Column("holder", Text, nullable=False),  # the process whose call it is
    Column("expires_at", Time, nullable=False),
)
Index(None, reservations.c.expires_at)
Index(None, reservations.c.holder)

rates = Table(
    "rates",
    metadata,
    Column("key_id", Big, primary_key=True, autoincrement=False),
    Column("minute", Big, nullable=False),  # since the epoch: what the two counts of minutes count
    Column("day", Big, nullable=False),
    Column("requests_minute", Big, nullable=False),
    Column("requests_day", Big, nullable=False),
    Column("tokens_minute", Big, nullable=False),
    Column("tokens_day", Big, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer),  # NULL while the first request runs
    Column("head", Text),  # the answer's headers
    Column("body", LargeBinary),
    Column("at", Time, nullable=False),
)
Index(None, idempotency.c.at)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),  # in the order of time
    Column("key_id", Integer, nullable=False),
    Column("request", Text, nullable=False),  # what is sent again adds nothing
    Column("ref", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", Big, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time),  # 0: it was deleted, and is about to go
)
Index(None, uploads.c.key_id, uploads.c.id)
Index(None, uploads.c.ref)
Index(None, uploads.c.expires_at, **only(uploads.c.expires_at.is_not(None)))
