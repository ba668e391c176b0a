"""What agents and models were asked, and will be."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text

from hub.store.tables.metadata import Big, Time, metadata, only

turns = Table(
    "turns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent", Text),  # NULL: a model was called without an agent
    Column("model", Text),
    Column("address", Text, nullable=False),
    Column("channel", Text),  # of the address
    Column("session", Big),
    Column("session_id", Text),  # the caller's own name of it
    Column("key_id", Big),
    Column("fingerprint", Text),  # of an HTTP request: what an SDK's retry repeats
    Column("status", Text, nullable=False),
    Column("prompt", Text),  # of a turn that has no entries
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
    Column("counted_at", Time),  # when it went into the statistics; NULL: it has still to
)
Index(None, turns.c.created_at, turns.c.id)
Index(None, turns.c.request_id, **only(turns.c.request_id.is_not(None)))
Index(None, turns.c.key_id, turns.c.fingerprint, **only(turns.c.fingerprint.is_not(None)))
Index(
    "ix_turns_uncounted", turns.c.finished_at, **only(turns.c.finished_at.is_not(None) & turns.c.counted_at.is_(None))
)

# Lists of turns, the newest first, beside the one above.
Index(None, turns.c.agent, turns.c.created_at, turns.c.id)
Index(None, turns.c.channel, turns.c.created_at, turns.c.id)
Index(None, turns.c.key_id, turns.c.created_at, turns.c.id, **only(turns.c.key_id.is_not(None)))
Index(None, turns.c.session, turns.c.created_at, turns.c.id, **only(turns.c.session.is_not(None)))
Index(None, turns.c.status, turns.c.created_at, turns.c.id)

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
