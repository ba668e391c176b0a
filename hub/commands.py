"""What people tell the hub itself: commands, each carried out in one unit with its reply."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec

from hub import access, chats, facts, memory, tracing
from hub.access import Rules
from hub.accounts.audit import Act, By
from hub.agent import Fact
from hub.bus import Bus, Operation, Outcome, Publish, Stop
from hub.channel import COMMANDS
from hub.delivery.posts import publish
from hub.facts import place_of
from hub.message import BOT, Address, Delivery, Message, Text, agent_inbox, reply_id
from hub.routing import DEFAULT, Routing, route
from hub.store import Connection

COMMAND = re.compile(r"/([a-z]+)(?:\s+(.*\S))?\s*$", re.IGNORECASE | re.DOTALL)
WITH_WORDS = ("memory", "agent")
"""Commands that words may follow; with words behind it, any other is a message for the agent."""
ALSO = {"start": "help"}
"""Other words for commands: `/start` is what Telegram says for people who open a bot."""
FOR_STRANGERS = ("pair", "help")


@dataclass(frozen=True, kw_only=True)
class Order:
    """A command that somebody gave; a `stranger` is one who may be paired and is not."""

    message: Message
    agent: str
    rules: Rules
    stranger: bool = False

    @property
    def rest(self) -> str:
        """The words behind the command."""
        said = COMMAND.match(self.message.text)
        return (said and said[2]) or ""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a command answers, and what it changes in the same unit."""

    text: str
    operations: tuple[Operation, ...] = ()
    also: Callable[[Connection], object] | None = None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a stranger is told; without a code while too many others wait."""

    text: str
    code: str | None = None


def named(text: str) -> str | None:
    """What a text that looks like a command calls it."""
    said = COMMAND.match(text)
    name = said and said[1].lower()
    return name if said and (name in WITH_WORDS or not said[2]) else None


class Commands:
    """The commands of a chat with an agent."""

    def __init__(self, bus: Bus, routing: Routing) -> None:
        self._bus = bus
        self._routing = routing
        self._known: dict[str, Callable[[Order], Awaitable[Effect]]] = {
            "new": self._new,
            "stop": self._stop,
            "status": self._status,
            "agent": self._agent,
            "memory": self._memory,
            "help": self._help,
            "pair": self._pair,
        }

    async def carry_out(self, order: Order) -> bool:
        """Carry out the command a message is; False for what is none, or none in this channel."""
        message, word = order.message, named(order.message.text) or ""
        name = ALSO.get(word, word)
        command = self._known.get(name)
        if command is None or not order.rules.has(name):
            return False
        if order.rules.may_use(name, message.author.id):
            effect, outcome, reason = await command(order), "answered", name
        else:
            effect, outcome, reason = Effect(text=f"You may not use /{name} here."), "refused", "access"
        done = aside(message, order.agent, outcome, reason)
        reply = publish(answer_to(message, effect.text, reply_id(message.id)))
        await self._bus.commit(done, *effect.operations, reply, also=effect.also)
        return True

    async def _help(self, order: Order) -> Effect:
        """The commands of who asks."""
        who = order.message.author.id
        usable = [name for name in COMMANDS if order.rules.may_use(name, who)]
        if order.stranger:
            usable = [name for name in usable if name in FOR_STRANGERS]
        lines = [f"/{name}: {COMMANDS[name]}" for name in usable]
        return Effect(text="\n".join(["I do not know you yet.\n", *lines] if order.stranger else lines))

    async def _pair(self, order: Order) -> Effect:
        rules, message = order.rules, order.message
        if rules.direct != "pairing":
            return Effect(text=_NO_PAIRING[rules.direct])
        if order.stranger:
            return Effect(text=(await self.pairing(message)).text)
        if message.direct:
            return Effect(text="I know you already: just write to me.")
        return Effect(text="Here you need not be paired. Write /pair to me in private to be let in there.")

    async def pairing(self, message: Message) -> Offer:
        """How the sender of a message is let in: with the code that was made for them, the same for an hour."""
        channel, sender, now = message.address.channel, message.author, self._bus.clock()

        def request(connection: Connection) -> str | None:
            act = Act(connection=connection, what="pairing.request", now=now, by=By(called=message.sender))
            return access.request(act, channel, sender.id, sender.name)

        code = await self._bus.store.write(request)
        if code is None:
            return Offer(text="Too many people wait for approval here; try again later.")
        text = (
            "I do not know you yet. Give this code to the person who runs me; it is good for an hour:\n\n"
            f"{code}\n\nThey approve it with: bothub pairing approve {channel} {code}"
        )
        return Offer(text=text, code=code)

    async def _new(self, order: Order) -> Effect:
        now, message = self._bus.clock(), order.message
        return Effect(
            text="A new session begins. I have put aside what we said before.",
            also=lambda connection: memory.new_session(connection, order.agent, message.address, now, message.person),
        )

    async def _stop(self, order: Order) -> Effect:
        waiting, stops = await stopping(self._bus, order.message.address, {order.agent, *self._routing.agents})
        return Effect(text="Stopped." if waiting else "Nothing is running.", operations=stops)

    async def _agent(self, order: Order) -> Effect:
        asked, address, message = order.rest.lower(), order.message.address, order.message
        if message.agent is not None:
            return Effect(text=f"This conversation is with {message.agent}. Begin another to talk to somebody else.")
        if not asked:
            return Effect(text=_choices(self._routing.public, order.agent))
        if asked == DEFAULT:
            agent, _ = route(self._routing, order.rules, message)
            return Effect(text=f"{agent} answers here again.", also=lambda c: chats.choose(c, address, None))
        if asked not in self._routing.public:
            return Effect(text=f"There is no such agent. {_choices(self._routing.public, order.agent)}")
        return Effect(text=f"{asked} answers here from now on.", also=lambda c: chats.choose(c, address, asked))

    async def _memory(self, order: Order) -> Effect:
        place = place_of(order.message, order.agent)
        seen = await self._bus.store.read(lambda connection: facts.visible(connection, place))
        if not order.rest:
            return Effect(text=_listed(seen))
        asked = re.fullmatch(r"forget\s+#?(\d{1,9})", order.rest, re.IGNORECASE)
        if asked is None:
            return Effect(text="Say /memory to see what I remember, or /memory forget N, with a number of that list.")
        number = int(asked[1])
        if not 1 <= number <= len(seen):
            return Effect(text=f"There is no {number} in what I remember here. Say /memory to see the numbers.")
        fact = seen[number - 1]
        if fact.scope == "agent":
            return Effect(text="That one holds for everybody: only whoever runs me can change it.")
        return Effect(text=f"Forgotten: {fact.text}", also=lambda connection: facts.drop(connection, place, fact))

    async def _status(self, order: Order) -> Effect:
        agent, address = order.agent, order.message.address

        def read(connection: Connection) -> int | None:
            session = memory.current_session(connection, agent, address)
            return None if session is None else memory.summary(connection, session)[1]

        turns = await self._bus.store.read(read)
        waiting = await self._bus.waiting(agent_inbox(agent), str(address))
        return Effect(text=f"I am {agent}: {_about(turns, waiting)}, {waiting or 'nothing'} to answer.")


_NO_PAIRING = {
    "open": "There is no pairing here: everyone may talk to me in private.",
    "allowlist": "There is no pairing here: in private I answer only people my operator has named.",
    "off": "There is no pairing here: I do not answer in private.",
}


def _about(turns: int | None, waiting: int) -> str:
    """A session is stored with its first step, so that of a first turn under way is not there yet."""
    if turns is None and not waiting:
        return "no session yet"
    if not turns and waiting:
        return "the first turn of this session is under way"
    return f"{turns} {'turn' if turns == 1 else 'turns'} in this session"


def _choices(names: Sequence[str], agent: str) -> str:
    lines = (f"/agent {name}" for name in (*names, DEFAULT))
    return "\n".join([f"{agent} answers here. You may choose:", "", *lines])


def _listed(seen: Sequence[Fact]) -> str:
    if not seen:
        return "I remember nothing here yet. Ask me to remember something."
    lines = (f"{number}. {fact.text} ({_OF[fact.scope]})" for number, fact in enumerate(seen, 1))
    return "\n".join(["What I remember here:", "", *lines, "", "/memory forget N forgets one."])


_OF = {"person": "about you", "chat": "about this chat", "agent": "for everybody"}


async def stopping(bus: Bus, address: Address, agents: Collection[str]) -> tuple[bool, tuple[Stop, ...]]:
    """Whether anything is answered in a conversation, and what stops every agent there.

    Who asks for it does not ask whose answer is being written.
    """
    lane, inboxes = str(address), [agent_inbox(name) for name in agents]
    waiting = [await bus.waiting(inbox, lane) for inbox in inboxes]
    return any(waiting), tuple(Stop(inbox=inbox, lane=lane) for inbox in inboxes)


def aside(message: Message, agent: str, outcome: Outcome, reason: str) -> Publish:
    """A message that is settled as it comes: no agent sees it."""
    message = tracing.marked(message)
    return Publish(
        inbox=agent_inbox(agent),
        lane=str(message.address),
        id=message.id,
        body=msgspec.json.encode(message),
        once=True,
        outcome=outcome,
        reason=reason,
    )


def answer_to(message: Message, text: str, id: str) -> Delivery:
    """What the hub itself says in answer to a message."""
    parts = (Text(text=text),)
    return Delivery(id=id, address=message.address, parts=parts, author=BOT, reply_to=message.answers_name)
