"""An agent without a conversation: the caller's messages and tools, the agent's prompt and its own tools."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from agents.runner import Limits, Runner
from agents.stateless import Stateless
from agents.tools.memory import Recall
from agents.tools.silent import SilentTool
from hub.errors import ModelUnavailable
from hub.model import Chunk, Completion, Model, ToolCall, Usage
from tests.agents.fake_turn import API_CONVERSATION, FakeTurn
from tests.agents.scripted import Named, Script, ScriptedModel, calls, runner, says

HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
THEIRS: dict[str, Any] = {"type": "function", "function": {"name": "theirs", "parameters": {"type": "object"}}}


async def weather(arguments: dict[str, Any]) -> str:
    return f"{arguments['city']}: sunny"


def ask(*tools: dict[str, Any], stream: bool = True, **params: Any) -> Completion:
    return Completion(messages=HI, tools=[*tools], params=params, stream=stream)


def raw(**delta: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"choices": [{"index": 0, "delta": delta}], "extra": 1}))


def offered(request: Completion) -> list[str]:
    return [tool["function"]["name"] for tool in request.tools]


class Answered:
    """What an agent said to a request, and to whom."""

    def __init__(self, turn: FakeTurn, chunks: list[Chunk]) -> None:
        self.turn = turn
        self.chunks = chunks
        self.text = "".join(chunk.text for chunk in chunks)
        self.calls = [call.name for chunk in chunks for call in chunk.calls]
        self.ran = [call.name for chunk in chunks for call in chunk.ran]
        self.finish = [chunk.finish for chunk in chunks if chunk.finish]
        self.usage = sum((chunk.usage for chunk in chunks if chunk.usage), Usage())


async def answer(agent: Runner, request: Completion, **options: Any) -> Answered:
    turn = FakeTurn(address=API_CONVERSATION)
    return Answered(turn, [chunk async for chunk in Stateless(agent, **options).complete(request, turn)])


def equipped(model: Model, **more: Any) -> Runner:
    return runner(model, Named("weather", weather), **more)


class TestWithoutTools:
    async def test_what_the_model_says_passes_as_it_is(self) -> None:
        script: list[Script] = [
            Chunk(raw=raw(role="assistant")),
            Chunk(text="a", raw=raw(content="a")),
            Chunk(calls=(ToolCall(id="c", name="theirs", arguments="{}"),), finish="tool_calls", raw=raw()),
            Chunk(usage=Usage(prompt=3, completion=4)),
        ]
        model = ScriptedModel(script)
        answered = await answer(runner(model), ask(THEIRS))
        assert answered.chunks == script
        assert offered(model.requests[0]) == ["theirs"]

    async def test_the_prompt_comes_first_and_the_request_wins(self) -> None:
        model = ScriptedModel()
        agent = runner(model, system_prompt="Be kind.", params={"temperature": 0.5, "top_p": 0.9, "max_tokens": 9})
        await answer(agent, ask(temperature=0, max_completion_tokens=5))
        assert model.requests[0].messages == [{"role": "system", "content": "Be kind."}, *HI]
        assert model.requests[0].params == {"temperature": 0, "top_p": 0.9, "max_completion_tokens": 5}

    async def test_a_model_that_takes_one_system_message_gets_one(self) -> None:
        model = ScriptedModel()
        said: Any = [
            {"role": "developer", "content": [{"type": "text", "text": "In French."}]},
            *HI,
            {"role": "system", "content": "Later."},
        ]
        agent = runner(model, system_prompt="Be kind.")
        await answer(agent, Completion(messages=said), one_system=True)
        assert model.requests[0].messages == [{"role": "system", "content": "Be kind.\n\nIn French."}, *said[1:]]

    async def test_tools_that_need_a_conversation_are_not_offered(self) -> None:
        model = ScriptedModel()
        await answer(runner(model, SilentTool(), Recall()), ask())
        assert model.requests[0].tools == []


class TestOwnTools:
    async def test_they_are_run_and_the_steps_are_one_answer(self) -> None:
        model = ScriptedModel(
            calls(("weather", '{"city": "Rome"}'), text="Let me see."), says("Sunny.", prompt=10, completion=20)
        )
        answered = await answer(equipped(model), ask(THEIRS, tool_choice="auto"))
        assert answered.text == "Let me see.\n\nSunny."
        assert (answered.ran, answered.calls, answered.finish) == (["weather"], [], ["stop"])
        assert answered.usage == Usage(prompt=12, completion=23)
        assert answered.turn.cut == []
        assert offered(model.requests[0]) == offered(model.requests[1]) == ["weather", "theirs"]
        assert model.requests[1].messages[1:] == [
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [
                    {"id": "c0", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c0", "content": "Rome: sunny"},
        ]

    async def test_those_of_the_request_are_the_callers_to_run(self) -> None:
        model = ScriptedModel(calls(("theirs", "{}"), text="Well."))
        answered = await answer(equipped(model), ask(THEIRS))
        assert (answered.text, answered.calls, answered.finish) == ("Well.", ["theirs"], ["tool_calls"])
        assert answered.usage == Usage(prompt=2, completion=3)
        assert len(model.requests) == 1

    async def test_ours_first_then_theirs(self) -> None:
        model = ScriptedModel(calls(("weather", '{"city": "Rome"}')), calls(("theirs", "{}")))
        answered = await answer(equipped(model), ask(THEIRS))
        assert (answered.ran, answered.calls, answered.finish) == (["weather"], ["theirs"], ["tool_calls"])
        assert answered.usage == Usage(prompt=4, completion=6)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_both_at_once_only_the_callers_are_handed_out_and_none_is_run(self, stream: bool) -> None:
        model = ScriptedModel(calls(("weather", '{"city": "Rome"}'), ("theirs", "{}")))
        answered = await answer(equipped(model), ask(THEIRS, stream=stream))
        assert (answered.ran, answered.calls, answered.finish) == ([], ["theirs"], ["tool_calls"])
        assert answered.turn.steps == []

    async def test_a_tool_of_the_request_hides_ours_of_its_name(self) -> None:
        model = ScriptedModel(calls(("weather", "{}")))
        mine: Any = {"type": "function", "function": {"name": "weather"}}
        answered = await answer(equipped(model), ask(mine))
        assert (answered.ran, answered.calls) == ([], ["weather"])
        assert model.requests[0].tools == [mine]

    async def test_a_call_of_what_nobody_has_is_told_to_the_model(self) -> None:
        model = ScriptedModel(calls(("nothing", "{}")), says("Sorry."))
        answered = await answer(equipped(model), ask(THEIRS))
        assert answered.text == "Sorry."
        assert "There is no tool 'nothing'" in model.requests[1].messages[-1]["content"]

    async def test_a_caller_that_wants_none_called_has_none_offered(self) -> None:
        model = ScriptedModel()
        await answer(equipped(model), ask(THEIRS, tool_choice="none"))
        assert offered(model.requests[0]) == ["theirs"]

    async def test_what_has_to_be_called_has_to_be_called_once(self) -> None:
        model = ScriptedModel(calls(("weather", '{"city": "Rome"}')), says("Sunny."))
        await answer(equipped(model), ask(THEIRS, tool_choice="required"))
        assert [request.params.get("tool_choice") for request in model.requests] == ["required", None]

    async def test_an_answer_that_does_not_stream_keeps_what_the_upstream_says(self) -> None:
        whole = Chunk(text="ok", finish="stop", usage=Usage(prompt=1, completion=1), raw=raw(content="ok"))
        answered = await answer(equipped(ScriptedModel([whole])), ask(stream=False))
        assert answered.chunks == [whole]

    async def test_after_steps_an_answer_that_does_not_stream_is_made_of_their_texts(self) -> None:
        model = ScriptedModel(
            [
                Chunk(
                    text="Let me see.",
                    calls=(ToolCall(id="c", name="weather", arguments='{"city": "Rome"}'),),
                    finish="tool_calls",
                    usage=Usage(prompt=1, completion=1),
                    raw=raw(),
                )
            ],
            [Chunk(text="Sunny.", finish="length", usage=Usage(prompt=1, completion=1), raw=raw())],
        )
        answered = await answer(equipped(model), ask(stream=False))
        assert (answered.text, answered.finish) == ("Let me see.\n\nSunny.", ["length"])
        assert answered.usage == Usage(prompt=2, completion=2)
        assert all(chunk.raw is None for chunk in answered.chunks)
        assert not any(request.stream for request in model.requests)

    async def test_a_stream_keeps_the_upstreams_pieces_and_none_of_our_calls(self) -> None:
        fragment = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "weather", "arguments": "{}"}}]}
        model = ScriptedModel(
            [
                Chunk(reasoning="hm", raw=raw(reasoning_content="hm")),
                Chunk(text="Well", raw=raw(content="Well", **fragment)),
                Chunk(raw=raw(**fragment)),
                Chunk(calls=(ToolCall(id="c", name="weather", arguments='{"city": "Rome"}'),), finish="tool_calls"),
                Chunk(usage=Usage(prompt=1, completion=1)),
            ],
            [Chunk(text="Sunny.", raw=raw(content="Sunny.")), Chunk(finish="stop", raw=raw())],
        )
        answered = await answer(equipped(model), ask())
        assert answered.text == "Well\n\nSunny."
        assert [chunk.raw for chunk in answered.chunks if chunk.raw] == [
            raw(reasoning_content="hm"),
            raw(content="Sunny."),
        ]


class TestLimits:
    async def test_the_last_step_has_no_tools_of_ours(self) -> None:
        model = ScriptedModel(
            calls(("weather", '{"city": "Rome"}')), calls(("weather", '{"city": "Rome"}'), text="Hm.")
        )
        answered = await answer(equipped(model, limits=Limits(steps=2)), ask(THEIRS))
        assert offered(model.requests[1]) == ["theirs"]
        assert answered.text == "Hm.\n\nI stopped here: this took more than 2 steps."
        assert answered.finish == ["stop"]
        assert answered.ran == ["weather"]

    async def test_a_model_that_takes_too_long_is_stopped_and_its_tokens_estimated(self) -> None:
        model = ScriptedModel([None])
        answered = await answer(equipped(model, limits=Limits(seconds=0.05)), ask())
        assert answered.text == "I stopped here: this took more than 0.05 seconds."
        assert answered.finish == ["stop"]
        assert answered.usage.estimated
        assert model.closed.is_set() or not model.requests


class TestCutOff:
    @pytest.mark.parametrize("tools", [True, False])
    async def test_leaving_early_stops_the_model_and_counts_what_it_took(self, tools: bool) -> None:
        model = ScriptedModel([Chunk(text="abcd"), None])
        agent = equipped(model) if tools else runner(model)
        turn = FakeTurn(address=API_CONVERSATION)
        async with aclosing(Stateless(agent).complete(ask(), turn)) as chunks:
            assert (await anext(chunks)).text == "abcd"
        assert model.closed.is_set()
        [(usage, _)] = turn.cut
        assert (usage.completion, usage.estimated) == (1, True)

    async def test_leaving_while_a_tool_runs_ends_the_tool(self) -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def slow(_: dict[str, Any]) -> str:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return ""

        turn = FakeTurn(address=API_CONVERSATION)
        agent = runner(ScriptedModel(calls(("slow", "{}"))), Named("slow", slow))

        async def read() -> None:
            async with aclosing(Stateless(agent).complete(ask(), turn)) as chunks:
                async for _ in chunks:
                    pass

        reading = asyncio.create_task(read())
        await began.wait()
        reading.cancel()
        await asyncio.wait([reading])
        assert ended.is_set()
        assert [usage for usage, _ in turn.cut] == [Usage(prompt=2, completion=3)]

    async def test_what_was_told_is_not_counted_twice(self) -> None:
        for agent in (equipped(ScriptedModel(says("ok"))), runner(ScriptedModel(says("ok")))):
            turn = FakeTurn(address=API_CONVERSATION)
            async with aclosing(Stateless(agent).complete(ask(), turn)) as chunks:
                async for chunk in chunks:
                    if chunk.usage:
                        break
            assert turn.cut == []

    async def test_a_model_that_fails_without_a_word_used_nothing(self) -> None:
        turn = FakeTurn(address=API_CONVERSATION)
        with pytest.raises(ModelUnavailable):
            async for _ in Stateless(equipped(ScriptedModel([ModelUnavailable("away")]))).complete(ask(), turn):
                pass
        assert turn.cut == []
