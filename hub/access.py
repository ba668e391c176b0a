"""Who may talk to a channel: its rules, and the pairing of strangers."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.accounts.audit import Act
from hub.message import Message, Value
from hub.store.tables import pairings

Direct = Literal["pairing", "allowlist", "open", "off"]
Groups = Literal["mention", "listen", "open", "off"]
Who = Literal["everyone", "allowlist", "off"] | frozenset[str]
"""Who may use a command: everyone who may talk to the bot, those in `allow`, nobody, or people by their ids."""
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without I, O, 0 and 1, which look alike."""
CODE_LENGTH = 8
CODE_SECONDS = 3600.0
MOST_PENDING = 3


@dataclass(frozen=True, kw_only=True)
class Chat:
    """What differs in one chat."""

    groups: Groups | None = None
    agent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A channel's rules: which agent answers, and to whom."""

    agent: str
    direct: Direct = "pairing"
    groups: Groups = "mention"
    allow: frozenset[str] = frozenset()
    chats: Mapping[str, Chat] = field(default_factory=dict[str, Chat])
    commands: Mapping[str, Who] = field(default_factory=dict[str, Who])
    """Who may use which command; one that is not here is everyone's."""
    bots: bool = False
    per_minute: int | None = None
    per_day: int | None = None

    def agent_for(self, message: Message) -> str:
        chat = self.chats.get(message.address.chat_id)
        return (chat.agent if chat is not None else None) or self.agent

    def has(self, command: str) -> bool:
        """Whether anybody may use a command."""
        return self.commands.get(command) != "off"

    def may_use(self, command: str, sender: str) -> bool:
        """Whether somebody who may talk to the bot may use a command."""
        match self.commands.get(command, "everyone"):
            case "everyone":
                return True
            case "allowlist":
                return sender in self.allow
            case "off":
                return False
            case ids:
                return sender in ids


class Caps:
    """How much each sender may say: counted in memory, because one process holds a channel; days are UTC."""

    SENDERS = 10_000

    def __init__(self, per_minute: int | None, per_day: int | None) -> None:
        self._limits = [(60.0, per_minute), (86_400.0, per_day)]
        self._counts: OrderedDict[tuple[str, float, int], int] = OrderedDict()

    def over(self, sender: str, now: float) -> str | None:
        """Count one message; which span its sender used up (`minute` or `day`), None while they may go on."""
        for seconds, most in self._limits:
            slot = (sender, seconds, int(now / seconds))
            self._counts[slot] = self._counts.pop(slot, 0) + 1
            if most is not None and self._counts[slot] > most:
                return "minute" if seconds == 60.0 else "day"
        while len(self._counts) > 2 * self.SENDERS:
            self._counts.popitem(last=False)
        return None


class PairingRequest(Value, frozen=True, kw_only=True):
    """A stranger who waits for approval; times are Unix seconds."""

    code: str
    sender: str
    name: str
    created_at: float
    expires_at: float


class Paired(Value, frozen=True, kw_only=True):
    """Somebody an admin approved, and when (Unix seconds)."""

    sender: str
    name: str
    approved_at: float


Verdict = Literal["answer", "listen", "ignore", "refuse", "pair"]


def decide(rules: Rules, message: Message, paired: bool) -> Verdict:
    """What to do with a message.

    answer it; listen without answering; ignore what is not meant for the bot; refuse, or offer pairing to, its sender.
    """
    if message.author.kind == "bot" and not rules.bots:
        return "ignore"
    allowed = message.author.id in rules.allow or paired
    if message.direct:
        match rules.direct:
            case "open":
                return "answer"
            case "off":
                return "ignore"
            case "allowlist":
                return "answer" if message.author.id in rules.allow else "refuse"
            case "pairing":
                return "answer" if allowed else "pair"
    chat = rules.chats.get(message.address.chat_id)
    groups = (chat.groups if chat is not None else None) or rules.groups
    if groups == "off":
        return "ignore"
    if groups == "open" or message.mentioned:
        return "answer"
    return "listen" if groups == "listen" else "ignore"


