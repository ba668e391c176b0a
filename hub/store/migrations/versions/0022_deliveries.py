"""Lists of deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Have an index that has the deliveries of each channel, by how they stand, in the order they came."""
    rows = sa.text("substr(inbox, 1, 8) = 'channel:'")
    columns = ["inbox", "outcome", "at", "lane_id", "seq"]
    op.create_index("ix_messages_deliveries", "messages", columns, sqlite_where=rows, postgresql_where=rows)
