"""Responses of models, and of agents whose history the client keeps: what went before is kept with the responses."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast
from uuid import uuid4

import msgspec
from quart import Response, current_app, request

from api import conversations, current, errors, repeats, sse
from api.openai.reply import Head, Source, begin
from api.openai.responses import background, items, references, stored
from api.openai.responses.events import Answer, State, sent
from api.openai.responses.items import Item, Placed
from api.openai.responses.request import ResponseRequest, chat_tools, echo, model_params, session
from api.openai.shown import shown
from api.ports import Hub, Named
from api.wire import TURN, answer
from hub.accounts import responses
from hub.accounts.responses import Kept
from hub.accounts.turns import Call
from hub.errors import RequestError
from hub.model import Chunk, Completion, Usage, stopping
from hub.store import Connection

_MESSAGE = re.compile(r"messages\[(\d+)\]")
"""A place in the messages of a chat completion."""


async def create(target: Named, asked: ResponseRequest, body: dict[str, Any]) -> Response:
    """Ask the model: the answer whole, as a stream, or later."""
    await conversations.refuse(asked.session, target.name)
    call, kept = await _question(target, asked, body)
    work = Work(current.hub(), call, kept, keeps=asked.is_kept)
    return await repeats.kept([target.name, call.session_id, body], lambda: _answer(asked, work))


async def _answer(asked: ResponseRequest, work: Work) -> Response:
    hub, silence = current.hub(), current.keep_alive()
    if not asked.background:
        return await begin(_streamed(work, silence) if asked.stream else _whole(work))
    work.kept, work.is_begun = await background.start(hub, work.kept), True
    queue = background.Queue() if asked.stream else None
    cast(Any, current_app).add_background_task(background.run, hub, work.kept, work.events, queue)
    if queue is not None:
        return await begin(_relayed(work, queue, silence))
    return answer(stored.begun(work.kept) | {"status": "queued"}, headers={TURN: work.kept.id})


async def _question(target: Named, asked: ResponseRequest, body: dict[str, Any]) -> tuple[Call, Kept]:
    key, turn = current.key(), uuid4().hex
    previous = asked.previous or (None if asked.named is None else await stored.newest(asked.named))
    before = [item for kept in await _before(previous) for item in stored.whole(kept)]
    given = await references.resolve(items.placed(items.read(asked.input, turn)), before)
    _check_outputs(given, before)
    history = [Placed(item, "previous_response_id") for item in before]
    chat = items.in_chat([*history, *given])
    if asked.instructions:
        chat.insert(0, ({"role": "system", "content": asked.instructions}, "instructions"))
    completion = Completion(
        messages=await _shown(chat, multiple=target.multiple),
        tools=chat_tools(asked),
        params=model_params(asked, body),
        stream=bool(asked.stream),
    )
    where = session(asked, request.headers)
    call = Call(id=turn, name=target.name, key_id=key.id, payer=key.pays, completion=completion, session_id=where)
    kept = Kept(
        id=turn,
        key_id=key.id,
        conversation=asked.named,
        previous=previous,
        asked=echo(asked, target),
        input=[one.item for one in given],
        created_at=current.hub().clock(),
    )
    return call, kept


async def _shown(chat: Sequence[tuple[dict[str, Any], str]], *, multiple: bool) -> list[dict[str, Any]]:
    """The messages as a model is sent them; raises RequestError that names the item which cannot be."""
    try:
        return await shown([message for message, _ in chat], multiple=multiple)
    except RequestError as error:

        def place(text: str) -> str:
            return _MESSAGE.sub(lambda found: chat[int(found[1])][1], text)

        raise type(error)(place(str(error)), param=error.param and place(error.param), code=error.code) from error


async def _before(previous: str | None) -> list[Kept]:
    """The responses that this one continues; raises RequestError for what cannot be continued."""
    if previous is None:
        return []
    found = await stored.chain(previous)
    for kept in found:
        if kept.agent is not None or kept.answer is None:
            why = (
                "is still being written" if kept.agent is None else f"is of '{kept.agent}', which alone can continue it"
            )
            problem = f"previous_response_id: this response {why}"
            raise RequestError(problem, param="previous_response_id", code="invalid_value")
    return found


def _check_outputs(given: Sequence[Placed], before: Sequence[Item]) -> None:
    """Raise RequestError for what a function returned that nobody called."""
    called = {item["call_id"] for item in (*before, *(one.item for one in given)) if item["type"] == "function_call"}
    for one in given:
        if one.item["type"] == "function_call_output" and one.item["call_id"] not in called:
            raise items.no_call(one)


class Work:
    """Has a model answer, and keeps the answer with its question."""

    def __init__(self, hub: Hub, call: Call, kept: Kept, *, keeps: bool) -> None:
        self.hub = hub
        self.call = call
        self.kept = kept
        self.is_begun = False
        """The question is stored already."""
        self.answer = Answer(kept.id, stored.begun(kept))
        self.state: State = stored.begun(kept)
        """The response, once it has ended."""
        self.problem: errors.Problem | None = None
        """What it failed of."""
        self._keeps = keeps
        self._usage = Usage()
        self._finish: str | None = None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The answer as events as it is written, the last one when it is stored.

        Raises a ModelError or TurnTimeout where it had not begun.
        """
        status, self.problem = ("failed", errors.STOPPING) if self.is_begun else ("cancelled", None)
        try:
            async with stopping(self.hub.models.complete(self.call)) as chunks:
                async for chunk in chunks:
                    yield self._take(chunk)
            status, self.problem = "completed", None
        except Exception as error:
            status, self.problem = "failed", errors.describe(error)
            if not self._has_begun:
                raise
        finally:
            last = self.answer.close()
            await self._end(status)
        last += self.answer.end(self.state)
        yield last if self.problem is None else sse.LastWords(last)

    @property
    def _has_begun(self) -> bool:
        """Somebody may know of it."""
        return self.is_begun or self.answer.has_begun

    def _take(self, chunk: Chunk) -> bytes:
        self._usage = chunk.usage or self._usage
        self._finish = chunk.finish or self._finish
        told = self.answer.thought(chunk.reasoning) + self.answer.text(chunk.text)
        return told + b"".join(map(self.answer.call, chunk.calls))

    async def _end(self, status: str) -> None:
        now, output = self.hub.clock(), self.answer.output
        self.state = stored.ended(self.kept, status, output, self._usage, at=now, finish=self._finish)
        if self.problem is not None:
            self.state = stored.failed(self.state, self.problem)
        if self._keeps and (status == "completed" or self._has_begun):
            await self.hub.store.write(self._write)

    def _write(self, connection: Connection) -> None:
        if not self.is_begun:
            responses.save(connection, self.kept)
        responses.answered(connection, self.kept.id, self.state)


