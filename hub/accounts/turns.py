"""Turns of programs and chats: what was asked, what came of it, what it used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.accounts.audit import By
from hub.accounts.money import Price
from hub.errors import ModelError, PaymentRequired
from hub.message import API, Address, Live, Part, Payer, Value
from hub.model import Completion, Pace, ToolCall, Usage
from hub.store.tables import turns

Status = Literal["queued", "running", "completed", "cancelled", "failed"]
INSUFFICIENT = "insufficient_quota"
"""The code of a turn that nobody could pay for."""
RETRY_SECONDS = 600.0
"""How long an SDK's retry finds the turn it repeats."""


class Visit(Value, frozen=True, kw_only=True):
    """A program's turn in a chat's conversation: where, and who asks."""

    address: Address
    by: By


class Ask(Value, frozen=True, kw_only=True):
    """A message for an agent, from a program: `session_id` is the caller's name of the conversation.

    `id` is the turn's; asked again it is the same turn. With `repeats` an SDK sent the same request again: its
    `fingerprint` finds the turn to attach to.
    """

    id: str = msgspec.field(default_factory=lambda: uuid4().hex)

    agent: str
    key_id: int
    payer: Payer | None = None
    session_id: str
    visit: Visit | None = None
    """The chat whose conversation it belongs to instead, which was granted to the key."""
    parts: tuple[Part, ...]
    params: dict[str, Any] = {}
    posts_to: tuple[str, ...] = ()
    """Address patterns of the key's `deliver` scope; `*` for all."""
    fingerprint: str
    repeats: bool = False
    goes_on: bool = False
    """It does not end with its asker, who will ask for it again by its id."""
    pieces: bool = True
    """Show the answer as it is written; otherwise only its end is told, and nobody wakes for each piece."""
    instructions: str | None = None
    """What the model shall mind for this turn alone."""
    tools: list[dict[str, Any]] = []
    """Functions that the asker runs itself, in the shape of chat completions."""
    results: dict[str, str] = {}
    """What they returned, by the ids of their calls; these are open (`memory.calling`), and all that are."""
    also: Callable[[Connection], object] | None = None
    """A unit: what else is stored with the message."""

    @property
    def address(self) -> Address:
        """The conversation it belongs to."""
        return self.visit.address if self.visit else Address(API, str(self.key_id), self.session_id)


class Work(Value, frozen=True, kw_only=True):
    """Something that is asked of a model, or of an agent whose history the client keeps, and remembered by nobody."""

    id: str
    name: str
    key_id: int
    payer: Payer | None = None
    session_id: str | None = None
    posts_to: tuple[str, ...] = ()
    """Address patterns of the key's `deliver` scope."""
    keeps_text: bool = True
    """Store what was answered; otherwise only what it used."""


class Call(Work, frozen=True, kw_only=True):
    """A stateless completion."""

    completion: Completion


class Stage(Value, frozen=True, kw_only=True):
    """A step of a turn that has no entries, without what was said in it: `calls` are the names of the tools."""

    calls: tuple[str, ...] = ()
    usage: Usage = Usage()
    model: str = ""
    pace: Pace | None = None
    took: tuple[float, ...] = ()


class TurnRecord(Value, frozen=True, kw_only=True):
    """One turn as it is stored; times are Unix seconds."""

    id: str
    address: str
    status: Status
    agent: str | None = None
    model: str | None = None
    session: int | None = None
    session_id: str | None = None
    key_id: int | None = None
    fingerprint: str | None = None
    prompt: str | None = None
    """What a turn without entries was asked."""
    response: str | None = None
    finish: str | None = None
    """Why the response ends, in OpenAI's words (`length`); None: it is over."""
    error: str | None = None
    error_code: str | None = None
    usage: Usage = Usage()
    price: Price = Price()
    """Of the model that answered, as it was then."""
    payer_id: int | None = None
    reserved: int = 0
    fee: int = 0
    uncollected: int = 0
    """What it cost beyond what could be charged."""
    created_at: float
    started_at: float | None = None
    first_token_at: float | None = None
    finished_at: float | None = None
    accepted_at: float | None = None
    """When the hub stored the message; `created_at` is the platform's time of it."""
    tries: int | None = None
    request_id: str | None = None
    trace_id: str | None = None
    stages: tuple[Stage, ...] = ()

    @property
    def over(self) -> bool:
        return self.status in ("completed", "cancelled", "failed")


class Sign(Live, frozen=True, kw_only=True):
    """A sign of life to the asker of a turn; the last one has the turn's record, unless that is too long for it."""

    record: TurnRecord | None = None
    calls: tuple[ToolCall, ...] = ()
    """The tools that are being called, where the kind is `calls`."""


def error_code(error: object) -> str:
    """A stable word for what ended a turn: the upstream's HTTP status if it gave one."""
    if isinstance(error, PaymentRequired):
        return INSUFFICIENT
    return f"upstream_{error.status or 'unavailable'}" if isinstance(error, ModelError) else "internal_error"


def signs_of(id: str) -> str:
    """The topic of an HTTP turn's signs of life, its end among them."""
    return f"turn.{id}"


def end_of(id: str) -> str:
    """The topic of nothing but its end."""
    return f"turn.{id}.end"


