"""The laws of a model (port `hub.model`), for whatever a subclass brings in its fixture `subject`.

A subject echoes: to "hello" it answers "You said: hello".
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol, cast

import pytest

from hub.errors import ModelRefused, ModelUnavailable
from hub.model import Chunk, Completion, Model, ToolCall, Usage

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "description": "", "parameters": {"type": "object"}}}
    for name in ("find", "book")
]
WORDS = "one two three four"


class Subject(Protocol):
    """A model, and the requests that bring it to do things."""

    @property
    def model(self) -> Model: ...

    def calling(self, name: str, arguments: str) -> Completion:
        """It calls that tool."""
        ...

    def failing(self) -> Completion:
        """Its upstream fails with status 500, however often it is asked."""
        ...

    def lasting(self) -> Completion:
        """It says something, and then nothing for longer than a test runs."""
        ...

    def cut_short(self) -> Completion:
        """It may write two tokens, and would say more."""
        ...

    async def stopped(self) -> None:
        """Returns when its upstream has noticed that nobody reads any more."""
        ...


def ask(text: object, *, stream: bool = True, **params: Any) -> Completion:
    return Completion(messages=[{"role": "user", "content": text}], stream=stream, params=params)


def whole(request: Completion) -> Completion:
    """The same request, not streamed."""
    return Completion(messages=request.messages, tools=request.tools, params=request.params, stream=False)


async def answer(model: Model, request: Completion) -> list[Chunk]:
    return [chunk async for chunk in model.complete(request)]


def stream(model: Model, request: Completion) -> AsyncGenerator[Chunk, None]:
    """The answer as something that can be closed."""
    chunks = model.complete(request)
    assert isinstance(chunks, AsyncGenerator)
    return cast("AsyncGenerator[Chunk, None]", chunks)


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


class ModelLaws:
    """What every model promises."""

    async def test_1_the_pieces_of_a_stream_are_the_answer(self, subject: Subject) -> None:
        chunks = await answer(subject.model, ask(WORDS))
        assert text_of(chunks) == f"You said: {WORDS}"
        assert len([chunk for chunk in chunks if chunk.text]) > 1

    async def test_2_an_answer_that_does_not_stream_is_one_chunk(self, subject: Subject) -> None:
        [chunk] = await answer(subject.model, ask(WORDS, stream=False))
        assert (chunk.text, chunk.finish) == (f"You said: {WORDS}", "stop")

    async def test_3_usage_is_in_the_last_chunk_and_nowhere_else(self, subject: Subject) -> None:
        *chunks, last = await answer(subject.model, ask(WORDS))
        assert last.usage == Usage(prompt=4, completion=6)
        assert all(chunk.usage is None for chunk in chunks)
        [chunk] = await answer(subject.model, ask(WORDS, stream=False))
        assert chunk.usage == last.usage

    async def test_4_an_answer_finishes_once_and_says_nothing_afterwards(self, subject: Subject) -> None:
        chunks = await answer(subject.model, ask(WORDS))
        [at] = [at for at, chunk in enumerate(chunks) if chunk.finish]
        assert chunks[at].finish == "stop"
        assert not text_of(chunks[at + 1 :])

    async def test_5_tool_calls_are_complete_and_come_once(self, subject: Subject) -> None:
        chunks = await answer(subject.model, subject.calling("book", '{"seats": 2}'))
        [calls] = [chunk.calls for chunk in chunks if chunk.calls]
        assert [(call.name, call.arguments) for call in calls] == [("book", '{"seats": 2}')]
        assert calls[0].id
        assert [chunk.finish for chunk in chunks if chunk.finish] == ["tool_calls"]

    async def test_6_tool_calls_do_not_depend_on_streaming(self, subject: Subject) -> None:
        [chunk] = await answer(subject.model, whole(subject.calling("book", '{"seats": 2}')))
        assert [(call.name, call.arguments) for call in chunk.calls] == [("book", '{"seats": 2}')]
        assert chunk.finish == "tool_calls"

    @pytest.mark.parametrize("stream", [True, False])
    async def test_7_a_failing_upstream_is_unavailable_with_its_status(self, subject: Subject, stream: bool) -> None:
        request = subject.failing()
        with pytest.raises(ModelUnavailable) as caught:
            await answer(subject.model, request if stream else whole(request))
        assert caught.value.status == 500
        assert not isinstance(caught.value, ModelRefused)

    async def test_8_closing_the_iterator_stops_the_upstream(self, subject: Subject) -> None:
        async with aclosing(stream(subject.model, subject.lasting())) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    break
        await subject.stopped()

    async def test_9_cancelling_who_reads_stops_the_upstream(self, subject: Subject) -> None:
        heard = asyncio.Event()

        async def read() -> None:
            async for chunk in subject.model.complete(subject.lasting()):
                if chunk.text:
                    heard.set()

        reading = asyncio.create_task(read())
        await heard.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await subject.stopped()

    async def test_10_answers_at_the_same_time_do_not_mix(self, subject: Subject) -> None:
        answers = await asyncio.gather(*(answer(subject.model, ask(f"{number} {WORDS}")) for number in range(20)))
        assert [text_of(chunks) for chunks in answers] == [f"You said: {number} {WORDS}" for number in range(20)]

    async def test_11_content_may_be_a_list_of_parts(self, subject: Subject) -> None:
        chunks = await answer(subject.model, ask([{"type": "text", "text": WORDS}]))
        assert text_of(chunks) == f"You said: {WORDS}"

    async def test_12_a_limit_on_tokens_ends_with_length(self, subject: Subject) -> None:
        request = subject.cut_short()
        chunks = await answer(subject.model, request)
        assert [chunk.finish for chunk in chunks if chunk.finish] == ["length"]
        [chunk] = await answer(subject.model, whole(request))
        assert (chunk.text, chunk.finish) == (text_of(chunks), "length")

    async def test_13_a_history_with_tools_is_understood(self, subject: Subject) -> None:
        calls = [ToolCall(id="c1", name="find", arguments="{}")]
        history: list[dict[str, Any]] = [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "first"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                    for call in calls
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "found"},
            {"role": "assistant", "content": "It is there."},
            {"role": "user", "content": WORDS},
        ]
        assert text_of(await answer(subject.model, Completion(messages=history, tools=TOOLS))) == f"You said: {WORDS}"
