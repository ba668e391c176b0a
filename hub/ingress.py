"""From a channel into the hub: access, commands, and the agent's inbox. What returns from here is stored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog

from hub import access, chats, memory, tracing
from hub.access import Caps, Rules
from hub.bus import AlreadyThere, Bus, Publish
from hub.commands import FOR_STRANGERS, Commands, Order, answer_to, aside, named, stopping
from hub.delivery.posts import publish
from hub.errors import InboxFull, NotFound
from hub.message import Address, Message, agent_inbox, news_of, reply_id
from hub.routing import Routing, route
from hub.store import Connection
from hub.turns.view import overheard

log = structlog.get_logger()
FULL_EVERY = 600.0
"""A chat is told at most this often that it is too fast, in seconds."""
BOT_TURNS = 5
"""How many messages of other bots are answered in a chat before a person has to speak again."""


class Loops:
    """Cuts conversations of bots with bots: counted in memory, like `Caps`; a restart lets them begin once more."""

    CHATS = 10_000

    def __init__(self) -> None:
        self._answered: OrderedDict[Address, int] = OrderedDict()

    def heard(self, message: Message) -> None:
        """Count a message that is answered, if a bot said it; a person's begins the count anew."""
        count = self._answered.pop(message.address, 0)
        if message.author.kind == "bot":
            self._answered[message.address] = count + 1
            if len(self._answered) > self.CHATS:
                self._answered.popitem(last=False)

    def is_cut(self, message: Message) -> bool:
        """Whether a bot says something where only bots have spoken for too long; the first of these is logged."""
        count = self._answered.get(message.address, 0)
        if message.author.kind != "bot" or count < BOT_TURNS:
            return False
        if count == BOT_TURNS:
            self.heard(message)
            log.warning("bots talk to each other: silent until a person speaks", address=str(message.address))
        return True


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the store knows of a message that comes in."""

    paired: bool
    heard: bool
    """It came before. Without asking, it might be new to the agent that its chat chose meanwhile."""
    chosen: str | None


class Ingress:
    """Takes what people say in channels."""

    def __init__(self, bus: Bus, rules: Mapping[str, Rules], routing: Routing | None = None) -> None:
        self._bus = bus
        self._loops = Loops()
        self._rules: Mapping[str, Rules] = {}
        self._caps: dict[str, Caps] = {}
        self.apply(rules, routing or Routing())

    def apply(self, rules: Mapping[str, Rules], routing: Routing) -> None:
        """Go by these rules, of these channels, from the next message on; what was counted of whose limits are new
        is forgotten."""
        caps = {name: Caps(rule.per_minute, rule.per_day) for name, rule in rules.items()}
        same = {
            name
            for name in rules.keys() & self._rules.keys()
            if (rules[name].per_minute, rules[name].per_day)
            == (self._rules[name].per_minute, self._rules[name].per_day)
        }
        self._caps = caps | {name: self._caps[name] for name in same}
        self._rules, self._routing = rules, routing
        self._commands = Commands(self._bus, routing)

    async def accept(self, message: Message, *, tell_full: bool = False) -> None:
        """Store a message where it belongs; the same id again is nothing new.

        When too much waits the chat gets a notice; with `tell_full` the caller gets InboxFull instead. Raises NotFound
        where the channel is not enabled.
        """
        told = {"bothub.message.id": message.id, "bothub.address": str(message.address)}
        with tracing.span(f"accept {message.address.channel}", told, kind="consumer"):
            await self._accept(message, tell_full=tell_full)

    async def _accept(self, message: Message, *, tell_full: bool) -> None:
        rules = self._rules.get(message.address.channel)
        if rules is None:
            raise NotFound(f"The channel '{message.address.channel}' is not enabled.", code="unknown_channel")
        known = await self._known(message)
        if known.heard:
            log.debug("heard before", id=message.id, address=str(message.address))
            return
        agent, message = route(self._routing, rules, message, known.chosen)
        try:
            await self._take(message, rules, agent, known.paired)
        except InboxFull as full:
            if tell_full:
                raise
            await self._full(message, agent, full)
        except AlreadyThere:
            log.debug("heard before", id=message.id, address=str(message.address))

    async def admits(self, message: Message) -> bool:
        """Whether an agent will come to see a message, as far as can be told before it is stored."""
        rules = self._rules[message.address.channel]

        def is_paired(connection: Connection) -> bool:
            return access.is_paired(connection, message.address.channel, message.author.id)

        paired = await self._bus.store.read(is_paired)
        return access.decide(rules, message, paired) in ("answer", "listen")

    async def _known(self, message: Message) -> _Known:
        """What the store knows of a message and its chat; a chat that speaks can be written to again."""
        place = (message.address.channel, message.address.chat_id)

        def read(connection: Connection) -> tuple[_Known, str | None]:
            known = _Known(
                paired=access.is_paired(connection, message.address.channel, message.author.id),
                heard=chats.is_heard(connection, message.id),
                chosen=chats.chosen(connection, message.address),
            )
            return known, chats.gone_because(connection, *place)

        known, gone = await self._bus.store.read(read)
        if gone is not None:
            await self._bus.store.write(lambda connection: chats.came_back(connection, *place))
        return known

    async def _take(self, message: Message, rules: Rules, agent: str, paired: bool) -> None:
        verdict = access.decide(rules, message, paired)
        order = Order(message=message, agent=agent, rules=rules, stranger=verdict == "pair")
        if message.author.kind == "person":
            self._loops.heard(message)
        match verdict:
            case "answer" if self._loops.is_cut(message):
                await self._bus.commit(aside(message, agent, "silent", "loop"))
            case "answer" | "pair" if (span := self._used_up(message)) is not None:
                await self._too_much(message, agent, span)
            case "answer":
                await self._answer(order)
            case "listen":
                await self._listen(message, agent)
            case "refuse":
                await self._turn_away(order)
            case "pair":
                await self._pair(order)
            case "ignore":
                await self._ignore(order)

    async def _listen(self, message: Message, agent: str) -> None:
        """Remember what is said to others, for when somebody speaks to the agent."""
        heard, now = overheard(message), self._bus.clock()
        await self._bus.commit(
            aside(message, agent, "silent", "listen"),
            also=lambda connection: memory.overhear(connection, agent, message, heard, now),
        )

    def _used_up(self, message: Message) -> str | None:
        """The span whose allowance the sender has used up; to stop what runs is always allowed."""
        if message.text.strip().lower() == "/stop":
            return None
        return self._caps[message.address.channel].over(message.author.id, self._bus.clock())

    async def _too_much(self, message: Message, agent: str, span: str) -> None:
        slot = int(self._bus.clock() / (60 if span == "minute" else 86_400))
        notice = f"You have said as much as I may answer in one {span}. Please come back when it is over."
        await self._say(message, agent, "access", notice, f"rate.{message.address}.{message.author.id}.{span}.{slot}")

    async def stop(self, address: Address) -> bool:
        """Stop what is answered in a conversation, as `/stop` does there; says whether anything was."""
        waiting, stops = await stopping(self._bus, address, self._routing.agents)
        await self._bus.commit(*stops)
        return waiting

    async def reject(self, channel: str, id: str, raw: bytes, why: str) -> None:
        """Store what could not be read as a dead letter."""
        log.warning("unreadable message", channel=channel, id=id, error=why)
        inbox = agent_inbox(self._rules[channel].agent)
        dead = Publish(inbox=inbox, lane="", id=id, body=raw, outcome="dead", reason="unreadable", error=why)
        await self._bus.commit(dead)

    async def chats(self, channel: str) -> list[str]:
        """The ids of the channel's chats that have conversations, those with the newest sessions first."""
        return await self._bus.store.read(lambda connection: chats.known(connection, channel))

    async def gone(self, channel: str, chat_id: str, why: str) -> None:
        """Remember that nothing can be sent to a chat, until somebody speaks there."""
        now = self._bus.clock()
        await self._bus.store.write(lambda connection: chats.mark_gone(connection, channel, chat_id, why, now))

    async def moved(self, channel: str, chat_id: str, to: str) -> None:
        """Let a chat's conversations go on under its new id."""
        log.info("chat moved", channel=channel, chat_id=chat_id, to=to)
        await self._bus.store.write(lambda connection: chats.move(connection, channel, chat_id, to))

    async def _answer(self, order: Order) -> None:
        if await self._commands.carry_out(order):
            return
        message, inbox = order.message, agent_inbox(order.agent)
        body = msgspec.json.encode(tracing.marked(message))
        [new] = await self._bus.commit(
            Publish(inbox=inbox, lane=str(message.address), id=message.id, body=body, bounded=True)
        )
        if new and message.author.kind == "bot":
            self._loops.heard(message)
        self._bus.signals.send(news_of(inbox, str(message.address)))

    async def _full(self, message: Message, agent: str, full: InboxFull) -> None:
        log.warning("refused: full", id=message.id, address=str(message.address), error=str(full))
        slot = int(self._bus.clock() / FULL_EVERY)
        notice = (
            f"I have too much to answer here. Please wait a little, then say again “{_short(message)}” and the rest."
        )
        await self._say(message, agent, "full", notice, f"full.{message.address}.{slot}")

    async def _refuse(self, message: Message, agent: str, notice: str, once: str) -> None:
        """Store a message as refused and say so, once a day for each sender."""
        day = int(self._bus.clock() / 86400)
        who = f"{message.address.channel}.{message.author.id}"
        await self._say(message, agent, "access", notice, f"{once}.{who}.{day}")

    async def _turn_away(self, order: Order) -> None:
        if named(order.message.text) != "pair" or not await self._commands.carry_out(order):
            notice = "This bot answers only people its operator has named."
            await self._refuse(order.message, order.agent, notice, "refused")

    async def _ignore(self, order: Order) -> None:
        message = order.message
        log.debug("ignored", id=message.id, address=str(message.address))
        if message.waited_for:
            await self._refuse(message, order.agent, "I do not answer here.", "ignored")

    async def _pair(self, order: Order) -> None:
        """Offer pairing: once for each code, and whenever a stranger asks for it."""
        message = order.message
        if named(message.text) not in FOR_STRANGERS or not await self._commands.carry_out(order):
            offer = await self._commands.pairing(message)
            await self._refuse(message, order.agent, offer.text, f"pair.{offer.code}" if offer.code else "pending")

    async def _say(self, message: Message, agent: str, reason: str, notice: str, once: str) -> None:
        """Store a message as refused and say why, once under that id; where an answer is waited for, always."""
        refused = aside(message, agent, "refused", reason)
        id = reply_id(message.id) if message.waited_for else once  # noqa: A001
        with suppress(AlreadyThere):
            await self._bus.commit(refused, publish(answer_to(message, notice, id)))


def _short(message: Message) -> str:
    text = message.text
    return text if len(text) <= 40 else f"{text[:40]}…"
