"""What an agent can do: its own tools, and those that servers lend it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from agents.tools import Source, Tool, failure
from hub.agent import Turn
from hub.errors import HubError, LeaseLost, StoreUnavailable
from hub.model import ToolCall

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Used:
    """What the calls of a step returned, and how many seconds each ran."""

    results: tuple[str, ...]
    took: tuple[float, ...]


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
        return await self._call(turn, tools, key, call, deadline), round(loop.time() - began, 4)

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
