"""What the façade needs of the hub; `hub/app/` hands it over, so that no route knows the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from hub.accounts.audit import By
from hub.accounts.definitions import Change, Kind, Shown
from hub.accounts.turns import Ask, Call, TurnRecord, Work
from hub.channel import State, WebhookAnswer
from hub.delivery.deliveries import DeliveryRecord
from hub.delivery.origin import Origin
from hub.errors import Conflict, NotFound
from hub.fetch import Fetcher
from hub.files import FileStore
from hub.logbook import Logbook
from hub.memory import Entry
from hub.message import Address, Delivery, Message
from hub.model import Chunk, Embeddable, Embeddings, Recording, Transcript
from hub.records.deadletters import DeadLetter
from hub.records.people import Erased, Export
from hub.records.search import Sought
from hub.records.sessions import SessionRecord, Written
from hub.signals import Signals
from hub.store import Connection, Store
from hub.store.listing import Page, Part
from hub.turns.progress import Happening
from hub.uploads import Uploads


class Answer(Protocol):
    """A turn as its asker sees it: iterate over the reply's text as it is written, then read `record`.

    The pieces joined are `record.response`, none missing and none twice.
    """

    @property
    def id(self) -> str: ...

    @property
    def record(self) -> TurnRecord:
        """The turn after its end: completed, cancelled, or failed with an `error_code` that api/errors.py knows."""
        ...

    def __aiter__(self) -> AsyncIterator[str]: ...

    def happenings(self) -> AsyncIterator[Happening]:
        """Instead: everything that the turn does from its beginning, thoughts and tool calls too.

        Its words are a preview: after a crash they may not be those of the `record`.
        """
        ...

    def began(self) -> None:
        """Say that the first byte of the answer went out."""
        ...

    def written(self) -> None:
        """Say that the answer went out in full: a repeated request is a new one from now on."""
        ...


class Turns(Protocol):
    """Asks agents, and knows what became of it."""

    def ask(self, ask: Ask) -> AbstractAsyncContextManager[Answer]:
        """Send a message and follow its turn; leaving before the end is a client that went away.

        Raises InboxFull; TurnTimeout from the iteration when `api.turn_timeout` is over (the turn is cancelled).
        """
        ...

    async def start(self, ask: Ask) -> None:
        """Send a message; its turn goes on whether or not somebody follows it. Raises InboxFull."""
        ...

    def follow(self, id: str) -> AbstractAsyncContextManager[Answer]:
        """Follow a turn that there is, from its beginning and without a limit of time; leaving changes nothing."""
        ...

    async def look(self, id: str, first: int) -> tuple[TurnRecord | None, list[Entry]]:
        """The turn's row, and its entries from a number on: all there are, if the row says that it is over."""
        ...

    async def find(self, id: str) -> TurnRecord | None:
        """A turn with its present status, or None."""
        ...

    async def cancel(self, id: str) -> TurnRecord | None:
        """Ask a turn to stop, wait a moment until it has, and return it; one that is over stays as it is."""
        ...


class Models(Protocol):
    """What models do without memory; a RequestError names the model that cannot."""

    def complete(self, call: Call) -> AsyncIterator[Chunk]:
        """Answer and record the turn; closing the iterator, or cancelling who waits for it, records it as cancelled.

        Raises a ModelError; TurnTimeout when `api.turn_timeout` is over before the first chunk.
        """
        ...

    async def embed(self, work: Work, inputs: Sequence[Embeddable], dimensions: int | None = None) -> Embeddings:
        """The vectors of some texts, recorded as a turn; raises RequestError, a ModelError, TurnTimeout."""
        ...

    async def transcribe(self, work: Work, recording: Recording) -> Transcript:
        """What is said in a recording, recorded as a turn; raises RequestError, a ModelError, TurnTimeout."""
        ...


