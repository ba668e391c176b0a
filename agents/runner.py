"""The agent: a model that may use tools, step by step, until it has answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from agents.context import Context, Window, summary_request
from agents.models.tokens import estimate
from agents.stopwatch import Stopwatch
from agents.toolbox import Toolbox, chosen, handed_out, ours
from agents.tools import STAY_SILENT, Source, Tool, schema
from hub.agent import Afford, Reply, Step, Turn
from hub.errors import ModelError, ModelUnavailable
from hub.message import Value
from hub.model import Chunk, Completion, Model, ToolCall, Usage, answering

log = structlog.get_logger()
_SAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Parameters with two names."""
_CUT_OFF = ("length", "content_filter")
"""Finish reasons of an answer that is not whole."""


class Limits(Value, frozen=True, kw_only=True):
    """How much one turn may use: model calls, seconds in all and for one tool, tokens."""

    steps: int = 10
    seconds: float = 280.0
    tool_seconds: float = 60.0
    tokens: int | None = None

    @property
    def late(self) -> str:
        """What is said when time is up."""
        return f"I stopped here: this took more than {self.seconds:g} seconds."

    def reached(self, finished: Sequence[Step]) -> str | None:
        """Why the step after these is the last one and gets no tools, or None."""
        if len(finished) + 1 >= self.steps:
            return f"I stopped here: this took more than {self.steps} steps."
        used = sum(step.usage.prompt + step.usage.completion for step in finished)
        if self.tokens is not None and used >= self.tokens:
            return f"I stopped here: this took more than {self.tokens} tokens."
        return None


