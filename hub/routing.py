"""Which agent a message goes to: what is said in it, what its chat chose, then what config says (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgspec import structs

from hub.access import Rules
from hub.message import Message, Part, Text

DEFAULT = "default"
"""What `/agent` is told to take back a chat's choice; an agent of that name cannot be chosen."""
WORD = re.compile(r"/(\w+)(?:\s+|$)")


@dataclass(frozen=True, kw_only=True)
class Route:
    """Sends messages to an agent; what is None does not matter."""

    agent: str
    channel: str | None = None
    chat_id: str | None = None
    thread_id: str | None = None
    sender: str | None = None
    command: str | None = None

    def fits(self, message: Message, word: str | None) -> bool:
        """Whether a message that begins with `/word` takes this route."""
        address = message.address
        pairs = (
            (self.channel, address.channel),
            (self.chat_id, address.chat_id),
            (self.thread_id, address.thread_id),
            (self.sender, message.author.id),
            (self.command, word),
        )
        return all(wanted is None or wanted == given for wanted, given in pairs)


@dataclass(frozen=True, kw_only=True)
class Routing:
    """The routes in the order of the file, every agent that runs, and those that people may choose."""

    routes: tuple[Route, ...] = ()
    agents: tuple[str, ...] = ()
    public: tuple[str, ...] = ()


def route(routing: Routing, rules: Rules, message: Message, chosen: str | None = None) -> tuple[str, Message]:
    """The agent that answers, and what it is given: without the word that named it, if anything is left then.

    A conversation that belongs to an agent is not routed. A route by command comes before what the chat chose, because
    it is said in the message itself; then the other routes, the chat's agent, the channel's. A choice that nobody could
    make any more is passed over.
    """
    if message.agent is not None:
        return message.agent, message
    word = _word(message)
    fitting = [one for one in routing.routes if one.fits(message, word)]
    for one in fitting:
        if one.command is not None:
            return one.agent, _without_word(message)
    if chosen in routing.public and rules.has("agent"):
        return chosen, message
    return (fitting[0].agent if fitting else rules.agent_for(message)), message


def _word(message: Message) -> str | None:
    said = WORD.match(message.text)
    return said and said[1].lower()


def _without_word(message: Message) -> Message:
    """The rest of a message behind its first word; one that says nothing else stays as it is."""
    at = next(index for index, part in enumerate(message.parts) if isinstance(part, Text))
    first = message.parts[at]
    rest = WORD.sub("", first.text, count=1) if isinstance(first, Text) else ""
    begin: tuple[Part, ...] = (Text(text=rest),) if rest else ()
    parts = (*message.parts[:at], *begin, *message.parts[at + 1 :])
    return structs.replace(message, parts=parts) if parts else message
