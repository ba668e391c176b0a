"""The asker's side of a turn: programs put a message into an agent's inbox and follow what becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from math import inf

import msgspec
import structlog

from hub import memory, tracing
from hub.accounts import conversations, turns
from hub.accounts.turns import RETRY_SECONDS, Ask, Sign, TurnRecord, end_of, signs_of
from hub.bus import AlreadyThere, Bus, Outcome, Publish
from hub.errors import ModelUnavailable, StoreUnavailable, TurnTimeout
from hub.memory import Entry
from hub.message import Address, Author, Live, Message, agent_inbox
from hub.signals import POLL, Listener
from hub.store import Connection
from hub.turns.progress import Happening, Progress

log = structlog.get_logger()
GRACE = 10.0
"""How long a turn goes on for a client that went away before the first byte, in seconds."""
CANCEL_WAIT = 5.0
"""How long a cancel waits for the turn to end, in seconds."""
REMEMBERED = 10_000
"""How many turns are remembered whose answer went out in full."""


class FollowedTurn:
    """A turn as its asker sees it (`api.ports.Answer`)."""

    def __init__(
        self, asks: Asks, id: str, signs: Listener, *, timeout: float, look: bool, goes_on: bool = False
    ) -> None:
        self.id = id
        self.has_begun = False
        self._asks = asks
        self._signs = signs
        self._timeout = timeout
        self._look = look
        self._goes_on = goes_on
        self._record: TurnRecord | None = None

    @property
    def record(self) -> TurnRecord:
        """The turn after its end."""
        assert self._record is not None, "iterate to the end first"
        return self._record

    @property
    def over(self) -> bool:
        return self._record is not None

    def began(self) -> None:
        """Say that the first byte of the answer went out."""
        self.has_begun = True

    def written(self) -> None:
        """Say that the answer went out in full."""
        self._asks.remember(self.id)

    async def __aiter__(self) -> AsyncIterator[str]:
        shown: list[str] = []
        length = 0
        async with aclosing(self._signs_of_life()) as signs:
            async for sign in signs:
                if sign is not None and sign.kind == "delta" and sign.offset <= length:
                    text = sign.text[length - sign.offset :]
                    if text:
                        shown.append(text)
                        length += len(text)
                        yield text
                elif sign is None or sign.kind == "done":
                    self._end(sign.record if sign and sign.record else await self._asks.row(self.id))
        response, seen = self.record.response or "", "".join(shown)
        if not response.startswith(seen):
            raise ModelUnavailable("The answer was begun anew after a failure; ask again.")
        if len(response) > length:
            yield response[length:]

    async def happenings(self) -> AsyncIterator[Happening]:
        """All that the turn does, from its beginning to its end: what happened before it was followed, then live."""
        progress, self._look = Progress(), True
        async with aclosing(self._signs_of_life()) as signs:
            async for sign in signs:
                if sign is None or progress.is_behind(sign):
                    record, entries = await self._asks.look(self.id, progress.read)
                    for one in progress.catch_up(entries):
                        yield one
                    self._end(record)
                if sign is not None:
                    for one in progress.hear(sign):
                        yield one
        for one in progress.end(self.record.response or ""):
            yield one

    def _end(self, record: TurnRecord | None) -> None:
        """Note the record of a turn that is over."""
        if record is not None and record.over:
            self._record = record

    async def _signs_of_life(self) -> AsyncGenerator[Sign | None]:
        """The turn's signs, and None when it is time to look at its row, until `record` is known."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while self._record is None:
            look, self._look = self._look, False
            yield None if look else await self._next(deadline - loop.time())
            if self._record is None and loop.time() >= deadline:
                what = "the turn goes on" if self._goes_on else "the turn was cancelled"
                if not self._goes_on:
                    self._record = await self._asks.cancel(self.id)
                raise TurnTimeout(f"No answer within {self._timeout:g} s; {what}.")

    async def _next(self, left: float) -> Sign | None:
        payload = await self._signs.next(max(0.0, min(left, POLL)))
        return None if payload is None else _SIGN.decode(payload)