class Runner:
    """An agent made of a model, a system prompt and tools."""

    def __init__(
        self,
        *,
        name: str,
        model: Model,
        model_name: str,
        system_prompt: str = "",
        tools: Sequence[Tool] = (),
        sources: Sequence[Source] = (),
        params: dict[str, Any] | None = None,
        limits: Limits | None = None,
        window: Window | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.model_name = model_name
        self.system_prompt = system_prompt
        self.context = Context(system_prompt, window or Window())
        self.params = params or {}
        self.limits = limits or Limits()
        self.clock = clock
        self.model = model
        self.toolbox = Toolbox(name, tools, sources, self.limits.tool_seconds)

    async def answer(self, turn: Turn) -> Reply:
        """Let the model call tools until it answers, calls functions of the asker's, or a limit ends the turn.

        A finished step is never repeated.
        What is emitted is the texts of the steps and of the reply, joined by blank lines, the empty ones left out.
        """
        deadline, now = _now() + self.limits.seconds, self.clock()
        theirs = [tool for message in turn.messages for tool in message.tools]
        tools = ours(await self.toolbox.offered(), theirs, _params(turn))
        while not self._is_silenced(await turn.view()):
            await turn.take()
            last = self.limits.reached(turn.steps)
            said = _Said(turn, self.model_name, self.clock)
            with said.counted():
                if not await self._ask(turn, said, now, deadline, {} if last else tools, theirs):
                    said.conclude(self.limits.late)
                handed = handed_out(said.calls, theirs)
                if said.calls and last and not handed:
                    said.conclude(last)
                if last or handed or not said.calls:
                    return said.reply(handed)
            calls = tuple(call.sound for call in said.calls)
            with turn.acting(calls):
                with said.counted():
                    used = await self.toolbox.use(turn, tools, said.calls, deadline)
                await turn.checkpoint(
                    Step(
                        text=said.text,
                        calls=calls,
                        results=used.results,
                        usage=said.usage,
                        model=said.model,
                        pace=said.watch.pace,
                        took=used.took,
                    )
                )
        return Reply(silent=True)

    async def close(self) -> None:
        """Let go of the servers that lend tools."""
        await self.toolbox.close()

    def _is_silenced(self, view: list[dict[str, Any]]) -> bool:
        """Whether the newest step ended the turn without a message."""
        newest = next(message for message in reversed(view) if message.get("role") != "tool")
        names = [call["function"]["name"] for call in newest.get("tool_calls") or ()]
        return STAY_SILENT in names and STAY_SILENT in self.toolbox.own

    async def _ask(
        self,
        turn: Turn,
        said: _Said,
        now: float,
        deadline: float,
        tools: Mapping[str, Tool],
        theirs: Sequence[dict[str, Any]],
    ) -> bool:
        """One call of the model; False when time ran out before its end."""
        schemas = [*map(schema, tools.values()), *theirs]
        view = await self.context.messages(turn, schemas, now)
        request = prepare(Completion(messages=view, tools=schemas, params=_params(turn)), "", self.params)
        request = await turn.afford(chosen(request, turn.steps))
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit, answering(self.model, request) as chunks:
                said.request = request
                said.watch.start()
                async for chunk in chunks:
                    said.take(chunk)
        except TimeoutError:
            if not limit.expired():
                raise
            said.cut()
            return False
        said.watch.stop()
        self.context.learn(request, said.usage, said.model)
        return True

    async def summarize(self, conversation: list[dict[str, Any]], afford: Afford) -> Reply:
        """Have the model sum up a part of a conversation; of the agent's own parameters none is asked for."""
        request, text = await afford(summary_request(conversation)), list[str]()
        usage, model = Usage(), self.model_name
        limit = asyncio.timeout(self.limits.seconds)
        try:
            async with limit, answering(self.model, request) as chunks:
                async for chunk in chunks:
                    text.append(chunk.text)
                    usage, model = chunk.usage or usage, chunk.model or model
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ModelUnavailable(f"No summary within {self.limits.seconds:g} s.") from error
        return Reply(text="".join(text).strip(), usage=usage, model=model)


def prepare(completion: Completion, system_prompt: str, params: dict[str, Any]) -> Completion:
    """The request as an agent makes it: its system prompt first, its parameters where the request has none.

    A parameter of the request wins whenever it is given, also as 0; null counts as not given.
    """
    given = {name: value for name, value in completion.params.items() if value is not None}
    defaults = {name: value for name, value in params.items() if _SAME.get(name) not in given}
    prompt = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return Completion(
        messages=[*prompt, *completion.messages],
        tools=completion.tools,
        params=defaults | given,
        stream=completion.stream,
    )


class _Said:
    """What the model says in one step, passed on to the turn as it comes."""

    def __init__(self, turn: Turn, model: str, clock: Callable[[], float]) -> None:
        self.watch = Stopwatch(clock)
        self.calls: tuple[ToolCall, ...] = ()
        self.model = model
        self.finish = "stop"
        self.request: Completion | None = None
        self._turn = turn
        self._usage: Usage | None = None
        self._thought: list[str] = []
        self._pieces: list[str] = []
        self._lead = "\n\n" if any(step.text for step in turn.steps) else ""

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    @property
    def usage(self) -> Usage:
        """The tokens used, estimated where the model was cut off before it told them."""
        if self._usage is None and self.request is not None:
            return estimate(self.request, "".join((*self._thought, *self._pieces)))
        return self._usage or Usage()

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count the tokens also when the step does not come to its end."""
        try:
            yield
        except BaseException as end:
            # A model that failed without a word has used nothing.
            if not isinstance(end, ModelError) or self._thought or self._pieces:
                self._turn.spent(self.usage, self.model)
            raise

    def take(self, chunk: Chunk) -> None:
        if chunk.text:
            self.watch.lap()
            self._say(chunk.text)
        if chunk.calls:
            self.calls = chunk.calls
        if chunk.reasoning:
            self._turn.think(chunk.reasoning)
            self._thought.append(chunk.reasoning)
        if chunk.finish in _CUT_OFF:
            self.finish = chunk.finish
        if chunk.usage:
            self._usage = chunk.usage
        if chunk.model:
            self.model = chunk.model

    def reply(self, handed: tuple[ToolCall, ...]) -> Reply:
        """The end of the turn, with the calls that are handed out to the asker."""
        finish = "tool_calls" if handed else self.finish
        return Reply(
            text=self.text, calls=handed, finish=finish, usage=self.usage, model=self.model, pace=self.watch.pace
        )

    def cut(self) -> None:
        """Nothing more comes from the model."""
        self.watch.stop()
        self._usage = self.usage

    def conclude(self, sentence: str) -> None:
        """Add a paragraph of our own, and let go of calls that nobody will run."""
        self.calls = ()
        self._say(f"\n\n{sentence}" if self._pieces else sentence)

    def _say(self, text: str) -> None:
        if self._pieces:
            self._turn.emit(text)
            self._pieces.append(text)
        elif text := text.lstrip():  # some models begin with blank lines, or write only these before a call
            self._turn.emit(self._lead + text)
            self._pieces.append(text)


def _params(turn: Turn) -> dict[str, Any]:
    """What the messages ask of the model."""
    return {name: value for message in turn.messages for name, value in message.params.items()}


def _now() -> float:
    return asyncio.get_running_loop().time()
