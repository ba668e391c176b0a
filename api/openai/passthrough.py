"""Completions without memory: the request as it is goes to a model, or to an agent whose history the client keeps."""

from __future__ import annotations

import uuid
from contextlib import aclosing
from typing import Any

import msgspec
from quart import Response, request

from api import conversations, current, repeats, sse
from api.openai import wire
from api.openai.reply import Head, Source, begin, events
from api.openai.request import ChatRequest, check_messages, model_params, session_id
from api.openai.shown import shown
from api.openai.tools import check_calls
from api.ports import Hub, Named
from hub.accounts.turns import Call
from hub.model import Chunk, Completion, ToolCall, Usage


async def complete(target: Named, chat: ChatRequest, body: dict[str, Any], *, kept: bool = True) -> Response:
    """The model's answer, whole or as a stream; what the upstream says beyond our own fields is in it.

    It is `kept` in the record of its turn, under the session that the request names, or only metered.
    """
    await conversations.refuse(chat.session, target.name)
    check_messages(chat.messages)
    check_calls(chat.messages)
    completion = Completion(
        messages=await shown(chat.messages, multiple=target.multiple),
        tools=body.get("tools") or [],
        params=model_params(body),
        stream=bool(chat.stream),
    )
    call = Call(
        id=uuid.uuid4().hex,
        name=target.name,
        key_id=current.key().id,
        payer=current.key().pays,
        completion=completion,
        session_id=session_id(chat, request.headers) if kept else None,
        posts_to=current.key().posts_to,
        keeps_text=kept,
    )

    async def make() -> Response:
        hub = current.hub()
        if chat.stream:
            chunks = wire.Chunks(call.id, int(hub.clock()), call.name, with_usage=chat.include_usage)
            relay = Relay(chunks, show_tools=chat.shows_tools(target.show_tools))
            return await begin(_streamed(hub, call, relay, current.keep_alive()))
        return await begin(_whole(hub, call))

    return await repeats.kept([target.name, call.session_id, body], make)


async def _whole(hub: Hub, call: Call) -> Source:
    chunks = [chunk async for chunk in hub.models.complete(call)]
    body = _body(call, int(hub.clock()), chunks)
    yield Head(id=call.id, length=len(body))
    yield body


async def _streamed(hub: Hub, call: Call, relay: Relay, silence: float) -> Source:
    async with aclosing(events(hub.models.complete(call), silence, relay.write, relay.end)) as lines:
        first = await anext(lines)
        yield Head(id=call.id)
        yield first
        async for line in lines:
            yield line


def _body(call: Call, created: int, chunks: list[Chunk]) -> bytes:
    """The whole answer: the upstream's own with our names in it, or one made of the chunks."""
    used = wire.usage(sum((chunk.usage for chunk in chunks if chunk.usage), Usage()))
    if len(chunks) == 1 and chunks[0].raw is not None:
        answer = msgspec.json.decode(chunks[0].raw)
        answer |= {"id": wire.chat_id(call.id), "model": call.name, "usage": answer.get("usage") or used}
        return msgspec.json.encode(answer)
    calls = [each for chunk in chunks for each in chunk.calls]
    said = wire.message("".join(chunk.text for chunk in chunks), "".join(chunk.reasoning for chunk in chunks), calls)
    finish = next((chunk.finish for chunk in reversed(chunks) if chunk.finish), None) or _ended_by(calls)
    return wire.completion(call.id, created, call.name, message=said, finish=finish, usage=used)


class Relay:
    """Passes a model's chunks on: one role first, one finish, and the usage last.

    With `show_tools` it shows the calls of the hub's own tools, too.
    """

    def __init__(self, chunks: wire.Chunks, *, show_tools: bool = False) -> None:
        self._chunks = chunks
        self._show_tools = show_tools
        self._calls: tuple[ToolCall, ...] = ()
        self._finished = False
        self._used: list[Usage] = []
        self._told: dict[str, Any] = {}
        """The usage in the upstream's own words."""

    def write(self, chunk: Chunk) -> bytes:
        """The events of a chunk; may be empty."""
        if chunk.usage is not None:
            self._used.append(chunk.usage)
        return self._own(chunk) if chunk.raw is None else self._upstream(msgspec.json.decode(chunk.raw))

    def end(self) -> bytes:
        """What was still to be said."""
        finish = b"" if self._finished else self._chunks.finish(_ended_by(self._calls))
        used = self._told if self._told and len(self._used) < 2 else wire.usage(sum(self._used, Usage()))
        return finish + self._chunks.usage(used)

    def _own(self, chunk: Chunk) -> bytes:
        """A chunk in our words."""
        out = b""
        if chunk.reasoning:
            out += self._chunks.delta({"reasoning_content": chunk.reasoning})
        if chunk.text:
            out += self._chunks.text(chunk.text)
        if chunk.ran and self._show_tools:
            out += self._chunks.calls(chunk.ran)
        if chunk.calls:
            self._calls = chunk.calls
            out += self._chunks.calls(chunk.calls)
        if chunk.finish:
            self._finished = True
            out += self._chunks.finish(chunk.finish)
        return out

    def _upstream(self, chunk: dict[str, Any]) -> bytes:
        """A chunk in the upstream's words."""
        used = chunk.pop("usage", None)
        self._told = used or self._told
        choices = chunk.get("choices")
        if used and not choices:
            return b""
        for choice in choices or ():
            self._finished = self._finished or bool(choice.get("finish_reason"))
            choice["delta"] = self._chunks.with_role(choice.get("delta") or {})
        return sse.event(chunk | self._chunks.ours)


def _ended_by(calls: list[ToolCall] | tuple[ToolCall, ...]) -> str:
    return "tool_calls" if calls else "stop"
