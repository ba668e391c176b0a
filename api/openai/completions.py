"""POST /v1/completions, as OpenAI's API was before chats: a prompt is the one message somebody says."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from hashlib import sha256
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request

from api import current, errors, repeats, sse
from api.auth import require
from api.document import Stream, document
from api.names import named
from api.openai import wire
from api.openai.answers import CHAT_ERRORS
from api.openai.answers import Usage as Used
from api.openai.parameters import Sampling, agent_params
from api.openai.reply import Head, Source, begin, events
from api.openai.request import (
    DEFAULT_SESSION,
    SESSION_SENT,
    Name,
    is_repeated,
    model_params,
    own_session,
    session_header,
)
from api.ports import Hub, Named
from api.wire import TURN_SENT, decode, fit
from api.wire import body as read_body
from hub.accounts.turns import Ask, Call
from hub.errors import RequestError
from hub.message import Text, Value
from hub.model import Completion, Usage, stopping

routes = Blueprint("completions", __name__)
REFUSED = {
    "suffix": "what comes after the answer cannot be given",
    "logprobs": "log probabilities are given by chat completions of models",
}
"""Parameters that no chat model has."""
_OURS = ("prompt", "echo", "best_of", *REFUSED)


class CompletionRequest(Sampling, frozen=True, kw_only=True):
    """The fields whose type and range bothub checks; others are accepted."""

    prompt: str | Annotated[list[str], Meta(min_length=1, max_length=1)]
    model: str | None = None
    session_id: Name | None = None
    user: Name | None = None
    echo: bool | None = None
    best_of: Annotated[int, Meta(ge=1, le=1)] | None = None

    @property
    def text(self) -> str:
        """The prompt."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]


class TextChoice(TypedDict):
    """The answer, or a piece of it."""

    index: int
    text: str
    logprobs: None
    finish_reason: str | None


class TextCompletion(TypedDict):
    """A whole answer, or one event of a stream; `id` is `cmpl-` and the id of the turn."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: NotRequired[Used | None]


@routes.post("/v1/completions")
@require("chat")
@document(
    {200: (TextCompletion, Stream(TextCompletion))},
    body=CompletionRequest,
    example={"prompt": "count to 3"},
    errors=CHAT_ERRORS,
    headers=SESSION_SENT,
    sends=TURN_SENT,
    once=True,
)
async def complete() -> Response:
    """An answer to a prompt, whole or as a stream.

    An agent hears the prompt as it hears the last message of a chat, a model as the only one.
    """
    raw = await read_body()
    body = decode(raw)
    asked = _parse(body)  # raises for a body that is no object
    target = await named(asked.model)
    rest = {name: value for name, value in body.items() if name not in _OURS}
    if target.kind == "agent" and target.history == "server":
        return await _ask(target, asked, rest, raw)
    return await _call(target, asked, rest)


def _parse(body: dict[str, Any]) -> CompletionRequest:
    asked = fit(body, CompletionRequest)
    for name, why in REFUSED.items():
        if body.get(name):
            raise RequestError(f"Invalid '{name}': {why}.", param=name, code="unsupported_parameter")
    if not asked.text.strip():
        raise RequestError("The prompt is empty.", param="prompt", code="invalid_value")
    asked.check()
    return asked


async def _ask(target: Named, asked: CompletionRequest, rest: dict[str, Any], raw: bytes) -> Response:
    """An agent's answer."""
    key = current.key()
    session = asked.session_id or session_header(request.headers) or asked.user
    ask = Ask(
        agent=target.name,
        key_id=key.id,
        payer=key.pays,
        session_id=session or DEFAULT_SESSION,
        parts=(Text(text=asked.text),),
        params=agent_params(rest),
        posts_to=key.posts_to,
        fingerprint=sha256(f"completions\0{key.id}\0{session}\0".encode() + raw).hexdigest(),
        repeats=is_repeated(request.headers),
        pieces=bool(asked.stream),
    )

    async def make(ask: Ask) -> Response:
        return await begin(_answered(current.hub(), ask, asked, current.keep_alive()))

    with own_session(named=session is not None):
        return await repeats.turn(ask, [ask.agent, ask.session_id, rest, asked.text, asked.echo], make)


