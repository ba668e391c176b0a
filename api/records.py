"""Sessions and turns as admins and users are shown them; BRConnector's word for a turn is thread."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict, TypeVar

import msgspec
from msgspec import Meta
from quart import Response

from api import current
from api.envelope import Id, Moment, Paging, Text, Window, done, listing
from api.sessions import HIGHEST, FileName, SessionMessage, file_of, messages_of
from api.wire import query
from hub.accounts import money
from hub.accounts.turns import Status
from hub.errors import NotFound, RequestError
from hub.records import listed
from hub.records.listed import Asked, Line, SessionTotals
from hub.records.search import Own, Sought
from hub.store import Connection
from hub.store.listing import Page, Part

S = TypeVar("S", bound=msgspec.Struct)
SESSION = f"<int(max={HIGHEST}):id>"
MESSAGES = 200
"""Entries of a page of what was said, unless asked for more."""


class SessionQuery(Paging, kw_only=True):
    """Which sessions to list.

    `q` is looked for in what was said, every word of it, and in titles and names. From `since` on and before `until`
    they were used. `status` is that of one of their turns.
    """

    q: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    channel: Text | None = None
    agent: Text | None = None
    status: Status | None = None
    session_id: Text | None = None


class AllSessionsQuery(SessionQuery, kw_only=True):
    """Which sessions to list; `person` is `channel:sender`, who it is private with, or who said something there."""

    key_id: Id | None = None
    person: Text | None = None


class ThreadQuery(Window, kw_only=True):
    """Which turns to list.

    `q` is looked for in what was said, every word of it, and may be the id of a turn. They began from `since` on and
    before `until`. `session_id` is the number of a session, or the name that requests give it.
    """

    q: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    channel: Text | None = None
    agent: Text | None = None
    status: Status | None = None
    session_id: Text | None = None
    after: (
        Annotated[str, Meta(max_length=400, pattern=r"\A[0-9]{1,12}(\.[0-9]{1,20})?:[^\x00-\x1f\x7f-\x9f]+\Z")] | None
    ) = None

    @property
    def part(self) -> Part:
        at, _, id = (self.after or "").partition(":")  # noqa: A001 - a turn's
        return Part(limit=self.limit, offset=self.offset, after=(float(at), id) if at else ())

    def cursor(self, key: tuple[Any, ...]) -> str:
        """The time and the id of the turn that a part ends with."""
        return f"{key[0]!r}:{key[1]}"


class AllThreadsQuery(ThreadQuery, kw_only=True):
    """Which turns to list; `person` is `channel:sender`, who was answered."""

    key_id: Id | None = None
    person: Text | None = None


class SessionPageQuery(msgspec.Struct, kw_only=True):
    """Which of what was said: so many entries, after the `next` of a page."""

    limit: Annotated[int, Meta(ge=1, le=MESSAGES)] = MESSAGES
    after: Annotated[int, Meta(ge=0, le=HIGHEST)] = 0


class SessionShown(TypedDict):
    """A session: its turns, and what they used; `session_id` is the name that requests give it."""

    id: int
    agent: str
    session_id: str | None
    address: str
    channel: str
    person: str | None
    key_id: int | None
    key_name: str | None
    title: str | None
    turns: int
    tokens_in: int
    tokens_out: int
    fee: str
    created_at: int
    updated_at: int | None


class ThreadShown(TypedDict):
    """A turn: prices are per 1,000,000 tokens, latencies in milliseconds, times Unix seconds.

    `session` is the number of its session, `completion` what was answered; files are named, not shown.
    """

    id: str
    session: int | None
    session_id: str | None
    key_id: int | None
    key_name: str | None
    agent: str | None
    model: str | None
    address: str
    status: Status
    prompt: str | None
    files: list[FileName]
    completion: str | None
    error: str | None
    error_code: str | None
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    tokens_reasoning: int
    estimated: bool
    price_in: str
    price_out: str
    fee: str
    first_byte_latency: int | None
    invocation_latency: int | None
    created_at: float
    started_at: float | None
    finished_at: float | None


class SessionDetail(SessionShown):
    """A session with a page of what was said, the oldest first, and the turns that it belongs to."""

    messages: list[SessionMessage]
    threads: list[ThreadShown]
    next: int | None


class ThreadDetail(ThreadShown):
    """A turn with all that was said in it, the steps of tools among it."""

    messages: list[SessionMessage]


class ThreadItems(TypedDict):
    """A page of turns, the newest first: `next` is what `after` takes for the next page.

    `total` is how many there are in all; from 10,000 on it is 10,000, because counting them all would take long.
    """

    items: list[ThreadShown]
    total: int
    limit: int
    offset: int
    next: str | None


class ThreadList(TypedDict):
    """A page of turns, in the envelope."""

    success: Literal[True]
    data: ThreadItems


async def own() -> Own:
    """The keys whose records the request's key may see: itself, and those that were made with it."""
    key = current.key().id
    return await current.hub().store.read(lambda connection: listed.owned(connection, key))


