"""What happened, added up."""

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from hub.store.tables.metadata import Big, metadata

statistics = Table(
    "statistics",
    metadata,
    Column("span", Integer, primary_key=True, autoincrement=False),  # seconds that a row is of: minute, hour or day
    Column("start", Big, primary_key=True, autoincrement=False),  # Unix seconds
    Column("channel", Text, primary_key=True),  # `api` over HTTP
    Column("agent", Text, primary_key=True),  # empty: none, as in the next two
    Column("model", Text, primary_key=True),
    Column("key_id", Big, primary_key=True, autoincrement=False),  # 0: none
    Column("turns", Big, nullable=False),
    Column("failed", Big, nullable=False),
    Column("cancelled", Big, nullable=False),
    Column("prompt_tokens", Big, nullable=False),
    Column("completion_tokens", Big, nullable=False),
    Column("cached_tokens", Big, nullable=False),
    Column("fee", Big, nullable=False),
    Column("received", Big, nullable=False),  # messages for agents, whatever became of them
    Column("refused", Big, nullable=False),
    Column("delivered", Big, nullable=False),
    Column("undelivered", Big, nullable=False),
    Column("milliseconds", Big, nullable=False),  # of the turns that were answered, added up
    Column("latency", LargeBinary, nullable=False),  # theirs, as hub/records/histogram.py packs it
    Column("first_token", LargeBinary, nullable=False),
)
