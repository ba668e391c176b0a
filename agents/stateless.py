"""Agents for callers that keep the history themselves: their messages and tools, the agent's prompt and its tools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager
from typing import Any

import msgspec

from agents.models.tokens import estimate
from agents.runner import Runner, prepare
from agents.stopwatch import Stopwatch
from agents.toolbox import chosen, handed_out, ours
from agents.tools import CONVERSATIONAL, Tool, schema
from hub.agent import Step, Turn
from hub.errors import ModelError
from hub.model import Chunk, Completion, ToolCall, Usage, answering, step_in_chat

_CALLS = b'"tool_calls"'


class Stateless:
    """An agent without a conversation; with `one_system` its model takes one system message, at the top."""

    def __init__(self, runner: Runner, *, one_system: bool = False) -> None:
        self._runner = runner
        self._one_system = one_system

    async def complete(self, request: Completion, turn: Turn) -> AsyncGenerator[Chunk]:
        """Answer in chunks; calls of the agent's own tools are run, those of the request's are the caller's to run.

        Usage comes with the end of each step.
        """
        asked = prepare(request, self._runner.system_prompt, self._runner.params)
        if self._one_system:
            asked = msgspec.structs.replace(asked, messages=_joined(asked.messages))
        own = await self._own(request)
        answer = _Run(self._runner, turn, asked, own).chunks() if own else self._pass(asked, turn)
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _own(self, request: Completion) -> dict[str, Tool]:
        """The agent's tools that need no conversation."""
        offered = ours(await self._runner.toolbox.offered(), request.tools, request.params)
        return {name: tool for name, tool in offered.items() if name not in CONVERSATIONAL}

    async def _pass(self, asked: Completion, turn: Turn) -> AsyncGenerator[Chunk]:
        """What the model says, as it says it."""
        asked = await turn.afford(asked)
        step = _Step(turn, asked, self._runner)
        with step.counted():
            async with answering(self._runner.model, asked) as chunks:
                async for chunk in chunks:
                    step.take(chunk)
                    step.is_told = step.is_told or chunk.usage is not None
                    yield chunk