async def _answered(hub: Hub, ask: Ask, asked: CompletionRequest, silence: float) -> Source:
    async with hub.turns.ask(ask) as answer:

        async def pieces() -> AsyncGenerator[str | End]:
            async for text in answer:
                yield text
            record = errors.completed(answer.record)
            yield End(finish=record.finish, usage=record.usage)

        text = TextWriter(answer.id, int(hub.clock()), ask.agent, asked)
        async with aclosing(_written(text, pieces(), silence)) as source:
            async for piece in source:
                yield piece
                if isinstance(piece, bytes):
                    answer.began()
        answer.written()


async def _call(target: Named, asked: CompletionRequest, rest: dict[str, Any]) -> Response:
    """A model's answer, or that of an agent whose history the client keeps."""
    call = Call(
        id=uuid.uuid4().hex,
        name=target.name,
        key_id=current.key().id,
        payer=current.key().pays,
        completion=Completion(
            messages=[{"role": "user", "content": asked.text}], params=model_params(rest), stream=bool(asked.stream)
        ),
        session_id=asked.session_id or session_header(request.headers),
        posts_to=current.key().posts_to,
    )

    async def pieces(hub: Hub) -> AsyncGenerator[str | End]:
        finish, used = None, Usage()
        async with stopping(hub.models.complete(call)) as chunks:
            async for chunk in chunks:
                finish = chunk.finish or finish
                used = used + chunk.usage if chunk.usage else used
                if chunk.text:
                    yield chunk.text
        yield End(finish=finish, usage=used)

    async def make() -> Response:
        hub = current.hub()
        text = TextWriter(call.id, int(hub.clock()), call.name, asked)
        return await begin(_written(text, pieces(hub), current.keep_alive()))

    return await repeats.kept([target.name, call.session_id, rest, asked.text, asked.echo], make)


class End(Value, frozen=True, kw_only=True):
    """Why an answer ends, and what it used."""

    finish: str | None
    usage: Usage


async def _written(text: TextWriter, pieces: AsyncGenerator[str | End], silence: float) -> Source:
    """The answer in the words of this route."""
    async with aclosing(pieces):
        if not text.asked.stream:
            whole = await _whole(text, pieces)
            yield Head(id=text.turn, length=len(whole))
            yield whole
            return
        async with aclosing(events(pieces, silence, text.piece, lambda: b"")) as lines:
            first = await anext(lines)
            yield Head(id=text.turn)
            yield text.echo() + first
            async for line in lines:
                yield line


async def _whole(text: TextWriter, pieces: AsyncIterator[str | End]) -> bytes:
    said = [text.asked.text] if text.asked.echo else []
    async for piece in pieces:
        if isinstance(piece, End):
            return text.whole("".join(said), piece)
        said.append(piece)
    raise AssertionError("an answer has an end")


class TextWriter:
    """Writes one answer, whole or as events."""

    def __init__(self, turn: str, created: int, model: str, asked: CompletionRequest) -> None:
        self.turn = turn
        self.asked = asked
        self._head = {"id": f"cmpl-{turn}", "object": "text_completion", "created": created, "model": model}

    def whole(self, text: str, end: End) -> bytes:
        """All of it."""
        return msgspec.json.encode(self._of(text, end.finish or "stop") | {"usage": wire.usage(end.usage)})

    def echo(self) -> bytes:
        """The prompt, where the answer is to begin with it."""
        return self.piece(self.asked.text) if self.asked.echo else b""

    def piece(self, piece: str | End) -> bytes:
        """An event; the last one of the text, and behind it the tokens used if they were asked for."""
        unknown = {"usage": None} if self.asked.include_usage else {}
        if isinstance(piece, str):
            return sse.event(self._of(piece, None) | unknown)
        used: dict[str, Any] = {**self._head, "choices": [], "usage": wire.usage(piece.usage)}
        last = sse.event(self._of("", piece.finish or "stop") | unknown)
        return last + sse.event(used) if self.asked.include_usage else last

    def _of(self, text: str, finish: str | None) -> dict[str, Any]:
        return self._head | {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]}
