"""What an agent sends in a turn besides its reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from hub.agent import Receipt
from hub.bus import Lease
from hub.delivery.origin import Origin, of_turn
from hub.delivery.posts import may_post
from hub.errors import Forbidden, RequestError
from hub.message import Address, Buttons, Delivery, Message, Part
from hub.turns.persona import Persona

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Posting:
    """The posts and reactions of one step of a turn."""

    persona: Persona
    lease: Lease
    messages: Sequence[Message]
    """Those of the turn."""
    stem: str
    """Tells this step of this turn from all others."""

    async def post(self, key: str, address: Address, parts: tuple[Part, ...], buttons: Buttons) -> Receipt:
        """Send a message to any chat the agent may post to."""
        address = await self.permitted(address)
        return await self._deliver(key, address, parts=parts, buttons=buttons)

    async def react(self, key: str, emoji: str) -> Receipt:
        """Put an emoji below the newest message."""
        message = self.messages[-1]
        if message.by_program or message.reply_to is None:
            raise RequestError("There is no message here that could be reacted to.")
        asking = self.messages[0].address
        return await self._deliver(key, asking, parts=(), reply_to=message.reply_to, reaction=emoji)

    async def _deliver(self, key: str, address: Address, **what: Any) -> Receipt:
        delivery = Delivery(id=f"{self.stem}.{key}", address=address, author=self.persona.author, **what)
        return await self.persona.posts.post(delivery, self.origin(address), hold=self.lease)

    def origin(self, address: Address) -> Origin | None:
        """What the audit is told of what is done in another chat than the one that asks."""
        newest = self.messages[-1]
        if address.chat == newest.address.chat and not newest.by_program:
            return None
        return of_turn(self.persona.name, self.lease.head.id, newest)

    async def permitted(self, address: Address) -> Address:
        """The address by its channel's own name; raises Forbidden where the agent may not post."""
        address = await self.persona.posts.resolve(address)
        if not self._may_post(address):
            names = {"message": self.messages[-1].id, "turn": self.lease.head.id, "target": str(address)}
            log.warning("post refused", agent=self.persona.name, **names)
            raise Forbidden(f"'{self.persona.name}' may not post to {address} from here.")
        return address

    def _may_post(self, address: Address) -> bool:
        asked = self.messages[0]
        if asked.posts_to is not None:
            return may_post(asked.posts_to, address)
        asking = (asked.address.channel, asked.address.chat_id)
        return (address.channel, address.chat_id) == asking or may_post(self.persona.posts_to, address)