async def _whole(work: Work) -> Source:
    async with aclosing(work.events()) as events:
        async for _ in events:
            pass
    if work.problem is not None:
        raise errors.Told(work.problem)
    body = msgspec.json.encode(work.state)
    yield Head(id=work.kept.id, length=len(body))
    yield body


async def _streamed(work: Work, silence: float) -> Source:
    async with aclosing(sent(work.answer, work.events(), silence, _failed(work))) as events:
        first = await anext(events)
        yield Head(id=work.kept.id)
        yield first
        async for event in events:
            yield event


async def _relayed(work: Work, queue: background.Queue, silence: float) -> Source:
    yield Head(id=work.kept.id)
    yield work.answer.begin()
    async for event in sent(work.answer, background.told(queue), silence, _failed(work)):
        yield event


def _failed(work: Work) -> Callable[[Exception], State]:
    return lambda error: stored.failed(work.state, errors.describe(error))


async def taken_up(hub: Hub, kept: Kept, after: int, silence: float) -> Source:
    """The events of a model's response after a number, when it has ended."""
    answer = Answer(kept.id, stored.begun(kept), after=after)

    async def events() -> AsyncIterator[bytes]:
        yield background.replayed(answer, await background.ended(hub, kept))

    yield Head(id=kept.id)
    yield answer.begin()
    async for event in sent(
        answer, events(), silence, lambda error: stored.failed(stored.begun(kept), errors.describe(error))
    ):
        yield event
