"""Conversations of chats that are granted to keys: who may read one over HTTP, and go on with it.

A grant is a key, an agent and an address, each exactly: neither the owner of a key, nor an admin, nor a thread of a
chat has it by another's grant. Units.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, insert, select

from hub.accounts.audit import Act
from hub.accounts.turns import Visit
from hub.errors import Forbidden, NotFound
from hub.message import Address, Value
from hub.store import listing
from hub.store.listing import Page, Part
from hub.store.tables import conversation_grants as grants
from hub.store.tables import conversations, keys


class ConversationGrant(Value, frozen=True, kw_only=True):
    """A conversation that a key may read and go on with; `created_at` is in Unix seconds."""

    id: int
    key_id: int
    key_name: str
    agent: str
    address: str
    created_at: float


def bind(act: Act, key: int, agent: str, address: Address, wanted: bool | None) -> bool:
    """A unit: grant a conversation, or take it back, or with None whichever changes it; says whether it is granted now.

    Raises NotFound for a key, or to grant it for a conversation, that there is not.
    """
    connection, mine = act.connection, _exactly(grants, agent, address) & (grants.c.key_id == key)
    row = connection.execute(_KEY.with_for_update(), {"key_": key}).first()  # one at a time
    if row is None:
        raise NotFound(f"There is no API key {key}.", param="key_id", code="key_not_found")
    known = connection.execute(select(grants.c.id).where(mine)).scalar()
    if wanted is not None and wanted == (known is not None):
        return wanted
    if known is None:
        check_begun(connection, agent, address)
        new = {"key_id": key, "agent": agent, "address": str(address), "created_at": act.now}
        connection.execute(insert(grants).values(new))
    else:
        connection.execute(delete(grants).where(mine))
    act.note(str(address), after={"key_id": key, "agent": agent, "granted": known is None})
    return known is None


def check(connection: Connection, key: int, agent: str | None, address: Address) -> None:
    """A unit: raise Forbidden unless a key was granted this agent's conversation, or any, at this very address."""
    mine = (grants.c.key_id == key) & (grants.c.address == str(address))
    mine = mine if agent is None else mine & (grants.c.agent == agent)
    if connection.execute(select(grants.c.id).where(mine).limit(1)).first() is None:
        whose = "an agent's conversation" if agent is None else f"the conversation of '{agent}'"
        problem = f"This key lacks the grant of {whose} at {address}: an admin gives it."
        raise Forbidden(problem, param="session", code="missing_grant")


def check_begun(connection: Connection, agent: str, address: Address) -> None:
    """A unit: raise NotFound where nobody has spoken with an agent yet."""
    if connection.execute(select(conversations.c.session).where(_exactly(conversations, agent, address))).first():
        return
    problem = f"There is no conversation of '{agent}' at {address}: nobody has spoken with it there."
    raise NotFound(problem, param="session", code="conversation_not_found")


def listed(connection: Connection, key: int | None, address: str | None, part: Part) -> Page[ConversationGrant]:
    """A unit: grants in the order they were made."""
    here = grants.join(keys, keys.c.id == grants.c.key_id)
    fitting = [keys.c.deleted_at.is_(None)]
    fitting += [] if key is None else [grants.c.key_id == key]
    fitting += [] if address is None else [grants.c.address == address]
    rows = select(grants, keys.c.name.label("key_name")).select_from(here).where(*fitting)
    return listing.listed(connection, rows, [grants.c.id], part, _grant)


def visited(connection: Connection, agent: str, visit: Visit, turn: str, now: float) -> None:
    """A unit: write down that a program asks in a chat's conversation."""
    act = Act(connection=connection, what="conversation.turn", now=now, by=visit.by)
    act.note(str(visit.address), after={"agent": agent, "turn": turn})


def _exactly(table: Table, agent: str, address: Address) -> ColumnElement[bool]:
    return (table.c.agent == agent) & (table.c.address == str(address))


def _grant(row: Any) -> ConversationGrant:
    names = ConversationGrant.__struct_fields__
    return ConversationGrant(**{name: getattr(row, name) for name in names})


_KEY = select(keys.c.id).where(keys.c.id == bindparam("key_"), keys.c.deleted_at.is_(None))
