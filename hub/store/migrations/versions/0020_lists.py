"""Lists of sessions and turns, and a search over all of them."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

PAGE = 500
PLACED = re.compile("[0-9]+(§[^ ]+)")


def upgrade() -> None:
    """Add the columns, tell what they are of what is there, and find each word wherever it was said."""
    for table in ("sessions", "turns"):
        op.add_column(table, sa.Column("channel", sa.Text()))
        op.execute(f"UPDATE {table} SET channel = {_channel()}")  # noqa: S608 - one of two words
    op.add_column("sessions", sa.Column("updated_at", sa.Float(53)))
    op.execute("UPDATE sessions SET updated_at = (SELECT max(entries.at) FROM entries WHERE session = sessions.id)")
    op.add_column("turns", sa.Column("prompt", sa.Text()))
    op.create_index("ix_sessions_agent_id", "sessions", ["agent", "id"])
    op.create_index("ix_sessions_channel_id", "sessions", ["channel", "id"])
    order = ["created_at", "id"]
    for column in ("agent", "channel", "status"):
        op.create_index(f"ix_turns_{column}_created_at_id", "turns", [column, *order])
    for column in ("key_id", "session"):
        op.create_index(f"ix_turns_{column}_created_at_id", "turns", [column, *order], **_only(f"{column} IS NOT NULL"))
    _index()


def _channel() -> str:
    """What stands before the first colon of an address."""
    if op.get_bind().dialect.name == "postgresql":
        return "split_part(address, ':', 1)"
    return "substr(address, 1, instr(address, ':') - 1)"


def _only(rows: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(rows), "postgresql_where": sa.text(rows)}


def _index() -> None:
    """Every word once more, without its place: of a search that asks for no place."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        bare = "array_to_tsvector(ARRAY(SELECT DISTINCT regexp_replace(lexeme, '^[0-9]+', '') FROM unnest(words)))"
        op.execute(f"UPDATE entry_words SET words = words || {bare}")  # noqa: S608 - words of this module
        return
    page = sa.text("SELECT rowid, words FROM entry_words WHERE rowid > :after ORDER BY rowid LIMIT :most")
    change = sa.text("UPDATE entry_words SET words = :words WHERE rowid = :entry")
    after = 0
    while rows := connection.execute(page, {"after": after, "most": PAGE}).all():
        after = rows[-1][0]
        connection.execute(
            change, [{"entry": entry, "words": f"{words} {' '.join(PLACED.findall(words))}"} for entry, words in rows]
        )
