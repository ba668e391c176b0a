"""A key's own sessions over HTTP: to list, read, name and erase; and those of chats, to read what it was granted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from hub import memory
from hub.accounts import conversations as shared
from hub.accounts import turns
from hub.bus import Bus
from hub.errors import Conflict
from hub.memory import Entry
from hub.message import API, Address, Value, agent_inbox
from hub.records import traces
from hub.records.search import Sought, of_sessions
from hub.records.traces import MESSAGES, PAGE, STOP_WAIT
from hub.signals import POLL
from hub.store.listing import Page, Part, listed
from hub.store.tables import conversation_grants as grants
from hub.store.tables import conversations, entries, lanes, messages, responses, sessions


class SessionRecord(Value, frozen=True, kw_only=True):
    """A session; `session_id` is its key's name of it, `updated_at` when something was last said. Unix seconds."""

    id: int
    agent: str
    address: str
    title: str | None = None
    started_at: float
    updated_at: float | None = None

    @property
    def session_id(self) -> str | None:
        here = Address.parse(self.address)
        return here.thread_id if here.channel == API else None

    @property
    def chat(self) -> str | None:
        """The address of the chat it belongs to; None: it is a key's own."""
        return None if Address.parse(self.address).channel == API else self.address


class Written(Value, frozen=True, kw_only=True):
    """An entry of a session where it stands."""

    id: int
    turn: str
    at: float
    entry: Entry


class Sessions:
    """Knows the sessions of keys (`api.ports.Sessions`); another key's do not exist."""

    def __init__(self, bus: Bus, *, stop_wait: float = STOP_WAIT) -> None:
        self._bus = bus
        self._store = bus.store
        self._stop_wait = stop_wait

    async def list(self, key_id: int, sought: Sought, part: Part) -> Page[SessionRecord]:
        """Sessions of a key, the newest first."""
        mine, chat = _mine(key_id), f"{API}:{key_id}"
        return await self._store.read(lambda connection: _list(connection, mine, sought, chat, part))

    async def granted(self, key_id: int, address: Address, sought: Sought, part: Part) -> Page[SessionRecord]:
        """Sessions at an address, the newest first, of the agents whose conversation there the key was granted.

        Raises Forbidden where that is none, or not this agent's.
        """
        there = (sessions.c.address == str(address)) & _granted(key_id)

        def unit(connection: Connection) -> Page[SessionRecord]:
            shared.check(connection, key_id, sought.agent, address)
            return _list(connection, there, sought, address.chat, part)

        return await self._store.read(unit)

    async def readable(self, key_id: int, id: int) -> SessionRecord | None:
        """A session that is the key's, or of a conversation that it was granted; or None."""
        return await self._find(or_(_mine(key_id), _granted(key_id)), id)

    async def find(self, key_id: int, id: int) -> SessionRecord | None:
        """A session that is the key's, or None."""
        return await self._find(_mine(key_id), id)

    async def _find(self, whose: ColumnElement[bool], id: int) -> SessionRecord | None:
        query = _SESSION.where(whose, sessions.c.id == id)
        row = await self._store.read(lambda connection: connection.execute(query).first())
        return None if row is None else record_of_session(row)

    async def read(self, session: SessionRecord, after: int, limit: int) -> list[Written]:
        """What was said in it after an entry, the oldest first."""
        query = select(entries).where(entries.c.session == session.id, entries.c.id > after)
        query = query.order_by(entries.c.id).limit(limit)
        rows = await self._store.read(lambda connection: connection.execute(query).all())
        return [Written(id=row.id, turn=row.turn, at=row.at, entry=memory.decode(row.body)) for row in rows]

    async def rename(self, session: SessionRecord, title: str | None) -> None:
        """Give it a title, or none."""
        change = update(sessions).where(sessions.c.id == session.id).values(title=title)
        await self._store.write(lambda connection: connection.execute(change))

    async def erase(self, session: SessionRecord) -> None:
        """Erase it for good: what was said, what is found of it, and the words of its turns.

        What the agent is asked next begins a new one. Raises Conflict when a turn of it runs and does not stop.
        """
        lane, waiting = await self._store.write(partial(_detach, session=session))
        await self._stop(session, waiting)
        while await self._store.write(partial(_drop, session=session.id)):
            pass
        if lane is not None:
            await self._blank(*lane)
        await self._store.write(partial(_remove, session=session.id))
        await traces.clean(self._store)

    async def _stop(self, session: SessionRecord, waiting: Sequence[str]) -> None:
        """Withdraw what waits, and stop what runs, of what was asked before the session was let go of."""
        loop, inbox = asyncio.get_running_loop(), agent_inbox(session.agent)
        deadline = loop.time() + self._stop_wait
        while waiting:
            running: list[str] = []
            for id in waiting:  # noqa: A001 - a message's
                close = partial(turns.close, id=id, status="cancelled", now=self._bus.clock())
                if await self._bus.withdraw(inbox, id, "silent", "stopped", also=close) == "running":
                    running.append(id)
            if running and loop.time() >= deadline:
                what = f"The session is still being answered (turn {running[0]}); it was told to stop."
                raise Conflict(f"{what} Delete it again when that is over.", code="turn_running")
            waiting = running
            if running:
                await asyncio.sleep(min(POLL, self._stop_wait))

    async def _blank(self, lane: int, tail: int) -> None:
        """Take the words out of the messages of a lane, up to one, and out of their turns."""
        after = 0
        while after < tail:
            after = await self._store.write(partial(_blank, lane=lane, after=after, tail=tail, now=self._bus.clock()))


