"""How an answer ends that is not simply over: at a limit, cancelled, cut off."""

import asyncio
import itertools
from typing import Any

import pytest

from agents.runner import Limits
from hub.errors import ModelUnavailable
from hub.model import Chunk, Usage
from tests.agents.fake_turn import FakeTurn
from tests.agents.scripted import Named, ScriptedModel, calls, cancelled, echo, runner


class TestLimits:
    def endless(self) -> ScriptedModel:
        return ScriptedModel(*(calls(("echo", "{}")) for _ in range(100)))

    async def test_the_last_step_has_no_tools(self) -> None:
        model = ScriptedModel(*(calls(("echo", "{}")) for _ in range(9)))
        reply = await runner(model, Named("echo", echo)).answer(FakeTurn())
        assert [bool(request.tools) for request in model.requests] == [True] * 9 + [False]
        assert reply.text == "done"

    async def test_a_model_that_calls_to_the_end_gets_a_last_word_of_ours(self) -> None:
        turn = FakeTurn()
        reply = await runner(self.endless(), Named("echo", echo), limits=Limits(steps=3)).answer(turn)
        assert reply.text == turn.shown == "I stopped here: this took more than 3 steps."
        assert len(turn.steps) == 2

    async def test_steps_before_a_crash_count(self) -> None:
        turn, model = FakeTurn(), self.endless()
        agent = runner(model, Named("echo", echo), limits=Limits(steps=3))
        await agent.answer(turn)
        await agent.answer(turn)
        assert len(turn.steps) == 2
        assert not model.requests[-1].tools

    async def test_tokens_end_the_turn_too(self) -> None:
        turn = FakeTurn()
        reply = await runner(self.endless(), Named("echo", echo), limits=Limits(tokens=10)).answer(turn)
        assert reply.text == "I stopped here: this took more than 10 tokens."
        assert [step.usage.prompt + step.usage.completion for step in turn.steps] == [5, 5]

    async def test_tokens_before_a_crash_count(self) -> None:
        turn, model = FakeTurn(), self.endless()
        agent = runner(model, Named("echo", echo), limits=Limits(tokens=10))
        await agent.answer(turn)
        await agent.answer(turn)
        assert len(turn.steps) == 2
        assert not model.requests[-1].tools

    async def test_time_ends_the_turn_with_what_was_said(self) -> None:
        model, turn = ScriptedModel([Chunk(text="Well, "), None]), FakeTurn()
        reply = await runner(model, limits=Limits(seconds=0.0)).answer(turn)
        assert reply.text == turn.shown == "Well, \n\nI stopped here: this took more than 0 seconds."
        assert reply.usage.estimated
        assert model.closed.is_set()

    async def test_time_that_runs_out_in_a_tool_still_keeps_the_step(self) -> None:
        async def hang(_: dict[str, Any]) -> str:
            return await asyncio.Event().wait() and ""

        turn = FakeTurn()
        model = ScriptedModel(calls(("hang", "{}")), [None])
        reply = await runner(model, Named("hang", hang), limits=Limits(seconds=0.0)).answer(turn)
        assert "took too long" in turn.steps[0].results[0]
        assert reply.text == "I stopped here: this took more than 0 seconds."


class TestCancellation:
    async def test_it_closes_the_models_stream(self) -> None:
        model = ScriptedModel([Chunk(text="Well"), None])
        running = asyncio.create_task(runner(model).answer(FakeTurn()))
        await model.waits.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert model.closed.is_set()

    async def test_it_stops_the_tools(self) -> None:
        begun, stopped = asyncio.Barrier(3), itertools.count()

        async def hang(_: dict[str, Any]) -> str:
            await begun.wait()
            try:
                return await asyncio.Event().wait() and ""
            finally:
                next(stopped)

        model = ScriptedModel(calls(("hang", "{}"), ("hang", "{}")))
        running = asyncio.create_task(runner(model, Named("hang", hang)).answer(FakeTurn()))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert next(stopped) == 2


class TestCutOff:
    """The tokens of a model call count, whatever becomes of its step."""

    async def test_a_cancelled_answer_is_estimated(self) -> None:
        model, turn = ScriptedModel([Chunk(reasoning="1234"), Chunk(text="5678"), None]), FakeTurn("1234")
        await cancelled(runner(model).answer(turn), model.waits)
        assert turn.cut == [(Usage(prompt=1, completion=2, estimated=True), "scripted")]

    async def test_a_call_whose_tools_are_cancelled_is_counted(self) -> None:
        waits, turn = asyncio.Event(), FakeTurn()

        async def wait(_: dict[str, Any]) -> str:
            waits.set()
            return await asyncio.Event().wait() and ""

        model = ScriptedModel(calls(("wait", "{}")))
        await cancelled(runner(model, Named("wait", wait)).answer(turn), waits)
        assert turn.cut == [(Usage(prompt=2, completion=3), "scripted")]

    async def test_a_model_that_fails_in_the_middle_is_estimated(self) -> None:
        turn = FakeTurn("1234")
        with pytest.raises(ModelUnavailable):
            await runner(ScriptedModel([Chunk(text="1234"), ModelUnavailable("gone")])).answer(turn)
        assert turn.cut == [(Usage(prompt=1, completion=1, estimated=True), "scripted")]

    async def test_a_model_that_fails_without_a_word_used_nothing(self) -> None:
        turn = FakeTurn("1234")
        with pytest.raises(ModelUnavailable):
            await runner(ScriptedModel([ModelUnavailable("gone")])).answer(turn)
        assert turn.cut == []
