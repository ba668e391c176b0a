"""Turns know why their response ends."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; what is there ended as it was meant to, as far as anybody knows."""
    op.add_column("turns", sa.Column("finish", sa.Text()))
