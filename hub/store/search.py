"""Full-text search over entries: FTS5 on SQLite, a tsvector with a GIN index on PostgreSQL.

A text is indexed as its words, each with the place (`places.id`) where it was said: `12§tea`, and each without: `§tea`.
A search asks for the words of places, so what was said elsewhere is not even read, and it costs what its own places
hold; only one over everything, for an admin, asks for those without. Scripts that are
written without spaces are cut into pairs of characters, which finds words of one character and more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Integer, Subquery, bindparam, text

MOST_TEXT = 32_000
"""Characters of a text that are indexed; what comes later is stored and not found."""
MOST_LETTERS = 40
"""Of a word."""
MOST_WORDS = 16
"""Of a query."""
EXCERPT = 400
"""Characters of a text that a search shows."""
NEWEST = 200
"""How many texts with one word are looked at: a word that is in more of them tells little."""

_WORD = re.compile(r"[^\W_]+")
_DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Thai and its neighbours, kana, Han, Hangul."""
_ACCENT = re.compile("[\u0300-\u036f]")


def words(said: str) -> list[str]:
    """The words of a text as they are indexed, each once: lower case, without accents, dense scripts in pairs."""
    said = said[:MOST_TEXT].casefold()
    if said.isascii():
        return list(dict.fromkeys(word[:MOST_LETTERS] for word in _WORD.findall(said)))
    said = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", said)))
    found: dict[str, None] = {}
    for word in _WORD.findall(said):
        found.update(dict.fromkeys(_cut(word)))
    return list(found)


def asked(query: str) -> list[str]:
    """The words of a query: of a run of a dense script its pairs alone, which is what a text has in any case."""
    found = words(query)
    return [word for word in found if not _is_tail(word, found)][:MOST_WORDS]


def matches(word: str, found: Sequence[str]) -> bool:
    """Whether a word of a query is one of a text's, or begins one."""
    return word in found or (_begins(word) and any(other.startswith(word) for other in found))