class Posts(Protocol):
    """Sends messages to chats."""

    async def deliver(self, delivery: Delivery, wait: float, origin: Origin) -> DeliveryRecord:
        """Put a delivery on its way once per id and wait up to `wait` seconds for its end; the audit has its `origin`.

        The address's channel may be a kind's name. Raises RequestError for an unknown channel, InboxFull.
        """
        ...

    async def find(self, id: str) -> DeliveryRecord | None: ...

    async def discard(self, id: str, by: By) -> DeliveryRecord | None:
        """Withdraw a delivery that nobody has begun to send; returns it as it then is."""
        ...

    async def room(self, address: Address) -> Address:
        """The web room that an address means; raises RequestError for an unknown channel, or one of another kind."""
        ...

    def waiting_because(self, record: DeliveryRecord) -> str | None:
        """Why a delivery waits, in words: `channel not enabled`, or its last error."""
        ...


class Sessions(Protocol):
    """Knows the sessions of keys, and those of chats that a key was granted; another's do not exist."""

    async def list(self, key_id: int, sought: Sought, part: Part) -> Page[SessionRecord]:
        """Sessions of a key, the newest first."""
        ...

    async def granted(self, key_id: int, address: Address, sought: Sought, part: Part) -> Page[SessionRecord]:
        """Sessions at an address, the newest first, of agents whose conversation there the key was granted.

        Raises Forbidden where that is none.
        """
        ...

    async def readable(self, key_id: int, id: int) -> SessionRecord | None:
        """A session that is the key's, or of a conversation that it was granted."""
        ...

    async def find(self, key_id: int, id: int) -> SessionRecord | None:
        """A session that is the key's."""
        ...

    async def read(self, session: SessionRecord, after: int, limit: int) -> Sequence[Written]:
        """What was said in it after an entry, the oldest first."""
        ...

    async def rename(self, session: SessionRecord, title: str | None) -> None: ...

    async def erase(self, session: SessionRecord) -> None:
        """Erase it for good; raises Conflict when a turn of it runs and does not stop."""
        ...


class People(Protocol):
    """Knows what is stored about a person, by `channel:sender`; both raise RequestError for what names nobody."""

    async def export(self, name: str) -> Export: ...

    async def erase(self, name: str) -> Erased:
        """Erase it for good; raises Conflict when a turn of theirs runs and does not stop."""
        ...


class Definitions(Protocol):
    """Keeps models, agents and channels that are saved while the hub runs, beside those that config.yaml declares."""

    async def list(self, kind: Kind) -> Sequence[Shown]:
        """All of a kind, by their ids."""
        ...

    async def get(self, kind: Kind, id: int) -> Shown:
        """One of them; raises NotFound."""
        ...

    async def save(self, *changes: Change, by: By) -> Sequence[Shown]:
        """Save them, or delete them, all or none; returns those that were saved, in use by now.

        Raises RequestError for what cannot be so; NotFound; Conflict for a name that is taken, for what config.yaml
        declares, and where something else would be left without what it needs.
        """
        ...


class Nothing:
    """Keeps no definitions."""

    async def list(self, kind: Kind) -> Sequence[Shown]:  # noqa: ARG002
        return ()

    async def get(self, kind: Kind, id: int) -> Shown:
        raise NotFound(f"There is no {kind} {id}.", code=f"{kind}_not_found")

    async def save(self, *changes: Change, by: By) -> Sequence[Shown]:  # noqa: ARG002
        raise Conflict("This hub keeps what config.yaml declares, and nothing else.", code="declared")


@dataclass(frozen=True, kw_only=True)
class Named:
    """An agent or model that a request may name; `created` is a Unix time in seconds."""

    name: str
    kind: Literal["agent", "model"]
    created: int
    history: Literal["server", "client"] = "server"
    multiple: bool = False
    """Takes images and the like beside text."""
    show_tools: bool = False
    """An agent's own tool calls are shown in streams, unless the request says otherwise."""
    public: bool = True
    """An agent that every key may use."""
    id: str | None = None
    """An agent's UUID, by which it is called as an assistant; None: it answers only what it remembers itself."""


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """What `/ready` tells; `ok` is the whole verdict."""

    ok: bool
    store: str
    migrations: str
    roles: Sequence[str]
    channels: Mapping[str, State]


