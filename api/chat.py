"""/api/v1/chat: one message to an agent and its answer, as LettaBot's clients ask: whole, as events, or later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Literal, TypedDict

import msgspec
from quart import Blueprint, Response, request

from api import conversations, current, errors, names, posting, repeats, sse, uploads
from api.auth import require
from api.document import FileField, document
from api.events import EVENTS, events
from api.openai.parts import attached, read, stored
from api.openai.reply import Head, Source, begin
from api.openai.request import DEFAULT_SESSION, SESSION_SENT, Name, own_session, session_header
from api.ports import Hub
from api.uploads import Upload
from api.wire import TURN, TURN_SENT
from api.wire import answer as write
from hub.accounts.turns import Ask
from hub.message import Part

routes = Blueprint("agents", __name__)
_encode = msgspec.json.Encoder().encode


class NewChat(msgspec.Struct):
    """A message to an agent: a text, or content parts as chat completions take them."""

    message: str | list[dict[str, Any]] | None = None
    agent: str | None = None
    session_id: Name | None = None
    session: Name | None = None


HELLO = {"message": "count to 3"}


class AgentForm(msgspec.Struct):
    """The same as a form; any field may hold a file, and there may be several."""

    message: str | None = None
    agent: str | None = None
    session_id: Name | None = None
    session: Name | None = None
    files: list[FileField] | None = None


class AgentAnswer(TypedDict):
    """What the agent answered."""

    success: Literal[True]
    response: str
    agentName: str
    id: str


class Queued(TypedDict):
    """The message is stored; `GET /api/v1/turns/{id}` tells what becomes of it."""

    success: Literal[True]
    status: Literal["queued"]
    agentName: str
    id: str


@routes.post("/api/v1/chat")
@require("chat")
@document(
    {200: (AgentAnswer, EVENTS)},
    body=NewChat,
    form=AgentForm,
    example=HELLO,
    errors=(402, 404, 415, 422, 429, 502, 504),
    headers={**SESSION_SENT, "Accept": "`text/event-stream` for the turn as events."},
    sends=TURN_SENT,
    once=True,
)
async def chat() -> Response:
    """Ask an agent, and wait for its answer; with `Accept: text/event-stream` follow it as it is written.

    Without `agent` the first one of the config answers. A conversation is the key's and has a name, `session_id`;
    without one it is `default`. `session` is the address of a chat instead, whose conversation the key was granted; the
    answer is in the response alone, and the chat is told nothing.
    """
    streams = sse.asked_for()

    async def make(ask: Ask) -> Response:
        hub = current.hub()
        return await begin(streamed(hub, ask, current.keep_alive()) if streams else _whole(hub, ask))

    return await _asked(make, streams=streams)


@routes.post("/api/v1/chat/async")
@require("chat")
@document(
    {202: Queued},
    body=NewChat,
    form=AgentForm,
    example=HELLO,
    errors=(404, 415, 422, 429),
    headers=SESSION_SENT,
    sends=TURN_SENT,
    once=True,
)
async def later() -> Response:
    """Ask an agent and wait for nothing; the turn goes on by itself, and may be followed or cancelled by its id."""

    async def make(ask: Ask) -> Response:
        await current.hub().turns.start(ask)
        taken: Queued = {"success": True, "status": "queued", "agentName": ask.agent, "id": ask.id}
        return write(taken, 202, {TURN: ask.id})

    return await _asked(make)


async def _asked(make: Callable[[Ask], Awaitable[Response]], *, streams: bool = False) -> Response:
    """What `make` makes of the request's question."""
    new, files = await uploads.read(NewChat)
    agent = await names.agent(new.agent)
    visit = await conversations.visit(new.session, agent.name, new.session_id)
    session = new.session or new.session_id or session_header(request.headers)
    ask = Ask(
        agent=agent.name,
        key_id=current.key().id,
        payer=current.key().pays,
        session_id=session or DEFAULT_SESSION,
        visit=visit,
        parts=await _parts(new, files),
        posts_to=current.key().posts_to,
        fingerprint="",
        pieces=streams,
    )
    with own_session(named=session is not None):
        return await repeats.turn(ask, [ask.agent, visit and new.session, ask.session_id, ask.parts, streams], make)


async def _parts(new: NewChat, files: Sequence[Upload]) -> tuple[Part, ...]:
    pieces = [*read("" if new.message is None else new.message, "message"), *attached(files)]
    if not pieces:
        raise posting.missing("message")
    return await stored(pieces)


async def _whole(hub: Hub, ask: Ask) -> Source:
    async with hub.turns.ask(ask) as answer:
        async for _ in answer:
            pass
        record = errors.completed(answer.record)
        said: AgentAnswer = {
            "success": True,
            "response": record.response or "",
            "agentName": ask.agent,
            "id": answer.id,
        }
        body = _encode(said)
        yield Head(id=answer.id, length=len(body))
        yield body
        answer.began()
        answer.written()


async def streamed(hub: Hub, ask: Ask, silence: float) -> Source:
    """A turn as events, as it goes on."""
    async with hub.turns.ask(ask) as answer, aclosing(events(answer, silence)) as lines:
        first = await anext(lines)
        yield Head(id=answer.id)
        yield first
        answer.began()
        async for line in lines:
            yield line
        answer.written()