def is_paired(connection: Connection, channel: str, sender: str) -> bool:
    """A unit: whether an admin approved this sender."""
    query = select(pairings.c.approved_at).where(pairings.c.channel == channel, pairings.c.sender == sender)
    return connection.execute(query).scalar() is not None


def request(act: Act, channel: str, sender: str, name: str) -> str | None:
    """A unit: the sender's pairing code, the same for an hour; None while three others wait."""
    connection, now = act.connection, act.now
    _lock(connection, channel)
    mine = (pairings.c.channel == channel, pairings.c.sender == sender)
    found = connection.execute(select(pairings).where(*mine)).first()
    if found is not None and (found.approved_at is not None or found.expires_at > now):
        return found.code
    pending = select(func.count()).where(
        pairings.c.channel == channel, pairings.c.approved_at.is_(None), pairings.c.expires_at > now
    )
    if (connection.execute(pending).scalar() or 0) >= MOST_PENDING:
        return None
    code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
    row = {"channel": channel, "sender": sender, "name": name, "code": code, "created_at": now}
    connection.execute(_upsert(connection, {**row, "expires_at": now + CODE_SECONDS}))
    act.note(_person(channel, sender), after={"expires_at": int(now + CODE_SECONDS)})
    return code


def _lock(connection: Connection, channel: str) -> None:
    """One request of a channel at a time, or two messages of one stranger would get two codes.

    SQLite has one writer anyhow.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:name, 1))"), {"name": channel})


def _upsert(connection: Connection, row: dict[str, Any]) -> Any:
    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(pairings).values(row).on_conflict_do_update(index_elements=["channel", "sender"], set_=row)


def pending(connection: Connection, channel: str, now: float) -> list[PairingRequest]:
    """A unit: who waits for approval, oldest first."""
    query = (
        select(pairings)
        .where(pairings.c.channel == channel, pairings.c.approved_at.is_(None), pairings.c.expires_at > now)
        .order_by(pairings.c.created_at)
    )
    return [
        PairingRequest(
            code=row.code, sender=row.sender, name=row.name, created_at=row.created_at, expires_at=row.expires_at
        )
        for row in connection.execute(query)
    ]


def paired(connection: Connection, channel: str) -> list[Paired]:
    """A unit: who was approved, oldest first."""
    query = select(pairings).where(pairings.c.channel == channel, pairings.c.approved_at.is_not(None))
    return [
        Paired(sender=row.sender, name=row.name, approved_at=row.approved_at)
        for row in connection.execute(query.order_by(pairings.c.approved_at))
    ]


def approve(act: Act, channel: str, code: str) -> str | None:
    """A unit: approve the sender who was given this code; returns the sender, None for a wrong or old code."""
    statement = (
        update(pairings)
        .where(
            pairings.c.channel == channel,
            pairings.c.code == code.strip().upper(),
            pairings.c.approved_at.is_(None),
            pairings.c.expires_at > act.now,
        )
        .values(approved_at=act.now)
        .returning(pairings.c.sender)
    )
    sender = act.connection.execute(statement).scalar()
    if sender is not None:
        act.note(_person(channel, sender), after={"paired": True})
    return sender


def revoke(act: Act, channel: str, sender: str) -> bool:
    """A unit: make somebody a stranger again; says whether they waited or were approved."""
    gone = drop(act.connection, channel, sender)
    if gone:
        act.note(_person(channel, sender), after={"paired": False})
    return gone


def drop(connection: Connection, channel: str, sender: str) -> bool:
    """A unit: forget a sender of whom everything is erased; says whether there was one."""
    gone = delete(pairings).where(pairings.c.channel == channel, pairings.c.sender == sender)
    return connection.execute(gone).rowcount > 0


def _person(channel: str, sender: str) -> str:
    return f"{channel}:{sender}"
