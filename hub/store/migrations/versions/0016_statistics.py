"""Turns and messages are added up; what is there is counted in the background, once the hub runs."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COUNTS = (
    "turns",
    "failed",
    "cancelled",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "fee",
    "received",
    "refused",
    "delivered",
    "undelivered",
    "milliseconds",
)


def upgrade() -> None:
    op.create_table(
        "statistics",
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", BIG, autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("key_id", BIG, autoincrement=False, nullable=False),
        *(sa.Column(name, BIG, nullable=False) for name in COUNTS),
        sa.Column("latency", sa.LargeBinary(), nullable=False),
        sa.Column("first_token", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("span", "start", "channel", "agent", "model", "key_id"),
    )
    op.add_column("turns", sa.Column("counted_at", sa.Float(53)))
    uncounted = sa.column("finished_at").is_not(None) & sa.column("counted_at").is_(None)
    op.create_index("ix_turns_uncounted", "turns", ["finished_at"], sqlite_where=uncounted, postgresql_where=uncounted)