Layer = Literal["file", "environment", "saved", "default"]
"""Where a setting comes from; what is saved while the hub runs is in the store."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A key of the configuration in effect; its value is made of plain ones as YAML has them, without any secret.

    `where` is a line of the file (`config.yaml:12`) or the name of a variable.
    """

    key: tuple[str, ...]
    value: Any
    origin: Layer = "default"
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Effective:
    """The configuration in effect: its file, and all of its settings."""

    path: str = ""
    settings: Sequence[Setting] = ()


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """How a hub is backed up that does not do it by itself: a command, and folders to copy afterwards."""

    command: str
    folders: Sequence[str]


Push = Callable[[Mapping[str, str], bytes], Awaitable[WebhookAnswer]]
"""Stores what a platform pushed, by its headers (names in lower case) and body, and says what to answer.

Raises Forbidden for what does not know the platform's secret.
"""


async def _knows_all() -> None:
    pass


def _unnoted(_key_id: int) -> None:
    """Nobody asks when a key was used last."""


async def _nobody_holds(_channel: str, _also: Callable[[Connection], object]) -> bool:
    return False


async def _nothing_runs(_address: Address) -> bool:
    return False


async def _no_tools(_agent: str) -> Collection[str]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Everything the façade is given."""

    store: Store
    signals: Signals
    clock: Callable[[], float]
    files: FileStore
    turns: Turns
    models: Models
    posts: Posts
    people: People
    uploads: Uploads
    exports: Path
    """The folder with the files that jobs write."""
    sessions: Sessions
    names: Callable[[], Sequence[Named]]
    """Agents first, the default agent at their head."""
    accept: Callable[[Message], Awaitable[None]]
    """Takes a message that was said in a web room, as a channel would."""
    ready: Callable[[], Awaitable[Readiness]]
    retry: Callable[[DeadLetter, By], Awaitable[str]]
    """Publishes what was given up again and returns its id there (`hub.records.deadletters.retry`)."""
    resend: Callable[[DeadLetter, str, By], Awaitable[str]]
    """The same with another text."""
    read_document: Callable[[str, bytes], Awaitable[str]]
    """Makes Markdown of a document, given its name and content; raises HubError with a sentence."""
    fetch: Fetcher = field(default_factory=Fetcher)
    """Fetches the URLs in messages, from the public internet alone."""
    stop: Callable[[Address], Awaitable[bool]] = _nothing_runs
    """Stops what is answered at an address; says whether anything was."""
    channels: Callable[[], Sequence[str]] = tuple
    """The names of the enabled channels."""
    webhooks: Mapping[tuple[str, str], Push] = field(default_factory=dict[tuple[str, str], Push])
    """What takes the pushes to `/webhooks/<kind>/<channel>`."""
    restart: Callable[[str, Callable[[Connection], object]], Awaitable[bool]] = _nobody_holds
    """Has a channel connect anew, with a unit that notes it; says whether a process held it."""
    refresh: Callable[[], Awaitable[None]] = _knows_all
    """Has this process know what others saved until now; for who looks for a name that there is not."""
    definitions: Definitions = field(default_factory=Nothing)
    kinds: Sequence[str] = ("web",)
    """The kinds of channels that there may be."""
    providers: Sequence[str] = ("demo",)
    """The providers of models that there may be."""
    tools: Callable[[], Sequence[str]] = tuple
    """The names of the tools that agents may have."""
    own_tools: Callable[[str], Awaitable[Collection[str]]] = _no_tools
    """The names of the tools that the hub runs for an agent, those of servers that lend it some among them."""
    logbook: Logbook = field(default_factory=Logbook)
    """The newest lines of the log of this process."""
    used: Callable[[int], None] = _unnoted
    """Notes that a key was used."""
    by_hand: ByHand | None = None
    """How to make a backup; None: the job `backup` does it."""
    effective: Callable[[], Effective] = Effective
    """The configuration of this process at the moment."""
    local_key: str | None = None
    """`api.local_key`: the name of the key that keyless local clients act as."""
    cors: Sequence[str] = ()
    key_file: str | None = None
    """Where the admin key of the first start is, for people; None: the operator gave it."""
