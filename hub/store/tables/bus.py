"""What waits, what became of it, and what a platform took of it."""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)

from hub.store.tables.metadata import Big, Time, metadata, only

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
Index("ix_lanes_ready", lanes.c.inbox, lanes.c.ready_at, **only(lanes.c.ready_at.is_not(None)))

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
Index("ix_messages_waiting", messages.c.at, **only(messages.c.outcome.is_(None)))
Index("ix_messages_settled", messages.c.settled_at, **only(messages.c.settled_at.is_not(None)))
Index("ix_messages_dead", messages.c.inbox, messages.c.settled_at, **only(messages.c.outcome == "dead"))
# Literals: an index of some rows is used where the statement says the same of them.
is_delivery = func.substr(messages.c.inbox, literal_column("1"), literal_column("8")) == literal_column("'channel:'")
Index(
    "ix_messages_deliveries",
    messages.c.inbox,
    messages.c.outcome,
    messages.c.at,
    messages.c.lane_id,
    messages.c.seq,
    **only(is_delivery),
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
