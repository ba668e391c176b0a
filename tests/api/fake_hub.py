"""An in-memory hub behind the façade: scripted agents and models, and a record of what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from api.ports import Hub, Models, Named, Posts, Readiness, Turns
from hub.accounts.audit import By
from hub.accounts.turns import Ask, Call, TurnRecord, Work
from hub.bus import Bus
from hub.delivery.deliveries import DeliveryRecord
from hub.delivery.origin import Origin
from hub.errors import HubError, MessageRefused, RequestError, TurnTimeout
from hub.files import FileStore
from hub.memory import Entry
from hub.message import Address, Delivery, Message
from hub.model import Chunk, Embeddable, Embeddings, Recording, Transcript, Usage
from hub.records import deadletters
from hub.records.people import People
from hub.records.sessions import Sessions
from hub.signals.local import LocalSignals
from hub.store import Store
from hub.turns.progress import Happening, Words
from hub.uploads import Uploads

NOW = 1_795_000_000.0
ASSISTANT = "0b7f3c1e-7c52-4c0e-9d53-8f6f3f1b2a44"
AGENTS = (
    Named(name="assistant", kind="agent", created=1_740_000_000, id=ASSISTANT),
    Named(name="drafter", kind="agent", created=1_740_000_001, history="client"),
    Named(name="gpt", kind="model", created=1_740_000_002),
    Named(name="eyes", kind="model", created=1_740_000_003, multiple=True),
)


@dataclass
class FakeAnswer:
    """A turn that says its pieces; a piece may be an event to wait for, or an error to raise."""

    record: TurnRecord
    script: Sequence[str | asyncio.Event | Exception]
    log: list[str] = field(default_factory=list[str])
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return self.record.id

    async def __aiter__(self) -> AsyncIterator[str]:
        for piece in self.script:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, Exception):
                raise piece
            else:
                yield piece
        self.log.append("over")

    async def happenings(self) -> AsyncIterator[Happening]:
        async for piece in self:
            yield Words(text=piece)

    def began(self) -> None:
        self.log.append("began")

    def written(self) -> None:
        self.log.append("written")


class FakeTurns:
    """Answers with `script`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.answers: list[FakeAnswer] = []
        self.records: dict[str, TurnRecord] = {}
        self.script: Sequence[str | asyncio.Event | Exception] = ("Hello", ", ", "you.")
        self.ending: dict[str, Any] = {}
        self.full: HubError | None = None
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def ask(self, ask: Ask) -> AsyncGenerator[FakeAnswer, None]:
        if self.full is not None:
            raise self.full
        answer = FakeAnswer(self._record(ask), self.script)
        self.asks.append(ask)
        self.answers.append(answer)
        self.asked.set()
        try:
            yield answer
        finally:
            answer.log.append("left")
            answer.left.set()

    async def start(self, ask: Ask) -> None:
        self.asks.append(ask)

    @asynccontextmanager
    async def follow(self, id: str) -> AsyncGenerator[FakeAnswer, None]:
        yield FakeAnswer(self.records[id], self.script)

    def _record(self, ask: Ask) -> TurnRecord:
        said = "".join(piece for piece in self.script if isinstance(piece, str))
        record = TurnRecord(
            id=f"turn{len(self.asks)}",
            address=f"api:{ask.key_id}:{ask.session_id}",
            status="completed",
            agent=ask.agent,
            session_id=ask.session_id,
            key_id=ask.key_id,
            response=said,
            usage=Usage(prompt=3, completion=2, cached=1),
            created_at=NOW,
            finished_at=NOW + 1,
        )
        return msgspec.structs.replace(record, **self.ending)

    async def look(self, id: str, first: int) -> tuple[TurnRecord | None, list[Entry]]:
        return self.records.get(id), []

    async def find(self, id: str) -> TurnRecord | None:
        return self.records.get(id)

    async def cancel(self, id: str) -> TurnRecord | None:
        self.records[id] = msgspec.structs.replace(self.records[id], status="cancelled", finished_at=NOW + 2)
        return self.records[id]


