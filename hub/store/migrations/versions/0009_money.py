"""What calls reserve of their keys' money, and what keys asked in this minute and day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEYS = {
    "old_hash": sa.Text(),
    "old_until": sa.Float(53),
    "deleted_at": sa.Float(53),
    "agents": sa.Text(),
    "models": sa.Text(),
    "requests_minute": BIG,
    "requests_day": BIG,
    "tokens_minute": BIG,
    "tokens_day": BIG,
}


def upgrade() -> None:
    op.add_column("keys", sa.Column("held", BIG, nullable=False, server_default="0"))
    for name, kind in KEYS.items():
        op.add_column("keys", sa.Column(name, kind))
    op.create_index("ix_keys_old_hash", "keys", ["old_hash"], unique=True)
    op.create_index("ix_keys_owner_id", "keys", ["owner_id"])
    op.create_table(
        "payments",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("key_name", sa.Text(), nullable=False),
        sa.Column("amount", BIG, nullable=False),
        sa.Column("balance", BIG, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_payments_key_id_id", "payments", ["key_id", "id"])
    op.create_table(
        "reservations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("amount", BIG, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reservations_expires_at", "reservations", ["expires_at"])
    op.create_index("ix_reservations_holder", "reservations", ["holder"])
    names = ("minute", "day", "requests_minute", "requests_day", "tokens_minute", "tokens_day")
    op.create_table(
        "rates",
        sa.Column("key_id", BIG, autoincrement=False, nullable=False),
        *(sa.Column(name, BIG, nullable=False) for name in names),
        sa.PrimaryKeyConstraint("key_id"),
    )
