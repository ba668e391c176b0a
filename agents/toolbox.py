"""What an agent can do: its own tools, and those that servers lend it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from agents.tools import Source, Tool, failure
from hub import tracing
from hub.agent import Step, Turn
from hub.errors import HubError, LeaseLost, StoreUnavailable
from hub.model import Completion, ToolCall

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Used:
    """What the calls of a step returned, and how many seconds each ran."""

    results: tuple[str, ...]
    took: tuple[float, ...]


def ours(offered: Mapping[str, Tool], theirs: Sequence[dict[str, Any]], params: Mapping[str, Any]) -> dict[str, Tool]:
    """The agent's tools beside functions that the asker runs itself: one of theirs hides ours of its name.

    There are none where the asker wants none to be called.
    """
    if params.get("tool_choice") == "none":
        return {}
    hidden = _names(theirs)
    return {name: tool for name, tool in offered.items() if name not in hidden}


def handed_out(calls: Sequence[ToolCall], theirs: Sequence[dict[str, Any]]) -> tuple[ToolCall, ...]:
    """The calls of functions that the asker runs itself; with them the answer ends.

    Where a model calls ours in the same step, none of these is run: only the asker's calls are in the history that goes
    on, each with its result. The model asks for ours again.
    """
    names = _names(theirs)
    return tuple(call for call in calls if call.name in names)


def chosen(request: Completion, finished: Sequence[Step]) -> Completion:
    """The request after some steps: what the asker has the model call, it has called in the first."""
    if not finished or request.params.get("tool_choice") in (None, "auto"):
        return request
    params = {name: value for name, value in request.params.items() if name != "tool_choice"}
    return msgspec.structs.replace(request, params=params)


def _names(theirs: Sequence[dict[str, Any]]) -> set[str]:
    return {tool["function"]["name"] for tool in theirs}


class Toolbox:
    """The tools of one agent; a single one may take `seconds`."""

    def __init__(self, agent: str, tools: Sequence[Tool], sources: Sequence[Source], seconds: float) -> None:
        self.own = {tool.name: tool for tool in tools}
        self._agent = agent
        self._sources = sources
        self._seconds = seconds

    async def offered(self) -> dict[str, Tool]:
        """The tools of a turn by name: the agent's own, and those that servers lend; the first of a name counts."""
        lent = await asyncio.gather(*(source.tools() for source in self._sources))
        return {tool.name: tool for tools in reversed(lent) for tool in tools} | self.own

    async def use(self, turn: Turn, tools: Mapping[str, Tool], calls: Sequence[ToolCall], deadline: float) -> Used:
        """Run all calls of a step at once; results and seconds are in the order of the calls."""
        try:
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(self._timed(turn, tools, str(index), call, deadline))
                    for index, call in enumerate(calls)
                ]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        done = [task.result() for task in running]
        return Used(results=tuple(result for result, _ in done), took=tuple(took for _, took in done))

    async def close(self) -> None:
        """Let go of the servers that lend tools."""
        await asyncio.gather(*(source.close() for source in self._sources))

    async def _timed(
        self, turn: Turn, tools: Mapping[str, Tool], key: str, call: ToolCall, deadline: float
    ) -> tuple[str, float]:
        """What a tool returned, and how many seconds it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        name = call.name if call.name in tools else "unknown"
        told = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.call.id": call.id}
        with tracing.span(f"execute_tool {name}", told):
            result = await self._call(turn, tools, key, call, deadline)
        return result, round(loop.time() - began, 4)

    async def _call(self, turn: Turn, tools: Mapping[str, Tool], key: str, call: ToolCall, deadline: float) -> str:
        """What a tool returned, or why it did not: whatever goes wrong is the model's to read."""
        tool = tools.get(call.name)
        if tool is None:
            return failure(f"There is no tool '{call.name}'; there are: {', '.join(tools) or 'none'}.")
        try:
            async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + self._seconds)):
                arguments = msgspec.json.decode(call.arguments or "{}", type=dict[str, object])
                return await tool.call(turn, key, arguments)
        except (LeaseLost, StoreUnavailable):
            raise
        except msgspec.DecodeError as error:  # also a ValidationError, of the tool's own
            return failure(f"The arguments of '{call.name}' are wrong: {error}.")
        except HubError as error:  # its text is a sentence
            return failure(str(error))
        except TimeoutError:
            return failure(f"The tool '{call.name}' took too long and was stopped; what it began may have happened.")
        except Exception as error:
            log.exception("tool failed", agent=self._agent, turn=turn.id, tool=call.name)
            return failure(f"The tool '{call.name}' failed ({type(error).__name__}).")
