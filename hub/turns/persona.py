"""An agent as its turns need to know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hub.accounts.billing import Bill, Billing
from hub.accounts.tariff import FREE, Tariff
from hub.bus import Bus
from hub.delivery.posts import Posts
from hub.files import FileStore
from hub.message import Address, Author, Message, Payer
from hub.turns.exhibits import Reader
from hub.turns.voices import Voices


@dataclass(frozen=True, kw_only=True)
class Persona:
    """An agent as its turns need to know it."""

    name: str
    bus: Bus
    posts: Posts
    posts_to: tuple[str, ...] = ()
    voices: Voices | None = None
    """Writes down voice messages, where config names a model for it."""
    reader: Reader | None = None
    """Makes Markdown of documents; without one they are notes."""
    files: FileStore | None = None
    learns_from: tuple[str, ...] = ()
    """Where what is said may become a fact for everybody."""
    budget: int = 32_000
    """Tokens of history the agent sees, unless it says that it has room for others."""
    busy: Literal["queue", "steer", "interrupt"] = "queue"
    """What becomes of messages that come to a chat's turn while it runs."""
    debounce: float = 0.0
    """Seconds to wait for more of the same sender before a chat's turn begins."""
    tariff: Tariff = FREE
    """What the models cost that may answer."""
    billing: Billing | None = None
    payer: Callable[[Address], Payer | None] = lambda _: None
    """Who pays for what is asked in a chat."""

    @property
    def author(self) -> Author:
        """Who its messages are from."""
        return Author(id=self.name, name=self.name, kind="agent")

    def bill(self, message: Message) -> Bill:
        """The bill of a message's turn."""
        billing = self.billing or Billing(self.bus.store, self.bus.clock)
        payer = message.payer or (None if message.by_program else self.payer(message.address))
        return billing.bill(message.id, self.tariff, payer)
