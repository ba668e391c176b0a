"""Rooms of a key are found by how their names begin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Have PostgreSQL order the names of rooms by their bytes, as SQLite does."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("posts", "chat_id", type_=sa.Text(collation="C"))
