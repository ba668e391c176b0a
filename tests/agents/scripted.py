"""A runner to test: a model that plays a script, tools made of functions."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec
import pytest

from agents.runner import Runner
from agents.tools import Tool
from hub.agent import Reply
from hub.model import Chunk, Completion, Model, ToolCall, Usage
from tests.agents.fake_turn import FakeTurn

Script = Chunk | Exception | None
"""A chunk, a failure, or None: wait for ever."""


class ScriptedModel:
    """Plays one list of chunks a call and keeps what it was asked; says "done" after the last."""

    def __init__(self, *answers: Sequence[Script]) -> None:
        self.requests: list[Completion] = []
        self.closed = asyncio.Event()
        self.waits = asyncio.Event()
        self._answers = iter(answers)

    async def complete(self, request: Completion) -> AsyncGenerator[Chunk]:
        # The view grows in place: what was asked is what it was then.
        self.requests.append(msgspec.structs.replace(request, messages=[*request.messages]))
        try:
            for item in next(self._answers, says("done")):
                if isinstance(item, Exception):
                    raise item
                if item is None:
                    self.waits.set()
                    await asyncio.Event().wait()
                else:
                    yield item
        finally:
            self.closed.set()

    async def close(self) -> None:
        """Hold nothing."""


class Named:
    """A tool made of a function of its arguments."""

    description = "For tests."
    parameters: dict[str, Any] = {"type": "object"}

    def __init__(self, name: str, use: Callable[[dict[str, Any]], Awaitable[str]]) -> None:
        self.name = name
        self._use = use

    async def call(self, turn: object, key: str, arguments: dict[str, Any]) -> str:
        return await self._use(arguments)


def says(*pieces: str, prompt: int = 1, completion: int = 1) -> list[Script]:
    texts = [Chunk(text=piece) for piece in pieces]
    return [*texts, Chunk(finish="stop", usage=Usage(prompt=prompt, completion=completion))]


def calls(*named: tuple[str, str], text: str = "") -> list[Script]:
    asked = tuple(ToolCall(id=f"c{at}", name=name, arguments=given) for at, (name, given) in enumerate(named))
    spoken: list[Script] = [Chunk(text=text)] if text else []
    return [*spoken, Chunk(calls=asked, finish="tool_calls", usage=Usage(prompt=2, completion=3))]


def runner(model: Model, *tools: Tool, **more: Any) -> Runner:
    return Runner(name="assistant", model=model, model_name="scripted", tools=tools, **more)


async def echo(arguments: dict[str, Any]) -> str:
    return msgspec.json.encode(arguments).decode()


async def run_tool(tool: Tool, arguments: str = "{}", *, name: str | None = None, **more: Any) -> str:
    """What the model reads after it called the tool."""
    turn = FakeTurn()
    model = ScriptedModel(calls((name or tool.name, arguments)))
    reply = await runner(model, tool, **more).answer(turn)
    assert reply.text == "done"
    [step] = turn.steps
    [result] = step.results
    return result


async def cancelled(answer: Coroutine[Any, Any, Reply], begun: asyncio.Event) -> None:
    """Cancel an answer once something has begun."""
    task = asyncio.create_task(answer)
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
