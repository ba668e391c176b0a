"""Responses of agents with memory: each is a turn over the bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from hashlib import sha256
from typing import Any

import msgspec
from quart import Response, request

from api import conversations, current, errors, repeats
from api.openai import parts
from api.openai.reply import Head, Source, begin
from api.openai.request import is_repeated
from api.openai.responses import follow, items, references, returned, stored
from api.openai.responses.events import Answer
from api.openai.responses.items import Placed
from api.openai.responses.request import PREFIX, SESSION, ResponseRequest, chat_tools, echo, session, turn_params
from api.ports import Hub, Named
from api.wire import TURN, answer
from hub import memory
from hub.accounts import responses
from hub.accounts.responses import Kept
from hub.accounts.turns import Ask, Visit
from hub.errors import RequestError
from hub.memory import Entry
from hub.message import API
from hub.store import Connection


async def create(target: Named, asked: ResponseRequest, body: dict[str, Any], raw: bytes) -> Response:
    """Ask the agent: the answer whole, as a stream, or later."""
    named = (asked.named, asked.session_id, asked.previous_response_id)
    visit = await conversations.visit(asked.session, target.name, *named)
    blank = Ask(
        agent=target.name,
        key_id=current.key().id,
        payer=current.key().pays,
        session_id="",
        visit=visit,
        parts=(),
        fingerprint="",
        repeats=is_repeated(request.headers),
        pieces=bool(asked.stream),
    )

    async def make(ask: Ask) -> Response:
        return await _answer(asked, *await _question(target, asked, body, raw, ask))

    return await repeats.turn(blank, [target.name, session(asked, request.headers), body], make)


async def _answer(asked: ResponseRequest, ask: Ask, kept: Kept) -> Response:
    hub, silence = current.hub(), current.keep_alive()
    if not asked.background:
        return await begin(_streamed(hub, ask, kept, silence) if asked.stream else _whole(hub, ask, kept))
    await hub.turns.start(ask)
    kept = await _attached(hub, ask, kept, kept.id)
    if asked.stream:
        return await begin(follow.taken_up(hub, kept, -1, silence))
    return answer(await follow.show(hub, kept), headers={TURN: kept.id})


async def _question(
    target: Named, asked: ResponseRequest, body: dict[str, Any], raw: bytes, blank: Ask
) -> tuple[Ask, Kept]:
    """The question with its id, and the response that is stored with it."""
    key, turn = current.key(), blank.id
    given = items.placed(items.read(asked.input, turn))
    named, visit = (asked.session, blank.visit) if blank.visit else await _session(target, asked)
    if named is None:  # else the agent knows by itself what was before
        given = await references.resolve(given)
    new = items.newest(given)
    past, told = [], returned.outputs(new)
    if named is None:
        past, told = await returned.begun(given[: len(given) - len(new)], told)
    pieces = [piece for one in new for piece in _pieces(one)]
    if not pieces and not told:
        problem = "input: must end with a message of the user that says something, or with what functions returned"
        raise RequestError(problem, param="input")
    wishes = filter(None, (asked.instructions, *items.instructions(given)))
    ask = msgspec.structs.replace(
        blank,
        session_id=named or f"{PREFIX}{turn}",
        visit=visit,
        parts=await parts.stored(pieces),
        tools=await _tools(target, asked),
        results=returned.texts(told),
        params=turn_params(asked, body),
        posts_to=key.posts_to,
        fingerprint=sha256(f"responses\0{key.id}\0{named}\0".encode() + raw).hexdigest(),
        instructions="\n\n".join(wishes) or None,
    )
    kept = _kept(turn, target, asked, given, visit)
    return msgspec.structs.replace(ask, also=_unit(ask, kept, past, told, is_kept=asked.is_kept)), kept


def _kept(turn: str, target: Named, asked: ResponseRequest, given: Sequence[Placed], visit: Visit | None) -> Kept:
    where = {} if visit is None else {SESSION: str(visit.address)}
    return Kept(
        id=turn,
        key_id=current.key().id,
        agent=target.name,
        previous=asked.previous,
        asked=echo(asked, target) | where,
        input=[one.item for one in given],
        created_at=current.hub().clock(),
    )


def _pieces(one: Placed) -> Sequence[parts.Piece]:
    """What a message of the user says."""
    return parts.read(items.content(one), f"{one.where}.content") if one.item.get("role") == "user" else ()


def _unit(
    ask: Ask, kept: Kept, past: Sequence[Entry], told: returned.Told, *, is_kept: bool
) -> Callable[[Connection], None]:
    """What is stored with the question: the response, and what was said before in a conversation that begins here."""
    here = ask.address

    def write(connection: Connection) -> None:
        if is_kept:
            responses.save(connection, kept)
        if past:
            begun = memory.new_session(connection, ask.agent, here, kept.created_at, f"{API}:{ask.key_id}")
            memory.append(connection, begun, f"{kept.id}.past", 0, past, kept.created_at)
        returned.check_session(connection, ask.agent, here, told)

    return write


async def _tools(target: Named, asked: ResponseRequest) -> list[dict[str, Any]]:
    """The client's functions; raises RequestError for one that has the name of a tool of the agent's own."""
    tools = chat_tools(asked)
    own = await current.hub().own_tools(target.name) if tools else ()
    for index, tool in enumerate(tools):
        if (name := tool["function"]["name"]) in own:
            param = f"tools[{index}].name"
            problem = f"{param}: '{target.name}' has a tool '{name}' of its own; give yours another name"
            raise RequestError(problem, param=param, code="invalid_value")
    return tools


async def _session(target: Named, asked: ResponseRequest) -> tuple[str | None, Visit | None]:
    """The session that goes on, None for a new one, or the chat's; raises RequestError, Forbidden for what cannot."""
    if asked.previous is None:
        return session(asked, request.headers), None
    kept = await stored.previous(asked.previous)
    if kept.agent != target.name:
        problem = f"previous_response_id: '{target.name}' can only continue its own; this is of '{kept.asked['model']}'"
        raise RequestError(problem, param="previous_response_id", code="invalid_value")
    if chat := kept.asked.get(SESSION):
        return chat, await conversations.visit(chat, target.name)
    record = await current.hub().turns.find(kept.id)
    return (None if record is None else record.session_id), None


async def _whole(hub: Hub, ask: Ask, kept: Kept) -> Source:
    async with hub.turns.ask(ask) as followed:
        async for _ in followed:
            pass
        record = errors.completed(followed.record)
        kept = await _attached(hub, ask, kept, followed.id)
        body = msgspec.json.encode(follow.state(kept, *await follow.look(hub, record)))
        yield Head(id=kept.id, length=len(body))
        yield body
        followed.began()
        followed.written()


async def _streamed(hub: Hub, ask: Ask, kept: Kept, silence: float) -> Source:
    async with hub.turns.ask(ask) as followed:
        kept = await _attached(hub, ask, kept, followed.id)
        told = follow.told(hub, kept, followed, Answer(kept.id, stored.begun(kept)), silence)
        async with aclosing(told) as events:
            first = await anext(events)
            yield Head(id=kept.id)
            yield first
            followed.began()
            async for event in events:
                yield event
        followed.written()


async def _attached(hub: Hub, ask: Ask, kept: Kept, turn: str) -> Kept:
    """The response of the turn that answers, which may have been asked for before."""
    if not ask.repeats and not ask.goes_on:
        return kept
    first = await hub.store.read(lambda connection: responses.find(connection, turn, kept.key_id))
    return first or msgspec.structs.replace(kept, id=turn)
