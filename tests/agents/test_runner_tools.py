"""What the model is told of tools that fail, and what becomes of the turn."""

import asyncio
from typing import Any

import pytest

from agents.runner import Limits
from agents.tools.message import MessageTool
from hub.errors import Forbidden, HubError, InboxFull, LeaseLost
from tests.agents.fake_turn import FakeTurn
from tests.agents.scripted import Named, ScriptedModel, calls, echo, run_tool, runner


class TestToolFailures:
    async def test_an_unknown_tool(self) -> None:
        result = await run_tool(Named("echo", echo), name="ecko")
        assert result == '{"error":"There is no tool \'ecko\'; there are: echo."}'

    @pytest.mark.parametrize("arguments", ["{bad", "[1]", '"x"', '{"a": 1'])
    async def test_arguments_that_are_no_object(self, arguments: str) -> None:
        turn = FakeTurn()
        await runner(ScriptedModel(calls(("echo", arguments))), Named("echo", echo)).answer(turn)
        assert turn.steps[0].results[0].startswith('{"error":"The arguments of \'echo\' are wrong: ')
        # Servers refuse a history with broken arguments in it.
        assert turn.steps[0].calls[0].arguments == "{}"

    async def test_no_arguments_are_an_empty_object(self) -> None:
        assert await run_tool(Named("echo", echo), "") == "{}"

    async def test_arguments_of_the_wrong_type(self) -> None:
        result = await run_tool(MessageTool(), '{"content": 3}')
        assert (
            result == '{"error":"The arguments of \'message\' are wrong: Expected `str`, got `int` - at `$.content`."}'
        )

    @pytest.mark.parametrize("error", [Forbidden, InboxFull])
    async def test_an_error_of_the_hub_says_why(self, error: type[HubError]) -> None:
        async def refuse(_: dict[str, Any]) -> str:
            raise error("You may not post there.")

        assert await run_tool(Named("refuse", refuse)) == '{"error":"You may not post there."}'

    async def test_any_other_error_keeps_its_text_to_itself(self) -> None:
        async def explode(_: dict[str, Any]) -> str:
            raise KeyError("secret")

        assert await run_tool(Named("explode", explode)) == '{"error":"The tool \'explode\' failed (KeyError)."}'

    async def test_a_tool_that_takes_too_long_is_stopped(self) -> None:
        stopped = asyncio.Event()

        async def hang(_: dict[str, Any]) -> str:
            try:
                return await asyncio.Event().wait() and ""
            finally:
                stopped.set()

        result = await run_tool(Named("hang", hang), limits=Limits(tool_seconds=0.0))
        assert "took too long" in result
        assert stopped.is_set()

    async def test_the_failure_of_one_call_leaves_the_others_alone(self) -> None:
        turn = FakeTurn()
        await runner(ScriptedModel(calls(("nope", "{}"), ("echo", "{}"))), Named("echo", echo)).answer(turn)
        assert turn.steps[0].results[1] == "{}"

    async def test_a_lost_lease_is_not_the_models_to_read(self) -> None:
        async def lose(_: dict[str, Any]) -> str:
            raise LeaseLost("lane")

        turn = FakeTurn()
        with pytest.raises(LeaseLost):
            await runner(ScriptedModel(calls(("lose", "{}"))), Named("lose", lose)).answer(turn)
        assert turn.steps == []
