"""Schedules as rows: what an agent asked to be reminded of, where and when. All units."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, exists, insert, literal, select, update

from hub.agent import Schedule
from hub.errors import RequestError
from hub.message import Address, agent_inbox
from hub.store.tables import messages, schedules
from hub.when import When, after

MOST = 20
"""Schedules of one agent at one address."""
AT_ONCE = 100


class Rule(Schedule, frozen=True, kw_only=True):
    """A schedule with whose it is."""

    agent: str
    address: Address
    direct: bool = True

    @property
    def message_id(self) -> str:
        """The message that it becomes the next time."""
        return message_id(self.id, self.next_at)


def message_id(id: int, due: float) -> str:
    """The message that a schedule becomes at a time."""
    return f"schedule:{id}:{int(due)}"


def add(connection: Connection, key: str, rule: Rule, now: float) -> tuple[Rule, bool]:
    """Store a schedule, once per key, and say whether it is new; raises RequestError where there are enough."""
    found = connection.execute(select(schedules).where(schedules.c.key == key)).first()
    if found is not None:
        return _rule(found), False
    if len(mine(connection, rule.agent, rule.address)) >= MOST:
        raise RequestError(f"There are {MOST} schedules here already: cancel one first.")
    row = {
        "key": key,
        "agent": rule.agent,
        "address": str(rule.address),
        "direct": rule.direct,
        "text": rule.text,
        "rule": msgspec.json.encode(rule.when),
        "next_at": rule.next_at,
        "created_at": now,
    }
    made = connection.execute(insert(schedules).values(row).returning(schedules.c.id)).scalar_one()
    return msgspec.structs.replace(rule, id=made), True


def mine(connection: Connection, agent: str, address: Address) -> list[Rule]:
    """An agent's schedules at an address, the next one first."""
    here = and_(schedules.c.agent == agent, schedules.c.address == str(address))
    return [_rule(row) for row in connection.execute(select(schedules).where(here).order_by(schedules.c.next_at))]


def cancel(connection: Connection, agent: str, address: Address, id: int) -> bool:
    """Remove a schedule; says whether the agent had it there."""
    own = and_(schedules.c.id == id, schedules.c.agent == agent, schedules.c.address == str(address))
    return connection.execute(delete(schedules).where(own)).rowcount > 0


def due(connection: Connection, now: float) -> list[tuple[Rule, bool]]:
    """Schedules whose time has come, each with whether the message of its last time still waits."""
    inbox = literal(agent_inbox("")) + schedules.c.agent
    waits = exists().where(messages.c.mid == schedules.c.last, messages.c.inbox == inbox, messages.c.outcome.is_(None))
    query = select(schedules, waits.label("waits")).where(schedules.c.next_at <= now)
    rows = connection.execute(query.order_by(schedules.c.next_at).limit(AT_ONCE))
    return [(_rule(row), bool(row.waits)) for row in rows]


def move(connection: Connection, rule: Rule, now: float, *, fired: bool) -> bool:
    """Let a schedule that was due wait for its next time; False where somebody did so, or cancelled it."""
    here = and_(schedules.c.id == rule.id, schedules.c.next_at == rule.next_at)
    following = after(rule.when, rule.next_at, now)
    if following is None:
        return connection.execute(delete(schedules).where(here)).rowcount > 0
    changes: dict[str, Any] = {"next_at": following} | ({"last": rule.message_id} if fired else {})
    return connection.execute(update(schedules).where(here).values(changes)).rowcount > 0


def _rule(row: Any) -> Rule:
    when = msgspec.json.decode(row.rule, type=When)
    return Rule(
        id=row.id,
        text=row.text,
        when=when,
        next_at=row.next_at,
        agent=row.agent,
        address=Address.parse(row.address),
        direct=row.direct,
    )