class Asks:
    """Asks agents, and knows what became of it (`api.ports.Turns`)."""

    def __init__(self, bus: Bus, *, timeout: float, grace: float = GRACE) -> None:
        self._bus = bus
        self._timeout = timeout
        self._grace = grace
        self._written: OrderedDict[str, None] = OrderedDict()
        self._followers: Counter[str] = Counter()
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def ask(self, ask: Ask) -> AsyncGenerator[FollowedTurn]:
        """Send a message and follow its turn; raises InboxFull."""
        repeated = await self._repeated(ask) if ask.repeats else None
        turn = repeated or ask.id
        with self._bus.signals.listen(signs_of(turn) if ask.pieces else end_of(turn)) as signs:
            is_new = repeated is None and await self._publish(ask)
            followed = FollowedTurn(self, turn, signs, timeout=self._timeout, look=not is_new, goes_on=ask.goes_on)
            self._followers[turn] += 1
            try:
                yield followed
            finally:
                self._followers[turn] -= 1
                if not self._followers[turn]:
                    del self._followers[turn]
                if not followed.over and not ask.goes_on:
                    self._leave(turn, 0.0 if followed.has_begun else self._grace)

    async def start(self, ask: Ask) -> None:
        """Send a message; its turn goes on whether or not somebody follows it. Raises InboxFull."""
        await self._publish(msgspec.structs.replace(ask, goes_on=True))

    @asynccontextmanager
    async def follow(self, id: str) -> AsyncGenerator[FollowedTurn]:
        """Follow a turn that somebody asked for; leaving it changes nothing, and it is waited for without a limit."""
        with self._bus.signals.listen(signs_of(id)) as signs:
            yield FollowedTurn(self, id, signs, timeout=inf, look=True)

    async def _publish(self, ask: Ask) -> bool:
        """Store the message and its turn; False when they are there already."""
        with tracing.span("accept api", {"bothub.message.id": ask.id, "gen_ai.agent.name": ask.agent}):
            return await self._store(ask)

    async def _store(self, ask: Ask) -> bool:
        now = self._bus.clock()
        publish = Publish(
            inbox=agent_inbox(ask.agent),
            lane=str(ask.address),
            id=ask.id,
            body=msgspec.json.encode(tracing.marked(_message(ask, now))),
            bounded=True,
            once=True,
        )

        def write(connection: Connection) -> None:
            turns.save(connection, _queued(ask, now))
            if ask.visit is not None:
                conversations.visited(connection, ask.agent, ask.visit, ask.id, now)
            if ask.also is not None:
                ask.also(connection)

        try:
            await self._bus.commit(publish, also=write)
        except AlreadyThere:
            return False
        except asyncio.CancelledError:
            if not ask.goes_on:
                self._leave(ask.id, self._grace)  # it may be stored all the same
            raise
        return True

    async def _repeated(self, ask: Ask) -> str | None:
        """The turn that an SDK's retry means: the same request, not cancelled, its answer not written out in full."""
        since = self._bus.clock() - RETRY_SECONDS
        found = await self._bus.store.read(
            lambda connection: turns.find_repeated(connection, ask.key_id, ask.fingerprint, since)
        )
        return None if found is None or found.id in self._written else found.id

    def remember(self, id: str) -> None:
        """Remember that an answer went out in full."""
        self._written[id] = None
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)

    def _leave(self, id: str, grace: float) -> None:
        task = asyncio.create_task(self._client_gone(id, grace), name=f"client gone {id}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _client_gone(self, id: str, grace: float) -> None:
        await asyncio.sleep(grace)
        if id in self._followers:
            return
        try:
            await self._stop(id, "refused", "client gone")
        except StoreUnavailable as error:
            log.warning("turn goes on without its client: store unavailable", id=id, error=str(error))

    async def row(self, id: str) -> TurnRecord | None:
        """The turn's row as it is stored."""
        return await self._bus.store.read(lambda connection: turns.find(connection, id))

    async def look(self, id: str, first: int) -> tuple[TurnRecord | None, list[Entry]]:
        """The turn's row, and its entries from a number on: all there are, if the row says that it is over."""

        def unit(connection: Connection) -> tuple[TurnRecord | None, list[Entry]]:
            record = turns.find(connection, id)
            return record, memory.journal(connection, id, first)[1]

        return await self._bus.store.read(unit)

    async def find(self, id: str) -> TurnRecord | None:
        """A turn with its present status, or None."""
        record = await self.row(id)
        if record is None or record.status != "queued" or record.agent is None:
            return record
        if await self._bus.is_claimed(agent_inbox(record.agent), id):
            return msgspec.structs.replace(record, status="running")
        return record

    async def cancel(self, id: str) -> TurnRecord | None:
        """Ask a turn to stop, wait a moment until it has, and return it."""
        with self._bus.signals.listen(end_of(id)) as signs:
            deadline = asyncio.get_running_loop().time() + CANCEL_WAIT
            await self._stop(id, "silent", "stopped")
            signs.clear()
            while (record := await self.find(id)) is not None and not record.over:
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                await signs.next(min(left, POLL))
                signs.clear()
        return record

    async def _stop(self, id: str, outcome: Outcome, reason: str) -> None:
        record = await self.row(id)
        if record is None or record.over or record.agent is None:
            return

        def close(connection: Connection) -> None:
            turns.close(connection, id, "cancelled", self._bus.clock())

        if await self._bus.withdraw(agent_inbox(record.agent), id, outcome, reason, also=close) == "done":
            for topic in (signs_of(id), end_of(id)):
                self._bus.signals.send(topic, msgspec.json.encode(_done(record)))

    async def close(self) -> None:
        """Forget the clients that left; their turns go on."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)


def _done(record: TurnRecord) -> Live:
    return Live(kind="done", turn=record.id, address=Address.parse(record.address))


_SIGN = msgspec.json.Decoder(Sign)


def _message(ask: Ask, now: float) -> Message:
    """What the agent hears."""
    key = str(ask.key_id)
    return Message(
        id=ask.id,
        address=ask.address,
        author=Author(id=key, name=ask.visit.by.name if ask.visit else key, kind="api"),
        parts=ask.parts,
        at=now,
        direct=ask.visit is None,
        params=ask.params,
        posts_to=ask.posts_to,
        instructions=ask.instructions,
        tools=ask.tools,
        results=ask.results,
        payer=ask.payer,
    )


def _queued(ask: Ask, now: float) -> TurnRecord:
    """The turn's row before anybody has begun it."""
    return TurnRecord(
        id=ask.id,
        address=str(ask.address),
        status="queued",
        agent=ask.agent,
        session_id=None if ask.visit else ask.session_id,
        key_id=ask.key_id,
        fingerprint=ask.fingerprint,
        created_at=now,
        accepted_at=now,
        request_id=tracing.request_id(),
        trace_id=tracing.trace_id(tracing.traceparent()),
    )