class _Run:
    """One answer of several steps."""

    def __init__(self, runner: Runner, turn: Turn, asked: Completion, own: dict[str, Tool]) -> None:
        self._runner = runner
        self._turn = turn
        self._asked = asked
        self._own = own
        self._deadline = asyncio.get_running_loop().time() + runner.limits.seconds
        self._gap = ""
        """What stands before the next text: each step's is a paragraph."""

    async def chunks(self) -> AsyncGenerator[Chunk]:
        """Step after step, until the model has answered or calls a tool of the caller's."""
        while True:
            last = self._runner.limits.reached(self._turn.steps)
            tools = {} if last else self._own
            request = await self._turn.afford(self._request(tools))
            step = _Step(self._turn, request, self._runner)
            with step.counted():
                async with aclosing(self._say(step)) as said:
                    async for chunk in said:
                        yield chunk
                if step.is_late or last or not step.calls or handed_out(step.calls, self._asked.tools):
                    for chunk in self._end(step, last):
                        yield chunk
                    return
                for chunk in self._held(step):
                    yield chunk
                yield Chunk(ran=step.calls)
                done = await self._use(step, tools)
            await self._turn.checkpoint(done)
            self._gap = self._gap or ("\n\n" if step.text else "")
            yield Chunk(usage=step.usage)

    async def _use(self, step: _Step, tools: dict[str, Tool]) -> Step:
        """The step with what its tools returned."""
        calls = tuple(call.sound for call in step.calls)
        with self._turn.acting(calls):
            used = await self._runner.toolbox.use(self._turn, tools, step.calls, self._deadline)
        return Step(
            text=step.text,
            calls=calls,
            results=used.results,
            usage=step.usage,
            model=step.model,
            pace=step.watch.pace,
            took=used.took,
        )

    def _request(self, tools: dict[str, Tool]) -> Completion:
        """What the model is asked next."""
        steps = self._turn.steps
        return msgspec.structs.replace(
            chosen(self._asked, steps),
            messages=[
                *self._asked.messages,
                *(message for step in steps for message in step_in_chat(step.text, step.calls, step.results)),
            ],
            tools=[*map(schema, tools.values()), *self._asked.tools],
        )

    async def _say(self, step: _Step) -> AsyncGenerator[Chunk]:
        """What the caller is shown of a step while it is made; the rest is in `step`."""
        async with answering(self._runner.model, step.request) as chunks:
            step.watch.start()
            while True:
                limit = asyncio.timeout_at(self._deadline)
                try:
                    async with limit:
                        chunk = await anext(chunks, None)
                except TimeoutError:
                    if not limit.expired():
                        raise
                    step.is_late = True
                    return
                if chunk is None:
                    step.watch.stop()
                    return
                step.take(chunk)
                if self._asked.stream:
                    for shown in self._shown(chunk):
                        yield shown

    def _held(self, step: _Step) -> Generator[Chunk]:
        """What was not shown while it was made, because the caller wants the answer as a whole."""
        if not self._asked.stream:
            for chunk in step.chunks:
                yield from self._shown(chunk)

    def _shown(self, chunk: Chunk) -> Generator[Chunk]:
        """A chunk without its calls and its end."""
        if chunk.text and self._gap:
            yield Chunk(text=self._gap)
            self._gap = ""
        is_plain = chunk.raw is not None and not chunk.finish and _CALLS not in bytes(chunk.raw)
        if chunk.text or chunk.reasoning or chunk.model:
            raw = chunk.raw if is_plain else None
            yield Chunk(text=chunk.text, reasoning=chunk.reasoning, model=chunk.model, raw=raw)

    def _end(self, step: _Step, last: str | None) -> Generator[Chunk]:
        """The end of the answer: calls for the caller to run, or the last words; usage is in the last chunk."""
        theirs = handed_out(step.calls, self._asked.tools)
        ending = self._runner.limits.late if step.is_late else last if step.calls and not theirs else None
        step.is_told = True
        if not (self._asked.stream or self._turn.steps or ending) and theirs == step.calls:
            yield from step.chunks  # the model's own answer, with whatever else it says
            return
        yield from self._held(step)
        if ending is None:
            yield Chunk(calls=theirs, finish="tool_calls" if theirs else step.finish, usage=step.usage)
        else:
            gap = "\n\n" if step.text else self._gap
            yield Chunk(text=gap + ending, finish="stop", usage=step.usage)


class _Step:
    """What the model says in one step."""

    def __init__(self, turn: Turn, request: Completion, runner: Runner) -> None:
        self.request = request
        self.model = runner.model_name
        self.watch = Stopwatch(runner.clock)
        self.calls: tuple[ToolCall, ...] = ()
        self.finish = "stop"
        self.is_late = False
        """Time was up before its end."""
        self.is_told = False
        """The caller of this agent knows its usage."""
        self.chunks: list[Chunk] = []
        self._turn = turn
        self._usage: Usage | None = None
        self._text: list[str] = []
        self._thought: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def usage(self) -> Usage:
        """The tokens used, estimated where the model was cut off before it told them."""
        return self._usage or estimate(self.request, "".join((*self._thought, *self._text)))

    def take(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        if chunk.text:
            self.watch.lap()
            self._text.append(chunk.text)
        if chunk.reasoning:
            self._thought.append(chunk.reasoning)
        self.calls = chunk.calls or self.calls
        self.finish = chunk.finish or self.finish
        self.model = chunk.model or self.model
        self._usage = chunk.usage or self._usage

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count the tokens also when the step is cut off."""
        try:
            yield
        except BaseException as end:
            # A model that failed without a word has used nothing.
            if not self.is_told and (not isinstance(end, ModelError) or self._text or self._thought):
                self._turn.spent(self.usage, self.model)
            raise


def _joined(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages, the system messages at their head as one."""
    head = 0
    while head < len(messages) and messages[head].get("role") in ("system", "developer"):
        head += 1
    if head < 2:
        return messages
    texts = (text for message in messages[:head] for text in _texts(message.get("content")))
    return [{"role": "system", "content": "\n\n".join(texts)}, *messages[head:]]


def _texts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content or () if "text" in part]
