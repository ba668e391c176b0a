"""From a channel into the hub: access, commands, and the agent's inbox. What returns from here is stored."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import msgspec
import structlog

from hub import access, chats
from hub.access import Caps, Rules
from hub.bus import AlreadyThere, Bus, Publish
from hub.commands import Commands, answer_to, aside
from hub.errors import InboxFull, NotFound
from hub.message import Message, agent_inbox
from hub.posts import publish
from hub.store import Connection

log = structlog.get_logger()
FULL_EVERY = 600.0
"""A chat is told at most this often that it is too fast, in seconds."""


class Ingress:
    """Takes what people say in channels."""

    def __init__(self, bus: Bus, rules: Mapping[str, Rules]) -> None:
        self._bus = bus
        self._rules = rules
        self._commands = Commands(bus)
        self._caps = {name: Caps(rule.per_minute, rule.per_day) for name, rule in rules.items()}

    async def accept(self, message: Message, *, tell_full: bool = False) -> None:
        """Store a message where it belongs; the same id again is nothing new.

        When too much waits the chat gets a notice; with `tell_full` the caller gets InboxFull instead. Raises NotFound
        where the channel is not enabled.
        """
        rules = self._rules.get(message.address.channel)
        if rules is None:
            raise NotFound(f"The channel '{message.address.channel}' is not enabled.", code="unknown_channel")
        paired = await self._known(message)
        agent = rules.agent_for(message)
        try:
            await self._take(message, rules, agent, paired)
        except InboxFull as full:
            if tell_full:
                raise
            await self._full(message, agent, full)
        except AlreadyThere:
            log.debug("heard before", id=message.id, address=str(message.address))

    async def _known(self, message: Message) -> bool:
        """Whether the sender is paired; a chat that speaks can be written to again."""
        place = (message.address.channel, message.address.chat_id)

        def read(connection: Connection) -> tuple[bool, str | None]:
            paired = access.is_paired(connection, message.address.channel, message.author.id)
            return paired, chats.gone_because(connection, *place)

        paired, gone = await self._bus.store.read(read)
        if gone is not None:
            await self._bus.store.write(lambda connection: chats.came_back(connection, *place))
        return paired

    async def _take(self, message: Message, rules: Rules, agent: str, paired: bool) -> None:
        match access.decide(rules, message, paired):
            case "answer" if (span := self._used_up(message)) is not None:
                await self._too_much(message, agent, span)
            case "answer":
                await self._answer(message, agent, commands=rules.commands)
            case "listen":
                await self._bus.commit(aside(message, agent, "silent", "listen"))
            case "refuse":
                await self._refuse(message, agent, "This bot answers only people its operator has named.", "refused")
            case "pair":
                await self._pair(message, agent)
            case "ignore":
                log.debug("ignored", id=message.id, address=str(message.address))

    def _used_up(self, message: Message) -> str | None:
        """The span whose allowance the sender has used up; to stop what runs is always allowed."""
        if message.text.strip().lower() == "/stop":
            return None
        return self._caps[message.address.channel].over(message.author.id, self._bus.clock())

    async def _too_much(self, message: Message, agent: str, span: str) -> None:
        slot = int(self._bus.clock() / (60 if span == "minute" else 86_400))
        notice = f"You have said as much as I may answer in one {span}. Please come back when it is over."
        await self._say(message, agent, "access", notice, f"rate.{message.address}.{message.author.id}.{span}.{slot}")

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

    async def _answer(self, message: Message, agent: str, *, commands: bool) -> None:
        if commands and await self._commands.carry_out(message, agent):
            return
        body = msgspec.json.encode(message)
        entry = Publish(inbox=agent_inbox(agent), lane=str(message.address), id=message.id, body=body, bounded=True)
        await self._bus.commit(entry)

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

    async def _pair(self, message: Message, agent: str) -> None:
        channel, sender = message.address.channel, message.author
        code = await self._bus.store.write(
            lambda connection: access.request(connection, channel, sender.id, sender.name, self._bus.clock())
        )
        if code is None:
            await self._refuse(message, agent, "Too many people wait for approval here; try again later.", "pending")
            return
        notice = (
            "I do not know you yet. Give this code to the person who runs me; it is good for an hour:\n\n"
            f"{code}\n\nThey approve it with: bothub pairing approve {channel} {code}"
        )
        await self._refuse(message, agent, notice, f"pair.{code}")

    async def _say(self, message: Message, agent: str, reason: str, notice: str, id: str) -> None:
        refused = aside(message, agent, "refused", reason)
        with suppress(AlreadyThere):
            await self._bus.commit(refused, publish(answer_to(message, notice, id)))


def _short(message: Message) -> str:
    text = message.text
    return text if len(text) <= 40 else f"{text[:40]}…"
