"""The runner: model, tools, model, until there is an answer."""

import asyncio
from typing import Any

import msgspec
import pytest

from agents.models.demo import Demo
from agents.runner import prepare
from agents.tools.message import MessageTool
from agents.tools.silent import SilentTool
from hub.agent import Agent, Reply
from hub.errors import ModelUnavailable
from hub.model import Chunk, Completion, Usage
from tests.agents.fake_turn import FakeTurn
from tests.agents.scripted import Named, Script, ScriptedModel, calls, echo, runner, says


def test_it_is_an_agent() -> None:
    agent: Agent = runner(Demo())
    assert agent


class TestAnswer:
    async def test_the_reply_is_what_was_emitted(self) -> None:
        turn = FakeTurn()
        reply = await runner(ScriptedModel(says("Hel", "lo", prompt=7, completion=2))).answer(turn)
        assert msgspec.structs.replace(reply, pace=None) == Reply(
            text="Hello", usage=Usage(prompt=7, completion=2), model="scripted"
        )
        assert turn.emitted == ["Hel", "lo"]
        assert turn.steps == []

    async def test_calls_of_models_and_tools_are_timed(self) -> None:
        turn = FakeTurn()
        model = ScriptedModel(calls(("echo", "{}"), ("echo", "{}")), says("3"))
        reply = await runner(model, Named("echo", echo), clock=lambda: 42.0).answer(turn)
        [step] = turn.steps
        assert step.pace is not None
        assert (step.pace.at, step.pace.first) == (42.0, None)
        assert step.pace.seconds >= 0
        assert len(step.took) == 2
        assert reply.pace is not None
        assert reply.pace.first is not None
        assert 0 <= reply.pace.first <= reply.pace.seconds

    async def test_the_system_prompt_comes_first_with_what_was_summed_up(self) -> None:
        model, turn = ScriptedModel(), FakeTurn("hello")
        turn.history = [{"role": "system", "content": "Facts."}, {"role": "user", "content": "before"}]
        await runner(model, system_prompt="Be kind.").answer(turn)
        assert [message["content"] for message in model.requests[0].messages] == [
            "Be kind.\n\nFacts.",
            "before",
            "hello",
        ]

    async def test_no_system_prompt_is_no_message(self) -> None:
        model = ScriptedModel()
        await runner(model).answer(FakeTurn())
        assert [message["role"] for message in model.requests[0].messages] == ["user"]

    async def test_parameters_of_the_message_win_also_as_zero(self) -> None:
        model = ScriptedModel()
        agent = runner(model, params={"temperature": 0.7, "top_p": 0.5, "max_tokens": 10})
        await agent.answer(FakeTurn(params={"temperature": 0, "max_completion_tokens": 5, "top_p": None}))
        assert model.requests[0].params == {"temperature": 0, "max_completion_tokens": 5, "top_p": 0.5}

    async def test_a_failing_model_fails_the_turn(self) -> None:
        with pytest.raises(ModelUnavailable):
            await runner(ScriptedModel([Chunk(text="He"), ModelUnavailable("gone")])).answer(FakeTurn())

    async def test_an_answer_that_was_cut_short_says_so(self) -> None:
        script: list[Script] = [Chunk(text="Once upon"), Chunk(finish="length", usage=Usage(completion=2))]
        assert (await runner(ScriptedModel(script)).answer(FakeTurn())).finish == "length"

    async def test_each_step_names_the_model_that_did_it(self) -> None:
        turn = FakeTurn()
        named: list[Script] = [Chunk(model="second"), *calls(("echo", "{}"))]
        reply = await runner(ScriptedModel(named, says("done")), Named("echo", echo)).answer(turn)
        assert ([step.model for step in turn.steps], reply.model) == (["second"], "scripted")

    async def test_blank_lines_before_the_text_are_left_out(self) -> None:
        turn = FakeTurn()
        reply = await runner(ScriptedModel(says("\n", "\n Hello", " \n"))).answer(turn)
        assert reply.text == turn.shown == "Hello \n"

    async def test_an_empty_answer_is_an_empty_reply(self) -> None:
        turn = FakeTurn()
        assert (await runner(ScriptedModel(says("\n"))).answer(turn)).text == ""
        assert turn.emitted == []


