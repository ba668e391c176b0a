"""Long work in the background."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text

from hub.store.tables.metadata import Big, Time, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("arguments", LargeBinary, nullable=False),
    Column("request", Text),  # what is sent again begins nothing
    Column("key_id", Integer),  # NULL: the command line, or the hub itself
    Column("by", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting | running | done | failed | cancelled
    Column("step", Text, nullable=False),  # what it is doing, in a word
    Column("done", Big, nullable=False),  # of that step
    Column("of", Big),  # NULL: nobody knows
    Column("mark", LargeBinary),  # how far it came: where it goes on
    Column("tries", Integer, nullable=False),  # how often it was taken up since it last came further
    Column("result", LargeBinary),
    Column("file", Text),  # in the folder of exports
    Column("error", Text),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("finished_at", Time),
    Column("expires_at", Time),  # of its file
    sqlite_autoincrement=True,  # files are named by the id
)
Index(None, jobs.c.state, jobs.c.id)
Index(None, jobs.c.kind, jobs.c.id)
Index(None, jobs.c.request, unique=True)
