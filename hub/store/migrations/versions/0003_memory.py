"""Facts, and full-text search over entries; what is there is indexed."""

from __future__ import annotations

import json
import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.Float(53)
PAGE = 500


def upgrade() -> None:
    """Build the tables, then tell of every session where it is and with whom, and index every entry."""
    _build()
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE TABLE entry_words (entry BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)")
        op.execute("CREATE INDEX ix_entry_words_words ON entry_words USING gin (words)")
    else:
        op.execute("CREATE VIRTUAL TABLE entry_words USING fts5(words, tokenize = 'ascii', detail = none)")
    _place()
    _tell_persons()
    _index()


def _build() -> None:
    op.create_table(
        "facts",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_facts_agent_owner", "facts", ["agent", "owner"])
    op.create_index("ix_facts_author", "facts", ["author"])
    op.create_table(
        "places",
        sa.Column("id", Big, autoincrement=True, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_places_agent_chat", "places", ["agent", "chat"])
    op.add_column("sessions", sa.Column("place", Big, nullable=True))
    op.add_column("sessions", sa.Column("person", sa.Text(), nullable=True))
    op.add_column("entries", sa.Column("author", sa.Text(), nullable=True))
    for table, column in (("sessions", "person"), ("entries", "author")):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=there, postgresql_where=there)


def _place() -> None:
    """A place for each agent and chat that has sessions."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT DISTINCT agent, address FROM sessions ORDER BY agent, address")).all()
    made: dict[tuple[str, str], int] = {}
    for agent, address in rows:
        chat = ":".join(address.split(":")[:2])
        if (agent, chat) not in made:
            insert = sa.text("INSERT INTO places (agent, chat) VALUES (:agent, :chat) RETURNING id")
            made[agent, chat] = connection.execute(insert, {"agent": agent, "chat": chat}).scalar_one()
        connection.execute(
            sa.text("UPDATE sessions SET place = :place WHERE agent = :agent AND address = :address"),
            {"place": made[agent, chat], "agent": agent, "address": address},
        )


def _tell_persons() -> None:
    """Whose the private sessions are: keys' over HTTP; of chats as far as their messages are still there."""
    connection = op.get_bind()
    addresses = connection.execute(sa.text("SELECT DISTINCT address FROM sessions WHERE address LIKE 'api:%'"))
    persons = {address: ":".join(address.split(":")[:2]) for address in addresses.scalars()}
    for body in connection.execute(sa.text("SELECT body FROM messages WHERE inbox LIKE 'agent:%'")).scalars():
        try:
            said = json.loads(body)
            place, author = said["address"], said["author"]["id"]
        except (ValueError, KeyError, TypeError):
            continue  # a dead letter that could not be read
        if said.get("direct", True) and not said["id"].startswith("web_"):
            parts = (place["channel"], place["chat_id"], place.get("thread_id"))
            persons.setdefault(":".join(part for part in parts if part), f"{place['channel']}:{author}")
    for address, person in persons.items():
        connection.execute(
            sa.text("UPDATE sessions SET person = :person WHERE address = :address"),
            {"person": person, "address": address},
        )


def _index() -> None:
    connection = op.get_bind()
    postgres = connection.dialect.name == "postgresql"
    key, value = ("entry", "CAST(:words AS tsvector)") if postgres else ("rowid", ":words")
    insert = sa.text(f"INSERT INTO entry_words ({key}, words) VALUES (:entry, {value})")  # noqa: S608
    page = sa.text(
        "SELECT entries.id, entries.body, sessions.place FROM entries JOIN sessions ON sessions.id = entries.session "
        "WHERE entries.id > :after ORDER BY entries.id LIMIT :most"
    )
    after = 0
    while rows := connection.execute(page, {"after": after, "most": PAGE}).all():
        after = rows[-1][0]
        quote = "'" if postgres else ""
        found = [
            {"entry": id, "words": " ".join(f"{quote}{place}§{word}{quote}" for word in words)}
            for id, body, place in rows  # noqa: A001
            if (words := _words(json.loads(body).get("text") or ""))
        ]
        if found:
            connection.execute(insert, found)


# The words of a text as this revision's code indexed them.

WORD = re.compile(r"[^\W_]+")
DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
ACCENT = re.compile("[\u0300-\u036f]")


def _words(said: str) -> list[str]:
    said = ACCENT.sub("", unicodedata.normalize("NFKD", said[:32_000].casefold()))
    found: dict[str, None] = {}
    for word in WORD.findall(unicodedata.normalize("NFC", said)):
        end = 0
        for run in DENSE.finditer(word):
            found |= dict.fromkeys([word[end : run.start()], *(run[0][at : at + 2] for at in range(len(run[0])))])
            end = run.end()
        found[word[end:]] = None
    return [word[:40] for word in found if word]