class TestSteps:
    async def test_a_step_is_kept_and_shown_to_the_model(self) -> None:
        model, turn = ScriptedModel(calls(("echo", '{"a":1}'), text="Let me see."), says("It is 1.")), FakeTurn()
        reply = await runner(model, Named("echo", echo)).answer(turn)
        [step] = turn.steps
        assert (step.text, step.results, step.model) == ("Let me see.", ('{"a":1}',), "scripted")
        assert step.usage == Usage(prompt=2, completion=3)
        assert reply.text == "It is 1."
        assert model.requests[1].messages == await turn.view()

    async def test_texts_of_steps_are_apart_by_blank_lines(self) -> None:
        tool = ("echo", "{}")
        model = ScriptedModel(calls(tool, text="One."), calls(tool), calls(tool, text="Two."), says("Th", "ree."))
        turn = FakeTurn()
        reply = await runner(model, Named("echo", echo)).answer(turn)
        texts = [*(step.text for step in turn.steps), reply.text]
        assert turn.shown == "\n\n".join(text for text in texts if text) == "One.\n\nTwo.\n\nThree."

    async def test_a_turn_goes_on_after_its_last_finished_step(self) -> None:
        turn = FakeTurn()
        model = ScriptedModel(calls(("echo", "{}"), text="One."), [ModelUnavailable("gone")], says("Two."))
        agent = runner(model, Named("echo", echo))
        with pytest.raises(ModelUnavailable):
            await agent.answer(turn)
        reply = await agent.answer(turn)
        assert reply.text == "Two."
        assert turn.shown == "One.\n\nTwo."
        assert len(turn.steps) == 1

    async def test_what_was_said_meanwhile_is_heard_at_the_next_step(self) -> None:
        turn = FakeTurn("count the boats")
        model = ScriptedModel(calls(("late", "{}")), says("Two red ones."))

        async def late(_: dict[str, Any]) -> str:
            turn.later = FakeTurn("only the red ones").messages
            return "found 5"

        await runner(model, Named("late", late)).answer(turn)
        assert [
            [one["content"] for one in request.messages if one["role"] == "user"] for request in model.requests
        ] == [
            ["count the boats"],
            ["count the boats", "only the red ones"],
        ]

    async def test_a_step_with_calls_is_not_cut_in_two(self) -> None:
        turn = FakeTurn()

        async def use(_: dict[str, Any]) -> str:
            seen.append([*turn.acted])
            return "used"

        seen: list[list[str]] = []
        await runner(ScriptedModel(calls(("use", "{}"))), Named("use", use)).answer(turn)
        assert seen == [["begins"]]
        assert turn.acted == ["begins", "ends"]

    async def test_calls_of_a_step_run_at_the_same_time_and_keep_their_order(self) -> None:
        met = asyncio.Barrier(3)

        async def meet(arguments: dict[str, Any]) -> str:
            await met.wait()
            return str(arguments["n"])

        turn = FakeTurn()
        model = ScriptedModel(calls(*(("meet", f'{{"n":{n}}}') for n in (3, 1, 2))))
        await runner(model, Named("meet", meet)).answer(turn)
        assert turn.steps[0].results == ("3", "1", "2")

    async def test_posts_of_one_step_have_different_keys(self) -> None:
        turn = FakeTurn()
        model = ScriptedModel(calls(*(("message", f'{{"content":"{n}"}}') for n in range(3))))
        await runner(model, MessageTool()).answer(turn)
        assert sorted(post.key for post in turn.posts) == ["0", "1", "2"]

    async def test_the_demo_model_posts_through_the_message_tool(self) -> None:
        turn = FakeTurn("post to news:9: hi all")
        reply = await runner(Demo(), MessageTool()).answer(turn)
        assert [str(post.address) for post in turn.posts] == ["news:9"]
        assert reply.text == "The post to news:9 is delivered."


class TestStaySilent:
    async def test_it_ends_the_turn_without_a_message(self) -> None:
        turn = FakeTurn()
        model = ScriptedModel(calls(("stay_silent", "{}"), text="Let me see."))
        assert await runner(model, SilentTool()).answer(turn) == Reply(silent=True)
        assert len(model.requests) == len(turn.steps) == 1

    async def test_a_turn_that_was_cut_off_after_it_stays_silent(self) -> None:
        turn = FakeTurn()
        await runner(ScriptedModel(calls(("stay_silent", "{}"))), SilentTool()).answer(turn)
        model = ScriptedModel()
        assert await runner(model, SilentTool()).answer(turn) == Reply(silent=True)
        assert model.requests == []

    async def test_who_has_not_the_tool_cannot_use_it(self) -> None:
        reply = await runner(ScriptedModel(calls(("stay_silent", "{}"))), MessageTool()).answer(FakeTurn())
        assert (reply.silent, reply.text) == (False, "done")

    async def test_the_turn_after_it_is_answered(self) -> None:
        turn = FakeTurn("and now?")
        asked = {"id": "c", "type": "function", "function": {"name": "stay_silent", "arguments": "{}"}}
        turn.history = [
            {"role": "user", "content": "hi all"},
            {"role": "assistant", "content": None, "tool_calls": [asked]},
            {"role": "tool", "tool_call_id": "c", "content": "{}"},
        ]
        assert (await runner(ScriptedModel(), SilentTool()).answer(turn)).text == "done"


class TestPrepare:
    def test_it_puts_the_system_prompt_before_the_callers(self) -> None:
        asked = Completion(messages=[{"role": "system", "content": "Theirs."}, {"role": "user", "content": "hi"}])
        prepared = prepare(asked, "Ours.", {})
        assert [message["content"] for message in prepared.messages] == ["Ours.", "Theirs.", "hi"]
        assert len(asked.messages) == 2

    def test_tools_and_streaming_are_the_callers(self) -> None:
        asked = Completion(messages=[], tools=[{"type": "function"}], stream=False)
        assert prepare(asked, "", {}) == asked

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, {"temperature": 0.7, "max_tokens": 10}),
            ({"temperature": 0}, {"temperature": 0, "max_tokens": 10}),
            ({"temperature": None}, {"temperature": 0.7, "max_tokens": 10}),
            ({"max_completion_tokens": 0}, {"temperature": 0.7, "max_completion_tokens": 0}),
            ({"seed": 1}, {"temperature": 0.7, "max_tokens": 10, "seed": 1}),
        ],
    )
    def test_parameters_of_the_request_win(self, given: dict[str, Any], expected: dict[str, Any]) -> None:
        prepared = prepare(Completion(messages=[], params=given), "", {"temperature": 0.7, "max_tokens": 10})
        assert prepared.params == expected
