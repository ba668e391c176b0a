"""Forgets what is older than config allows, agent by agent: a job that the hub asks itself for every hour.

What was said goes by whole turns, the oldest first, and a summary after what it sums up: so a view begins later than
before, and never with an answer without its question. What was used stays: the rows of turns lose their words alone.

How far it came stands in `settings`, for each agent, in the transaction that forgot: a pass looks at what has become
too old since the one before. What cannot go yet, because its message waits, holds this mark back. Functions that take a
connection are units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, String, and_, cast, delete, func, insert, literal, or_, select, tuple_, update

from hub import memory
from hub.memory import Summary
from hub.message import COMPACTION, agent_inbox
from hub.records import traces
from hub.records.jobs.runner import Outcome, Run
from hub.store import search
from hub.store.tables import conversations, entries, lanes, messages, responses, sessions, settings, turns

PAGE = 500
"""Rows that are looked at in a transaction."""
EVERY = 3600.0
"""Seconds between two passes."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What was said before a time (Unix seconds) goes; without an agent, what models were asked."""

    agent: str | None
    before: float


class Mark(msgspec.Struct, kw_only=True):
    """Everything of a policy up to here is gone: entries by their id, turns by when they began, and their id."""

    entry: int = 0
    turn: tuple[float, str] = (0.0, "")


class Counts(msgspec.Struct, kw_only=True):
    """How much of each was forgotten."""

    entries: int = 0
    turns: int = 0
    sessions: int = 0


@dataclass(kw_only=True)
class Walk:
    """Where a pass is, and whether it passed something that stays for now."""

    policy: Policy
    mark: Mark
    held: bool = False


class Retention:
    """Does the job; `allowed` says for how many seconds what was said to each agent is kept, None being no agent."""

    def __init__(self, allowed: Callable[[], Mapping[str | None, float]]) -> None:
        self._allowed = allowed

    def wanted(self) -> bool:
        """Whether config limits anything."""
        return bool(self._allowed())

    async def __call__(self, run: Run) -> Outcome:
        """Forget what is too old for each agent; what was cut off goes on where it was."""
        counts = Counts() if run.job.mark is None else msgspec.convert(run.job.mark, Counts)
        began = run.job.started_at or 0.0
        for agent, seconds in self._allowed().items():
            policy = Policy(agent=agent, before=began - seconds)
            mark = await run.store.read(partial(mark_of, agent=agent))
            if agent is not None:
                await _forget_entries(run, Walk(policy=policy, mark=mark), counts)
            await _blank_turns(run, Walk(policy=policy, mark=mark), counts)
            if agent is not None:
                await _forget_sessions(run, policy, counts)
        if counts.entries:
            first = True
            while await run.save("index", counts.entries, mark=counts, unit=partial(search.clean, first=first)):
                first = False
        return Outcome(result=msgspec.structs.asdict(counts))


async def _forget_entries(run: Run, walk: Walk, counts: Counts) -> None:
    after = walk.mark.entry
    while rows := await run.store.read(partial(page_of_entries, after=after)):
        if all(row.at >= walk.policy.before for row in rows):
            return
        after = rows[-1].id

        earlier = copy(counts)

        def unit(connection: Connection, rows: Sequence[Any] = rows, before: Counts = earlier) -> None:
            said, used = forget_entries(connection, walk, rows)
            counts.entries, counts.turns = before.entries + said, before.turns + used
            keep_mark(connection, walk.policy.agent, "entry", walk.mark.entry)

        await run.save("entries", counts.entries, mark=counts, unit=unit)


async def _blank_turns(run: Run, walk: Walk, counts: Counts) -> None:
    after = walk.mark.turn
    end = (walk.policy.before, "")
    while after < end:
        rows = await run.store.read(partial(page_of_turns, policy=walk.policy, after=after))
        after = end if len(rows) < PAGE else (rows[-1].created_at, rows[-1].id)

        def unit(
            connection: Connection,
            rows: Sequence[Any] = rows,
            until: tuple[float, str] = after,
            before: int = counts.turns,
        ) -> None:
            counts.turns = before + blank_turns(connection, walk, rows, until)
            keep_mark(connection, walk.policy.agent, "turn", walk.mark.turn)

        await run.save("turns", counts.turns, mark=counts, unit=unit)


