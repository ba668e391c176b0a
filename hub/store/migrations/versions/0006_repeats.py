"""Sessions have titles and are listed by whose they are; remembered answers have headers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("title", sa.Text(), nullable=True))
    op.drop_index("ix_sessions_person", "sessions")
    there = sa.text("person IS NOT NULL")
    op.create_index("ix_sessions_person_id", "sessions", ["person", "id"], sqlite_where=there, postgresql_where=there)
    op.add_column("idempotency", sa.Column("head", sa.Text(), nullable=True))
