"""What a turn heard and did, as it is stored: found again when it was cut off before, and written after each step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from hub import memory
from hub.bus import Hold, Lease, Waiting
from hub.memory import Entry, Heard, Said
from hub.message import Message
from hub.store import Connection
from hub.turns import history
from hub.turns.persona import Persona
from hub.turns.view import Past, heard

MARGIN = 2
"""So much more than the budget is read: a model may count half as many tokens as were guessed."""


class Journal:
    """The entries of one turn and the messages it heard, and what its session held before."""

    def __init__(self, persona: Persona, lease: Lease) -> None:
        self._persona = persona
        self._bus = persona.bus
        self._lease = lease
        self.messages: list[Message] = [message_of(lease.head)]
        self.entries: list[Entry] = [heard(self.message)]
        """This turn's own: what it heard and the steps it finished, in their order."""
        self.stored = 0
        """How many of them are stored."""
        self.session: int | None = None
        self.past = Past()
        """What the session held before this turn, as far as there may be room for it."""
        self._asked: Said | None = None
        """The end of the turn before, where it called functions of the asker's and this turn was told of them."""

    @property
    def message(self) -> Message:
        """The first one, whose id is the turn's."""
        return self.messages[0]

    @property
    def reply_to(self) -> str | None:
        """What the answer names, where others talk too: the newest of the messages that came before its first step."""
        first = next((at for at, entry in enumerate(self.entries) if not isinstance(entry, Heard)), len(self.messages))
        return self.messages[first - 1].answers_name

    def read(self, connection: Connection) -> None:
        """A unit: find the session, its history and what is stored of this turn."""
        turn = self.message.id
        self.session, entries = memory.journal(connection, turn)
        if self.session is None:
            self.session = memory.current_session(connection, self._persona.name, self.message.address)
        if entries:
            self.entries, self.stored = entries, len(entries)
        else:
            if self.session is not None and self.message.results:
                self._asked = memory.calling(connection, self.session, turn)
            self.entries = [heard(self.message, self._asked)]
        if self.session is not None:
            most, first = MARGIN * self._persona.budget, self.entries[0]
            self.past = history.past(connection, self.session, most, without=turn, first=first)

    async def begin(self) -> None:
        """After `read`: see that there is a session where others talk too, and take the same messages again."""
        if self.session is None and not self.message.direct:
            await self._open()
        if count := sum(isinstance(entry, Heard) for entry in self.entries) - 1:
            self.messages += map(message_of, await self._bus.take(self._lease, count))

    async def _open(self) -> None:
        """Begin the session now: what is only listened to may else begin another while this turn runs."""
        opened: list[int] = []

        def open_it(connection: Connection) -> None:
            opened.append(memory.opened(connection, self._persona.name, self.message.address, self._bus.clock()))

        await self._bus.commit(Hold(lease=self._lease), also=open_it)
        self.session = opened[-1]

    def hear(self, more: Sequence[Waiting]) -> None:
        """Add messages that were taken."""
        messages = [message_of(waiting) for waiting in more]
        self.messages += messages
        self.entries += map(heard, messages)

    async def rewrite(self, written: Callable[[Message], Awaitable[Message]]) -> None:
        """Replace the messages that are not stored yet."""
        number = 0
        for at, entry in enumerate(self.entries):  # it grows meanwhile
            if isinstance(entry, Heard):
                if at >= self.stored:
                    message = await written(self.messages[number])
                    self.messages[number], self.entries[at] = message, heard(message, self._asked)
                number += 1

    async def write(self, also: Callable[[Connection, int], None]) -> None:
        """Store what is not stored yet, together with what `also` writes for the turn's session."""
        count = len(self.entries)
        written: list[int] = []

        def write(connection: Connection) -> None:
            written.append(self._append(connection, self.entries[:count]))
            also(connection, written[-1])

        await self._bus.commit(Hold(lease=self._lease), also=write)
        self.session, self.stored = written[-1], max(self.stored, count)

    def append(self, connection: Connection, last: Entry) -> int:
        """A unit: write the entries that are not stored yet, and the `last`; returns the turn's session."""
        return self._append(connection, [*self.entries, last])

    def _append(self, connection: Connection, entries: Sequence[Entry]) -> int:
        message, now, session, first = self.message, self._bus.clock(), self.session, self.stored
        if session is None:
            agent = self._persona.name
            session = memory.first_session(connection, agent, message.address, message.id, now, message.person)
        memory.append(connection, session, message.id, first, entries[first:], now)
        return session


def message_of(waiting: Waiting) -> Message:
    """A message that waits; raises msgspec.DecodeError for one that nobody can read."""
    return _DECODER.decode(waiting.body)


_DECODER = msgspec.json.Decoder(Message)
