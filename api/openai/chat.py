"""POST /v1/chat/completions: agents remember, models and agents with `history: client` do not."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from quart import Blueprint, Response, request

from api import conversations, current, errors, repeats
from api.auth import require
from api.document import document
from api.names import named
from api.openai import passthrough, wire
from api.openai.answers import CHAT, CHAT_ERRORS, HELLO
from api.openai.forms import ChatForm, read_chat
from api.openai.parameters import agent_params
from api.openai.parts import heard
from api.openai.reply import Head, Source, begin, events
from api.openai.request import (
    DEFAULT_SESSION,
    SESSION_SENT,
    TOOLS_IGNORED,
    WARNING_SENT,
    ChatRequest,
    is_repeated,
    last_user,
    own_session,
    parse,
    session_id,
)
from api.openai.webui import TASK, is_task
from api.ports import Hub, Named
from api.wire import TURN_SENT
from hub.accounts.turns import Ask
from hub.message import File
from hub.model import ToolCall
from hub.turns.progress import Happening, Words
from hub.turns.view import is_image

routes = Blueprint("chat", __name__)
PICTURES_UNSEEN = '299 bothub "The model of this agent takes no pictures; it was told their names."'


@routes.post("/v1/chat/completions")
@require("chat")
@document(
    CHAT,
    body=ChatRequest,
    form=ChatForm,
    example=HELLO,
    errors=CHAT_ERRORS,
    headers={
        **SESSION_SENT,
        TASK: "The kind of a task of Open WebUI's own, which an agent does not remember.",
    },
    sends=TURN_SENT | WARNING_SENT,
    once=True,
)
async def complete() -> Response:
    """An answer, whole or as a stream."""
    body, raw = await read_chat()
    chat = parse(body)
    target = await named(chat.model)
    if target.kind == "model" or target.history == "client":
        return await passthrough.complete(target, chat, body)
    if target.id is not None and is_task(request.headers, chat.messages):
        without_tools = body | {"tool_choice": "none"}
        return await passthrough.complete(target, chat, without_tools, kept=False)
    return await _ask(target, chat, body, raw)


async def _ask(target: Named, chat: ChatRequest, body: dict[str, Any], raw: bytes) -> Response:
    visit = await conversations.visit(chat.session, target.name, chat.session_id)
    session = chat.session or session_id(chat, request.headers) or chat.user
    ask = await _question(target, chat, body, session or DEFAULT_SESSION, raw)
    ask = msgspec.structs.replace(ask, visit=visit)

    async def make(ask: Ask) -> Response:
        hub, silence = current.hub(), current.keep_alive()
        source = _streamed(hub, ask, chat, target.show_tools, silence) if chat.stream else _whole(hub, ask)
        return await begin(source)

    with own_session(named=session is not None):
        response = await repeats.turn(ask, [ask.agent, ask.session_id, body], make)
    if chat.tools:
        response.headers["Warning"] = TOOLS_IGNORED
    if not target.multiple and any(isinstance(part, File) and is_image(part) for part in ask.parts):
        response.headers.add("Warning", PICTURES_UNSEEN)
    return response


async def _question(target: Named, chat: ChatRequest, body: dict[str, Any], session: str, raw: bytes) -> Ask:
    key = current.key()
    fingerprint = sha256(f"{key.id}\0{session}\0".encode())
    fingerprint.update(raw)
    return Ask(
        agent=target.name,
        key_id=key.id,
        payer=key.pays,
        session_id=session,
        parts=await heard(*last_user(chat.messages)),
        params=agent_params(body),
        posts_to=key.posts_to,
        fingerprint=fingerprint.hexdigest(),
        repeats=is_repeated(request.headers),
        pieces=bool(chat.stream),
    )


async def _whole(hub: Hub, ask: Ask) -> Source:
    """The answer as one JSON."""
    async with hub.turns.ask(ask) as answer:
        async for _ in answer:
            pass
        record = errors.completed(answer.record)
        said = wire.message(record.response or "")
        body = wire.completion(
            answer.id,
            int(record.created_at),
            ask.agent,
            message=said,
            finish=record.finish or "stop",
            usage=wire.usage(record.usage),
        )
        yield Head(id=answer.id, length=len(body))
        yield body
        answer.began()
        answer.written()


async def _streamed(hub: Hub, ask: Ask, chat: ChatRequest, show_tools: bool, silence: float) -> Source:
    """The answer as events; nothing is sent before there is something to send, or a silence to break."""
    async with hub.turns.ask(ask) as answer:
        chunks = wire.Chunks(answer.id, int(hub.clock()), ask.agent, with_usage=chat.include_usage)

        def end() -> bytes:
            record = errors.completed(answer.record)
            return chunks.finish(record.finish or "stop") + chunks.usage(wire.usage(record.usage))

        if chat.shows_tools(show_tools):
            happenings = events(answer.happenings(), silence, partial(_shown, chunks), end)
        else:
            happenings = events(aiter(answer), silence, chunks.text, end)
        async with aclosing(happenings) as lines:
            first = await anext(lines)
            yield Head(id=answer.id)
            yield first
            answer.began()
            async for line in lines:
                yield line
        answer.written()


def _shown(chunks: wire.Chunks, happening: Happening) -> bytes:
    """What a turn says and which tools it calls; what it thinks, and what they return, is not in a stream."""
    match happening:
        case Words():
            return chunks.text(happening.text)
        case ToolCall():
            return chunks.calls([happening])
        case _:
            return b""