def excerpt(said: str, query: str) -> str:
    """What is around the first word of a query in a text, at most EXCERPT characters of it."""
    low = said.casefold()
    at = min((found for word in asked(query) if (found := low.find(word)) >= 0), default=0)
    start = max(0, min(at - EXCERPT // 4, len(said) - EXCERPT))
    piece = said[start : start + EXCERPT]
    return f"{'…' if start else ''}{piece}{'…' if start + EXCERPT < len(said) else ''}"


def index(connection: Connection, entries: Sequence[tuple[str, int, str]]) -> None:
    """A unit: index the texts of entries that are stored, by turn and ordinal; one that is indexed stays so."""
    quote = "'" if connection.dialect.name == "postgresql" else ""
    rows = [
        {"turn": turn, "ordinal": ordinal, "words": " ".join(f"{quote}§{word}{quote}" for word in found)}
        for turn, ordinal, said in entries
        if (found := words(said))
    ]
    if rows:
        connection.execute(_index(connection.dialect.name), rows)


def find(connection: Connection, places: Sequence[int], query: str, most: int) -> list[int]:
    """The ids of the entries of some places that fit a query best.

    Every word counts, the more the fewer texts have it; of equals the newer comes first.
    """
    scores: dict[int, float] = {}
    for word in asked(query) if places else ():
        row = {"query": _query(connection.dialect.name, places, word)}
        hits = connection.execute(_find(connection.dialect.name), row).scalars().all()
        for entry in hits:
            scores[entry] = scores.get(entry, 0.0) + 1 / len(hits)
    return sorted(scores, key=lambda entry: (-scores[entry], -entry))[:most]


def matching(connection: Connection, query: str, places: Sequence[int] | None, most: int) -> Subquery | None:
    """The newest entries, at most so many, that have every word of a query, in its column `id`; None: it has no word.

    Of some places, or with None of all. On SQLite a word that as many have as it stands finds no longer ones.
    """
    found, dialect = asked(query), connection.dialect.name
    if not found or (places is not None and not places):
        return None
    both, either = (" & ", " | ") if dialect == "postgresql" else (" AND ", " OR ")
    each = [f"({either.join(_wanted(connection, places, word, most))})" for word in found]
    statement = text(f"{_newest(dialect)} LIMIT :most").bindparams(query=both.join(each), most=most)
    return statement.columns(id=Integer).subquery("matching")


def _wanted(connection: Connection, places: Sequence[int] | None, word: str, most: int) -> list[str]:
    """A word at each place. SQLite adds up every text with a word that begins so before it finds the first one."""
    if connection.dialect.name != "postgresql" and _begins(word):
        alone = _words("sqlite", places, word, begins=False)
        if connection.execute(_MANY, {"query": " OR ".join(alone), "passed": most - 1}).first() is not None:
            return alone
    return _words(connection.dialect.name, places, word)


def forget(connection: Connection, entries: Sequence[int]) -> None:
    """A unit: take entries out of the index."""
    key = "entry" if connection.dialect.name == "postgresql" else "rowid"
    statement = text(f"DELETE FROM entry_words WHERE {key} IN :entries")  # noqa: S608 - one of two words
    connection.execute(statement.bindparams(bindparam("entries", expanding=True)), {"entries": list(entries)})


def clean(connection: Connection, *, first: bool) -> bool:
    """A unit: rewrite a piece of the index without what was taken out; says whether there may be more to do.

    SQLite only marks it as gone until then; PostgreSQL's own vacuum does it there.
    """
    if connection.dialect.name == "postgresql":
        return False
    before = connection.execute(_CHANGES).scalar_one()
    connection.execute(_MERGE, {"pages": -_PAGES if first else _PAGES})
    return connection.execute(_CHANGES).scalar_one() - before >= 2  # what FTS5's documents say means progress


def _cut(word: str) -> list[str]:
    """A word as it stands, or the pieces of its dense and its plain runs."""
    pieces: list[str] = []
    end = 0
    for run in _DENSE.finditer(word):
        pieces += [word[end : run.start()]] if run.start() > end else []
        letters, end = run[0], run.end()
        pieces += [letters[at : at + 2] for at in range(len(letters))]  # the last one is a single character
    pieces += [word[end:]] if end < len(word) else []
    return [piece[:MOST_LETTERS] for piece in pieces]


def _is_tail(word: str, found: list[str]) -> bool:
    """The single character that ends a dense run."""
    return len(word) == 1 and not word.isascii() and any(len(o) == 2 and o.endswith(word) for o in found)


def _begins(word: str) -> bool:
    """Whether a word of a query also finds longer ones: not when it is so short that it would find anything."""
    return len(word) > 2 or not word.isascii()


def _query(dialect: str, places: Sequence[int], word: str) -> str:
    """The word at each place, in the engine's language; words are letters and digits alone, so they can be quoted."""
    return (" | " if dialect == "postgresql" else " OR ").join(_words(dialect, places, word))


def _words(dialect: str, places: Sequence[int] | None, word: str, *, begins: bool = True) -> list[str]:
    quote, more = ("'", ":*") if dialect == "postgresql" else ('"', " *")
    return [
        f"{quote}{place}§{word}{quote}{more if begins and _begins(word) else ''}"
        for place in ([""] if places is None else places)
    ]


_PAGES = 500
_MANY = text("SELECT rowid FROM entry_words WHERE entry_words MATCH :query LIMIT 1 OFFSET :passed")
_CHANGES = text("SELECT total_changes()")
_MERGE = text("INSERT INTO entry_words (entry_words, rank) VALUES ('merge', :pages)")


@cache
def _index(dialect: str) -> Any:
    key, made = ("entry", "CAST({} AS tsvector)") if dialect == "postgresql" else ("rowid", "{}")
    placed = made.format("replace(:words, '§', CAST(sessions.place AS text) || '§') || ' ' || :words")
    return text(
        f"INSERT INTO entry_words ({key}, words) SELECT entries.id, {placed} "  # noqa: S608 - words of this module
        "FROM entries JOIN sessions ON sessions.id = entries.session "
        "WHERE entries.turn = :turn AND entries.ordinal = :ordinal "
        f"AND NOT EXISTS (SELECT 1 FROM entry_words there WHERE there.{key} = entries.id)"
    )


@cache
def _find(dialect: str) -> Any:
    return text(f"{_newest(dialect)} LIMIT {NEWEST}")


def _newest(dialect: str) -> str:
    if dialect == "postgresql":
        return "SELECT entry AS id FROM entry_words WHERE words @@ CAST(:query AS tsquery) ORDER BY entry DESC"
    return "SELECT rowid AS id FROM entry_words WHERE entry_words MATCH :query ORDER BY rowid DESC"
