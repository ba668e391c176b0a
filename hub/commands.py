"""What people tell the hub itself: commands, each carried out in one unit with its reply."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from hub import memory
from hub.bus import Bus, Operation, Outcome, Publish, Stop
from hub.message import Author, Delivery, Message, Text, agent_inbox, reply_id
from hub.posts import publish
from hub.store import Connection

COMMAND = re.compile(r"/([a-z]+)\s*$", re.IGNORECASE)
HELP = """\
/new starts a new session: I forget what we said, it stays stored
/stop stops what I am doing
/status tells how I am
/help shows this"""
BOT = Author(id="bothub", name="bothub", kind="agent")


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a command answers, and what it changes in the same unit."""

    text: str
    operations: tuple[Operation, ...] = ()
    also: Callable[[Connection], object] | None = None


class Commands:
    """The commands of a chat with an agent."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._known: dict[str, Callable[[Message, str], Awaitable[Effect]]] = {
            "new": self._new,
            "stop": self._stop,
            "status": self._status,
            "help": self._help,
            "start": self._help,
        }

    async def carry_out(self, message: Message, agent: str) -> bool:
        """Carry out the command a message is; False for what is none of ours."""
        said = COMMAND.match(message.text)
        command = said and self._known.get(said[1].lower())
        if said is None or command is None:
            return False
        effect = await command(message, agent)
        done = aside(message, agent, "answered", said[1].lower())
        reply = publish(answer_to(message, effect.text, reply_id(message.id)))
        await self._bus.commit(done, *effect.operations, reply, also=effect.also)
        return True

    async def _help(self, _message: Message, _agent: str) -> Effect:
        return Effect(text=HELP)

    async def _new(self, message: Message, agent: str) -> Effect:
        now = self._bus.clock()
        return Effect(
            text="A new session begins. I have put aside what we said before.",
            also=lambda connection: memory.new_session(connection, agent, message.address, now),
        )

    async def _stop(self, message: Message, agent: str) -> Effect:
        inbox, lane = agent_inbox(agent), str(message.address)
        waiting = await self._bus.waiting(inbox, lane)
        text = "Stopped." if waiting else "Nothing is running."
        return Effect(text=text, operations=(Stop(inbox=inbox, lane=lane),))

    async def _status(self, message: Message, agent: str) -> Effect:
        def read(connection: Connection) -> tuple[float, int] | None:
            session = memory.current_session(connection, agent, message.address)
            return None if session is None else memory.summary(connection, session)

        session = await self._bus.store.read(read)
        waiting = await self._bus.waiting(agent_inbox(agent), str(message.address))
        about = (
            "no session yet"
            if session is None
            else f"{session[1]} {'turn' if session[1] == 1 else 'turns'} in this session"
        )
        return Effect(text=f"I am {agent}: {about}, {waiting or 'nothing'} to answer.")


def aside(message: Message, agent: str, outcome: Outcome, reason: str) -> Publish:
    """A message that is settled as it comes: no agent sees it."""
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
    reply_to = None if message.direct else message.reply_to
    return Delivery(id=id, address=message.address, parts=(Text(text=text),), author=BOT, reply_to=reply_to)