async def list_sessions(asked: SessionQuery, whose: Own | None) -> Response:
    """The answer of a list of sessions."""
    sought = _sought(asked)
    return await listing(
        asked, lambda connection, part: listed.list_sessions(connection, sought, whose, part), session_shown
    )


async def list_threads(asked: ThreadQuery, whose: Own | None) -> Response:
    """The answer of a list of turns."""
    sought = _sought(asked)
    return await listing(
        asked, lambda connection, part: listed.list_turns(connection, sought, whose, part), thread_shown
    )


async def show_session(id: int, whose: Own | None) -> Response:
    """The answer for one session; raises NotFound."""
    asked = query(SessionPageQuery)
    part = Part(limit=asked.limit, after=(asked.after,))

    def unit(connection: Connection) -> tuple[SessionTotals, Page[Line]] | None:
        session = listed.find_session(connection, id, whose)
        return None if session is None else (session, listed.transcript(connection, id, part))

    found = await current.hub().store.read(unit)
    if found is None:
        raise NotFound(f"There is no session '{id}'.", code="session_not_found")
    session, page = found
    threads = {line.turn.record.id: line.turn for line in page.items if line.turn is not None}
    return done(
        {
            **session_shown(session),
            "messages": messages_of([line.written for line in page.items]),
            "threads": [thread_shown(turn) for turn in threads.values()],
            "next": None if page.next is None else page.next[0],
        }
    )


async def show_thread(id: str, whose: Own | None) -> Response:
    """The answer for one turn; raises NotFound."""

    def unit(connection: Connection) -> dict[str, Any] | None:
        turn = listed.find_turn(connection, id, whose)
        if turn is None:
            return None
        return {**thread_shown(turn), "messages": messages_of(listed.steps(connection, id))}

    found = None if "\x00" in id else await current.hub().store.read(unit)
    if found is None:
        raise NotFound("There is no such turn.", code="turn_not_found")
    return done(found)


def session_shown(totals: SessionTotals) -> SessionShown:
    """A session as lists show it."""
    session = totals.session
    return {
        "id": session.id,
        "agent": session.agent,
        "session_id": session.session_id,
        "address": session.address,
        "channel": session.address.partition(":")[0],
        "person": totals.person,
        "key_id": totals.key_id,
        "key_name": totals.key_name,
        "title": session.title,
        "turns": totals.turns,
        "tokens_in": totals.prompt,
        "tokens_out": totals.completion,
        "fee": money.shown(totals.fee),
        "created_at": int(session.started_at),
        "updated_at": None if session.updated_at is None else int(session.updated_at),
    }


def thread_shown(turn: Asked) -> ThreadShown:
    """A turn as lists show it."""
    record = turn.record
    return {
        "id": record.id,
        "session": record.session,
        "session_id": record.session_id,
        "key_id": record.key_id,
        "key_name": turn.key_name,
        "agent": record.agent,
        "model": record.model,
        "address": record.address,
        "status": record.status,
        "prompt": turn.prompt,
        "files": [file_of(file) for file in turn.files],
        "completion": record.response,
        "error": record.error,
        "error_code": record.error_code,
        "tokens_in": record.usage.prompt,
        "tokens_out": record.usage.completion,
        "tokens_cached": record.usage.cached,
        "tokens_reasoning": record.usage.reasoning,
        "estimated": record.usage.estimated,
        "price_in": money.shown(record.price.input),
        "price_out": money.shown(record.price.output),
        "fee": money.shown(record.fee),
        "first_byte_latency": _since(record.created_at, record.first_token_at),
        "invocation_latency": _since(record.created_at, record.finished_at),
        "created_at": record.created_at,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
    }


def _since(began: float, at: float | None) -> int | None:
    return None if at is None else max(0, round((at - began) * 1000))


def _sought(asked: SessionQuery | ThreadQuery) -> Sought:
    """What is asked for; raises RequestError for a time that is none."""
    if asked.since is not None and asked.until is not None and asked.since > asked.until:
        raise RequestError("until: not before since", param="until", code="invalid_value")
    return Sought(
        text=asked.q,
        since=asked.since,
        until=asked.until,
        channel=asked.channel,
        agent=asked.agent,
        status=asked.status,
        session=asked.session_id,
        key_id=getattr(asked, "key_id", None),
        person=getattr(asked, "person", None),
    )
