"""Budgets of chats: keys without a secret that pay for what chats, channels and agents are asked, as config says."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select, text, update

from hub.accounts import keys
from hub.message import Address, Payer
from hub.store import Store
from hub.store.tables import keys as table


def of_chat(channel: str, chat_id: str) -> str:
    """The name of a chat's budget."""
    return f"chat:{channel}:{chat_id}"


def of_channel(channel: str) -> str:
    """The name of a channel's budget."""
    return f"channel:{channel}"


def of_agent(agent: str) -> str:
    """The name of an agent's budget."""
    return f"agent:{agent}"


class Payers:
    """Who pays for what is asked in chats."""

    def __init__(self) -> None:
        self._ids: Mapping[str, int] = {}

    async def apply(self, store: Store, quotas: Mapping[str, int], named: Mapping[str, int], now: float) -> None:
        """Go by these budgets, a month's quota by name, and by these keys that pay instead, from now on."""
        made = await store.write(lambda connection: ensure(connection, quotas, now)) if quotas else {}
        self._ids = {**made, **named}

    def of(self, agent: str, address: Address) -> Payer | None:
        """The chat's budget, else the channel's, else the agent's; None: nobody counts."""
        names = (of_chat(address.channel, address.chat_id), of_channel(address.channel), of_agent(agent))
        found = next((self._ids[name] for name in names if name in self._ids), None)
        return None if found is None else Payer(key=found)


def ensure(connection: Connection, quotas: Mapping[str, int], now: float) -> dict[str, int]:
    """A unit: have a key for each budget, with this month's quota; what it has spent stays."""
    if connection.dialect.name == "postgresql":  # processes that start at once make each of them once
        connection.execute(text("select pg_advisory_xact_lock(hashtextextended('budgets', 1))"))
    query = select(table.c.id, table.c.name, table.c.month_quota, table.c.active).where(
        table.c.hash.is_(None), table.c.deleted_at.is_(None), table.c.source == "config", table.c.name.in_(quotas)
    )
    found = {row.name: row for row in connection.execute(query)}
    ids: dict[str, int] = {}
    for name in sorted(quotas):
        quota, row = quotas[name], found.get(name)
        if row is None:
            made = keys.create(connection, None, name=name, now=now, scopes=(), month_quota=quota, source="config")
            ids[name] = made.id
            continue
        ids[name] = row.id
        if row.month_quota != quota or not row.active:
            values = {"month_quota": quota, "active": True}
            connection.execute(update(table).where(table.c.id == row.id).values(values))
    return ids
