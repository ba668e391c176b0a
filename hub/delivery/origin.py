"""Where a post comes from that its chat did not ask for: what the audit is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.accounts.audit import Act, By
from hub.message import Address, Message, agent_inbox
from hub.store import Connection


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who does something to a chat, and what besides the audit is `told` of where it comes from."""

    by: By
    told: Mapping[str, str] = field(default_factory=dict[str, str])

    def note(self, connection: Connection, what: str, target: Address, now: float, **ids: object) -> None:
        """A unit: write down what was done to which chat, by `ids` and never with what is said there."""
        act = Act(connection=connection, what=what, now=now, by=self.by)
        act.note(str(target), after={**ids, **self.told})


def of_turn(agent: str, turn: str, message: Message) -> Origin:
    """That of what an agent does in another chat than the one that asks it, by the newest message of its turn."""
    author = agent_inbox(message.author.id) if message.author.kind == "agent" else message.sender
    told = {"turn": turn, "message": message.id, "asked_in": str(message.address), "asked_by": author}
    return Origin(by=By(called=agent_inbox(agent), asked=message.key_id), told=told)
