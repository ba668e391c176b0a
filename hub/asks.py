"""The asker's side of a turn: programs put a message into an agent's inbox and follow what becomes of it."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import structlog

from hub.accounts import turns
from hub.accounts.turns import RETRY_SECONDS, Ask, Sign, TurnRecord, end_of, signs_of
from hub.bus import Bus, Outcome, Publish
from hub.errors import ModelUnavailable, StoreUnavailable, TurnTimeout
from hub.message import API, Address, Author, Live, Message, agent_inbox
from hub.signals import POLL, Listener
from hub.store import Connection

log = structlog.get_logger()
GRACE = 10.0
"""How long a turn goes on for a client that went away before the first byte, in seconds."""
CANCEL_WAIT = 5.0
"""How long a cancel waits for the turn to end, in seconds."""
REMEMBERED = 10_000
"""How many turns are remembered whose answer went out in full."""


class FollowedTurn:
    """A turn as its asker sees it (`api.ports.Answer`)."""

    def __init__(self, asks: Asks, id: str, signs: Listener, *, timeout: float, look: bool) -> None:
        self.id = id
        self.has_begun = False
        self._asks = asks
        self._signs = signs
        self._timeout = timeout
        self._look = look
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
        async for live in self._lives():
            text = live.text[max(length - live.offset, 0) :] if live.offset <= length else ""
            if text:
                shown.append(text)
                length += len(text)
                yield text
        response, seen = self.record.response or "", "".join(shown)
        if not response.startswith(seen):
            raise ModelUnavailable("The answer was begun anew after a failure; ask again.")
        if len(response) > length:
            yield response[length:]

    async def _lives(self) -> AsyncIterator[Live]:
        """The turn's deltas until it is over; then `record` is known."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while True:
            live = None if self._look else await self._next(deadline - loop.time())
            if live is not None and live.kind == "delta":
                yield live
            if live is None or live.kind == "done":
                self._look = False
                record = live.record if live and live.record else await self._asks.row(self.id)
                if record is not None and record.over:
                    self._record = record
                    return
            if loop.time() >= deadline:
                self._record = await self._asks.cancel(self.id)
                raise TurnTimeout(f"No answer within {self._timeout:g} s; the turn was cancelled.")

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
        turn = repeated or uuid.uuid4().hex
        with self._bus.signals.listen(signs_of(turn) if ask.pieces else end_of(turn)) as signs:
            if repeated is None:
                await self._publish(turn, ask)
            followed = FollowedTurn(self, turn, signs, timeout=self._timeout, look=repeated is not None)
            self._followers[turn] += 1
            try:
                yield followed
            finally:
                self._followers[turn] -= 1
                if not self._followers[turn]:
                    del self._followers[turn]
                if not followed.over:
                    self._leave(turn, 0.0 if followed.has_begun else self._grace)

    async def _publish(self, id: str, ask: Ask) -> None:
        now = self._bus.clock()
        address = Address(API, str(ask.key_id), ask.session_id)
        message = Message(
            id=id,
            address=address,
            author=Author(id=str(ask.key_id), name=str(ask.key_id), kind="api"),
            parts=ask.parts,
            at=now,
            params=ask.params,
            posts_to=ask.posts_to,
        )
        record = TurnRecord(
            id=id,
            address=str(address),
            status="queued",
            agent=ask.agent,
            session_id=ask.session_id,
            key_id=ask.key_id,
            fingerprint=ask.fingerprint,
            created_at=now,
        )
        publish = Publish(
            inbox=agent_inbox(ask.agent), lane=str(address), id=id, body=msgspec.json.encode(message), bounded=True
        )
        try:
            await self._bus.commit(publish, also=lambda connection: turns.save(connection, record))
        except asyncio.CancelledError:
            self._leave(id, self._grace)  # it may be stored all the same
            raise

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
