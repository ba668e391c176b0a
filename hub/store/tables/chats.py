"""Channels, their chats, and who may speak there."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text

from hub.store.tables.metadata import Big, Bytewise, Time, metadata

health = Table(
    "health",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("error", Text),
    Column("since", Time, nullable=False),
    Column("reconnects", Integer, nullable=False),
)

choices = Table(
    "choices",
    metadata,
    Column("address", Text, primary_key=True),
    Column("agent", Text, nullable=False),
)

gone = Table(
    "gone",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("chat_id", Text, primary_key=True),
    Column("why", Text, nullable=False),
    Column("at", Time, nullable=False),
)

pairings = Table(
    "pairings",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("sender", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("approved_at", Time),
)

posts = Table(
    "posts",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("channel", Text, nullable=False),
    Column("chat_id", Bytewise, nullable=False),
    Column("thread_id", Text),
    Column("body", LargeBinary, nullable=False),
    Column("at", Time, nullable=False),
    sqlite_autoincrement=True,  # readers go on after an id
)
Index(None, posts.c.channel, posts.c.chat_id, posts.c.id)