class FakeModels:
    """Answers with `chunks`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.chunks: Sequence[Chunk | asyncio.Event | Exception] = ()
        self.closed = asyncio.Event()
        self.called = asyncio.Event()

    async def complete(self, call: Call) -> AsyncIterator[Chunk]:
        self.calls.append(call)
        self.called.set()
        try:
            for chunk in self.chunks:
                if isinstance(chunk, asyncio.Event):
                    await chunk.wait()
                elif isinstance(chunk, Exception):
                    raise chunk
                else:
                    yield chunk
        finally:
            self.closed.set()

    async def embed(self, work: Work, inputs: Sequence[Embeddable], dimensions: int | None = None) -> Embeddings:
        raise NotImplementedError

    async def transcribe(self, work: Work, recording: Recording) -> Transcript:
        raise NotImplementedError


class FakePosts:
    """Keeps deliveries, and says of each what `answers` says."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[Delivery, float]] = []
        self.origins: list[Origin] = []
        self.records: dict[str, DeliveryRecord] = {}
        self.answers: Callable[[Delivery], DeliveryRecord] = _waiting

    async def deliver(self, delivery: Delivery, wait: float, origin: Origin) -> DeliveryRecord:
        self.origins.append(origin)
        self.deliveries.append((delivery, wait))
        return self.records.setdefault(delivery.id, self.answers(delivery))

    async def find(self, id: str) -> DeliveryRecord | None:
        return self.records.get(id)

    async def discard(self, id: str, by: By) -> DeliveryRecord | None:
        record = self.records.get(id)
        if record is not None and record.status == "waiting":
            self.records[id] = record = msgspec.structs.replace(record, status="discarded", reason="discarded")
        return record

    async def room(self, address: Address) -> Address:
        if address.channel != "web":
            raise RequestError(f"'{address.channel}' is no web channel.", param="channel", code="unsupported_channel")
        return address

    def waiting_because(self, record: DeliveryRecord) -> str | None:
        return "channel not enabled" if record.status == "waiting" else None


def _waiting(delivery: Delivery) -> DeliveryRecord:
    return DeliveryRecord(
        delivery=delivery, status="waiting", reason=None, attempts=0, parts=(), last_error=None, created_at=NOW
    )


class FakeHub:
    """The parts of a fake hub; `hub()` is what `create_app` takes."""

    def __init__(self, store: Store, files: Path = Path("/dev/null"), **options: Any) -> None:
        self.files = FileStore(files)
        self.turns = FakeTurns()
        self.models = FakeModels()
        self.posts = FakePosts()
        self.accepted: list[Message] = []
        self.names: Sequence[Named] = AGENTS
        self.now = NOW
        self.readiness = Readiness(ok=True, store="ok", migrations="current", roles=("api",), channels={})
        self._store = store
        self.uploads = Uploads(store, lambda: self.now, files / "uploads")
        self.exports = files / "exports"
        self._options = options

    def hub(self) -> Hub:
        turns: Turns = self.turns
        models: Models = self.models
        posts: Posts = self.posts
        return Hub(
            store=self._store,
            signals=LocalSignals(),
            clock=lambda: self.now,
            files=self.files,
            turns=turns,
            models=models,
            posts=posts,
            people=People(Bus(self._store, LocalSignals(), lambda: self.now), self.files, self.uploads),
            uploads=self.uploads,
            exports=self.exports,
            sessions=Sessions(Bus(self._store, LocalSignals(), lambda: self.now)),
            names=lambda: self.names,
            accept=self._accept,
            retry=partial(deadletters.retry, Bus(self._store, LocalSignals(), lambda: self.now)),
            resend=partial(deadletters.resend, Bus(self._store, LocalSignals(), lambda: self.now)),
            ready=self._ready,
            read_document=self._read_document,
            **self._options,
        )

    async def _accept(self, message: Message) -> None:
        self.accepted.append(message)

    async def _read_document(self, name: str, content: bytes) -> str:
        if content.startswith(b"broken"):
            raise MessageRefused(f"The document '{name}' is broken or not complete.")
        return f"read: {content.decode()}"

    async def _ready(self) -> Readiness:
        return self.readiness


TIMEOUT = TurnTimeout("No answer within 300 s; the turn was cancelled.")