async def _forget_sessions(run: Run, policy: Policy, counts: Counts) -> None:
    after = 0
    while ids := await run.store.read(partial(page_of_sessions, policy=policy, after=after)):
        after = ids[-1]
        if await run.store.read(partial(deserted, policy=policy, ids=ids)):

            def unit(connection: Connection, ids: Sequence[int] = ids, before: int = counts.sessions) -> None:
                counts.sessions = before + forget_sessions(connection, policy, ids)

            await run.save("sessions", counts.sessions, mark=counts, unit=unit)


# Where a policy is.


def mark_of(connection: Connection, agent: str | None) -> Mark:
    """How far what an agent heard and said is forgotten."""
    value = connection.execute(select(settings.c.value).where(settings.c.name == _name(agent))).scalar()
    return Mark() if value is None else msgspec.json.decode(value, type=Mark)


def keep_mark(connection: Connection, agent: str | None, field: str, at: object) -> None:
    """Note how far it is."""
    mark = mark_of(connection, agent)
    setattr(mark, field, at)
    row = {"name": _name(agent), "value": msgspec.json.encode(mark).decode()}
    here = settings.c.name == row["name"]
    if connection.execute(update(settings).where(here).values(value=row["value"])).rowcount == 0:
        connection.execute(insert(settings).values(row))


def _name(agent: str | None) -> str:
    return "retention" if agent is None else f"retention of {agent}"


# What was said.


def page_of_entries(connection: Connection, after: int) -> Sequence[Any]:
    """The next entries of all agents, the oldest first."""
    columns = (entries.c.id, entries.c.at, entries.c.turn, entries.c.ordinal, entries.c.session, sessions.c.agent)
    query = select(*columns).join(sessions, sessions.c.id == entries.c.session).where(entries.c.id > after)
    return connection.execute(query.order_by(entries.c.id).limit(PAGE)).all()


def forget_entries(connection: Connection, walk: Walk, rows: Sequence[Any]) -> tuple[int, int]:
    """Forget turns that are too old as a whole; returns how many entries and rows of turns that were."""
    before = walk.policy.before
    mine = [row for row in rows if row.agent == walk.policy.agent]
    old = [row for row in mine if row.at < before]
    summaries = [row for row in old if row.turn == memory.summaries(row.session)]
    said = {row.turn for row in old}.difference(row.turn for row in summaries)
    lasting = select(entries.c.turn).where(entries.c.turn.in_(said), entries.c.at >= before)
    gone = said.difference(connection.execute(lasting).scalars()) - unsettled(connection, said)
    stays = [row.id for row in mine if row.at >= before or row.turn in said - gone]
    if not walk.held:
        walk.held = bool(stays)
        walk.mark.entry = min(stays) - 1 if stays else rows[-1].id
    whole = connection.execute(select(entries.c.id, entries.c.turn).where(entries.c.turn.in_(gone))).all()
    used = traces.silence(connection, traces.drop(connection, whole))
    _forget_titles(connection, {row.session for row in old})
    return len(whole) + sum([_forget_summary(connection, row) for row in summaries]), used


def unsettled(connection: Connection, turns: set[str]) -> set[str]:
    """Which turns' messages wait, or are being answered."""
    waiting = select(messages.c.mid).where(messages.c.mid.in_(turns), messages.c.outcome.is_(None))
    return set(connection.execute(waiting).scalars())


def _forget_summary(connection: Connection, row: Any) -> int:
    """Forget a summary. The newest one loses its words alone: the next is numbered after it."""
    newer = select(entries.c.id).where(entries.c.turn == row.turn, entries.c.ordinal > row.ordinal).limit(1)
    if connection.execute(newer).first() is not None:
        return len(traces.drop(connection, [row]))
    body = connection.execute(select(entries.c.body).where(entries.c.id == row.id)).scalar_one()
    entry = memory.decode(body)
    if not isinstance(entry, Summary) or not entry.text:
        return 0
    blank = msgspec.json.encode(msgspec.structs.replace(entry, text=""))
    return connection.execute(update(entries).where(entries.c.id == row.id).values(body=blank)).rowcount


