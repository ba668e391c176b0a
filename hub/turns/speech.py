"""What an agent says in a turn, and the signs of it for whoever follows the turn live."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hub.accounts.turns import Sign, signs_of
from hub.bus import Bus
from hub.message import Live, Message


class Speech:
    """The words of one turn: those of finished steps, and the pieces of the one that is being written."""

    def __init__(self, bus: Bus, message: Message, agent: str) -> None:
        self._bus = bus
        self._message = message
        self._agent = agent
        self._topic = topic_of(message)
        self._steps = 0
        self._said: list[str] = []
        self._pieces: list[str] = []
        self._shown = 0
        """Characters."""
        self.first_token_at: float | None = None

    def emit(self, text: str, reply_to: str | None) -> None:
        """Show a piece of the reply that is being written."""
        if self.first_token_at is None:
            self.first_token_at = self._bus.clock()
        live = Live(
            kind="delta",
            turn=self._message.id,
            address=self._message.address,
            agent=self._agent,
            reply_to=reply_to,
            offset=self._shown,
            text=text,
            step=self._steps,
        )
        self._shown += len(text)
        self._pieces.append(text)
        self._bus.signals.send(self._topic, msgspec.json.encode(live))

    def sign(self, kind: Literal["reasoning", "calls", "step"], **what: Any) -> None:
        """Tell a program, or who looks into a web room, what happens beside the reply; other chats are not shown it."""
        if self._message.by_program or self._message.in_room:
            turn, address = self._message.id, self._message.address
            sign = Sign(kind=kind, turn=turn, address=address, agent=self._agent, step=self._steps, **what)
            self._bus.signals.send(self._topic, msgspec.json.encode(sign))

    def step(self, text: str) -> None:
        """A step is finished, and this is all that was said in it."""
        self._say(text)
        self._steps += 1

    def end(self, text: str, *, silent: bool) -> None:
        """The turn is over with these last words; if `silent`, nothing was said at all."""
        self._say(text)
        if silent:
            self._said = []

    def _say(self, text: str) -> None:
        self._pieces = []
        if text:
            self._said.append(text)

    def restart(self) -> None:
        """Let go of what was said of an unfinished step."""
        self._pieces = []
        self._shown = len(self.response)

    @property
    def was_shown(self) -> bool:
        """Whether whoever follows was shown something."""
        return self._shown > 0

    @property
    def unfinished(self) -> str:
        """What was shown of a step that did not end."""
        return "".join(self._pieces).strip()

    @property
    def response(self) -> str:
        """All the agent has said, its steps apart by blank lines; in the middle of a step, what was shown of it."""
        return "\n\n".join(self._said) + "".join(self._pieces)


def topic_of(message: Message) -> str:
    """Where a turn shows signs of life: to its asker over HTTP, or to its channel."""
    return signs_of(message.id) if message.by_program else f"live.{message.address.channel}"
