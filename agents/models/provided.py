"""Models that pydantic-ai knows how to talk to, behind the port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UserError,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from agents.models.events import error_text, refusal
from agents.models.patience import Patience
from agents.models.tokens import estimate
from agents.models.translate import THINKING, Thoughts, arguments, history, settings, tools
from agents.models.upstream import Upstream
from hub import tracing
from hub.errors import ModelError, ModelRefused, ModelUnavailable
from hub.model import Chunk, Completion, ToolCall, Usage

_Wanted = tuple[list[ModelMessage], ModelSettings, ModelRequestParameters]
_FINISHES = {"tool_call": "tool_calls", "error": "stop"}


class Provided(Upstream):
    """One model of one provider, by pydantic-ai's class for it.

    `budget` puts the parameter `thinking` into the provider's words; `foreign` are errors of its SDK that pydantic-ai
    lets through. What else an `Upstream` needs is passed on.
    """

    def __init__(
        self,
        by: Model[Any],
        *,
        budget: Callable[[dict[str, Any]], ModelSettings],
        max_output: int | None = None,
        foreign: tuple[type[Exception], ...],
        close: Callable[[], Awaitable[None]],
        **upstream: Any,
    ) -> None:
        super().__init__(**upstream)
        self._asked = by
        self._close = close
        self._budget = budget
        self._max_output = max_output
        self._foreign = foreign
        self._thoughts = Thoughts()

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        """Answer in chunks; until the first token came, a failure is tried again."""
        with self.translated():
            wanted = self._wanted(request)
        if not request.stream:
            yield await self.persistently(lambda: self._whole(request, wanted), hurry=request.hurry)
            return
        answer = await self.persistently(lambda: self._begin(wanted), hurry=request.hurry)
        try:
            for chunk in answer.first:
                yield chunk
            with self.translated():
                while (event := await answer.read()) is not None:
                    if chunk := _chunk(event):
                        yield chunk
                last = self._last(request, answer.stream.get())
            yield last
        finally:
            await answer.close()

    async def close(self) -> None:
        """Let go of connections."""
        await self._close()

    def _wanted(self, request: Completion) -> _Wanted:
        messages, lost = history(request.messages, self._thoughts)
        functions = tools(request)
        params = {name: value for name, value in request.params.items() if not (lost and name in THINKING)}
        asked = settings(params, self._max_output, self._budget, tools=bool(request.tools))
        if (here := tracing.traceparent()) is not None:
            asked["extra_headers"] = {"traceparent": here}
        return self._asked.prepare_messages(messages, functions), asked, functions

    async def _whole(self, request: Completion, wanted: _Wanted) -> Chunk:
        async with asyncio.timeout(self.timeouts.whole):
            response = await self._asked.request(*wanted)
        said = [part.content for part in response.parts if isinstance(part, ThinkingPart)]
        return msgspec.structs.replace(self._last(request, response), text=response.text or "", reasoning="".join(said))

    async def _begin(self, wanted: _Wanted) -> _Answer:
        """An answer of which the first token is there."""
        async with AsyncExitStack() as opened, asyncio.timeout(self.timeouts.first):
            stream = await opened.enter_async_context(self._asked.request_stream(*wanted))
            events, first = aiter(stream), list[Chunk]()
            async for event in events:
                if chunk := _chunk(event):
                    first.append(chunk)
                if isinstance(event, PartStartEvent):
                    break
            else:
                self._check(stream.get())
            idle, thinking = Patience(self.timeouts.idle), Patience(self.timeouts.whole)
            opened.callback(idle.stop)
            opened.callback(thinking.stop)
            return _Answer(stream, events, first, idle, thinking, opened.pop_all())

    def _last(self, request: Completion, response: ModelResponse) -> Chunk:
        """The end of a complete answer."""
        self._check(response)
        self._thoughts.keep(response)
        calls = tuple(
            ToolCall(id=part.tool_call_id, name=part.tool_name, arguments=arguments(part))
            for part in response.parts
            if isinstance(part, ToolCallPart)
        )
        finish = _FINISHES.get(response.finish_reason or "stop", response.finish_reason or "stop")
        return Chunk(calls=calls, finish=finish, usage=_counted(response.usage) or _guessed(request, response))

    def _check(self, response: ModelResponse) -> None:
        """An answer is complete when its provider said why it ended."""
        if not (response.provider_details or {}).get("finish_reason"):
            raise ModelUnavailable(f"The model '{self.model}' broke off before the end of its answer.")

    def translate(self, error: Exception) -> ModelError | None:
        """Put pydantic-ai's errors into the hub's."""
        match error:
            case ModelError():
                return error
            case ModelHTTPError():
                return refusal(self.model, error.status_code, _body(error), error.retry_after)
            case TimeoutError() | ModelTimeoutError():
                return ModelUnavailable(f"The model '{self.model}' did not answer in time.")
            case ModelConnectionError(phase="connect" | "pool"):
                return ModelUnavailable(f"The server of the model '{self.model}' cannot be reached.")
            case ModelConnectionError():
                return ModelUnavailable(f"The connection to the model '{self.model}' failed.")
            case ModelAPIError() | UnexpectedModelBehavior():
                said = error_text(_body(error)) or "what it sent is no answer"
                return ModelUnavailable(f"The model '{self.model}' failed: {said}")
            case UserError() | NotImplementedError() | RuntimeError() | ValueError():
                return ModelRefused(f"The model '{self.model}' cannot be asked this: {error}", status=400)
            case _ if isinstance(error, self._foreign):
                return ModelRefused(f"The model '{self.model}' cannot be asked ({type(error).__name__}).")
            case _:
                return None


@dataclass(frozen=True)
class _Answer:
    """A streamed answer that has begun."""

    stream: StreamedResponse
    events: AsyncIterator[ModelResponseStreamEvent]
    first: list[Chunk]
    idle: Patience
    thinking: Patience
    opened: AsyncExitStack

    async def read(self) -> ModelResponseStreamEvent | None:
        """What came, None at the end; a model may think in silence for as long as a whole answer may take."""
        parts = self.stream.get().parts
        patience = self.thinking if parts and isinstance(parts[-1], ThinkingPart) else self.idle
        return await patience.wait(anext(self.events, None))

    async def close(self) -> None:
        await self.opened.aclose()


def _chunk(event: ModelResponseStreamEvent) -> Chunk | None:
    match event:
        case PartStartEvent(part=TextPart(content=text)) | PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            return Chunk(text=text) if text else None
        case (
            PartStartEvent(part=ThinkingPart(content=text))
            | PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text))
        ):
            return Chunk(reasoning=text) if text else None
        case _:
            return None


def _body(error: ModelAPIError | UnexpectedModelBehavior) -> Any:
    """What the provider said; AWS begins its keys with capitals."""
    match error.body:
        case {"Error": {"Message": str(message)}}:
            return {"message": message}
        case body:
            return body


def _counted(usage: RequestUsage) -> Usage | None:
    """None when the provider counted nothing."""
    if not usage.input_tokens and not usage.output_tokens:
        return None
    return Usage(
        prompt=usage.input_tokens,
        completion=usage.output_tokens,
        cached=usage.cache_read_tokens,
        reasoning=usage.details.get("thinking_tokens") or usage.details.get("reasoning_tokens") or 0,
    )


def _guessed(request: Completion, response: ModelResponse) -> Usage:
    said = [part.content for part in response.parts if isinstance(part, TextPart | ThinkingPart)]
    called = [part.tool_name + arguments(part) for part in response.parts if isinstance(part, ToolCallPart)]
    return estimate(request, "".join(said + called))
