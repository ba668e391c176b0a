"""What is defined while the hub runs, and who may use it."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from hub.store.tables.metadata import Big, Time, metadata, only

definitions = Table(
    "definitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),  # model | agent | channel
    Column("name", Text, nullable=False),
    Column("settings", LargeBinary),  # as config.yaml has them, without secrets; NULL: it is declared there
    Column("secrets", LargeBinary),  # encrypted
    Column("key_id", Integer),  # who owns an agent, who pays for what a channel asks
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("deleted_at", Time),
    sqlite_autoincrement=True,  # what was granted by an id is granted to nothing else later
)
Index(
    "ix_definitions_name",
    definitions.c.kind,
    definitions.c.name,
    unique=True,
    **only(definitions.c.deleted_at.is_(None)),
)

Index(None, definitions.c.key_id)

grants = Table(
    "grants",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("key_id", Integer, ForeignKey("keys.id")),  # either this
    Column("group_id", Integer, ForeignKey("groups.id")),  # or this
    Column("definition_id", Integer, ForeignKey("definitions.id"), nullable=False),
    Column("created_at", Time, nullable=False),
)
Index(None, grants.c.key_id, grants.c.definition_id, unique=True)
Index(None, grants.c.group_id, grants.c.definition_id, unique=True)

conversation_grants = Table(
    "conversation_grants",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("key_id", Integer, ForeignKey("keys.id"), nullable=False),
    Column("agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_at", Time, nullable=False),
)
Index(None, conversation_grants.c.key_id, conversation_grants.c.agent, conversation_grants.c.address, unique=True)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
