"""Models and agents that are granted to keys and groups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("groups", sa.Column("key", sa.Text()))
    op.create_index("ix_definitions_key_id", "definitions", ["key_id"])
    op.create_table(
        "grants",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("key_id", sa.Integer()),
        sa.Column("group_id", sa.Integer()),
        sa.Column("definition_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"]),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"]),
        sa.ForeignKeyConstraint(["definition_id"], ["definitions.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_grants_key_id_definition_id", "grants", ["key_id", "definition_id"], unique=True)
    op.create_index("ix_grants_group_id_definition_id", "grants", ["group_id", "definition_id"], unique=True)
