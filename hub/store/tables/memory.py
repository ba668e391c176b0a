"""What agents remember."""

from sqlalchemy import DDL, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, event

from hub.store.tables.metadata import Big, Time, metadata, only

conversations = Table(
    "conversations",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("session", Big, nullable=False),  # the current one
    UniqueConstraint("agent", "address"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("started_at", Time, nullable=False),
    Column("place", Big),  # of places: where it is searched
    Column("person", Text),  # channel:sender of a private chat; NULL: others read along
    Column("title", Text),
    Column("channel", Text),  # of the address
    Column("updated_at", Time),  # when something was said last; NULL: nothing was
)
Index(None, sessions.c.agent, sessions.c.address)
Index(None, sessions.c.agent, sessions.c.id)
Index(None, sessions.c.channel, sessions.c.id)
Index(None, sessions.c.person, sessions.c.id, **only(sessions.c.person.is_not(None)))

places = Table(
    "places",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("agent", Text, nullable=False),
    Column("chat", Text, nullable=False),  # channel:chat_id, all its threads
)
Index(None, places.c.agent, places.c.chat)  # not unique: a chat that moved into another has two

facts = Table(
    "facts",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("agent", Text, nullable=False),
    Column("owner", Text, nullable=False),  # person:channel:sender, chat:channel:chat_id, or agent
    Column("text", Text, nullable=False),
    Column("author", Text, nullable=False),  # channel:sender of whoever had it remembered
    Column("at", Time, nullable=False),
)
Index(None, facts.c.agent, facts.c.owner)
Index(None, facts.c.author)

entries = Table(
    "entries",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("session", Big, ForeignKey("sessions.id"), nullable=False),
    Column("turn", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", Time, nullable=False),
    Column("author", Text),  # channel:sender of what somebody said where others read along
    UniqueConstraint("turn", "ordinal"),
)
Index(None, entries.c.session, entries.c.id)
Index(None, entries.c.author, **only(entries.c.author.is_not(None)))

# The index of words (hub/store/search.py): no table that SQLAlchemy knows, and another one on each engine.
WORDS = {
    "sqlite": ["CREATE VIRTUAL TABLE entry_words USING fts5(words, tokenize = 'ascii', detail = none)"],
    "postgresql": [
        "CREATE TABLE entry_words (entry BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)",
        "CREATE INDEX ix_entry_words_words ON entry_words USING gin (words)",
    ],
}
for _dialect, _statements in WORDS.items():
    for _statement in _statements:
        event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect=_dialect))
event.listen(metadata, "before_drop", DDL("DROP TABLE IF EXISTS entry_words"))
