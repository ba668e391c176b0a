"""Sessions that are over, as they stand in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub import memory
from hub.accounts import keys, turns
from hub.accounts.turns import TurnRecord
from hub.memory import Entry, Heard, Said, Stepped, Summary
from hub.message import Address, File
from hub.model import ToolCall, Usage
from hub.store import Connection
from tests.panel.desk import Desk

CALL = ToolCall(id="c1", name="recall", arguments='{"query": "tea", "limits": {"most": 3}}')
STEP = Stepped(text="", calls=(CALL,), results=('{"found": ["green tea"]}',), took=(0.24,))


async def key_of(desk: Desk, secret: str) -> int:
    """The id of a key."""

    def unit(connection: Connection) -> int:
        found = keys.find(connection, secret, desk.here.engine.clock())
        assert found is not None
        return found.id

    return await desk.here.store.read(unit)


async def past(
    desk: Desk,
    address: Address,
    *said: Sequence[Entry],
    title: str | None = None,
    person: str | None = None,
    **turn: Any,
) -> int:
    """A session with these turns, an hour ago; returns its number."""
    now = desk.here.engine.clock() - 3600

    def unit(connection: Connection) -> int:
        session = memory.new_session(connection, "assistant", address, now, person)
        for number, entries in enumerate(said):
            at, id = now + 60 * number, f"{address}#{session}.{number}"  # noqa: A001 - a turn's
            memory.append(connection, session, id, 0, entries, at)
            made: dict[str, Any] = {
                "id": id,
                "address": str(address),
                "status": "completed",
                "agent": "assistant",
                "model": "demo",
                "session": session,
                "usage": Usage(prompt=1200, completion=34),
                "fee": 2_500_000,
                "created_at": at,
                "started_at": at,
                "first_token_at": at + 0.24,
                "finished_at": at + 3.2,
                **turn,
            }
            turns.save(connection, TurnRecord(**made), charged=True)
        if title is not None:
            connection.execute(memory.sessions.update().where(memory.sessions.c.id == session).values(title=title))
        return session

    return await desk.here.store.write(unit)


async def of_key(desk: Desk, secret: str, *said: Sequence[Entry], **more: Any) -> int:
    """The same in a conversation of a key."""
    key = await key_of(desk, secret)
    return await past(desk, Address("api", str(key), "work"), *said, person=f"api:{key}", key_id=key, **more)


def talk(text: str, answer: str, *steps: Entry, files: tuple[File, ...] = (), author: str | None = None) -> list[Entry]:
    """A turn: what was asked, what was done, what was answered."""
    return [Heard(text=text, files=files, author=author), *steps, Said(text=answer)]


SUMMARY = Summary(text="They spoke of **tea**.", upto=0)