def _list(
    connection: Connection, whose: ColumnElement[bool], sought: Sought, chat: str, part: Part
) -> Page[SessionRecord]:
    rows = _SESSION.where(whose, *of_sessions(connection, sought, [chat]))
    return listed(connection, rows, [sessions.c.id], part, record_of_session, newest=True)


def _mine(key_id: int) -> ColumnElement[bool]:
    return sessions.c.person == f"{API}:{key_id}"


def _granted(key_id: int) -> ColumnElement[bool]:
    mine = select(grants.c.id).where(
        grants.c.key_id == key_id, grants.c.agent == sessions.c.agent, grants.c.address == sessions.c.address
    )
    return mine.exists()


_SESSION = select(sessions)


def record_of_session(row: Any) -> SessionRecord:
    """The session in a row."""
    names = ("id", "agent", "address", "title", "started_at", "updated_at")
    return SessionRecord(**{name: getattr(row, name) for name in names})


def _detach(connection: Connection, session: SessionRecord) -> tuple[tuple[int, int] | None, list[str]]:
    """A unit: let the next message begin another session; returns the lane and its end, and what waits in it."""
    connection.execute(delete(conversations).where(conversations.c.session == session.id))
    inbox = agent_inbox(session.agent)
    where = (lanes.c.inbox == inbox, lanes.c.lane == session.address)
    lane = connection.execute(select(lanes.c.id, lanes.c.tail).where(*where)).first()
    if lane is None:
        return None, []
    waits = select(messages.c.mid).where(messages.c.lane_id == lane.id, messages.c.outcome.is_(None))
    return (lane.id, lane.tail), list(connection.execute(waits.order_by(messages.c.seq)).scalars())


def _drop(connection: Connection, session: int) -> int:
    """A unit: erase some of its entries, and what the rows of their turns say; returns how many."""
    some = select(entries.c.id, entries.c.turn).where(entries.c.session == session).order_by(entries.c.id).limit(PAGE)
    rows = connection.execute(some).all()
    _silence(connection, traces.drop(connection, rows))
    return len(rows)


def _blank(connection: Connection, lane: int, after: int, tail: int, now: float) -> int:
    """A unit: blank some messages of a lane; returns the last one's number, `tail` at the end."""
    some = select(messages).where(messages.c.lane_id == lane, messages.c.seq > after, messages.c.seq <= tail)
    rows = connection.execute(some.order_by(messages.c.seq).limit(PAGE)).all()
    MESSAGES.erase(connection, rows, now)
    _silence(connection, [row.mid for row in rows])
    return rows[-1].seq if len(rows) == PAGE else tail


def _silence(connection: Connection, ids: Sequence[str]) -> None:
    """A unit: take the words out of some turns, and the responses away that they were."""
    traces.silence(connection, ids)
    connection.execute(delete(responses).where(responses.c.id.in_(ids)))


def _remove(connection: Connection, session: int) -> None:
    """A unit: erase the row; the newest of all stays without a name, as SQLite would give its id to another."""
    newest = connection.execute(select(func.max(sessions.c.id))).scalar()
    mine = sessions.c.id == session
    if newest == session:
        blank = {"person": None, "title": None, "address": f"{API}:0", "channel": API}
        connection.execute(update(sessions).where(mine).values(blank))
    else:
        connection.execute(delete(sessions).where(mine))
