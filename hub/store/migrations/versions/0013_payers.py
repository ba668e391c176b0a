"""Who pays for a turn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("turns", sa.Column("payer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
