"""Every table bothub keeps; the migrations build exactly these (a test compares them).

Times are Unix seconds, money is an integer of 1e-9 of the currency's unit, bodies are JSON.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

Big = BigInteger().with_variant(Integer, "sqlite")
Time = Float(53)

lanes = Table(
    "lanes",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("inbox", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("tail", Big, nullable=False),  # seq of the newest message
    Column("head", Big, nullable=False),  # seq of the newest settled message: head + 1 .. tail wait
    Column("taken", Big, nullable=False),  # seq of the newest message the holder has seen
    Column("stop", Big, nullable=False),  # messages up to this seq are cancelled
    Column("ready_at", Time),  # NULL = idle, else when the next claim may come: now, back-off or lease expiry
    Column("leased", Boolean, nullable=False),
    Column("token", Big, nullable=False),  # grows with every claim: the fence
    Column("tries", Integer, nullable=False),  # claims of the head that did not settle it
    UniqueConstraint("inbox", "lane"),
    sqlite_autoincrement=True,  # the id of a forgotten lane never comes back: an old lease must not fit a new lane
)
Index(
    "ix_lanes_ready",
    lanes.c.inbox,
    lanes.c.ready_at,
    sqlite_where=lanes.c.ready_at.is_not(None),
    postgresql_where=lanes.c.ready_at.is_not(None),
)

messages = Table(
    "messages",
    metadata,
    Column("lane_id", Big, primary_key=True, autoincrement=False),
    Column("seq", Big, primary_key=True, autoincrement=False),
    Column("inbox", Text, nullable=False),
    Column("mid", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", Time, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),  # of the last attempt
    Column("outcome", Text),
    Column("reason", Text),
    Column("settled_at", Time),
    Column("claimed_at", Time),  # the try that settled it
    UniqueConstraint("mid", "inbox"),  # in this order it finds a delivery by its id alone, too
)
Index(
    "ix_messages_waiting",
    messages.c.at,
    sqlite_where=messages.c.outcome.is_(None),
    postgresql_where=messages.c.outcome.is_(None),
)
Index(
    "ix_messages_settled",
    messages.c.settled_at,
    sqlite_where=messages.c.settled_at.is_not(None),
    postgresql_where=messages.c.settled_at.is_not(None),
)
Index(
    "ix_messages_dead",
    messages.c.inbox,
    messages.c.settled_at,
    sqlite_where=messages.c.outcome == "dead",
    postgresql_where=messages.c.outcome == "dead",
)

receipts = Table(
    "receipts",
    metadata,
    Column("delivery", Text, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("platform_id", Text, nullable=False),
    Column("at", Time, nullable=False),
    Column("final", Boolean, nullable=False),  # false: a preview that is still to be edited
    Column("began_at", Time),  # when the call began by which the platform took it first
    Column("edits", Integer, nullable=False, server_default="0"),
)
Index(None, receipts.c.platform_id)

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
)
Index(None, sessions.c.agent, sessions.c.address)
Index(
    None,
    sessions.c.person,
    sessions.c.id,
    sqlite_where=sessions.c.person.is_not(None),
    postgresql_where=sessions.c.person.is_not(None),
)

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
Index(
    None, entries.c.author, sqlite_where=entries.c.author.is_not(None), postgresql_where=entries.c.author.is_not(None)
)

turns = Table(
    "turns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent", Text),  # NULL: a model was called without an agent
    Column("model", Text),
    Column("address", Text, nullable=False),
    Column("session", Big),
    Column("session_id", Text),  # the caller's own name of it
    Column("key_id", Big),
    Column("fingerprint", Text),  # of an HTTP request: what an SDK's retry repeats
    Column("status", Text, nullable=False),
    Column("response", Text),
    Column("finish", Text),  # why it ends, in OpenAI's words; NULL: as it should
    Column("error", Text),
    Column("error_code", Text),
    Column("prompt_tokens", Big, nullable=False, server_default="0"),
    Column("completion_tokens", Big, nullable=False, server_default="0"),
    Column("cached_tokens", Big, nullable=False, server_default="0"),
    Column("reasoning_tokens", Big, nullable=False, server_default="0"),
    Column("estimated", Boolean, nullable=False, server_default="0"),
    Column("price_in", Big, nullable=False, server_default="0"),  # per 1,000,000 tokens
    Column("price_out", Big, nullable=False, server_default="0"),
    Column("price_cached", Big, nullable=False, server_default="0"),
    Column("payer_id", Big),  # whose money it cost; NULL: nobody's
    Column("reserved", Big, nullable=False, server_default="0"),
    Column("fee", Big, nullable=False, server_default="0"),
    Column("uncollected", Big, nullable=False, server_default="0"),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("first_token_at", Time),
    Column("finished_at", Time),
    Column("accepted_at", Time),  # when the hub stored it; `created_at` of a chat is the platform's time
    Column("tries", Integer),
    Column("request_id", Text),  # of the HTTP request that asked for it
    Column("trace_id", Text),  # of OpenTelemetry
    Column("stages", LargeBinary),  # the steps of a turn that has no entries
)
Index(
    None,
    turns.c.request_id,
    sqlite_where=turns.c.request_id.is_not(None),
    postgresql_where=turns.c.request_id.is_not(None),
)
Index(
    None,
    turns.c.key_id,
    turns.c.fingerprint,
    sqlite_where=turns.c.fingerprint.is_not(None),
    postgresql_where=turns.c.fingerprint.is_not(None),
)

responses = Table(
    "responses",
    metadata,
    Column("id", Text, primary_key=True),  # of its turn
    Column("key_id", Big, nullable=False),
    Column("agent", Text),  # whose turn and entries hold the answer; NULL: of a model, and the answer is here
    Column("conversation", Text),  # the caller's own name of it, where a model answers
    Column("previous", Text),  # the response that it continues
    Column("asked", LargeBinary, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("answer", LargeBinary),  # NULL while a model writes it
    Column("alive_at", Time),  # when the process that writes it last said so
    Column("created_at", Time, nullable=False),
)
Index(None, responses.c.key_id, responses.c.conversation, responses.c.created_at)

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

audit = Table(
    "audit",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("at", Time, nullable=False),
    Column("key_id", Integer),  # NULL: at the command line
    Column("by", Text, nullable=False),
    Column("ip", Text),
    Column("what", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("after", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

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
    Column("chat_id", Text, nullable=False),
    Column("thread_id", Text),
    Column("body", LargeBinary, nullable=False),
    Column("at", Time, nullable=False),
    sqlite_autoincrement=True,  # readers go on after an id
)
Index(None, posts.c.channel, posts.c.chat_id, posts.c.id)

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
Index(
    None,
    uploads.c.expires_at,
    sqlite_where=uploads.c.expires_at.is_not(None),
    postgresql_where=uploads.c.expires_at.is_not(None),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),  # turn, step and call: a step that runs again adds nothing
    Column("agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("direct", Boolean, nullable=False),
    Column("text", Text, nullable=False),
    Column("rule", LargeBinary, nullable=False),
    Column("next_at", Time, nullable=False),
    Column("last", Text),  # the message it became the last time
    Column("created_at", Time, nullable=False),
    sqlite_autoincrement=True,  # its messages are named by the id
)
Index(None, schedules.c.next_at)
Index(None, schedules.c.agent, schedules.c.address)

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
    sqlite_where=definitions.c.deleted_at.is_(None),
    postgresql_where=definitions.c.deleted_at.is_(None),
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
Index(
    None,
    conversation_grants.c.key_id,
    conversation_grants.c.agent,
    conversation_grants.c.address,
    unique=True,
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

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
