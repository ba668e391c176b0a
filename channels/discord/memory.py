"""What a channel remembers while it lives, whatever its connections do: everything in bounds."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hub.channel import Sending

Key = TypeVar("Key")
Entry = TypeVar("Entry")
TOKEN_LIFE = 870.0
"""How long a command can be answered as such, in seconds: Discord's 15 minutes, less a margin."""


class Recent(OrderedDict[Key, Entry], Generic[Key, Entry]):
    """The newest entries, as many as there is room for."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def put(self, key: Key, entry: Entry) -> None:
        self[key] = entry
        self.move_to_end(key)
        if len(self) > self._room:
            self.popitem(last=False)


@dataclass(frozen=True, kw_only=True)
class Deferred:
    """A command whose user sees the bot thinking, in the message that will be the answer."""

    chat: str
    application: int
    token: str = field(repr=False)
    message: int
    until: float

    @property
    def open(self) -> bool:
        return time.time() < self.until


@dataclass(kw_only=True)
class Memory:
    """`stored` are messages that the hub has; `chats` where something was said, with their server, if any."""

    stored: Recent[int, None] = field(default_factory=lambda: Recent[int, None](10_000))
    chats: Recent[int, int | None] = field(default_factory=lambda: Recent[int, int | None](2_000))
    people: Recent[str, int] = field(default_factory=lambda: Recent[str, int](1_000))
    """The direct chats of people that were asked for."""
    waiting: Recent[str, Deferred] = field(default_factory=lambda: Recent[str, Deferred](1_000))
    """Commands without an answer, by what an answer names."""
    answered: Recent[str, Deferred] = field(default_factory=lambda: Recent[str, Deferred](1_000))
    """Commands with one, by its message."""
    offered: bool = False
    """Whether Discord has our commands."""

    @property
    def direct_chats(self) -> list[int]:
        return [chat for chat, server in self.chats.items() if server is None]

    def deferred(self, sending: Sending) -> tuple[str, Deferred] | None:
        """The command that this answers, if it still can be answered as such."""
        name = sending.reply_to or ""
        command = self.waiting.get(name)
        if command is None or not command.open or command.chat != sending.address.chat_id:
            return None
        return name, command
