"""Responses that programs may come back to: what was asked, and what a model answered. Every function is a unit.

The answer of an agent with memory is its turn and that turn's entries; its row here has only what was asked. A model
remembers nothing, so its answer is kept with the question, and a chain of them is the history.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.message import Value
from hub.store.tables import responses

LONGEST = 1000
"""Responses of one chain that are read."""
Item = dict[str, Any]


class Kept(Value, frozen=True, kw_only=True):
    """A response as it is stored, by the id of its turn; times are Unix seconds.

    `asked` is what the answer repeats of the request, `input` its items. `answer` is the whole response of a model once
    it has ended; until then a live process writes `alive_at` anew. Both are None for an agent with memory.
    """

    id: str
    key_id: int
    agent: str | None = None
    conversation: str | None = None
    previous: str | None = None
    asked: dict[str, Any]
    input: list[Item]
    answer: dict[str, Any] | None = None
    alive_at: float | None = None
    created_at: float


def save(connection: Connection, kept: Kept) -> None:
    """Store a response; one that is there stays as it is."""
    connection.execute(_save(connection.dialect.name), _row(kept))


def find(connection: Connection, id: str, key_id: int) -> Kept | None:
    """A response of this key, or None."""
    row = connection.execute(_FIND, {"id_": id, "key_": key_id}).first()
    return None if row is None else _kept(row)


def newest(connection: Connection, conversation: str, key_id: int) -> str | None:
    """The id of the newest response in a key's conversation that a model has completed, or None."""
    for row in connection.execute(_NEWEST, {"conversation_": conversation, "key_": key_id}):
        if msgspec.json.decode(row.answer)["status"] in ("completed", "incomplete"):
            return row.id
    return None


def chain(connection: Connection, id: str, key_id: int) -> list[Kept] | None:
    """A response and those that it continues, oldest first; None where one of them is gone."""
    found: list[Kept] = []
    at: str | None = id
    while at is not None and len(found) < LONGEST:
        kept = find(connection, at, key_id)
        if kept is None:
            return None
        found.append(kept)
        at = kept.previous
    return found[::-1]


def answered(connection: Connection, id: str, answer: dict[str, Any]) -> bool:
    """End a response that has not ended; says whether it did."""
    return connection.execute(_ANSWERED, {"id_": id, "to": msgspec.json.encode(answer)}).rowcount > 0


def alive(connection: Connection, id: str, now: float) -> bool:
    """Say that a response is still being worked on; False when it has ended, or was deleted."""
    return connection.execute(_ALIVE, {"id_": id, "now": now}).rowcount > 0


def remove(connection: Connection, id: str, key_id: int) -> bool:
    """Delete a response; says whether there was one."""
    return connection.execute(_REMOVE, {"id_": id, "key_": key_id}).rowcount > 0


_MINE = (responses.c.id == bindparam("id_"), responses.c.key_id == bindparam("key_"))
_RUNNING = (responses.c.id == bindparam("id_"), responses.c.answer.is_(None))
_FIND = select(responses).where(*_MINE)
_REMOVE = delete(responses).where(*_MINE)
_ANSWERED = update(responses).where(*_RUNNING).values(answer=bindparam("to"))
_ALIVE = update(responses).where(*_RUNNING).values(alive_at=bindparam("now"))
_NEWEST = (
    select(responses.c.id, responses.c.answer)
    .where(
        responses.c.key_id == bindparam("key_"),
        responses.c.conversation == bindparam("conversation_"),
        responses.c.answer.is_not(None),
    )
    .order_by(responses.c.created_at.desc(), responses.c.id.desc())
    .limit(100)
)


@cache
def _save(dialect: str) -> Any:
    into: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return into(responses).on_conflict_do_nothing(index_elements=["id"])


def _row(kept: Kept) -> dict[str, Any]:
    return {
        "id": kept.id,
        "key_id": kept.key_id,
        "agent": kept.agent,
        "conversation": kept.conversation,
        "previous": kept.previous,
        "asked": msgspec.json.encode(kept.asked),
        "input": msgspec.json.encode(kept.input),
        "answer": None if kept.answer is None else msgspec.json.encode(kept.answer),
        "alive_at": kept.alive_at,
        "created_at": kept.created_at,
    }


def _kept(row: Any) -> Kept:
    return Kept(
        id=row.id,
        key_id=row.key_id,
        agent=row.agent,
        conversation=row.conversation,
        previous=row.previous,
        asked=msgspec.json.decode(row.asked),
        input=msgspec.json.decode(row.input),
        answer=None if row.answer is None else msgspec.json.decode(row.answer),
        alive_at=row.alive_at,
        created_at=row.created_at,
    )
