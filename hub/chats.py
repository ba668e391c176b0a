"""What is known of chats: which agent they chose, which are gone, and which have another id now. All units."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.message import Address, channel_inbox
from hub.store.tables import choices, conversations, facts, gone, lanes, messages, places, schedules, sessions


def mark_gone(connection: Connection, channel: str, chat_id: str, why: str, now: float) -> None:
    """Remember that the platform refuses everything for this chat."""
    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"channel": channel, "chat_id": chat_id, "why": why, "at": now}
    connection.execute(insert(gone).values(row).on_conflict_do_nothing())


def written_to(connection: Connection, channel: str, most: int) -> list[str]:
    """Some chats of a channel that were written to, by their addresses."""
    here = select(lanes.c.lane).where(lanes.c.inbox == channel_inbox(channel), lanes.c.lane != "")
    return [*connection.execute(here.order_by(lanes.c.lane).limit(most)).scalars()]


def gone_because(connection: Connection, channel: str, chat_id: str) -> str | None:
    """Why nothing can be sent to this chat; None where it can."""
    return connection.execute(_WHY, {"channel_": channel, "chat_": chat_id}).scalar()


def chosen(connection: Connection, address: Address) -> str | None:
    """The agent that was chosen for a conversation, if any was."""
    return connection.execute(_CHOSEN, {"address_": str(address)}).scalar()


def choose(connection: Connection, address: Address, agent: str | None) -> None:
    """Let an agent answer a conversation from now on; None takes the choice back."""
    connection.execute(delete(choices).where(choices.c.address == str(address)))
    if agent is not None:
        insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        row = {"address": str(address), "agent": agent}
        connection.execute(insert(choices).values(row).on_conflict_do_update(index_elements=["address"], set_=row))


def is_heard(connection: Connection, message: str) -> bool:
    """Whether an agent, any of them, has been given a message of this id."""
    return connection.execute(_HEARD, {"message_": message}).first() is not None


def known(connection: Connection, channel: str, most: int = 200) -> list[str]:
    """The chats of a channel that have conversations, those with the newest sessions first."""
    address, newest = conversations.c.address, func.max(conversations.c.session)
    here = address.startswith(f"{channel}:", autoescape=True)
    rows = connection.execute(select(address).where(here).group_by(address).order_by(newest.desc()).limit(most))
    return list(dict.fromkeys(Address.parse(row).chat_id for row in rows.scalars()))


def came_back(connection: Connection, channel: str, chat_id: str) -> None:
    """Somebody spoke there again, or wants the platform to be asked anew."""
    connection.execute(delete(gone).where(gone.c.channel == channel, gone.c.chat_id == chat_id))


def move(connection: Connection, channel: str, chat_id: str, to: str) -> None:
    """Let what belongs to a chat go on under its new id; a conversation or choice that is there stays as it is."""
    old, new = f"{channel}:{chat_id}", f"{channel}:{to}"
    for table in (sessions, conversations, choices, schedules):
        connection.execute(_rekey(table, old, new))
    connection.execute(update(places).where(places.c.chat == old).values(chat=new))
    connection.execute(update(facts).where(facts.c.owner == f"chat:{old}").values(owner=f"chat:{new}"))


def _rekey(table: Table, old: str, new: str) -> Any:
    here = or_(table.c.address == old, table.c.address.startswith(f"{old}:", autoescape=True))
    moved = literal(new) + func.substr(table.c.address, len(old) + 1)
    statement = update(table).where(here).values(address=moved)
    if table in (conversations, choices):
        there = table.alias()
        taken = select(there.c.agent).where(there.c.address == moved)
        if table is conversations:
            taken = taken.where(there.c.agent == table.c.agent)
        statement = statement.where(~taken.exists())
    return statement


_CHOSEN = select(choices.c.agent).where(choices.c.address == bindparam("address_"))
_HEARD = select(messages.c.seq).where(
    messages.c.mid == bindparam("message_"), messages.c.inbox.startswith("agent:", autoescape=True)
)
_WHY = select(gone.c.why).where(gone.c.channel == bindparam("channel_"), gone.c.chat_id == bindparam("chat_"))
