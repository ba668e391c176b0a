"""Functions that whoever asks runs itself: the turn ends with their calls, and none of the agent's own is run then."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.models.demo import Demo
from agents.runner import Limits, Runner
from agents.stateless import Stateless
from hub.agent import Reply, Step
from hub.model import Completion, Model, ToolCall, Usage
from tests.agents.fake_turn import API_CONVERSATION, FakeTurn
from tests.agents.scripted import Named, ScriptedModel, calls, echo, runner, says

THEIRS: dict[str, Any] = {"type": "function", "function": {"name": "theirs", "parameters": {"type": "object"}}}


def asked(text: str = "hello", **params: Any) -> FakeTurn:
    return FakeTurn(text, address=API_CONVERSATION, params=params, tools=[THEIRS])


def equipped(model: Model, **more: Any) -> Runner:
    return runner(model, Named("ours", echo), **more)


def offered(request: Completion) -> list[str]:
    return [tool["function"]["name"] for tool in request.tools]


async def test_a_call_of_theirs_ends_the_turn() -> None:
    turn, model = asked(), ScriptedModel(calls(("theirs", '{"a":1}'), text="I look."))
    reply = await equipped(model).answer(turn)
    call = ToolCall(id="c0", name="theirs", arguments='{"a":1}')
    usage = Usage(prompt=2, completion=3)
    told = msgspec.structs.replace(reply, pace=None)
    assert told == Reply(text="I look.", calls=(call,), finish="tool_calls", usage=usage, model="scripted")
    assert (offered(model.requests[0]), turn.steps, turn.acted) == (["ours", "theirs"], [], [])


async def test_ours_are_run_before_and_with_theirs_none() -> None:
    turn, model = asked(), ScriptedModel(calls(("ours", "{}")), calls(("ours", "{}"), ("theirs", "{}")))
    reply = await equipped(model).answer(turn)
    assert [call.name for call in reply.calls] == ["theirs"]
    assert [[call.name for call in step.calls] for step in turn.steps] == [["ours"]]


async def test_a_stateless_answer_goes_by_the_same_rule() -> None:
    request = Completion(messages=[{"role": "user", "content": "hi"}], tools=[THEIRS], params={})
    turn, model = FakeTurn(address=API_CONVERSATION), ScriptedModel(calls(("ours", "{}"), ("theirs", "{}")))
    chunks = [chunk async for chunk in Stateless(equipped(model)).complete(request, turn)]
    assert [call.name for chunk in chunks for call in chunk.calls] == ["theirs"]
    assert turn.steps == []


async def test_one_of_theirs_hides_ours_of_its_name() -> None:
    turn, model = asked(), ScriptedModel(calls(("theirs", "{}")))
    reply = await runner(model, Named("theirs", echo)).answer(turn)
    assert ([call.name for call in reply.calls], offered(model.requests[0])) == (["theirs"], ["theirs"])


async def test_theirs_are_handed_out_also_in_the_last_step_and_ours_not_run() -> None:
    for called, handed in (("theirs", 1), ("ours", 0)):
        model = ScriptedModel(calls((called, "{}")))
        reply = await equipped(model, limits=Limits(steps=1)).answer(asked())
        assert (offered(model.requests[0]), len(reply.calls)) == (["theirs"], handed)
        assert ("more than 1 steps" in reply.text) == (not handed)


@pytest.mark.parametrize(
    ("choice", "first", "then"),
    [("required", "required", None), ("auto", "auto", "auto"), (None, None, None)],
)
async def test_what_they_have_the_model_call_it_calls_in_the_first_step(
    choice: str | None, first: str | None, then: str | None
) -> None:
    turn, model = asked(tool_choice=choice), ScriptedModel(calls(("ours", "{}")))
    await equipped(model).answer(turn)
    assert [request.params.get("tool_choice") for request in model.requests] == [first, then]


async def test_a_turn_that_was_cut_off_has_taken_its_first_step() -> None:
    turn, model = asked(tool_choice="required"), ScriptedModel(says("done"))
    turn.steps.append(Step(calls=(ToolCall(id="c", name="ours", arguments="{}"),), results=("ok",)))
    await equipped(model).answer(turn)
    assert "tool_choice" not in model.requests[0].params


async def test_where_none_is_to_be_called_ours_are_not_offered() -> None:
    model = ScriptedModel()
    await equipped(model).answer(asked(tool_choice="none"))
    assert (offered(model.requests[0]), model.requests[0].params["tool_choice"]) == (["theirs"], "none")


async def test_the_demo_model_calls_them() -> None:
    reply = await equipped(Demo()).answer(asked('call theirs {"a": 1}'))
    assert [(call.name, call.arguments) for call in reply.calls] == [("theirs", '{"a": 1}')]
