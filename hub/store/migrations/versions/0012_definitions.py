"""Models, agents and channels that are saved while the hub runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "definitions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("settings", sa.LargeBinary()),
        sa.Column("secrets", sa.LargeBinary()),
        sa.Column("key_id", sa.Integer()),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("deleted_at", sa.Float(53)),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    there = sa.text("deleted_at IS NULL")
    op.create_index(
        "ix_definitions_name",
        "definitions",
        ["kind", "name"],
        unique=True,
        sqlite_where=there,
        postgresql_where=there,
    )