def _forget_titles(connection: Connection, ids: set[int]) -> None:
    """A title tells what was said: it goes with the last of that."""
    titled = (sessions.c.id.in_(ids), sessions.c.title.is_not(None), ~_left(None).exists())
    connection.execute(update(sessions).where(*titled).values(title=None))


def _left(before: float | None) -> Any:
    """What is left in a session besides its summaries, or those from before a time."""
    summary = entries.c.turn == literal("summary:") + cast(sessions.c.id, String)
    old = summary if before is None else and_(summary, entries.c.at < before)
    return select(entries.c.id).where(entries.c.session == sessions.c.id, ~old).correlate(sessions)


# What was used.


def page_of_turns(connection: Connection, policy: Policy, after: tuple[float, str]) -> Sequence[Any]:
    """The next turns of a policy, the oldest first."""
    order = (turns.c.created_at, turns.c.id)
    worded = or_(*(turns.c[name].is_not(None) for name in traces.WORDS))
    query = select(*order, turns.c.finished_at, worded.label("worded")).where(
        turns.c.agent.is_(None) if policy.agent is None else turns.c.agent == policy.agent,
        tuple_(*order) > tuple_(*after),
        turns.c.created_at < policy.before,
    )
    return connection.execute(query.order_by(*order).limit(PAGE)).all()


def blank_turns(connection: Connection, walk: Walk, rows: Sequence[Any], until: tuple[float, str]) -> int:
    """Take the words out of turns that are over for so long, with the responses that they are; returns how many."""
    ids = {row.id for row in rows}
    young = {row.id for row in rows if row.finished_at is not None and row.finished_at >= walk.policy.before}
    gone = ids - young - unsettled(connection, ids)
    if not walk.held:
        first = next((index for index, row in enumerate(rows) if row.id not in gone), None)
        walk.held = first is not None
        if first is None:
            walk.mark.turn = until
        elif first:
            walk.mark.turn = (rows[first - 1].created_at, rows[first - 1].id)
    connection.execute(delete(responses).where(responses.c.id.in_(gone)))
    return traces.silence(connection, [row.id for row in rows if row.worded and row.id in gone])


# Where it was said.


def page_of_sessions(connection: Connection, policy: Policy, after: int) -> Sequence[int]:
    """The next sessions that began so long ago."""
    old = (sessions.c.agent == policy.agent, sessions.c.id > after, sessions.c.started_at < policy.before)
    return connection.execute(select(sessions.c.id).where(*old).order_by(sessions.c.id).limit(PAGE)).scalars().all()


def deserted(connection: Connection, policy: Policy, ids: Sequence[int]) -> Sequence[int]:
    """Those of some sessions in which nothing is left, which are nobody's current one, and where nothing is going on.

    The newest session of all is none of them: SQLite would give its id to the next one.
    """
    here = (lanes.c.ready_at.is_not(None), lanes.c.inbox == agent_inbox(policy.agent or ""))
    answering = select(lanes.c.id).where(*here, lanes.c.lane == sessions.c.address)
    summing = (lanes.c.inbox == COMPACTION, lanes.c.lane == cast(sessions.c.id, String), lanes.c.ready_at.is_not(None))
    current = select(conversations.c.id).where(
        conversations.c.agent == sessions.c.agent,
        conversations.c.address == sessions.c.address,
        conversations.c.session == sessions.c.id,
    )
    newest = select(func.max(sessions.alias().c.id)).scalar_subquery()
    query = select(sessions.c.id).where(
        sessions.c.id.in_(ids),
        sessions.c.id != newest,
        ~or_(
            current.exists(),
            _left(policy.before).exists(),
            answering.exists(),
            select(lanes.c.id).where(*summing).exists(),
        ),
    )
    return connection.execute(query).scalars().all()


def forget_sessions(connection: Connection, policy: Policy, ids: Sequence[int]) -> int:
    """Forget those of some sessions that are deserted; returns how many."""
    gone = deserted(connection, policy, ids)
    summed = select(entries.c.id, entries.c.turn).where(entries.c.session.in_(gone))
    traces.drop(connection, connection.execute(summed).all())
    return connection.execute(delete(sessions).where(sessions.c.id.in_(gone))).rowcount
