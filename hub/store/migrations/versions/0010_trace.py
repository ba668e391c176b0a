"""What happened to a message can be told from its rows."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

Time = sa.Float(53)


def upgrade() -> None:
    """Add the columns; of what is there nobody knows."""
    op.add_column("messages", sa.Column("claimed_at", Time))
    op.add_column("receipts", sa.Column("began_at", Time))
    op.add_column("receipts", sa.Column("edits", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_receipts_platform_id", "receipts", ["platform_id"])
    for name, kind in (
        ("accepted_at", Time),
        ("tries", sa.Integer()),
        ("request_id", sa.Text()),
        ("trace_id", sa.Text()),
        ("stages", sa.LargeBinary()),
    ):
        op.add_column("turns", sa.Column(name, kind))
    known = sa.column("request_id").is_not(None)
    op.create_index("ix_turns_request_id", "turns", ["request_id"], sqlite_where=known, postgresql_where=known)