def save(connection: Connection, record: TurnRecord, *, charged: bool = False) -> None:
    """A unit: write the turn's row, new or over the one that is there; what it was charged only where that is said."""
    connection.execute(_save(connection.dialect.name, charged), _row(record))


def find(connection: Connection, id: str) -> TurnRecord | None:
    """A unit: the turn, or None."""
    row = connection.execute(_FIND, {"id_": id}).first()
    return None if row is None else record_of(row)


def charged(connection: Connection, id: str) -> int:
    """A unit: what was charged for a turn so far, and what could not be."""
    row = connection.execute(_CHARGED, {"id_": id}).first()
    return 0 if row is None else row.fee + row.uncollected


def close(connection: Connection, id: str, status: Status, now: float) -> bool:
    """A unit: end a turn that has not ended, without a response; says whether it did."""
    return connection.execute(_CLOSE, {"id_": id, "to": status, "now": now}).rowcount > 0


def find_repeated(connection: Connection, key_id: int, fingerprint: str, since: float) -> TurnRecord | None:
    """A unit: the newest turn of this key for the same request; not one that was cancelled or failed: that is over."""
    row = connection.execute(_REPEATED, {"key_": key_id, "print_": fingerprint, "since": since}).first()
    return None if row is None else record_of(row)


_STAGES = msgspec.json.Decoder(tuple[Stage, ...])
_FIND = select(turns).where(turns.c.id == bindparam("id_"))
_CHARGED = select(turns.c.fee, turns.c.uncollected).where(turns.c.id == bindparam("id_"))
_CLOSE = (
    update(turns)
    .where(turns.c.id == bindparam("id_"), turns.c.status.in_(("queued", "running")))
    .values(status=bindparam("to"), finished_at=bindparam("now"))
)
_REPEATED = (
    select(turns)
    .where(
        turns.c.key_id == bindparam("key_"),
        turns.c.fingerprint == bindparam("print_"),
        turns.c.created_at >= bindparam("since"),
        turns.c.status.not_in(("cancelled", "failed")),
    )
    .order_by(turns.c.created_at.desc())
    .limit(1)
)
_ONCE = ("id", "address", "channel", "key_id", "fingerprint", "session_id", "created_at")
"""Columns that the first writer of a turn decides."""
_CHARGES = ("fee", "uncollected", "reserved")


@cache
def _save(dialect: str, charged: bool) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    columns = [*_row(TurnRecord(id="", address="", status="queued", created_at=0.0))]
    into = insert(turns).values({name: bindparam(name) for name in columns})
    kept = _ONCE if charged else (*_ONCE, *_CHARGES)
    changes = {name: into.excluded[name] for name in columns if name not in kept}
    return into.on_conflict_do_update(index_elements=["id"], set_=changes)


def _row(record: TurnRecord) -> dict[str, Any]:
    usage = record.usage
    return {
        "id": record.id,
        "agent": record.agent,
        "model": record.model,
        "address": record.address,
        "channel": record.address.partition(":")[0],
        "session": record.session,
        "session_id": record.session_id,
        "key_id": record.key_id,
        "fingerprint": record.fingerprint,
        "status": record.status,
        "prompt": record.prompt,
        "response": record.response,
        "finish": record.finish,
        "error": record.error,
        "error_code": record.error_code,
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "cached_tokens": usage.cached,
        "reasoning_tokens": usage.reasoning,
        "estimated": usage.estimated,
        "price_in": record.price.input,
        "price_out": record.price.output,
        "price_cached": record.price.input if record.price.cached is None else record.price.cached,
        "payer_id": record.payer_id,
        "reserved": record.reserved,
        "fee": record.fee,
        "uncollected": record.uncollected,
        "created_at": record.created_at,
        "started_at": record.started_at,
        "first_token_at": record.first_token_at,
        "finished_at": record.finished_at,
        "accepted_at": record.accepted_at,
        "tries": record.tries,
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "stages": msgspec.json.encode(record.stages) if record.stages else None,
    }


def record_of(row: Any) -> TurnRecord:
    """The turn in a row."""
    return TurnRecord(
        id=row.id,
        address=row.address,
        status=row.status,
        agent=row.agent,
        model=row.model,
        session=row.session,
        session_id=row.session_id,
        key_id=row.key_id,
        fingerprint=row.fingerprint,
        prompt=row.prompt,
        response=row.response,
        finish=row.finish,
        error=row.error,
        error_code=row.error_code,
        usage=Usage(
            prompt=row.prompt_tokens,
            completion=row.completion_tokens,
            cached=row.cached_tokens,
            reasoning=row.reasoning_tokens,
            estimated=row.estimated,
        ),
        price=Price(input=row.price_in, output=row.price_out, cached=row.price_cached),
        payer_id=row.payer_id,
        reserved=row.reserved,
        fee=row.fee,
        uncollected=row.uncollected,
        created_at=row.created_at,
        started_at=row.started_at,
        first_token_at=row.first_token_at,
        finished_at=row.finished_at,
        accepted_at=row.accepted_at,
        tries=row.tries,
        request_id=row.request_id,
        trace_id=row.trace_id,
        stages=() if row.stages is None else _STAGES.decode(row.stages),
    )
